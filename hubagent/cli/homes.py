"""The command `homes`: lists users' homes with whose they are, and carries out what an administrator decides.

While the agent runs it decides and archives, since it starts the servers that would have the homes; otherwise this
process does, with the agent's lock.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import time
import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from hubagent.adapters.docker.containers import DockerContainers
from hubagent.adapters.files.home_files import size_of
from hubagent.adapters.files.lock import InstanceLock
from hubagent.adapters.files.store import LocalFileStore
from hubagent.adapters.machine.clock import SystemClock
from hubagent.agent.home_desk import home_desk
from hubagent.cli import console
from hubagent.cli.terminal import table
from hubagent.errors import BusyError, HubagentError, TemporaryError, UsageError
from hubagent.layout import Layout
from hubagent.ownership.clerk import decide
from hubagent.ownership.listing import Home, State, homes, uses
from hubagent.ownership.requests import Answer, Decision, Decisions, Outcome, Verb
from hubagent.pool.owners import How, Owners
from hubagent.pool.slots import Slots
from hubagent.pool.volumes import Volumes
from hubagent.state import words
from hubagent.text import clean

SIZES_S: Final = 3.0
"""So long the sizes of all homes may be added up; those that are not reached are left out (seconds)."""

_PAUSE_S: Final = 0.05


def list_homes(arguments: argparse.Namespace, layout: Layout) -> int:
    console.require_root("homes")
    files = LocalFileStore()
    with _containers() as containers:
        now = uses(containers, _slots(files, layout).all())
        found = homes(Owners(files, layout.home_owners), containers.volume_labels(), now)
        sizes = _sizes(found, containers)
    if arguments.json:
        print(json.dumps({"homes": [_json(home, sizes.get(home.volume)) for home in found]}, indent=1))
    else:
        print(_text(found, sizes, SystemClock().time()), end="")
    return 0


def decide_homes(arguments: argparse.Namespace, layout: Layout) -> int:
    console.require_root("homes")
    done: list[str] = []
    try:
        for name in arguments.names:
            words = _done(_ask(arguments.verb, name, layout))
            done += words
            if not arguments.json:
                print(clean("\n".join(words)), flush=True)
    finally:
        if arguments.json:
            print(json.dumps({"done": done}, indent=1), flush=True)
    return 0


def _done(answer: Answer) -> tuple[str, ...]:
    """What was done; raises what says why it was not."""
    text = "\n".join(answer.words)
    if answer.outcome is Outcome.USAGE:
        raise UsageError(text)
    if answer.outcome is Outcome.BUSY:
        raise TemporaryError(text)
    if answer.outcome is Outcome.FAILED:
        raise HubagentError(text)
    return answer.words


def _ask(verb: Verb, name: str, layout: Layout) -> Answer:
    files = LocalFileStore()
    files.make_dir(layout.run, mode=0o755)
    lock = InstanceLock(layout.run / "lock")
    try:
        with lock, _containers() as containers:
            clock, owners = SystemClock(), Owners(files, layout.home_owners)
            desk = home_desk(
                layout,
                files=files,
                clock=clock,
                containers=containers,
                owners=owners,
                volumes=Volumes(containers, owners, clock),
                slots=_slots(files, layout).all,
                starts_ended=_nobody_starts,
            )
            return decide(desk, verb, name)
    except BusyError:
        return _ask_the_agent(Decision(uuid.uuid4().hex, verb, name), lock, files, layout)


def _ask_the_agent(decision: Decision, lock: InstanceLock, files: LocalFileStore, layout: Layout) -> Answer:
    """However long it takes: an archive of a large home takes its time. Raises TemporaryError when that agent ends."""
    decisions, agent = Decisions(files, layout), lock.holder()
    decisions.send(decision)
    os.kill(agent, signal.SIGHUP)
    while (answer := decisions.answered(decision)) is None:
        if lock.holder() != agent or not Path(f"/proc/{agent}").exists():
            raise TemporaryError("the agent stopped meanwhile; check `hubagent homes` and try again")
        time.sleep(_PAUSE_S)
    return answer


def _nobody_starts(users: Collection[str], *, timeout_s: float) -> bool:
    """Without an agent nobody starts a server."""
    return True


def _slots(files: LocalFileStore, layout: Layout) -> Slots:
    """As their state files say."""
    slots = Slots(files, layout.guests)
    for guest in files.list_dir(layout.guests):
        slots.adopt(guest)
    return slots


@contextmanager
def _containers() -> Iterator[DockerContainers]:
    containers = DockerContainers()
    try:
        yield containers
    finally:
        containers.close()


def _sizes(found: tuple[Home, ...], containers: DockerContainers) -> dict[str, int]:
    """In bytes, by volume: those that somebody has to decide about first."""
    until_s, sizes = time.monotonic() + SIZES_S, {}
    for home in sorted(found, key=lambda home: home.state is State.IN_USE):
        if time.monotonic() >= until_s:
            break
        path = containers.volume_path(home.volume)
        size = size_of(Path(path), until_s=until_s) if path else None
        if size is not None:
            sizes[home.volume] = size
    return sizes


def _json(home: Home, size: int | None) -> dict[str, Any]:
    owner = home.owner
    return {
        "volume": home.volume,
        "state": home.state.value,
        "owner": home.user,
        "account": owner.account if owner is not None else "",
        "how": owner.how.value if owner is not None else How.UNKNOWN.value,
        "wanted_by": owner.wanted_user if owner is not None else "",
        "since_s": home.since_s,
        "running": home.runs,
        "bytes": size,
    }


def _text(found: tuple[Home, ...], sizes: dict[str, int], now_s: float) -> str:
    if not found:
        return "There are no homes yet.\n"
    rows = [("VOLUME", "OF", "STATE", "SINCE", "SIZE", "")]
    for home in found:
        size = sizes.get(home.volume)
        rows.append(
            (
                clean(home.volume),
                clean(home.user) or "-",
                home.state.value,
                words.ago(home.since_s, now_s) if home.since_s else "-",
                words.size(size) if size is not None else "-",
                clean(_note(home)),
            )
        )
    lines = ["  ".join(row).rstrip() for row in table(rows)]
    waiting = [home for home in found if home.state is State.WAITING]
    if waiting:
        lines += [
            "",
            "Waiting homes belong to earlier accounts; users who ask for them now cannot start a server. Decide:",
            "  hubagent homes keep NAME        the current account gets it with everything in it",
            "  hubagent homes archive NAME     it is archived as a file, and the current account starts empty",
            "  hubagent homes set-aside NAME   the current account gets a new home, and this one is kept",
        ]
    return "\n".join(lines) + "\n"


def _note(home: Home) -> str:
    notes = []
    if home.state is State.WAITING and home.owner is not None:
        notes.append(f"asked for by {home.owner.wanted_user}")
    if home.owner is not None and home.owner.how is How.ADOPTED and home.state is State.IN_USE:
        notes.append("adopted")
    if home.runs:
        notes.append("a server is running")
    return ", ".join(notes)
