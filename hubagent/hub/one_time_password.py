"""The files that hand a one-time password from the hub to the machine's administrator."""

from __future__ import annotations

import os
from pathlib import Path


class OneTimeFiles:
    """One file for each admin who has not chosen a password yet, named like the user, mode 0600.

    An empty file asks for a new password: `touch` it as root, restart the hub.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, name: str, password: str) -> None:
        """Whole or not at all. Raises OSError."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = self._folder / f".{name}.new"  # no user name starts with a dot
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(f"{password}\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._folder / name)

    def asked(self, name: str) -> bool:
        """Is there an empty file, that is, was a new one-time password asked for?"""
        try:
            return (self._folder / name).stat().st_size == 0
        except FileNotFoundError:
            return False

    def remove(self, name: str) -> None:
        (self._folder / name).unlink(missing_ok=True)
