"""Whether hubagent takes a class, trait and value of `hub.traits`: `hubagent check` and the hub ask here. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from hubagent.traits import known, rules

_SPAWNER: Final = "HubagentSpawner"
_NO_CLASS: Final = "no such class"
_MIGHT_BE: Final = "; of another package it is taken, where that is installed"
_WORDS: Final = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "text": "a text",
    "list": "a list",
    "dict": "a mapping",
    "size": "a size such as 2G",
    "command": "a command as a list of texts",
}


def of_class(name: str) -> str | None:
    """Why nothing may be set under this name; None when that is right."""
    return rules.OWN_CLASSES.get(name)


def of_trait(names: Sequence[str], trait: str, kinds: known.Alternatives) -> str | None:
    """Why this trait may not be set at all; None when that is right. `names` are the class and its ancestors, `kinds`
    what the trait takes."""
    advice = rules.reserved(names, trait)
    if advice is not None:
        return f"cannot be set here: {advice}"
    if kinds and kinds <= {"code", "null"}:
        return f"wants Python code, which cannot be written here: {rules.CODE.get(trait, rules.CODE_ELSE)}"
    return None


def of_value(names: Sequence[str], trait: str, kinds: known.Alternatives, value: object) -> str | None:
    """Why this trait may not have this value; None when it may, as far as can be told without the hub."""
    if kinds and "any" not in kinds and not any(_fits(kind, value) for kind in kinds):
        wanted = [_WORDS[kind] for kind in sorted(kinds) if kind in _WORDS]
        return f"this value is not accepted: {' or '.join(wanted)} is expected"
    if "JupyterHub" in names and trait in rules.OWN_NAMES:
        return next(_own_names(trait, value), None)
    if trait == "group_overrides":
        return next(_overrides(value), None)
    return None


def unknown(name: str, trait: str | None = None) -> str | None:
    """What is said of a class, or of a trait of a known class, that the hub's package does not have."""
    if not known.is_class(name):
        return f"{_NO_CLASS} in the hub's package{_MIGHT_BE}"
    if trait is not None and trait not in known.traits(name):
        return f"{name} has no such setting"
    return None


def secret_of(names: Sequence[str], trait: str, traits: Mapping[str, object]) -> str | None:
    """The secret trait that `trait` gives the file of: `client_secret` of `client_secret_file`. None for a trait that
    is a file itself. `traits` are those of the class, empty for one that is not known."""
    base = trait.removesuffix("_file")
    return None if base == trait or trait in traits else base


def _fits(kind: str, value: object) -> bool:
    match kind:
        case "bool":
            return isinstance(value, bool)
        case "int":
            return isinstance(value, int)
        case "float":
            return isinstance(value, float)
        case "text":
            return isinstance(value, str)
        case "list":
            return isinstance(value, list | tuple)
        case "dict":
            return isinstance(value, Mapping)
        case "size":
            return isinstance(value, int | float | str) and not isinstance(value, bool)
        case "command":
            return isinstance(value, str | list | tuple)
        case "null":
            return value is None
        case _:
            return False


def _own_names(trait: str, value: object) -> Iterator[str]:
    for entry in value if isinstance(value, list | tuple) else ():
        name = entry.get("name") if isinstance(entry, Mapping) else None
        if not isinstance(name, str):
            yield "an entry is not a mapping with a name"
        elif name in rules.OWN_NAMES[trait]:
            yield f"{name}: {rules.OWN_NAMES[trait][name]}"


def _overrides(value: object) -> Iterator[str]:
    """JupyterHub sets these at each start, too late for what comes from `servers`."""
    names, traits = known.ancestry(_SPAWNER), known.traits(_SPAWNER)
    for label, entry in value.items() if isinstance(value, Mapping) else ():
        changes = entry.get("spawner_override") if isinstance(entry, Mapping) else None
        if not isinstance(changes, Mapping) or not isinstance(entry.get("groups"), list | tuple):
            yield f"{str(label)[:60]} is not a mapping of groups and spawner_override"
            continue
        for trait, wanted in changes.items():
            kinds = traits.get(str(trait))
            if kinds is None:
                yield f"{str(trait)[:60]}: spawners have no such setting"
            elif trait in rules.AGENTS:
                yield f"{trait} is for all servers alike: use DockerSpawner.{trait}"
            elif reason := of_trait(names, trait, kinds) or of_value(names, trait, kinds, wanted):
                yield f"{trait} by group {reason}; or write a servers entry for the group"
