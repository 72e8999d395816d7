"""The escape hatch `hub.traits`: any setting of JupyterHub's classes, checked before the hub starts."""

from __future__ import annotations

import difflib
import functools
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from jupyterhub.app import JupyterHub
from traitlets.config import Config, Configurable

from hubagent.hub.reading import SettingsError
from hubagent.hub_documents import Traits
from hubagent.traits import known, rules, verdict

_OURS_WIN: Final = frozenset({"db_kwargs"})
_FILES: Final = frozenset({"logo_file"})
_FOLDERS: Final = frozenset({"template_paths"})


def merge_traits(
    config: Config,
    *sources: Traits,
    classes: Iterable[type[Configurable]] = (),
    tolerant: bool = False,
) -> tuple[str, ...]:
    """Put every trait of `sources` into `config`, later sources over earlier ones.

    `classes` are those in use besides the ones that JupyterHub knows itself. Raises SettingsError for
    an unknown class or trait, a value that the trait does not take, and a trait that is reserved. `tolerant`: these
    are left out and returned, each with its reason. A file that is in force may hold what an earlier hubagent took,
    and a hub that does not start for it would lock everybody out.
    """
    there = _known_classes(classes)
    left_out: list[str] = []
    for source in sources:
        for class_name, values in source.items():
            try:
                _check_class(there, class_name)
            except SettingsError as error:
                if not tolerant:
                    raise
                left_out.append(str(error))
                continue
            for name, value in values.items():
                try:
                    _check(there, class_name, name, value)
                except SettingsError as error:
                    if not tolerant:
                        raise
                    left_out.append(str(error))
                    continue
                section = config[class_name]
                section[name] = _extended(section, class_name, name, value)
    return tuple(left_out)


def _known_classes(extra: Iterable[type[Configurable]]) -> dict[str, type[Configurable]]:
    found: dict[str, type[Configurable]] = {}
    for root in (*extra, JupyterHub, *JupyterHub().classes):
        for cls in root.__mro__:
            if issubclass(cls, Configurable) and cls is not Configurable:
                found.setdefault(cls.__name__, cls)
    return found


def _check_class(there: Mapping[str, type[Configurable]], name: str) -> None:
    if name not in there and not known.is_class(name):
        raise SettingsError(f"hub.traits.{name}: no such class{_suggest(name, there)}")
    reason = verdict.of_class(name)
    if reason is not None:
        raise SettingsError(f"hub.traits.{name}: {reason}")


def _check(there: Mapping[str, type[Configurable]], class_name: str, name: str, value: object) -> None:
    cls = there.get(class_name)
    where = f"hub.traits.{class_name}.{name}"
    names = known.ancestry(class_name) if cls is None else [one.__name__ for one in cls.__mro__]
    traits = known.traits(class_name) if cls is None else _traits_of(cls)
    if name not in traits:
        raise SettingsError(f"{where}: {class_name} has no such setting{_suggest(name, traits)}")
    kinds = known.kinds(names, name)
    reason = verdict.of_trait(names, name, kinds) or verdict.of_value(names, name, kinds, value)
    reason = reason or next(_absent(name, value), None)
    if reason is not None:
        raise SettingsError(f"{where}: {reason}")
    if cls is not None:
        _try_out(cls, name, value, where)


def _try_out(cls: type[Configurable], name: str, value: object, where: str) -> None:
    # An instance without __init__: validators and observers run, constructors with side effects do not.
    probe: Any = cls.__new__(cls)
    try:
        setattr(probe, name, value)
    except Exception as error:  # these classes are not ours and raise what they like
        # The value may be a secret, and traitlets' messages repeat it.
        expected = _traits_of(cls)[name].info()
        raise SettingsError(
            f"{where}: this value is not accepted ({type(error).__name__}): {expected} is expected"
        ) from None


def _absent(name: str, value: object) -> Iterator[str]:
    """Files and folders that the hub cannot read: JupyterHub says nothing of them, and shows nothing."""
    if name in _FILES and not (
        isinstance(value, str) and os.access(value, os.R_OK) and Path(value).is_file()
    ):
        yield f"{value} cannot be read by the hub; it needs a file that everybody may read, outside /home and /root"
    for path in value if name in _FOLDERS and isinstance(value, list) else ():
        if not (isinstance(path, str) and os.access(path, os.R_OK | os.X_OK) and Path(path).is_dir()):
            yield f"{path} is not a folder that the hub can read; everybody has to be allowed, outside /home and /root"


def _extended(section: Config, class_name: str, name: str, value: object) -> object:
    """In place of what is there, or with it: ours comes first, and pages of ours are found before others."""
    present = section.get(name)
    if class_name != "JupyterHub" or name not in rules.ADDED:
        return value
    if isinstance(value, list) and isinstance(present, list):
        return [*present, *value]
    if isinstance(value, dict) and isinstance(present, dict):
        return {**value, **present} if name in _OURS_WIN else {**present, **value}
    return value


@functools.cache
def _traits_of(cls: type[Configurable]) -> Mapping[str, Any]:
    """JupyterHub looks through all members of the class each time."""
    traits: Mapping[str, Any] = cls.class_traits(config=True)
    return traits


def _suggest(name: str, there: Iterable[str]) -> str:
    matches = difflib.get_close_matches(name, sorted(there), n=1)
    return f"; did you mean {matches[0]}?" if matches else ""
