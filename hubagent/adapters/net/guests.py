"""`pool.ports.Guests`: the launchers in users' containers, over a unix socket for each.

    <guests>/            root alone, so that nobody on this machine reaches what is below
    <guests>/<id>/       root alone; also holds a slot's state file
    <guests>/<id>/socket/   what the container sees at wire.GUEST_FOLDER, writable for whoever runs there

What lies in `socket` was written by a container, so nothing there is followed, waited for or trusted: names
are opened by O_NOFOLLOW, and a socket is connected to by the descriptor of the very file that was checked.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from hubagent import wire
from hubagent.errors import GuestError

MAX_PROOF_BYTES: Final = wire.MAX_BYTES

_PIPE_BYTES: Final = 64 * 1024

_FOLDER: Final = "socket"
_PAUSE_S: Final = 0.005
"""Between two tries to reach a guest that does not listen yet; it is done in 50 ms where everything is cached."""

_OPEN_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NOT_YET: Final = {errno.ENOENT, errno.ECONNREFUSED, errno.EAGAIN}


class SocketGuests:
    """Guests by their folders below `folder` (Layout.guests)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def prepare(self, guest: str, settings: wire.GuestSettings) -> str:
        shared = self._folder / guest / _FOLDER
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            (self._folder / guest).mkdir(mode=0o700)
            shared.mkdir(mode=0o700)
            shared.chmod(0o777)  # the image's user, whoever that is; mkdir would apply the umask
            with open(shared / wire.GUEST_SETTINGS, "xb") as file:
                file.write(wire.to_json(settings))
                os.fchmod(file.fileno(), 0o644)
            os.mkfifo(shared / wire.GUEST_SPARES)
            (shared / wire.GUEST_SPARES).chmod(
                0o666
            )  # who opens a pipe for both has it without a reader, pipe(7)
        except OSError as error:
            raise GuestError(f"the launcher's folder {shared} cannot be made: {error}") from error
        return str(shared)

    def ping(self, guest: str, *, timeout_s: float) -> wire.Pong | None:
        with self._open(guest) as shared:
            connection = None if shared is None else _connect(shared, timeout_s)
            if connection is None:
                return None
            with connection:
                return _ask(connection, guest, wire.Ping(), wire.Pong, timeout_s=timeout_s)

    def become(self, guest: str, message: wire.Become, *, timeout_s: float) -> None:
        deadline_s = time.monotonic() + timeout_s
        with self._open(guest) as shared:
            if shared is None:
                raise GuestError(f"the launcher of {guest} has no folder")
            connection = _connect_in_time(shared, guest, deadline_s)
            with connection:
                _close_to_users(shared)
                left_s = max(0.0, deadline_s - time.monotonic())
                _ask(connection, guest, message, wire.Done, timeout_s=left_s)

    def proof(self, guest: str) -> wire.Proof | None:
        with self._open(guest) as shared:
            content = None if shared is None else _read(shared, wire.GUEST_PROOF)
        try:
            return None if content is None else wire.from_json(content, wire.Proof)
        except wire.WireError as error:
            raise GuestError(f"the report of {guest}'s launcher cannot be read: {error}") from error

    def spares(self, guest: str) -> wire.Spares | None:
        with self._open(guest) as shared:
            lines = b"" if shared is None else _drain(shared, wire.GUEST_SPARES)
        for line in reversed(lines.splitlines()):
            with contextlib.suppress(wire.WireError):  # a part of one, or what a user wrote
                return wire.from_json(line, wire.Spares)
        return None

    def forget(self, guest: str) -> None:
        folder = self._folder / guest
        mounted = _mounted_below(folder)
        if mounted is not None:
            raise GuestError(f"{folder} is not removed: {mounted} is a mount point; unmount it")
        try:
            shutil.rmtree(folder)
        except FileNotFoundError:
            return
        except OSError as error:
            raise GuestError(f"the launcher's folder {folder} cannot be removed: {error}") from error

    def known(self) -> tuple[str, ...]:
        try:
            return tuple(sorted(os.listdir(self._folder)))
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise GuestError(f"the folder {self._folder} cannot be read: {error}") from error

    @contextmanager
    def _open(self, guest: str) -> Iterator[int | None]:
        """A descriptor of the folder that the container sees; None when there is none."""
        try:
            descriptor = os.open(self._folder / guest / _FOLDER, _OPEN_FOLDER)
        except FileNotFoundError:
            yield None
            return
        except OSError as error:
            raise GuestError(f"the launcher's folder of {guest} cannot be opened: {error}") from error
        try:
            yield descriptor
        finally:
            os.close(descriptor)


def _connect_in_time(shared: int, guest: str, deadline_s: float) -> socket.socket:
    while True:
        connection = _connect(shared, max(0.001, deadline_s - time.monotonic()))
        if connection is not None:
            return connection
        if time.monotonic() > deadline_s:
            raise GuestError(f"the launcher of {guest} did not listen in time")
        time.sleep(_PAUSE_S)


def _connect(shared: int, timeout_s: float) -> socket.socket | None:
    """None while nobody listens. Raises GuestError for anything else than a socket in its place."""
    try:
        file = os.open(wire.GUEST_SOCKET, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=shared)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise GuestError(f"{wire.GUEST_SOCKET} cannot be opened: {error}") from error
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if not stat.S_ISSOCK(os.fstat(file).st_mode):
            raise GuestError(f"{wire.GUEST_SOCKET} is not a socket")
        connection.settimeout(timeout_s)
        # The link in /proc leads to the file that was checked, whatever its name is given to meanwhile.
        connection.connect(f"/proc/self/fd/{file}")
    except OSError as error:
        connection.close()
        if error.errno in _NOT_YET or isinstance(error, TimeoutError):
            return None
        raise GuestError(f"{wire.GUEST_SOCKET} cannot be connected to: {error}") from error
    except BaseException:
        connection.close()
        raise
    finally:
        os.close(file)
    return connection


def _drain(shared: int, name: str) -> bytes:
    """All that is in a pipe now; empty for whatever else stands in its place."""
    try:
        pipe = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=shared)
    except OSError:
        return b""
    try:
        return os.read(pipe, _PIPE_BYTES) if stat.S_ISFIFO(os.fstat(pipe).st_mode) else b""
    except BlockingIOError:  # nothing is in it
        return b""
    finally:
        os.close(pipe)


def _close_to_users(shared: int) -> None:
    """From now on the container's users cannot make files here: it is memory of this machine, without a
    limit. Nobody else can connect either."""
    os.fchmod(shared, 0o755)
    for name in os.listdir(shared):
        if name != wire.GUEST_SETTINGS and _is_file_or_our_socket(shared, name):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=shared)


def _is_file_or_our_socket(shared: int, name: str) -> bool:
    try:
        mode = os.stat(name, dir_fd=shared, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return False
    return stat.S_ISREG(mode) or name == wire.GUEST_SOCKET


def _ask(
    connection: socket.socket,
    guest: str,
    message: object,
    expected: type[wire.Message],
    *,
    timeout_s: float,
) -> wire.Message:
    deadline_s = time.monotonic() + timeout_s
    try:
        wire.send(connection, message, timeout_s=timeout_s)
        left_s = max(0.0, deadline_s - time.monotonic())
        answer = wire.receive(connection, expected, wire.Refused, timeout_s=left_s)
    except wire.WireError as error:
        raise GuestError(f"the launcher of {guest} gave no answer: {error}") from error
    if isinstance(answer, expected):
        return answer
    assert isinstance(answer, wire.Refused)
    raise GuestError(f"the launcher of {guest} refused: {answer.message}")


def _read(shared: int, name: str) -> bytes | None:
    """A regular file's content; None when there is none."""
    try:
        # O_NONBLOCK: a pipe of this name must not hold us up.
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=shared)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise GuestError(f"{name} cannot be opened: {error}") from error
    with open(file, "rb") as content:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise GuestError(f"{name} is not a regular file")
        data = content.read(MAX_PROOF_BYTES + 1)
    if len(data) > MAX_PROOF_BYTES:
        raise GuestError(f"{name} is larger than {MAX_PROOF_BYTES} bytes")
    return data


def _mounted_below(folder: Path) -> str | None:
    """A mount point at or below the folder (proc_pid_mountinfo(5), field 5), or None."""
    path = os.fsencode(folder)
    for line in Path("/proc/self/mountinfo").read_bytes().splitlines():
        point = line.split(b" ")[4]
        for octal, plain in ((rb"\040", b" "), (rb"\011", b"\t"), (rb"\012", b"\n"), (rb"\134", b"\\")):
            point = point.replace(octal, plain)
        if point == path or point.startswith(path + b"/"):
            return os.fsdecode(point)
    return None
