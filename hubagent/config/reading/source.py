"""Whether the configuration file on disk may be trusted. Pure: judges what was read."""

from __future__ import annotations

from typing import Final

from hubagent.ports import FileState

_WRITABLE_BY_OTHERS: Final = 0o022


def check_ownership(state: FileState, path: str) -> str | None:
    """Why this file is not used, with the remedy; None when it is fine.

    Whoever can write it is root on this machine in effect, so it must be root's alone to write.
    """
    if state.owner != "root":
        return f"{path}: belongs to {state.owner}, who could use it to become root; run: chown root: {path}"
    if state.mode & _WRITABLE_BY_OTHERS:
        return f"{path}: is writable by users other than root (mode {state.mode:04o}); run: chmod go-w {path}"
    return None
