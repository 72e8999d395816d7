"""Run one command on the host with a deadline and captured output."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final, TypeVar

from .errors import CommandFailed, CommandTimeout, WaitTimeout

T = TypeVar("T")

PATIENCE: Final = float(os.environ.get("HUBAGENT_PATIENCE", "1"))
"""How many times as long every deadline of the rig is: `make test-busy` runs on a machine that is too busy."""

_POLL_S = 0.05
_POLL_AT_MOST_S = 1.0
_POLL_SHARE = 4
"""So many times as long as a look took is waited before the next: what is waited for needs the processor, too."""


@dataclass(frozen=True, slots=True)
class Completed:
    """A command that ended. `out` and `err` are its raw bytes; `stdout` and `stderr` the same as text."""

    argv: tuple[str, ...]
    rc: int
    out: bytes
    err: bytes

    @property
    def stdout(self) -> str:
        return self.out.decode(errors="replace")

    @property
    def stderr(self) -> str:
        return self.err.decode(errors="replace")

    @property
    def ok(self) -> bool:
        return self.rc == 0

    def checked(self) -> Completed:
        """This result, or CommandFailed when the exit code is not 0."""
        if self.rc != 0:
            raise CommandFailed(self.argv, self.rc, self.stdout, self.stderr)
        return self


def run(
    argv: Sequence[str],
    *,
    input: str | bytes | BinaryIO | None = None,  # noqa: A002 - subprocess' own name for it
    check: bool = True,
    timeout_s: float = 120.0,
    env: Mapping[str, str] | None = None,
    shown_as: Sequence[str] | None = None,
) -> Completed:
    """Run `argv` to its end. Raises CommandFailed (with `check`) or CommandTimeout.

    The command leads a process group of its own, and at the deadline the whole group is killed.
    `input` is what it reads, or an open file that it reads from.
    `shown_as` is what results and errors quote instead of a long wrapped `argv`.
    """
    data = input.encode() if isinstance(input, str) else input if isinstance(input, bytes) else None
    process = subprocess.Popen(
        list(argv),
        stdin=_stdin(input),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=None if env is None else dict(env),
        start_new_session=True,
    )
    shown = tuple(shown_as or argv)
    try:
        out, err = process.communicate(data, timeout=timeout_s * PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        said = (out + err).decode(errors="replace").strip()[-2000:]
        raise CommandTimeout(f"no end within {timeout_s:g} s: {' '.join(shown)}\n{said}") from None
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    completed = Completed(shown, process.returncode, out, err)
    return completed.checked() if check else completed


def _stdin(given: str | bytes | BinaryIO | None) -> int | BinaryIO:
    if given is None:
        return subprocess.DEVNULL
    return subprocess.PIPE if isinstance(given, str | bytes) else given


def wait_until(condition: Callable[[], T | None], timeout_s: float, what: str) -> T:
    """Look until `condition` returns something true, and return that; WaitTimeout after `timeout_s` seconds."""
    timeout_s *= PATIENCE
    deadline = time.monotonic() + timeout_s
    while True:
        begun_s = time.monotonic()
        value = condition()
        if value:
            return value
        now_s = time.monotonic()
        if now_s >= deadline:
            raise WaitTimeout(f"waited {timeout_s:g} s in vain: {what} (last look gave {value!r})")
        time.sleep(min(max(_POLL_S, _POLL_SHARE * (now_s - begun_s)), _POLL_AT_MOST_S))
