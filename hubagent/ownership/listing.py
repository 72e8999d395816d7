"""All homes of this machine, and what state each is in."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from hubagent.layout import LABEL_USER, LABEL_VOLUME
from hubagent.pool.owners import How, Owner, Owners
from hubagent.pool.ports import Containers
from hubagent.pool.slots import TAKEN, Slot


class State(enum.Enum):
    IN_USE = "in-use"  # it belongs to an account
    WAITING = (
        "waiting"  # somebody else of its name asks for it, and is refused until an administrator decides
    )
    LEFT_BEHIND = "left-behind"  # its account was deleted
    SET_ASIDE = "set-aside"  # an administrator decided that nobody gets it
    UNKNOWN = "unknown"  # from before accounts were told apart; whose it is shows when its user comes


UNDECIDED: Final = frozenset({State.WAITING, State.LEFT_BEHIND, State.SET_ASIDE})
"""States in which a home may be archived by the name of the user that it was of."""


@dataclass(frozen=True, slots=True)
class Home:
    volume: str
    state: State
    owner: Owner | None
    user: str  # whose it is, or was
    runs: bool  # a server has it now

    @property
    def since_s(self) -> float:
        """Since when it is in this state (unix time); 0 when nobody knows."""
        if self.owner is None:
            return 0.0
        return {
            State.WAITING: self.owner.wanted_since_s,
            State.LEFT_BEHIND: self.owner.gone_s,
            State.SET_ASIDE: self.owner.aside_s,
        }.get(self.state, self.owner.since_s)


@dataclass(frozen=True, slots=True)
class Uses:
    """Which homes have a server now, and who has one."""

    volumes: frozenset[str]
    users: frozenset[str]
    unsaid: frozenset[
        str
    ]  # users of servers that an older agent started, which do not say which home they have

    def has(self, volume: str, user: str) -> bool:
        return volume in self.volumes or user in self.unsaid


def uses(containers: Containers, slots: Iterable[Slot]) -> Uses:
    """Raises ContainerError."""
    taken = [slot for slot in slots if slot.phase in TAKEN]
    cold = [one.labels for one in containers.list(label=LABEL_USER) if one.running]
    said = [(slot.volume, slot.user) for slot in taken]
    said += [(labels.get(LABEL_VOLUME, ""), labels[LABEL_USER]) for labels in cold]
    return Uses(
        volumes=frozenset(volume for volume, _ in said if volume),
        users=frozenset(user for _, user in said),
        unsaid=frozenset(user for volume, user in said if not volume),
    )


def homes(owners: Owners, volumes: Mapping[str, Mapping[str, str]], now: Uses) -> tuple[Home, ...]:
    """`volumes` are the labels of all volumes there are. Raises StorageError."""
    owners.learn(volumes)
    known = {owner.volume: owner for owner in owners.all()}
    found = []
    for volume, labels in sorted(volumes.items()):
        owner = known.get(volume)
        if owner is None and LABEL_USER not in labels:
            continue
        user = owner.user if owner is not None else labels[LABEL_USER]
        found.append(Home(volume, _state(owner), owner, user, now.has(volume, user)))
    return tuple(found)


def _state(owner: Owner | None) -> State:
    if owner is None:
        return State.UNKNOWN
    if owner.aside_s:
        return State.SET_ASIDE
    if owner.waits:
        return State.WAITING
    if owner.gone_s:
        return State.LEFT_BEHIND
    return State.UNKNOWN if owner.how is How.UNKNOWN else State.IN_USE
