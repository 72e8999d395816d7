"""Passwords: what is accepted, and hashing that does not hold up the hub."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib.resources
import os
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, TypeVar

import bcrypt

from hubagent.errors import TemporaryError

MAX_BYTES: Final = 72
"""bcrypt reads no more of a password; longer ones are refused rather than cut."""

ONE_TIME: Final = b"one-time:"
"""Put before the hash of a password that must be changed at the first login. Part of the stored hash, so
that the mark goes when the password does, and so that nothing but this code accepts the hash."""

_NOBODY: Final = b"$2b$12$abcdefghijklmnopqrstuu8iVOOjWZ4KtHU6aQV9fX3PfQBnKYsa6"
"""Checked for unknown users, so that an answer takes as long as for known ones."""

_ALPHABET: Final = "abcdefghjkmnpqrstuvwxyz23456789"

NICE: Final = 10

Result = TypeVar("Result")


class TooBusyError(TemporaryError):
    """More passwords are waiting to be checked than is sensible."""


@dataclass(frozen=True, slots=True)
class PasswordPolicy:
    min_length: int  # characters
    check_common: bool

    def problem(self, password: str, username: str) -> str | None:
        """Why this password is not accepted, as a sentence for its owner; None if it is."""
        if len(password) < self.min_length:
            return f"This password is too short: use at least {self.min_length} characters."
        if len(password.encode()) > MAX_BYTES:
            return f"This password is too long: use at most {MAX_BYTES} bytes (an accented letter is two)."
        if password.casefold() == username.casefold():
            return "The password must not be the user name."
        if self.check_common and password.casefold() in common_passwords():
            return "This password is one of the most common ones, and is tried first by attackers."
        return None


@functools.cache
def common_passwords() -> frozenset[str]:
    """The list that comes with NativeAuthenticator, lower case."""
    text = (importlib.resources.files("nativeauthenticator") / "common-credentials.txt").read_text("utf-8")
    return frozenset(line.strip().casefold() for line in text.splitlines())


def one_time_password() -> str:
    """Five groups of five characters, about 124 bits, without characters that look alike."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(5)) for _ in range(5))


class PasswordHasher:
    """bcrypt in a few threads of its own. bcrypt releases the GIL, so the hub goes on meanwhile."""

    def __init__(self, *, workers: int | None = None, max_waiting: int = 500) -> None:
        self._pool = ThreadPoolExecutor(
            workers or os.cpu_count() or 1, thread_name_prefix="bcrypt", initializer=_step_back
        )
        self._max_waiting = max_waiting
        self._waiting = 0

    async def hash(self, password: str, *, one_time: bool = False) -> bytes:
        """What to store. Raises TooBusyError; the password must be within MAX_BYTES."""
        hashed = await self._run(lambda: bcrypt.hashpw(password.encode(), bcrypt.gensalt()))
        return ONE_TIME + hashed if one_time else hashed

    async def verify(self, password: str, stored: bytes | None) -> bool:
        """Is this the password? None, for somebody unknown, takes as long. Raises TooBusyError."""
        encoded = password.encode()
        known = stored is not None and len(encoded) <= MAX_BYTES
        against = stored.removeprefix(ONE_TIME) if stored is not None else _NOBODY
        matches = await self._run(lambda: bcrypt.checkpw(encoded[:MAX_BYTES], against))
        return matches and known

    async def _run(self, work: Callable[[], Result]) -> Result:
        if self._waiting >= self._max_waiting:
            raise TooBusyError("Very many people are signing in right now. Please try again in a minute.")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._waiting -= 1


def _step_back() -> None:
    """Let the hub's event loop go before this thread where both want a processor."""
    with contextlib.suppress(PermissionError):  # a sandbox may not allow it; then the kernel shares evenly
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
