"""The kernel that waits is that of the notebook in which a browser lands, with JupyterLab and with Notebook 7 alone."""

from __future__ import annotations

import re
from pathlib import Path

import requests

from hubagent import wire
from tests.guest_kernels.jupyter import Kernel, Server, server
from tests.waiting import DEADLINE_S, wait_until

LAB = ["jupyterlab", "notebook_shim"]
NEW = {wire.LANDING: wire.NEW_NOTEBOOK}


def lands(running: Server) -> str:
    """The path of the page, which is there."""
    answer = requests.get(
        f"http://127.0.0.1:{running.port}/",
        headers={"Authorization": f"token {running.token}"},
        timeout=DEADLINE_S,
    )
    assert answer.status_code == 200, running.log.read_text()
    return answer.url.removeprefix(f"http://127.0.0.1:{running.port}")


def test_the_kernel_that_waits_is_the_new_notebooks(tmp_path: Path, image_kernels: Path) -> None:
    """As JupyterLab does, the page finds the session by its path. The kernel knows nothing of what is ours."""
    image = {"JUPYTER_PATH": str(image_kernels)}
    with server(tmp_path, kernels={"general": 1}, pages=LAB, environment=NEW, image=image) as running:
        wait_until(lambda: running.pong()["ready"], "the kernel waits")
        running.claim()
        (spare,) = running.spares()
        found = re.fullmatch(r"/lab/tree/(notebook-[0-9-]+\.ipynb)", lands(running))
        assert found is not None
        (session,) = wait_until(lambda: running.call("GET", "sessions"), "a session")
        assert (session["path"], session["kernel"]["name"]) == (found[1], "general")
        kernel = Kernel(running, session["kernel"]["id"])
        running.kernels.append(kernel)
        assert kernel.pid == spare
        assert (
            kernel.value("[name for name in __import__('os').environ if name.startswith('HUBAGENT')]") == []
        )
        assert kernel.value("__import__('os').environ['JPY_SESSION_NAME']") == str(running.home / found[1])


def test_without_jupyterlab_it_opens_in_notebook(tmp_path: Path) -> None:
    with server(tmp_path, kernels={}, pages=["notebook"], environment=NEW) as running:
        running.claim()
        page = lands(running)
        assert re.fullmatch(r"/notebooks/notebook-[0-9-]+\.ipynb", page)
        assert lands(running) == page
