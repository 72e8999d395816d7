"""What no hub can go below: the same JupyterLab on the machine's own network, for whoever comes, without hub, proxy and TLS."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from tests.machine.hub import until
from tests.machine.rig import Machine

_CONTAINER: Final = "hubagent-bench-floor"
_PORT: Final = 8899
_START_S: Final = 120.0

EMPTY_NOTEBOOK: Final[dict[str, object]] = {
    "type": "notebook",
    "format": "json",
    "content": {
        "cells": [
            {
                "cell_type": "code",
                "id": "first",
                "metadata": {},
                "source": "",
                "outputs": [],
                "execution_count": None,
            }
        ],
        "metadata": {
            "kernelspec": {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    },
}
"""With one cell, as Jupyter's contents API takes it."""


class Floor:
    """One that serves."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._pages = 0

    def address(self, path: str) -> str:
        """Of a page of JupyterLab (`path` begins with /lab), in a workspace that nobody has been in."""
        self._pages += 1
        own = path.replace("/lab", f"/lab/workspaces/floor-{self._pages}", 1)
        return f"http://{self._machine.address}:{_PORT}{own}"

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """One request to its API, from inside the machine; None while it does not answer."""
        command = ["curl", "-sf", "-X", method, f"http://127.0.0.1:{_PORT}{path}"]
        if body is not None:
            command += ["-H", "Content-Type: application/json", "-d", json.dumps(body)]
        done = self._machine.run(command, check=False)
        return json.loads(done.stdout) if done.rc == 0 else None


@contextmanager
def floor(machine: Machine, image: str, notebook: str) -> Iterator[Floor]:
    """It has `notebook`, with a kernel attached that runs; it says that it is idle once it has run something."""
    server = "jupyter lab --no-browser --ip=0.0.0.0 --ServerApp.token= --ServerApp.password="
    server += f" --ServerApp.disable_check_xsrf=True --port={_PORT}"
    docker = ["docker", "run", "--rm", "-d", "--name", _CONTAINER, "--network", "host", image]
    machine.run([*docker, "sh", "-c", server])
    found = Floor(machine)
    try:
        until(lambda: found.ask("GET", "/api") is not None, _START_S, "a JupyterLab without a hub")
        found.ask("PUT", f"/api/contents/{notebook}", EMPTY_NOTEBOOK)
        session = {"path": notebook, "name": notebook, "type": "notebook", "kernel": {"name": "python3"}}
        assert found.ask("POST", "/api/sessions", session) is not None
        yield found
    finally:
        machine.run(["docker", "rm", "-f", _CONTAINER])
