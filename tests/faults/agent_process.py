"""The agent as a process of its own on a machine where nothing else works: no D-Bus, no Docker, no hub.

It runs in namespaces of its own with an empty /run and a loopback of its own, so it cannot reach anything of this
machine, and keeps all its files under one folder. Needs root.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from tests.waiting import wait_until

REPOSITORY: Final = Path(__file__).parents[2]
START_S: Final = 120.0  # an interpreter on a busy machine, and the first check

_HUB_USER = "jupyterhub:x:990:990::/var/lib/jupyterhub:/usr/sbin/nologin"
_ALONE: Final = """
set -e
mount -t tmpfs tmpfs /run
ip link set lo up
mount --bind "$1/passwd" /etc/passwd
mount --bind "$1/group" /etc/group
shift
exec "$@"
"""
_PROGRAM: Final = """
import logging, sys
from pathlib import Path
from hubagent.adapters.machine.log import JournalLog
from hubagent.agent.agent import Agent
from hubagent.layout import Layout
logging.getLogger().setLevel(logging.INFO)
layout = Layout(Path(sys.argv[1]))
with JournalLog():  # as `hubagent run` does
    status = Agent(layout, serve_metrics=True, template_folder=Path(sys.argv[2])).run()
sys.exit(status)
"""


class Broken:
    """The folder that such an agent takes for its machine."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for folder in (
            "etc/nginx/conf.d",
            "etc/nginx/modules-enabled",
            "etc/docker",
            "run",
            "var/lib/hubagent",
        ):
            (root / folder).mkdir(parents=True)
        for name, line in (("passwd", _HUB_USER), ("group", "jupyterhub:x:990:")):
            (root / name).write_text(Path(f"/etc/{name}").read_text() + line + "\n")

    def edit(self, content: str | bytes) -> None:
        path = self.root / "etc/hubagent.yaml"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        path.chmod(0o644)

    @property
    def log(self) -> str:
        return (self.root / "log").read_text(errors="replace")

    @contextmanager
    def agent(
        self, environment: Mapping[str, str] | None = None, *, output: int | IO[bytes] | None = None
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Killed at the end, if it is still there."""
        command = [sys.executable, "-c", _PROGRAM, str(self.root), str(REPOSITORY / "conf/templates")]
        with (self.root / "log").open("ab") as log:
            process = subprocess.Popen(
                ["unshare", "--mount", "--net", "--", "bash", "-c", _ALONE, "bash", str(self.root), *command],
                cwd=REPOSITORY,
                env={"PATH": os.environ["PATH"], **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=log if output is None else output,
                stderr=log if output is None else output,
            )
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def scrape(self, process: subprocess.Popen[bytes], path: str = "/metrics") -> str | None:
        """What the agent answers on its own loopback; None while nobody answers there."""
        url = f"http://127.0.0.1:9811{path}"
        command = ["nsenter", f"--target={process.pid}", "--net", "curl", "-sS", "--max-time", "5", url]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
        return done.stdout if done.returncode == 0 else None

    def looks(self, process: subprocess.Popen[bytes]) -> int:
        """How often it has checked so far; 0 while nobody answers."""
        lines = (self.scrape(process) or "").splitlines()
        counts = [line.rpartition(" ")[2] for line in lines if line.startswith("hubagent_reconcile_total")]
        return round(sum(map(float, counts)))

    def explain(self) -> str:
        return self.log[-2000:]


def ended(process: subprocess.Popen[bytes], timeout_s: float) -> int:
    """The exit status of an agent that was told to stop."""
    process.send_signal(signal.SIGTERM)
    return wait_until(lambda: None if process.poll() is None else (process.returncode,), timeout_s=timeout_s)[
        0
    ]
