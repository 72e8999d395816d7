"""One hubagent at a time: an flock on a file that names its holder.

The kernel drops the lock with the process, however that ends; the file stays and means nothing by itself.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from hubagent.errors import BusyError, StorageError

_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


class InstanceLock:
    """Held between `acquire` and `release`, or inside a `with` block."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock now; raises BusyError that names the holder."""
        try:
            while self._descriptor is None:
                self._descriptor = self._try_once()
        except OSError as error:
            self.release()
            raise StorageError(
                f"{self._path}: cannot be locked: {error.strerror}; run hubagent as root and check the folder"
            ) from error
        with contextlib.suppress(OSError):  # a full disk: the lock holds, only its holder's name is missing
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def holder(self) -> int:
        """The process that holds it, by its id; raises BusyError when the file names none."""
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                pid = _holder(descriptor)
            finally:
                os.close(descriptor)
        except FileNotFoundError:
            pid = None
        except OSError as error:
            raise StorageError(f"{self._path}: cannot be read: {error.strerror}") from error
        if pid is None:
            raise BusyError(f"{self._path} is held, but does not say by whom; try again")
        return pid

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _try_once(self) -> int | None:
        """The locked descriptor; None when the file was replaced under our hands (systemd removes a
        service's runtime folder when it stops)."""
        descriptor = os.open(self._path, _FLAGS, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_same_file(descriptor, self._path):
                return descriptor
        except BlockingIOError:
            pid = _holder(descriptor)
            holder = "its process is not known yet" if pid is None else f"process {pid}"
            os.close(descriptor)
            raise BusyError(
                f"another hubagent ({holder}) is running and holds {self._path}; "
                "wait until it has finished, or see what it is doing with `hubagent status`"
            ) from None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        return None


def _is_same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _holder(descriptor: int) -> int | None:
    pid = os.pread(descriptor, 32, 0).strip()
    return int(pid) if pid.isdigit() else None
