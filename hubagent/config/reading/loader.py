"""The way from bytes to a Config, or to all that is wrong with them at once."""

from __future__ import annotations

import itertools
from typing import Final

from hubagent.config.kinds.composites import Section
from hubagent.config.model import Config
from hubagent.config.reading.elsewhere import advice
from hubagent.config.reading.rules import broken_rules
from hubagent.config.tree import document
from hubagent.config.tree.nodes import Place
from hubagent.config.tree.refusal import MAX_FAULTS, RefusedError
from hubagent.config.tree.walk import At, Fault, Path, TooManyFaultsError, UnreadableError, Walk, spell
from hubagent.errors import ConfigError

_ROOT: Final = Section(Config)


def load(content: bytes, *, path: str, in_force: bool = False) -> Config:
    """Read and check a configuration file. `path` is only for the messages. `in_force`: of a generation that serves,
    perhaps since an earlier hubagent that took more than this one.

    Raises ConfigError with one message for each fault, in the order of the file:
    `PATH:LINE:COLUMN: key.path: what is wrong; what to do`.
    """
    try:
        root = document.parse(content)
    except document.DocumentError as error:
        raise _config_error([Fault(place, (), message) for place, message in error.faults], path) from None
    walk = Walk(advice, in_force)
    config = Config()
    try:
        config = _ROOT.read(root, At(walk))
    except (RefusedError, UnreadableError) as error:
        At(walk).report_all(root.place, error)
    except TooManyFaultsError:
        pass
    else:
        _apply_rules(config, walk)
    if walk.faults:
        raise _config_error(walk.faults, path)
    return config


def _apply_rules(config: Config, walk: Walk) -> None:
    """Report broken rules; one that looks at a faulty key is left for when that key is right."""
    faulty = {fault.path for fault in walk.faults}
    broken_now = (
        Fault(_place(walk, broken.path), broken.path, broken.message)
        for broken in broken_rules(config)
        if not (walk.in_force and broken.was_taken)
        and not any(_touches(about, path) for about in (broken.path, *broken.others) for path in faulty)
    )
    walk.faults.extend(itertools.islice(broken_now, MAX_FAULTS))


def _touches(one: Path, other: Path) -> bool:
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


def _place(walk: Walk, path: Path) -> Place:
    """Where the key is, or the nearest mapping around it that is in the file."""
    around = (walk.places.get(path[:length]) for length in range(len(path), 0, -1))
    return next(filter(None, around), Place(1, 1))


def _config_error(faults: list[Fault], path: str) -> ConfigError:
    ordered = sorted(faults, key=lambda fault: fault.place)
    messages = [
        f"{path}:{fault.place.line}:{fault.place.column}:"
        f" {spell(fault.path) + ': ' if fault.path else ''}{fault.message}"
        for fault in ordered
    ]
    if len(faults) >= MAX_FAULTS:
        messages.append(f"{path}: there are more errors; correct these {len(faults)} first")
    return ConfigError(tuple(messages))
