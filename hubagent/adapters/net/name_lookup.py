"""Where a name leads, within bounded time."""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping
from typing import Final

_ANSWER_S: Final = 2.0
_UNKNOWN_NAME = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))


def addresses(name: str, *, timeout_s: float = _ANSWER_S) -> Mapping[str, bool] | None:
    """Each address with whether it is one of this machine's; None when nobody answers within the time."""
    found: list[Mapping[str, bool] | None] = []
    # The C library's lookup has no deadline, so one that takes longer is left behind.
    asking = threading.Thread(target=lambda: found.append(_look_up(name)), daemon=True)
    asking.start()
    asking.join(timeout_s)
    return found[0] if found else None


def _look_up(name: str) -> Mapping[str, bool] | None:
    try:
        answers = socket.getaddrinfo(name, 443, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        return {} if error.errno in _UNKNOWN_NAME else None
    except (OSError, UnicodeError):
        return None
    return {str(address[0]): _is_ours(family, str(address[0])) for family, _, _, _, address in answers}


def _is_ours(family: int, address: str) -> bool:
    """Only an address of this machine can be bound to; a datagram socket holds nobody up."""
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True
