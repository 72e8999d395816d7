"""The slots' folder: one folder for each slot, on which a home is attached.

The folder is a mount of its own, shared, so that what is attached here shows up in containers that mounted
a slot with propagation rslave. It is read-only: a container can leave nothing in its slot before its home
is there, and what is removed here, by rmdir alone, is always empty.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Final

from hubagent.helper import mount_table, system_calls
from hubagent.helper.refusal import RefusalError

IN_USE_S: Final = 3.0
"""How long an unmount waits for the last process of a container that was just removed."""

_RETRY_S: Final = 0.01

_MOVED: Final = frozenset({errno.EINVAL, errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EAGAIN})
"""A user has moved the place of a mount since the table was read; the next check finds it."""


class SlotFolder:
    """Methods raise OSError unless they say otherwise. None of them takes a name that a user has a say in."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def establish(self) -> None:
        """Make the folder and its mount, or find those of an earlier process."""
        self.path.parent.mkdir(mode=0o700, exist_ok=True)
        with suppress(FileExistsError):
            self.path.mkdir(mode=0o700)
        with _opened(self.path.parent) as parent:
            if not _is_mount_point(parent, self.path.name):
                with (
                    _opened(self.path) as folder,
                    closing(system_calls.clone(folder, recursive=False)) as mount,
                ):
                    # Private first: else it is a peer of the mount that it lies on, which then mirrors it.
                    system_calls.change(
                        mount,
                        attributes=system_calls.READ_ONLY
                        | system_calls.NO_SUID
                        | system_calls.NO_DEVICES
                        | system_calls.NO_EXEC,
                        propagation=system_calls.PRIVATE,
                    )
                    system_calls.attach(mount, folder)
        with _opened(self.path) as mount:
            system_calls.change(mount, propagation=system_calls.SHARED)

    def make(self, slot: str) -> None:
        """Make the slot's folder, or find it."""
        with self._underneath() as folder, suppress(FileExistsError):
            os.mkdir(slot, 0o755, dir_fd=folder)

    def remove(self, slot: str) -> None:
        """Remove the slot's folder, which is empty once nothing is mounted on it; absent is fine."""
        with self._underneath() as folder, suppress(FileNotFoundError):
            os.rmdir(slot, dir_fd=folder)

    @contextmanager
    def place(self, slot: str) -> Iterator[int]:
        """A descriptor of the slot's folder; raises RefusalError unless it was made and is free."""
        with self._mount() as folder:
            try:
                place = system_calls.open_beneath(folder, slot, same_mount=True)
            except OSError as error:
                if error.errno == errno.ENOENT:
                    raise RefusalError(f"slot {slot}: was not prepared") from error
                if error.errno == errno.EXDEV:
                    raise RefusalError(
                        f"slot {slot}: something is attached to it; a slot is never used again"
                    ) from error
                raise
            with closing(place):
                yield place

    def unmount(self, slot: str) -> None:
        """Unmount all that is attached to the slot, innermost first. Raises RefusalError when it is in use."""
        top = PurePosixPath(self.path / slot)
        deadline_s = time.monotonic() + IN_USE_S
        while mounts := mount_table.beneath(top):
            try:
                self._unmount(mounts[0].point)
            except OSError as error:
                if time.monotonic() > deadline_s:
                    raise RefusalError(_stays(slot, mounts[0].point, error)) from error
                if error.errno == errno.EBUSY:
                    time.sleep(_RETRY_S)
                elif error.errno not in _MOVED:
                    raise

    def ids(self) -> list[str]:
        """The names of all that was made."""
        return os.listdir(self.path)

    def _unmount(self, point: PurePosixPath) -> None:
        """Below a slot lies a home, where a user may put links in the way and move folders about."""
        with self._mount() as folder:
            above = point.parent.relative_to(self.path)
            if not above.parts:
                system_calls.unmount(folder, point.name)
                return
            with closing(system_calls.open_beneath(folder, str(above))) as parent:
                system_calls.unmount(parent, point.name)

    @contextmanager
    def _mount(self) -> Iterator[int]:
        """A descriptor of the folder as everybody sees it."""
        with _opened(self.path.parent) as parent:
            if not _is_mount_point(parent, self.path.name):
                raise RefusalError(
                    f"{self.path}: is no longer a mount; `systemctl restart hubagent-homes.service` makes it"
                )
            with closing(system_calls.open_beneath(parent, self.path.name)) as folder:
                yield folder

    @contextmanager
    def _underneath(self) -> Iterator[int]:
        """A descriptor of the folder itself, where it can be written to, without all that is mounted on it:
        a clone of its parent that is attached nowhere."""
        with (
            _opened(self.path.parent) as parent,
            closing(system_calls.clone(parent, recursive=False)) as bare,
            closing(system_calls.open_beneath(bare, self.path.name)) as folder,
        ):
            yield folder


@contextmanager
def closing(descriptor: int) -> Iterator[int]:
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _stays(slot: str, point: PurePosixPath, error: OSError) -> str:
    if error.errno == errno.EBUSY:
        return f"slot {slot}: {point} is in use; is its container removed? `fuser -vm {point}` shows by whom"
    return f"slot {slot}: {point} is being moved, and cannot be unmounted: {error.strerror}"


def _opened(path: Path) -> AbstractContextManager[int]:
    return closing(system_calls.open_folder(path))


def _is_mount_point(folder: int, name: str) -> bool:
    try:
        os.close(system_calls.open_beneath(folder, name, same_mount=True))
    except OSError as error:
        if error.errno == errno.EXDEV:
            return True
        raise
    return False
