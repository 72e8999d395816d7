"""Who is at the other end of a unix socket, and whether they are still there."""

from __future__ import annotations

import socket
import struct
from typing import Final, NamedTuple

_CREDENTIALS: Final = struct.Struct("3i")  # struct ucred of unix(7)


class Credentials(NamedTuple):
    """As the kernel noted them when the peer connected."""

    pid: int
    uid: int
    gid: int


def credentials(connection: socket.socket) -> Credentials:
    noted = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return Credentials(*_CREDENTIALS.unpack(noted))


def has_gone(connection: socket.socket) -> bool:
    """Whether a peer who has said all that they say has hung up. The connection waits for nothing afterwards."""
    connection.settimeout(0.0)  # a timeout would be waited for in spite of MSG_DONTWAIT
    try:
        return connection.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
