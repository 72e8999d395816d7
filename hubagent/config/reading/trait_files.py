"""Which traits of `hub.traits` are given by files that hold secrets, and what is left without them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from hubagent.config.kinds.traits import TOKEN_FILE
from hubagent.traits import known, verdict

Traits = Mapping[str, Mapping[str, object]]
_TOKEN: Final = "api_token"  # noqa: S105 - a trait's name
_HUB: Final = "JupyterHub"
_SERVICES: Final = "services"


@dataclass(frozen=True, slots=True)
class SecretFile:
    """One trait whose value is in a file."""

    cls: str
    written: str  # client_secret_file
    trait: str  # client_secret
    path: PurePosixPath
    is_list: bool  # then each line of the file is one item

    @property
    def key(self) -> str:
        return f"hub.traits.{self.cls}.{self.written}"


def secret_files(traits: Traits) -> Iterator[SecretFile]:
    for cls, values in traits.items():
        names, there = known.ancestry(cls), known.traits(cls)
        for written, value in values.items():
            trait = verdict.secret_of(names, written, there)
            if trait is not None:
                is_list = "list" in known.kinds(names, trait)
                yield SecretFile(cls, written, trait, PurePosixPath(str(value)), is_list)


def without_secrets(traits: Traits) -> dict[str, dict[str, object]]:
    """What anybody may read who may read the hub's settings."""
    secret = {(one.cls, one.written) for one in secret_files(traits)}
    if any(_token_file(entry) for entry in _services(traits)):
        secret.add((_HUB, _SERVICES))
    return {
        cls: {name: value for name, value in values.items() if (cls, name) not in secret}
        for cls, values in traits.items()
    }


def services_with_tokens(traits: Traits, read: Callable[[PurePosixPath, str], str]) -> list[object] | None:
    """JupyterHub.services with what `read` gives for a path and its key in place of api_token_file; None where no
    service has one."""
    services = _services(traits)
    if not any(_token_file(entry) for entry in services):
        return None
    key = f"hub.traits.{_HUB}.{_SERVICES}"
    found: list[object] = []
    for index, entry in enumerate(services):
        path = _token_file(entry)
        if path is None or not isinstance(entry, Mapping):
            found.append(entry)
            continue
        rest = {name: value for name, value in entry.items() if name != TOKEN_FILE}
        found.append({**rest, _TOKEN: read(path, f"{key}[{index}].{TOKEN_FILE}")})
    return found


def named_files(traits: Traits) -> Iterator[PurePosixPath]:
    """Every file that a trait names, secret or not."""
    for values in traits.values():
        for name, value in values.items():
            if name.endswith("_file") and isinstance(value, str):
                yield PurePosixPath(value)
    for entry in _services(traits):
        path = _token_file(entry)
        if path is not None:
            yield path


def _services(traits: Traits) -> list[object]:
    value = traits.get(_HUB, {}).get(_SERVICES)
    return value if isinstance(value, list) else []


def _token_file(entry: object) -> PurePosixPath | None:
    path = entry.get(TOKEN_FILE) if isinstance(entry, Mapping) else None
    return PurePosixPath(path) if isinstance(path, str) else None
