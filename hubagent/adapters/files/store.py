"""Files: whole reads that never block, writes that survive a power cut.

A write goes to a temporary file in the same folder, gets its owner and mode while it is still empty, is
synced, takes the final name by rename, and then the folder is synced. Whoever reads the name sees the old or
the new content, also after the power failed at any point.

Out of scope: extended attributes, ACLs, hard links, files larger than memory.
"""

from __future__ import annotations

import errno
import grp
import os
import pwd
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from hubagent.adapters.files.memory import FileMemory, identity
from hubagent.adapters.files.owners import Names, group_id, user_id
from hubagent.errors import StorageError
from hubagent.ports import FileState

TEMPORARY_PREFIX: Final = ".hubagent-"
"""Names of half-written files and links start so; a crash may leave one behind, nothing ever reads it."""

_READ_ATTEMPTS: Final = 2
_CHUNK: Final = 1 << 20
_OPEN_QUIETLY: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

_ADVICE: Final = {
    errno.EACCES: "give hubagent access to it (it runs as root; look for an AppArmor denial in the journal)",
    errno.EPERM: "check for `chattr +i`, a read-only mount or an AppArmor denial in the journal",
    errno.EROFS: "the file system is read-only; check `dmesg`, then remount it for writing",
    errno.ENOSPC: "the file system is full; free space there (`df -h` and `df -i` show how much)",
    errno.EDQUOT: "the disk quota is used up; raise it or free space",
    errno.ENOENT: "create the folder it belongs in",
    errno.ENOTDIR: "a part of this path is a file, not a folder; move that file away",
    errno.EISDIR: "a folder is in the way; move it away",
    errno.ELOOP: "the symbolic links form a loop, or links are not allowed here; put the file or folder itself there",
    errno.ENAMETOOLONG: "use a shorter name",
    errno.EMFILE: "too many files are open; restart hubagent and report this",
    errno.ENFILE: "the machine has too many files open; raise fs.file-max",
    errno.EIO: "the disk reports an error; check `dmesg` and the disk",
}


class LocalFileStore:
    """`ports.FileStore` on this machine's file systems."""

    def __init__(self) -> None:
        self._memory = FileMemory()
        self._users = Names(lambda uid: pwd.getpwuid(uid).pw_name)
        self._groups = Names(lambda gid: grp.getgrgid(gid).gr_name)

    def read(self, path: Path, *, max_bytes: int) -> FileState | None:
        for _ in range(_READ_ATTEMPTS):
            try:
                state = self._read_once(path, max_bytes)
            except FileNotFoundError:
                return None
            except OSError as error:
                raise _fault(path, "cannot be read", error) from error
            if state is not None:
                return state
        raise StorageError(f"{path}: changed while it was read; hubagent reads it again; write it in one go")

    def write(
        self, path: Path, content: bytes, *, mode: int, owner: str = "root", group: str = "root"
    ) -> None:
        uid, gid = user_id(path, owner), group_id(path, group)
        try:
            descriptor, temporary = tempfile.mkstemp(prefix=TEMPORARY_PREFIX, dir=path.parent)
            with _removed_on_failure(temporary):
                with open(descriptor, "wb", buffering=0) as file:
                    os.fchown(descriptor, uid, gid)
                    os.fchmod(descriptor, mode)
                    _write_all(file.fileno(), content)
                    os.fsync(descriptor)
                os.replace(temporary, path)
            sync_folder(path.parent)
        except OSError as error:
            raise _fault(path, "cannot be written", error) from error

    def make_dir(self, path: Path, *, mode: int, owner: str = "root", group: str = "root") -> None:
        """Also puts right the mode and owner of a folder that is there. The parent must exist."""
        uid, gid = user_id(path, owner), group_id(path, group)
        try:
            made = _make_private_folder(path)
            # O_NOFOLLOW: the folder itself gets the owner, never what a link in its place points to.
            descriptor = os.open(path, _OPEN_QUIETLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                os.fchown(descriptor, uid, gid)
                os.fchmod(descriptor, mode)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            if made:
                sync_folder(path.parent)
        except OSError as error:
            raise _fault(path, "cannot be made a folder", error) from error

    def link(self, link: Path, target: str) -> None:
        temporary = link.parent / f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}"
        try:
            os.symlink(target, temporary)
            with _removed_on_failure(os.fspath(temporary)):
                os.replace(temporary, link)
            sync_folder(link.parent)
        except OSError as error:
            raise _fault(link, f"cannot be linked to {target}", error) from error

    def read_link(self, link: Path) -> str | None:
        """None when nothing is there; anything but a symbolic link raises StorageError."""
        try:
            return os.readlink(link)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno == errno.EINVAL:
                raise StorageError(f"{link}: is not a symbolic link; move it away") from error
            raise _fault(link, "cannot be read as a link", error) from error

    def remove(self, path: Path) -> None:
        try:
            if stat.S_ISDIR(os.lstat(path).st_mode):
                shutil.rmtree(path)
            else:
                os.unlink(path)
            sync_folder(path.parent)
        except FileNotFoundError:
            return
        except OSError as error:
            raise _fault(path, "cannot be removed", error) from error

    def list_dir(self, path: Path) -> tuple[str, ...]:
        try:
            return tuple(sorted(os.listdir(path)))
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise _fault(path, "cannot be listed", error) from error

    def free_bytes(self, path: Path) -> int:
        try:
            facts = os.statvfs(path)
        except OSError as error:
            raise _fault(path, "its free space cannot be read", error) from error
        return facts.f_bavail * facts.f_frsize

    def _read_once(self, path: Path, max_bytes: int) -> FileState | None:
        """None when the file changed in the meantime."""
        # Looking before opening keeps the open itself from having effects: a device may act on it. O_NONBLOCK
        # covers the moment in between, when a FIFO could take the file's place.
        facts = os.stat(path)
        _refuse_unreadable(path, facts, max_bytes)
        known = self._memory.recall(path, facts)
        if known is not None:
            return known
        descriptor = os.open(path, _OPEN_QUIETLY)
        try:
            before = os.fstat(descriptor)
            _refuse_unreadable(path, before, max_bytes)
            content = _read_up_to(descriptor, max_bytes + 1, expected=before.st_size)
            after = os.fstat(descriptor)
        finally:
            os.close(descriptor)
        # Timestamps move only every few milliseconds; a length that does not fit shows what they missed.
        if identity(before) != identity(after) or len(content) not in (after.st_size, max_bytes + 1):
            return None
        if len(content) > max_bytes:
            raise _too_large(path, len(content), max_bytes)
        state = FileState(
            content=content,
            mode=stat.S_IMODE(after.st_mode),
            owner=self._users.of(after.st_uid),
            group=self._groups.of(after.st_gid),
        )
        self._memory.keep(path, after, state)
        return state


def _refuse_unreadable(path: Path, facts: os.stat_result, max_bytes: int) -> None:
    if not stat.S_ISREG(facts.st_mode):
        raise StorageError(f"{path}: is a {_kind(facts.st_mode)}, not a regular file; put a file there")
    if facts.st_size > max_bytes:
        raise _too_large(path, facts.st_size, max_bytes)


def _too_large(path: Path, size: int, max_bytes: int) -> StorageError:
    return StorageError(
        f"{path}: has {size} bytes, more than the {max_bytes} allowed; put the intended file there"
    )


def _kind(mode: int) -> str:
    kinds = {
        stat.S_IFDIR: "folder",
        stat.S_IFIFO: "FIFO",
        stat.S_IFCHR: "character device",
        stat.S_IFBLK: "block device",
        stat.S_IFSOCK: "socket",
    }
    return kinds.get(stat.S_IFMT(mode), "special file")


def _read_up_to(descriptor: int, limit: int, *, expected: int) -> bytes:
    chunks = []
    left = limit
    size = min(expected + 1, _CHUNK)  # not more than is there: a buffer of a megabyte costs more than a file
    while left > 0 and (chunk := os.read(descriptor, min(left, size))):
        chunks.append(chunk)
        left -= len(chunk)
    return b"".join(chunks)


def _write_all(descriptor: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _make_private_folder(path: Path) -> bool:
    """Whether the folder was not there before."""
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        return False
    return True


def sync_folder(path: Path) -> None:
    """The names in it are on disk then, where the file system can do that. Raises OSError."""
    descriptor = os.open(path, _OPEN_QUIETLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network and FUSE file systems cannot sync a folder
            raise
    finally:
        os.close(descriptor)


@contextmanager
def _removed_on_failure(temporary: str) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


def _fault(path: Path, what: str, error: OSError) -> StorageError:
    advice = _ADVICE.get(error.errno or 0, "check the path and the file system")
    return StorageError(f"{path}: {what}: {error.strerror or error}; {advice}")
