"""The real agent, as a process, where nothing else works: it lives, says so, and ends when told."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hubagent.state.status_json import from_json
from tests.faults.agent_process import START_S, Broken, ended
from tests.waiting import wait_until

STOP_S = 30.0  # TimeoutStopSec of hubagent.service


@pytest.fixture
def broken(tmp_path: Path) -> Broken:
    """With a file that cannot be used, which was there before the first start."""
    broken = Broken(tmp_path)
    broken.edit("hots: [  # Größe\n")
    return broken


def _answers(broken: Broken, process: subprocess.Popen[bytes], looks: int = 1) -> str:
    """The metrics, once it has checked so often."""
    wait_until(
        lambda: broken.looks(process) >= looks or process.poll() is not None,
        broken.explain,
        timeout_s=START_S,
    )
    assert process.poll() is None, broken.explain()
    return broken.scrape(process) or ""


def test_where_nothing_works_it_runs_answers_and_ends_when_told(broken: Broken) -> None:
    """No generation, no D-Bus, no Docker, a file that cannot be used; and locale C, no HOME, a umask of 0, which
    change neither what is read nor who may read what is written."""
    before = os.umask(0)
    try:
        with broken.agent({"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0"}) as agent:
            metrics = _answers(broken, agent, looks=2)
            assert "hubagent_dbus_up 0.0" in metrics
            assert "hubagent_docker_up 0.0" in metrics
            assert "Docker does not answer" in str(broken.scrape(agent, "/"))
            assert ended(agent, 20.0) == 0
    finally:
        os.umask(before)
    assert "Traceback" not in broken.log
    status = from_json(json.loads((broken.root / "run/hubagent/status.json").read_text()))
    assert (status.degraded, status.dbus_up) == (True, False)
    modes = {path: path.stat().st_mode & 0o777 for path in broken.root.rglob("*") if path.is_file()}
    ours = {path: mode for path, mode in modes.items() if re.search("/(run|var)/", str(path))}
    assert [path for path, mode in ours.items() if mode & 0o022] == [], "writable for others"
    assert ours[broken.root / "run/hubagent/status.json"] == 0o600


def test_aborted_it_says_where_it_was_and_starts_again_even_with_nowhere_to_log(broken: Broken) -> None:
    """As systemd's watchdog does it. What the first left is no obstacle for the second, whose log is lost."""
    with broken.agent() as agent:
        wait_until((broken.root / "run/hubagent/status.json").exists, broken.explain, timeout_s=START_S)
        agent.send_signal(signal.SIGABRT)
        assert agent.wait(60) == -signal.SIGABRT
    assert re.search(r'agent\.py", line \d+ in run', broken.log), "each thread's place is in the log"
    with Path("/dev/full").open("wb") as full, broken.agent(output=full) as agent:
        _answers(broken, agent, looks=2)
        assert ended(agent, 20.0) == 0


def test_a_journal_that_takes_nothing_does_not_hold_it_up(broken: Broken) -> None:
    """Its output is a pipe that is full and never read."""
    reading, writing = os.pipe()
    try:
        os.write(writing, bytes(fcntl.fcntl(writing, fcntl.F_GETPIPE_SZ)))
        with broken.agent(output=writing) as agent:
            _answers(broken, agent, looks=2)
            assert ended(agent, 20.0) == 0
    finally:
        os.close(reading)
        os.close(writing)


@pytest.mark.parametrize("why", ["no user", "a folder in its place", "no inode"])
def test_without_its_socket_for_the_hub_it_does_all_else_and_tries_again(broken: Broken, why: str) -> None:
    """Once what was in the way has gone the hub is listened to, without a restart."""
    socket = broken.root / "run/hubagent/spawn.sock"
    with _in_the_way(broken, why) as remove, broken.agent() as agent:
        metrics = _answers(broken, agent, looks=2)
        assert 'hubagent_degraded{component="hub",reason="spawn"} 1.0' in metrics
        assert "no server can be started" in str(broken.scrape(agent, "/"))
        assert not socket.is_socket()
        remove()
        agent.send_signal(signal.SIGHUP)
        wait_until(socket.is_socket, broken.explain, timeout_s=START_S)
        wait_until(
            lambda: 'reason="spawn"} 0.0' in str(broken.scrape(agent)), broken.explain, timeout_s=START_S
        )
        assert ended(agent, 20.0) == 0
    assert "Traceback" not in broken.log
    assert broken.log.count(f"{socket}: ") == 1, "said once, not at every check"
    assert "the hub can ask for servers again" in broken.log


@contextmanager
def _in_the_way(broken: Broken, why: str) -> Iterator[Callable[[], object]]:
    """Something because of which there can be no socket; yields what takes it away."""
    folder = broken.root / "run/hubagent"
    folder.mkdir()
    if why == "no user":
        passwd = broken.root / "passwd"
        whole = passwd.read_text()
        passwd.write_text(
            "".join(line for line in whole.splitlines(keepends=True) if not line.startswith("jupyterhub:"))
        )
        yield lambda: passwd.write_text(whole)
    elif why == "a folder in its place":
        (folder / "spawn.sock").mkdir()
        yield (folder / "spawn.sock").rmdir
    else:
        options = "nr_inodes=2"  # for the folder and the lock

        def mount(how: str) -> None:
            subprocess.run(["mount", "-t", "tmpfs", "-o", how, "tmpfs", folder], check=True)

        mount(options)
        try:
            yield lambda: mount("remount,nr_inodes=100")
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
def notified(tmp_path: Path) -> Iterator[socket.socket]:
    """Where the agent tells systemd of its progress."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "notify"))
        receiver.settimeout(START_S)
        yield receiver


@contextmanager
def _slow_docker(agent: subprocess.Popen[bytes], broken: Broken, how: str) -> Iterator[None]:
    """In the agent's own namespaces."""
    wait_until(
        (broken.root / "run/hubagent").exists, broken.explain, timeout_s=START_S
    )  # its /run is there, too
    here = Path(__file__).with_name("slow_docker.py")
    entered = ["nsenter", f"--target={agent.pid}", "--mount", "--net", "--", sys.executable, str(here)]
    with subprocess.Popen([*entered, "/run/docker.sock", str(broken.root / "notify"), how]) as docker:
        try:
            yield
        finally:
            docker.kill()


def test_calls_that_take_long_feed_the_watchdog_each(broken: Broken, notified: socket.socket) -> None:
    """A check asks Docker several things, here for the network and, later, for containers. Ordered, not timed."""
    broken.edit("host: hub.example.org\n")
    environment = {"NOTIFY_SOCKET": str(broken.root / "notify"), "WATCHDOG_USEC": "60000000"}
    with broken.agent(environment) as agent, _slow_docker(agent, broken, "2.5"):
        _until(notified, "ANSWERED networks")
        said = _until(notified, "READY=1")
        assert "WATCHDOG=1" in said, said
        assert ended(agent, STOP_S) == 0


def test_a_call_that_never_ends_does_not_feed_the_watchdog_nor_keep_the_agent(
    broken: Broken, notified: socket.socket
) -> None:
    """Docker sends a byte now and then, so that no time-out of a connection helps. Told to end the agent does so."""
    broken.edit("host: hub.example.org\n")
    environment = {"NOTIFY_SOCKET": str(broken.root / "notify"), "WATCHDOG_USEC": "2000000"}
    with broken.agent(environment) as agent, _slow_docker(agent, broken, "trickle"):
        _until(notified, "ASKED networks")
        assert ended(agent, STOP_S) == 0
        notified.setblocking(False)
        told = b"".join(_all(notified))
        assert b"READY=1" not in told, "the look did not come to its end"
    assert "something had not answered yet" in broken.log


def _until(receiver: socket.socket, last: str) -> list[str]:
    """What is told until this is."""
    said: list[str] = []

    def heard() -> bool:
        said.append(receiver.recv(4096).decode().partition("\n")[0])
        return said[-1].startswith(last)

    wait_until(heard, lambda: repr(said), timeout_s=2 * START_S)
    return said


def _all(receiver: socket.socket) -> Iterator[bytes]:
    try:
        while True:
            yield receiver.recv(4096)
    except BlockingIOError:
        return
