"""hubagent installed in a machine, as tests and benchmarks talk to it: edits, status, requests from outside."""

from __future__ import annotations

import hashlib
import http.client
import json
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.machine.rig import Machine, wait_until

CONFIG = "/etc/hubagent.yaml"
STATUS = "/run/hubagent/status.json"
SETTLED_S = 120.0


class Hub:
    """One installed hub. Methods wait for conditions, with deadlines."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def config(self) -> str:
        return self.machine.read(CONFIG)

    def edit(self, text: str) -> str:
        """Save the file as an editor does (write beside, rename over); returns the text before."""
        before = self.config()
        self.machine.write(CONFIG, text)
        return before

    def replace(self, old: str, new: str) -> str:
        """Save the file with one piece of text exchanged; returns the text before."""
        before = self.config()
        assert before.count(old) == 1, f"{old!r} is {before.count(old)} times in {CONFIG}"
        return self.edit(before.replace(old, new))

    def status(self) -> dict[str, Any]:
        value = json.loads(self.machine.read(STATUS))
        assert isinstance(value, dict)
        return value

    def settled(self, *, after: Callable[[dict[str, Any]], bool] = lambda status: True) -> dict[str, Any]:
        """Wait until the agent has looked at today's file (and `after` holds); the Status it then gave."""
        sha256 = hashlib.sha256(self.config().encode()).hexdigest()

        def look() -> dict[str, Any] | None:
            try:
                status = self.status()
            except (ValueError, AssertionError, RuntimeError):
                return None
            return status if status["config_sha256"] == sha256 and after(status) else None

        return self.machine.wait_until(look, SETTLED_S, "the agent to have applied today's file")

    def apply(self, *options: str) -> tuple[int, dict[str, Any]]:
        """`hubagent apply --json`: exit code and Status."""
        done = self.machine.run(["hubagent", "apply", "--json", *options], check=False, timeout_s=200.0)
        return done.rc, json.loads(done.stdout)

    def get(self, path: str, *, host: str | None = None, timeout_s: float = 10.0) -> tuple[int, bytes]:
        """One HTTPS request from outside the machine, on a fresh connection."""
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        connection = http.client.HTTPSConnection(
            self.machine.address, 443, timeout=timeout_s, context=context
        )
        try:
            connection.request("GET", path, headers={"Host": host} if host else {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def metric(self, name: str) -> float:
        """One sample of the agent's metrics, by its whole name with labels."""
        patient = [
            "--retry",
            "30",
            "--retry-delay",
            "1",
            "--retry-connrefused",
        ]  # the agent may just be starting
        text = self.machine.run(["curl", "-sf", *patient, "http://127.0.0.1:9811/metrics"]).stdout
        for line in text.splitlines():
            if line.startswith(f"{name} "):
                return float(line.rpartition(" ")[2])
        raise AssertionError(f"no metric {name}")

    def static_files_taken(self) -> None:
        """Wait until what pages load is taken out of the image, and nginx can serve it."""
        taken = ["test", "-s", "/var/lib/hubagent/static.json"]
        until(
            lambda: self.machine.run(taken, check=False).rc == 0, SETTLED_S, "static files out of the image"
        )

    def main_pid(self, unit: str) -> int:
        shown = self.machine.run(["systemctl", "show", "-p", "MainPID", "--value", unit])
        return int(shown.stdout)


def install(machine: Machine, repository: Path) -> Hub:
    """apt install hubagent from a repository on this machine, as a user would; wait until it serves."""
    machine.push(repository, "/srv/repo")
    machine.run(["sh", "/srv/repo/add.sh"])
    machine.run(["apt-get", "update", "-q"], timeout_s=300.0)
    machine.run(["apt-get", "install", "-yq", "hubagent"], timeout_s=600.0)
    hub = Hub(machine)
    hub.settled(after=lambda status: status["generation"] is not None and not status["config_errors"])
    stand_in(machine)
    return hub


# No image registry can be asked, so the base of the shipped recipe cannot be had. Machines have older versions, too.
_TAGS_OF_RECIPES = """
from pathlib import Path
try:
    from hubagent.adapters.docker.image_inputs import LocalInputs
    from hubagent.config.reading import loader
except ImportError:  # as of 0.1.0
    from hubagent.adapters.image_inputs import LocalInputs
    from hubagent.config import loader
from hubagent.images.recipe import recipe
for server in loader.load(Path('/etc/hubagent.yaml').read_bytes(), path='the shipped file').servers:
    if server.build is not None:
        print(server.image, recipe(server.image, server.build, LocalInputs().material()).tag)
"""


def stand_in(machine: Machine) -> None:
    """Let the image that the machine has stand for what the shipped recipe would build."""
    for line in machine.run(["python3", "-c", _TAGS_OF_RECIPES]).stdout.splitlines():
        image, tag = line.split()
        if machine.run(["docker", "image", "inspect", image], check=False).ok:
            machine.run(["docker", "tag", image, tag])
            machine.run(["hubagent", "apply"], check=False, timeout_s=200.0)


def until(condition: Callable[[], bool], timeout_s: float, what: str) -> float:
    """Wait for a condition; seconds that it took."""
    begun = time.monotonic()
    wait_until(condition, timeout_s, what)
    return time.monotonic() - begun
