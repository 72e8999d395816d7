"""Users and groups of files: by name for whoever reads the configuration, by number for the kernel."""

from __future__ import annotations

import grp
import pwd
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from hubagent.adapters.files.memory import REMEMBER_S
from hubagent.errors import StorageError

_ROOT: Final = "root"  # number 0 on every machine
_DATABASE: Final = Path("/etc/passwd")


class Names:
    """Names of users or groups by number; asked again now and then, because users are made and removed."""

    def __init__(self, ask: Callable[[int], str]) -> None:
        self._ask = ask
        self._known: dict[int, tuple[str, float]] = {}

    def of(self, number: int) -> str:
        """The number itself, as text, where it has no name."""
        name, until_s = self._known.get(number, ("", 0.0))
        if time.monotonic() < until_s:
            return name
        try:
            name = self._ask(number)
        except KeyError:
            return str(number)
        self._known[number] = (name, time.monotonic() + REMEMBER_S)
        return name


def user_id(path: Path, owner: str) -> int:
    """Raises StorageError, which names the file, when there is no such user."""
    try:
        return 0 if owner == _ROOT else pwd.getpwnam(owner).pw_uid
    except KeyError:
        _check_database(path)
        raise StorageError(
            f"{path}: its owner should be the user {owner}, who does not exist here; "
            f"reinstall the package that makes this user"
        ) from None


def group_id(path: Path, group: str) -> int:
    """Raises StorageError, which names the file, when there is no such group."""
    try:
        return 0 if group == _ROOT else grp.getgrnam(group).gr_gid
    except KeyError:
        _check_database(path)
        raise StorageError(
            f"{path}: its group should be {group}, which does not exist here; "
            f"reinstall the package that makes this group"
        ) from None


def _check_database(path: Path) -> None:
    """A database that cannot be read (too many open files, a broken nsswitch.conf) looks like an empty one. The file is
    opened, too, because nss-systemd(8) knows root even while nobody else can be looked up."""
    try:
        pwd.getpwnam(_ROOT)
        _DATABASE.open().close()
    except (KeyError, OSError):
        raise StorageError(
            f"{path}: its owner cannot be looked up: /etc/passwd cannot be read now; "
            f"too many files may be open, or nsswitch.conf(5) is wrong"
        ) from None
