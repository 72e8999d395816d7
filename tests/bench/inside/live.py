"""Run inside the machine by the benchmarks there: save edits, and see what serves. Standard library alone."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

CONFIG = Path("/etc/hubagent.yaml")
CURRENT = Path("/var/lib/hubagent/current")
JOURNAL = Path("/var/lib/hubagent/switch.json")
STATUS = Path("/run/hubagent/status.json")
DEADLINE_S = 30.0
POLL_S = 0.002


def ask(path: str, port: int = 80) -> bytes:
    """Body of an answer on a fresh connection; empty when there is none."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2.0) as connection:
            connection.sendall(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
    except OSError:
        return b""
    return answer.partition(b"\r\n\r\n")[2]


def marker() -> bytes:
    """What nginx says which of hubagent's generations it serves."""
    return ask("/-/hubagent")


def save(path: Path, text: str) -> None:
    """As editors do: write beside, rename over."""
    part = path.with_name(f"{path.name}.part")
    part.write_text(text)
    part.chmod(0o644)
    part.replace(path)


def status() -> dict[str, object]:
    value = json.loads(STATUS.read_text())
    assert isinstance(value, dict)
    return value


def agent_pid() -> int:
    return int(subprocess.check_output(["systemctl", "show", "-P", "MainPID", "hubagent"]))


def wait_for(
    condition: Callable[[], bool], what: str, *, poll_s: float = 0.01, deadline_s: float = DEADLINE_S
) -> None:
    end = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > end:
            raise SystemExit(f"{what}: not within {deadline_s:.0f} s")
        time.sleep(poll_s)


def quiet(calm_s: float = 0.8) -> None:
    """Until the agent has not checked for a while: nothing of the edit before is left to do."""
    looks, since = status()["looks"], time.monotonic()

    def is_calm() -> bool:
        nonlocal looks, since
        now = status()["looks"]
        if now != looks:
            looks, since = now, time.monotonic()
        return time.monotonic() - since >= calm_s

    wait_for(is_calm, "the agent to be at rest", poll_s=0.05)


def with_max_body(text: str, size_mb: int) -> str:
    """The configuration with another nginx.max_body: an edit that costs one reload of nginx."""
    lines = text.splitlines(keepends=True)
    found = [number for number, line in enumerate(lines) if line.startswith("  max_body:")]
    assert len(found) == 1, found
    lines[found[0]] = f"  max_body: {size_mb}M\n"
    return "".join(lines)


def edit(text: str) -> dict[str, float]:
    """Save the configuration and follow it, in seconds from just before the save.

    first_new: a new connection is answered by the new configuration. verified: the agent's switch is closed, which
    it does once it has seen the machine serve. A switch that is taken back ends the run.
    """
    before, old = os.readlink(CURRENT), marker()
    seen: dict[str, float] = {}
    moved = False
    begun = time.monotonic()
    save(CONFIG, text)

    def is_done() -> bool:
        nonlocal moved
        moved = moved or os.readlink(CURRENT) != before
        now = time.monotonic() - begun
        if moved and "verified" not in seen and not JOURNAL.exists():
            seen["verified"] = now
        if "first_new" not in seen and marker() not in (old, b""):
            seen["first_new"] = time.monotonic() - begun
        return len(seen) == 2

    wait_for(is_done, "the edit to be verified", poll_s=POLL_S)
    if os.readlink(CURRENT) == before:
        raise SystemExit("the edit was rolled back; see journalctl -u hubagent")
    return seen


def restore(text: str) -> None:
    """Save the configuration and wait until the agent has done with it, whether that took steps or not."""
    save(CONFIG, text)
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    wait_for(lambda: status()["config_sha256"] == sha256 and not JOURNAL.exists(), "the configuration before")
    quiet()


def cpu_s(pid: int) -> float:
    """CPU time of a process, its threads and the children it has waited for; the kernel's own count, in ns."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    own = sum(int(Path(thread, "schedstat").read_text().split()[0]) for thread in threads) / 1e9
    return own + sum(map(int, _stat(pid)[13:15])) / os.sysconf("SC_CLK_TCK")


def user_sys_s(pid: int) -> tuple[float, float]:
    """The same by user and system time, in the kernel's ticks of 10 ms."""
    ticks = [int(field) / os.sysconf("SC_CLK_TCK") for field in _stat(pid)[11:13]]
    return ticks[0], ticks[1]


def _stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from the third on."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
