"""The decisions about homes: keep, archive, set aside. Each may be broken off at any step and made again.

What is decided is written down in the order in which a death between two steps costs nobody anything: a home is
given before another is taken away, and nothing is removed before its archive was read again.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Final, Protocol

from hubagent.errors import BusyError, TemporaryError, UsageError
from hubagent.ownership.archive import Archives
from hubagent.ownership.listing import UNDECIDED, Home, State, Uses, homes
from hubagent.pool.owners import How, Owner, Owners
from hubagent.pool.ports import Containers
from hubagent.pool.volumes import Volumes
from hubagent.ports import Clock

log = logging.getLogger(__name__)

STARTS_S: Final = 120.0
"""So long a server that is about to start is waited for (seconds)."""

MOST_LETTERS: Final = 255
"""Of a volume's name: it is a file's."""


class StartsEnded(Protocol):
    def __call__(self, users: Collection[str], *, timeout_s: float) -> bool:
        """Wait until no server of these users is about to start; False when that did not come in time."""
        ...


class Desk:
    """Every method raises UsageError when `name`, a user or a volume, is nothing that this can be done with, and
    BusyError while a server has the home; other HubagentErrors when something failed."""

    def __init__(
        self,
        owners: Owners,
        *,
        volumes: Volumes,
        containers: Containers,
        archives: Archives,
        clock: Clock,
        uses: Callable[[], Uses],
        starts_ended: StartsEnded,
    ) -> None:
        self._owners = owners
        self._volumes = volumes
        self._containers = containers
        self._archives = archives
        self._clock = clock
        self._uses = uses
        self._starts_ended = starts_ended

    def keep(self, name: str) -> tuple[str, ...]:
        """The present account of this name gets the home. Sentences that say what was done."""
        return tuple(self._keep(home) for home in self._wanted(name))

    def set_aside(self, name: str) -> tuple[str, ...]:
        """The present account of this name gets a home of its own; this one stays, for nobody."""
        return tuple(self._set_aside(home) for home in self._wanted(name, aside=False))

    def archive(self, name: str) -> tuple[str, ...]:
        """The home becomes a file, and the volume goes."""
        everything = self._homes()
        chosen = [home for home in everything if home.volume == name] or [
            home for home in everything if home.user == name and home.state in UNDECIDED
        ]
        if not chosen:
            raise UsageError(
                f"no home of {name!r} waits or was left behind; `hubagent homes` lists all, and a home that "
                "is in use can be archived by its volume's name"
            )
        return tuple(self._archive(home) for home in chosen)

    def _homes(self) -> tuple[Home, ...]:
        return homes(self._owners, self._containers.volume_labels(), self._uses())

    def _wanted(self, name: str, *, aside: bool = True) -> tuple[Home, ...]:
        """Homes that a present account waits for, or did until it got another one."""
        fitting = (State.WAITING, State.SET_ASIDE) if aside else (State.WAITING,)
        found = tuple(
            home
            for home in self._homes()
            if home.state in fitting and home.owner is not None and home.owner.wanted_user
            if name in (home.volume, home.owner.wanted_user)
        )
        waiting = tuple(home for home in found if home.state is State.WAITING)
        if not found:
            raise UsageError(f"nobody waits for a home of {name!r}; `hubagent homes` lists all")
        return waiting or found

    def _keep(self, home: Home) -> str:
        owner = _owner(home)
        self._refuse_those_of_others(home, "keep")
        with self._alone(home, idle=owner.wanted_user):
            owner = self._still(owner)
            before = self._owners.of_account(owner.wanted_by, owner.wanted_pattern)
            now_s = self._clock.time()
            self._owners.write(
                Owner(
                    owner.volume,
                    owner.wanted_pattern,
                    owner.wanted_by,
                    owner.wanted_user,
                    # Later than the other one's, whatever the clock says: the latest counts.
                    max(now_s, before.since_s + 1.0) if before is not None else now_s,
                    How.GIVEN,
                    label=owner.label,
                )
            )
            if before is not None and before.volume != owner.volume:
                self._owners.write(
                    dataclasses.replace(
                        before,
                        aside_s=now_s,
                        wanted_by=owner.wanted_by,
                        wanted_user=owner.wanted_user,
                        wanted_pattern=owner.wanted_pattern,
                    )
                )
        log.warning("the home %s was given to %s", home.volume, owner.wanted_user)
        return f"{owner.wanted_user} has the home {home.volume} from the next start on."

    def _set_aside(self, home: Home) -> str:
        owner = _owner(home)
        stays = _is_of_another_who_lives(owner)  # who may be at work in it
        with nullcontext() if stays else self._alone(home, idle=owner.wanted_user):
            owner = self._still(owner)
            now_s = self._clock.time()
            fresh = self._owners.of_account(owner.wanted_by, owner.wanted_pattern)
            if fresh is None:
                # `--` is in no escaped name, so nobody's home can have this one.
                volume = f"{owner.volume[: MOST_LETTERS - 18]}--{owner.wanted_by[:16]}"
                fresh = Owner(
                    volume,
                    owner.wanted_pattern,
                    owner.wanted_by,
                    owner.wanted_user,
                    now_s,
                    How.GIVEN,
                    label=owner.wanted_by,
                )
                self._owners.write(fresh)
            if stays:
                nobody = {"wanted_by": "", "wanted_user": "", "wanted_pattern": "", "wanted_since_s": 0.0}
                self._owners.write(dataclasses.replace(owner, **nobody))  # type: ignore[arg-type]
            else:
                self._owners.write(dataclasses.replace(owner, aside_s=now_s))
        log.warning("%s gets the home %s; %s is set aside", owner.wanted_user, fresh.volume, owner.volume)
        return f"{owner.wanted_user} gets the home {fresh.volume} at the next start; {owner.volume} stays."

    def _archive(self, home: Home) -> str:
        self._refuse_those_of_others(home, "archive")
        with self._alone(home):
            found = self._containers.volume(home.volume)
            if found is None:
                self._owners.forget(home.volume)
                return f"There is no volume {home.volume} any more."
            if not found.path:
                raise UsageError(
                    f"the volume {home.volume} is stored elsewhere (Docker mounts it only for containers): archive it "
                    "there, then docker volume rm it"
                )
            file = self._archives.keep(home.volume, home.user, Path(found.path), now_s=self._clock.time())
            self._containers.remove_volume(home.volume)
            self._owners.forget(home.volume)
        log.warning("the home %s of %s is now %s", home.volume, home.user, file)
        return f"The home {home.volume} of {home.user} is now {file}; the volume is removed."

    @contextmanager
    def _alone(self, home: Home, *, idle: str = "") -> Iterator[None]:
        """Nobody has the home now, and nobody gets it meanwhile; the user `idle` has no server at all."""
        users = {home.user, home.owner.wanted_user if home.owner is not None else ""} - {""}
        with self._volumes.closed(home.volume):
            if not self._starts_ended(users, timeout_s=STARTS_S):
                raise TemporaryError("one of their servers is still starting; try again")
            now = self._uses()
            if now.has(home.volume, home.user) or idle in now.users:
                raise BusyError(
                    f"a server of {idle or home.user} runs: stop it first, on the hub's admin page; nothing was "
                    "changed"
                )
            yield

    def _still(self, owner: Owner) -> Owner:
        """As it is now that nobody else changes it."""
        now = self._owners.get(owner.volume)
        if now is None or (now.wanted_by, now.wanted_user) != (owner.wanted_by, owner.wanted_user):
            raise BusyError(
                f"the home {owner.volume} has just changed its owner; check `hubagent homes` again"
            )
        if not now.wanted_by:
            raise TemporaryError(
                f"{now.wanted_user} asked through an older hub, which does not say which account that is; "
                "let them try again once the hub is restarted"
            )
        return now

    def _refuse_those_of_others(self, home: Home, verb: str) -> None:
        if home.owner is not None and home.state is State.WAITING and _is_of_another_who_lives(home.owner):
            raise UsageError(
                f"the home {home.volume} is in use by {home.owner.user}, who was renamed, so it is not for "
                f"`{verb}`: `hubagent homes set-aside {home.owner.wanted_user}` gives {home.owner.wanted_user} "
                "a home of their own"
            )


def _owner(home: Home) -> Owner:
    assert home.owner is not None  # `_wanted` saw to it
    return home.owner


def _is_of_another_who_lives(owner: Owner) -> bool:
    """Its account exists, as far as anybody knows, under another name by now."""
    return bool(owner.account) and not owner.gone_s and owner.user != owner.wanted_user
