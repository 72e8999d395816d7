"""The command `first-login`: shows one-time passwords of new admins, each until it was delivered, and never after.

The hub writes each into a file that root alone can read besides itself (hub/one_time_password.py), and removes it once
the admin has chosen a password.
"""

from __future__ import annotations

import argparse
import enum
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from hubagent.adapters.files.delivery import deliver
from hubagent.adapters.files.sqlite import SqliteDatabases
from hubagent.adapters.files.store import LocalFileStore
from hubagent.adapters.machine.clock import SystemClock
from hubagent.cli import console
from hubagent.converge.generations import Generations
from hubagent.converge.in_force import Declared
from hubagent.errors import DeadlineError, DeliveryError, TemporaryError, UsageError
from hubagent.ladder import Level
from hubagent.layout import HUB, HUB_USER, Layout
from hubagent.ports import FileStore, UnitManager, UnitVerb
from hubagent.text import clean

_MAX_BYTES: Final = 4096
_NATIVE: Final = "native"
_RESTART_S: Final = 180.0
_MADE_WITHIN_S: Final = 240.0  # by a hub that has just started, on a busy machine
_POLL_S: Final = 0.1


class State(enum.Enum):
    """Of an admin's one-time password. Values are shown, and part of the JSON."""

    WAITS = "waits"
    USED = "used"  # the admin has a password of their own
    SHOWN = "shown"  # or used, where that cannot be told
    NOT_YET = "not yet"  # the hub has not made it


_WORDS: Final = {
    State.USED: "has already chosen a password",
    State.SHOWN: "the first password was shown before",
    State.NOT_YET: "the hub has not created a first password yet; see hubagent status",
}


@dataclass(frozen=True, slots=True)
class Login:
    name: str
    state: State
    password: str | None = field(default=None, repr=False)


class FirstLogins:
    """What the hub left for admins."""

    def __init__(self, files: FileStore, layout: Layout, admins: tuple[str, ...]) -> None:
        """`admins` as the configuration in force names them."""
        self._files = files
        self._layout = layout
        self._admins = tuple(dict.fromkeys(name.lower() for name in admins))

    def chosen(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """These admins, or all. UsageError for anybody else."""
        wanted = tuple(dict.fromkeys(name.lower() for name in names)) or self._admins
        others = [name for name in wanted if name not in self._admins]
        if others:
            raise UsageError(
                f"{', '.join(others)}: not among hub.admins, which are {', '.join(self._admins)}"
            )
        return wanted

    def logins(
        self, names: tuple[str, ...], with_own_password: Callable[[], tuple[str, ...] | None]
    ) -> tuple[Login, ...]:
        """`with_own_password` gives those who chose theirs, None where that cannot be told."""
        waiting = {name: password for name in names if (password := self.password(name))}
        rest = [name for name in names if name not in waiting]
        settled = with_own_password() if rest else ()
        present = self._files.list_dir(self._layout.one_time_passwords)
        made = self._layout.one_time_passwords.name in self._files.list_dir(self._layout.hub_state)

        def login(name: str) -> Login:
            if name in waiting:
                return Login(name, State.WAITS, waiting[name])
            if settled is not None and name in settled:
                return Login(name, State.USED)
            return Login(name, State.NOT_YET if name in present or not made else State.SHOWN)

        return tuple(login(name) for name in names)

    def password(self, name: str) -> str:
        """Empty when none waits."""
        state = self._files.read(self._layout.one_time_passwords / name, max_bytes=_MAX_BYTES)
        return state.content.decode(errors="replace").strip() if state else ""

    def delivered(self, name: str) -> None:
        """It is nowhere on disk any more."""
        self._files.remove(self._layout.one_time_passwords / name)

    def ask_for_new(self, name: str) -> None:
        """An empty file, which the hub fills when it starts."""
        folder = self._layout.one_time_passwords
        self._files.make_dir(folder, mode=0o700, owner=HUB_USER, group=HUB_USER)  # follows no link
        self._files.write(folder / name, b"", mode=0o600, owner=HUB_USER, group=HUB_USER)


def first_login(arguments: argparse.Namespace, layout: Layout) -> int:
    console.require_root("first-login")
    files = LocalFileStore()
    config = Declared(Generations(files, layout)).config()
    if config is None:
        raise TemporaryError("no generation is in force yet; see hubagent status")
    if config.hub.authenticator != _NATIVE:
        raise UsageError(
            f"hub.authenticator is {config.hub.authenticator}: admins have their passwords there"
        )
    logins = FirstLogins(files, layout, config.hub.admins)
    names = logins.chosen(tuple(arguments.name))
    if arguments.new:
        if not arguments.name:
            raise UsageError("--new needs the names of the admins who should get a new one-time password")
        _make_new(logins, names)
    found = logins.logins(names, lambda: _with_own_password(layout, config.hub.database))
    return show(logins, found, as_json=arguments.json)


def _with_own_password(layout: Layout, database: str) -> tuple[str, ...] | None:
    if database != "sqlite":
        return None
    return SqliteDatabases().with_own_password(layout.hub_state / "jupyterhub.sqlite")


def _make_new(logins: FirstLogins, names: tuple[str, ...]) -> None:
    from hubagent.adapters.systemd.manager import SystemdUnitManager  # late: only this takes D-Bus

    for name in names:
        logins.ask_for_new(name)
    print(f"Restarting JupyterHub: {Level.HUB_RESTART.notice}.", file=sys.stderr)
    units: UnitManager = SystemdUnitManager()
    try:
        units.run(UnitVerb.RESTART, HUB, timeout_s=_RESTART_S)
    finally:
        units.close()
    clock = SystemClock()
    end_s = clock.monotonic() + _MADE_WITHIN_S
    while not all(logins.password(name) for name in names):
        if clock.monotonic() >= end_s:
            raise DeadlineError(
                f"the hub has not created them within {_MADE_WITHIN_S:.0f} s; "
                "hubagent first-login shows them once it has"
            )
        clock.sleep(_POLL_S)


def show(logins: FirstLogins, found: tuple[Login, ...], *, as_json: bool) -> int:
    """On standard output; the exit code. DeliveryError when one may not have arrived: that one is kept."""
    if sys.stdout is None:
        raise DeliveryError("standard output is closed")
    sys.stdout.flush()
    return _as_json(logins, found) if as_json else _as_text(logins, found)


def _as_text(logins: FirstLogins, found: tuple[Login, ...]) -> int:
    """One by one: who was delivered theirs has had it, whatever happens to the next."""
    ready = [login for login in found if login.password]
    for login in ready:
        deliver(sys.stdout.fileno(), f"{clean(f'First login as {login.name}: {login.password}')}\n".encode())
        logins.delivered(login.name)
    if ready:
        print("No longer stored here. It must be changed at the first login.", file=sys.stderr)
    for login in found:
        if not login.password:
            again = f"; hubagent first-login --new {login.name} creates a new one"
            print(
                clean(
                    f"{login.name}: {_WORDS[login.state]}{again if login.state is not State.NOT_YET else ''}"
                ),
                file=sys.stderr,
            )
    return console.OK if ready else console.WRONG


def _as_json(logins: FirstLogins, found: tuple[Login, ...]) -> int:
    value = [{"name": login.name, "state": login.state.value, "password": login.password} for login in found]
    deliver(sys.stdout.fileno(), f"{json.dumps(value, indent=1)}\n".encode())
    for login in found:
        if login.password:
            logins.delivered(login.name)
    return console.OK if any(login.password for login in found) else console.WRONG
