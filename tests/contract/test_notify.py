"""The notification socket, against a socket that takes datagrams as systemd does, and against systemd itself."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hubagent.adapters.systemd.notify import SystemdNotifier
from hubagent.ports import Notifier
from tests.contract.small_systemd import SmallSystemd
from tests.fakes import FakeNotifier
from tests.waiting import wait_until


@pytest.fixture(params=["path", "abstract"])
def manager_socket(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """Where the service manager would listen, and its name in NOTIFY_SOCKET."""
    name = f"@hubagent-test-{os.getpid()}" if request.param == "abstract" else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind("\0" + name[1:] if name.startswith("@") else name)
        receiver.settimeout(5.0)
        yield receiver, name


def test_each_call_is_one_datagram(manager_socket: tuple[socket.socket, str]) -> None:
    receiver, name = manager_socket
    notifier = SystemdNotifier({"NOTIFY_SOCKET": name})
    before_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    notifier.ready("generation 3 applied")
    notifier.status("looking")
    notifier.watchdog()
    notifier.reloading()
    notifier.stopping()
    received = [receiver.recv(4096).decode() for _ in range(5)]
    assert received[:3] == ["READY=1\nSTATUS=generation 3 applied", "STATUS=looking", "WATCHDOG=1"]
    reloading, at = received[3].split("\nMONOTONIC_USEC=")
    assert reloading == "RELOADING=1"
    assert before_us <= int(at) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    assert received[4] == "STOPPING=1"


def test_a_status_cannot_say_anything_else(manager_socket: tuple[socket.socket, str]) -> None:
    receiver, name = manager_socket
    SystemdNotifier({"NOTIFY_SOCKET": name}).status("bad key\nREADY=1\r\nMAINPID=1")
    assert receiver.recv(4096) == b"STATUS=bad key READY=1 MAINPID=1"


def test_a_long_status_is_cut_between_characters(manager_socket: tuple[socket.socket, str]) -> None:
    receiver, name = manager_socket
    SystemdNotifier({"NOTIFY_SOCKET": name}).status("x" + "ü" * 10_000)
    received = receiver.recv(65536)
    assert len(received) < 4096
    assert set(received.decode().removeprefix("STATUS=")) == {"x", "ü"}


@pytest.mark.parametrize("address", ["", "not-a-path", "/absent/notify", "@nobody-listens"])
def test_nobody_to_notify_is_no_fault(address: str) -> None:
    notifier = SystemdNotifier({"NOTIFY_SOCKET": address} if address else {})
    notifier.ready("up")
    notifier.watchdog()


def test_a_manager_that_does_not_read_does_not_stop_us(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(os.fspath(tmp_path / "notify"))
        filler = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        with filler:
            filler.setblocking(False)
            wait_until(lambda: _is_full(filler, tmp_path / "notify"))
        begin = time.monotonic()
        SystemdNotifier({"NOTIFY_SOCKET": os.fspath(tmp_path / "notify")}).status("x")
        assert time.monotonic() - begin < 5.0


@pytest.mark.parametrize(
    ("environment", "interval_s"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "60000000"}, 30.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "-5"}, None),
    ],
)
def test_the_watchdog_wants_half_its_time(environment: dict[str, str], interval_s: float | None) -> None:
    notifiers: list[Notifier] = [SystemdNotifier(environment), FakeNotifier(watchdog_interval_s=interval_s)]
    assert [notifier.watchdog_interval_s for notifier in notifiers] == [interval_s, interval_s]


def test_systemd_understands_us(systemd: SmallSystemd, tmp_path: Path) -> None:
    program = tmp_path / "service.py"
    program.write_text(
        f"import signal, sys\nsys.path[:0] = {sys.path!r}\n"
        "from hubagent.adapters.systemd.notify import SystemdNotifier\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])\n"
        "notifier = SystemdNotifier()\n"
        "notifier.ready(f'watchdog {notifier.watchdog_interval_s}')\n"
        "while True:\n"
        "    signal.sigwait([signal.SIGHUP])\n"
        "    notifier.reloading()\n"
        "    notifier.ready('reloaded')\n"
    )
    systemd.write_unit(
        "notifying.service",
        f"""
        [Unit]
        DefaultDependencies=no
        [Service]
        Type=notify
        WatchdogSec=40
        ExecStart={sys.executable} {program}
        ExecReload=kill -HUP $MAINPID
        """,
    )
    systemd.systemctl("daemon-reload")
    systemd.systemctl("start", "notifying.service")
    try:
        assert _status(systemd) == "watchdog 20.0"
        systemd.systemctl("reload", "notifying.service")
        wait_until(lambda: _status(systemd) == "reloaded")
    finally:
        systemd.systemctl("stop", "notifying.service")


def test_a_service_that_hangs_is_aborted_and_started_again(systemd: SmallSystemd, tmp_path: Path) -> None:
    """The agent's own way of feeding the watchdog, in a unit with a shorter one."""
    program = tmp_path / "beating.py"
    program.write_text(
        f"import sys\nsys.path[:0] = {sys.path!r}\n"
        "from hubagent.adapters.machine.clock import SystemClock\n"
        "from hubagent.adapters.systemd.notify import SystemdNotifier\n"
        "from hubagent.agent.watchdog_clock import WatchdogClock\n"
        "notifier = SystemdNotifier()\n"
        "notifier.ready('beating')\n"
        "clock = WatchdogClock(SystemClock(), notifier.watchdog)\n"
        "while True:\n"
        "    clock.sleep(0.1)\n"
    )
    systemd.write_unit(
        "beating.service",
        f"""
        [Unit]
        DefaultDependencies=no
        [Service]
        Type=notify
        WatchdogSec=2
        TimeoutAbortSec=2
        Restart=always
        RestartSec=0
        ExecStart={sys.executable} {program}
        """,
    )
    systemd.systemctl("daemon-reload")
    systemd.systemctl("start", "beating.service")
    try:
        first = _main_pid(systemd)
        systemd.systemctl("kill", "--signal=STOP", "beating.service")
        wait_until(lambda: _main_pid(systemd) not in (0, first))
        wait_until(
            lambda: systemd.systemctl("is-active", "beating.service", check=False) == "active\n",
        )
        again = systemd.systemctl("show", "--property=NRestarts", "--value", "beating.service")
        assert int(again) == 1
    finally:
        systemd.systemctl("stop", "beating.service")


def _main_pid(systemd: SmallSystemd) -> int:
    return int(systemd.systemctl("show", "--property=MainPID", "--value", "beating.service"))


def _is_full(sender: socket.socket, address: Path) -> bool:
    try:
        sender.sendto(b"x", os.fspath(address))
    except BlockingIOError:
        return True
    return False


def _status(systemd: SmallSystemd) -> str:
    return systemd.systemctl("show", "--property=StatusText", "--value", "notifying.service").strip()


def test_a_start_that_gets_on_may_last(manager_socket: tuple[socket.socket, str]) -> None:
    """Each sign of progress moves the end of TimeoutStartSec away, until the start is done (sd_notify(3))."""
    receiver, name = manager_socket
    notifier = SystemdNotifier({"NOTIFY_SOCKET": name})
    notifier.watchdog()
    assert receiver.recv(4096) == b"WATCHDOG=1\nEXTEND_TIMEOUT_USEC=120000000"
    notifier.ready("up")
    receiver.recv(4096)
    notifier.watchdog()
    assert receiver.recv(4096) == b"WATCHDOG=1"
