"""`make dev` shows what becomes of an edit, and ends when it is told to."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.dev.__main__ import SCRATCH
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]


class Started:
    """The program, on a port that nobody has, with a scratch file of its own."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.scratch = folder / "hubagent.yaml"
        self.output = folder / "output"
        self.text = SCRATCH.replace("127.0.0.1:9811", f"127.0.0.1:{self.port}")
        self.edit(self.text)
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.dev", str(folder)],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def edit(self, text: str) -> None:
        self.scratch.write_text(text)

    def get(self, path: str) -> str | None:
        """None while nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=60) as answer:
                return answer.read().decode()
        except urllib.error.URLError:
            return None

    def status(self) -> dict[str, Any]:
        return json.loads(self.get("/status.json") or "{}")

    def wait_for(self, generation: int, *, valid: bool = True) -> dict[str, Any]:
        """The status once this generation is in force, and the file as it is now has mistakes or none."""

        def reached() -> dict[str, Any] | None:
            status = self.status()
            is_so = status.get("generation") == generation and (status["config_errors"] == []) is valid
            return status if is_so else None

        return wait_until(reached, self.output.read_text)

    def says(self, words: str) -> None:
        wait_until(lambda: words in self.output.read_text(), self.output.read_text)


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[Started]:
    started = Started(tmp_path)
    try:
        yield started
    finally:
        started.process.kill()
        started.process.wait()


def test_an_edit_is_applied_and_shown(dev: Started) -> None:
    dev.wait_for(1)
    dev.edit(dev.text.replace("max_body: 100M", "max_body: 7M").replace("hub.example.org", "new.example.org"))
    status = dev.wait_for(2)
    assert status["url"] == "https://new.example.org/"
    dev.says("nginx.max_body: 100M → 7M")
    dev.says("generation 2 is in force: nginx reload")
    metrics = dev.get("/metrics")
    assert metrics is not None
    assert 'hubagent_step_total{component="nginx",result="ok",verb="reload"} 1.0' in metrics.splitlines()
    page = dev.get("/")
    assert page is not None
    assert "https://new.example.org/" in page


def test_a_mistake_is_named_and_changes_nothing(dev: Started) -> None:
    dev.wait_for(1)
    dev.edit(dev.text.replace("max_body", "max_bdy"))
    status = dev.wait_for(1, valid=False)
    assert status["degraded"]
    dev.says("did you mean max_body?")
    dev.edit(dev.text)
    dev.wait_for(1)


def test_slots_fill(dev: Started) -> None:
    wait_until(lambda: [pool["ready"] for pool in dev.status().get("pools", ())] == [2], dev.output.read_text)


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_cleanly(dev: Started, end: signal.Signals) -> None:
    dev.wait_for(1)
    dev.process.send_signal(end)
    wait_until(lambda: dev.process.poll() is not None)
    assert dev.process.returncode == 0
    assert "Traceback" not in dev.output.read_text()
