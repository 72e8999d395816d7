"""A process that is certainly the one that was recorded: its id alone may have been given away since."""

from __future__ import annotations

import contextlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path

_STATE, _STARTED = 0, 19  # fields of /proc/PID/stat after the name: proc(5) numbers 3 and 22


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A process id with the clock tick it started at and the boot of the kernel it lives in."""

    pid: int
    started: int
    boot: str

    @classmethod
    def of(cls, pid: int) -> ProcessIdentity:
        """The identity of a process that runs now; ProcessLookupError when it does not."""
        fields = _stat(pid)
        if fields is None:
            raise ProcessLookupError(pid)
        return cls(pid, int(fields[_STARTED]), _boot())

    def alive(self) -> bool:
        """Whether exactly this process still runs; one that waits to be buried does not."""
        fields = _stat(self.pid)
        return (
            fields is not None
            and fields[_STATE] not in ("Z", "X")
            and int(fields[_STARTED]) == self.started
            and _boot() == self.boot
        )

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Signal exactly this process; nothing when it is gone."""
        with contextlib.suppress(ProcessLookupError):
            handle = os.pidfd_open(self.pid)
            try:
                if self.alive():
                    signal.pidfd_send_signal(handle, number)
            finally:
                os.close(handle)


def _stat(pid: int) -> list[str] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rsplit(")", 1)[1].split()


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
