"""Why the helper does not do what it is asked."""

from __future__ import annotations

import errno
from typing import Final

from hubagent.errors import HomeError


class RefusalError(HomeError):
    """With the reason (one of wire.REASONS) that the agent is told."""

    def __init__(self, message: str, *, reason: str = "home") -> None:
        # Users' names of folders may be no UTF-8, which no message holds.
        super().__init__(message.encode("utf-8", "backslashreplace").decode())
        self.reason = reason


_WORDS: Final = {
    errno.ENOENT: "there is no such folder",
    errno.ELOOP: "it is a symbolic link, which is not followed",
    errno.ENOTDIR: "it is not a folder",
    errno.EXDEV: "something else is mounted there",
}


def words(error: OSError) -> str:
    """What happened to a path, for people."""
    return _WORDS.get(error.errno or 0, error.strerror or str(error))
