"""Typed reading of the JSON files that the agent hands to the hub."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from hubagent.errors import HubagentError

MAX_BYTES: Final = 4 * 1024 * 1024
"""No file that the agent writes for the hub comes near this size (bytes)."""


class SettingsError(HubagentError):
    """A file that the hub reads cannot be used. The message says which file, which key, what is wrong."""


def read_bytes(path: Path) -> bytes:
    """The whole file. Raises SettingsError when it is absent, unreadable or larger than MAX_BYTES."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from error
    if len(content) > MAX_BYTES:
        raise SettingsError(f"{path}: larger than {MAX_BYTES} bytes; this is not a file that hubagent wrote")
    return content


def parse_object(content: bytes, where: str) -> Fields:
    """A JSON object as Fields. Raises SettingsError when the bytes are not one."""
    try:
        data = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"{where}: not JSON: {error}") from error
    if not isinstance(data, dict):
        raise SettingsError(f"{where}: must be a JSON object, is {_kind(data)}")
    return Fields(data, where, "")


class Fields:
    """The keys of one JSON object, each taken once by type; `done` refuses those that nobody took.

    Every method raises SettingsError that names file and key.
    """

    def __init__(self, data: Mapping[str, object], where: str, path: str) -> None:
        self._data = data
        self._where = where
        self._path = path
        self._taken: set[str] = set()

    def text(self, key: str) -> str:
        value = self._take(key)
        if not isinstance(value, str):
            raise self.fault(key, f"must be text, is {_kind(value)}")
        return value

    def optional_text(self, key: str) -> str | None:
        return None if self._take(key) is None else self.text(key)

    def boolean(self, key: str) -> bool:
        value = self._take(key)
        if not isinstance(value, bool):
            raise self.fault(key, f"must be true or false, is {_kind(value)}")
        return value

    def integer(self, key: str, *, minimum: int = 0) -> int:
        value = self._take(key)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.fault(key, f"must be a whole number, is {_kind(value)}")
        if value < minimum:
            raise self.fault(key, f"must be at least {minimum}, is {value}")
        return value

    def number(self, key: str, *, minimum: float = 0.0) -> float:
        value = self._take(key)
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise self.fault(key, f"must be a number, is {_kind(value)}")
        if not minimum <= value < float("inf"):
            raise self.fault(key, f"must be at least {minimum:g}, is {value}")
        return float(value)

    def texts(self, key: str) -> tuple[str, ...]:
        value = self._take(key)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.fault(key, "must be a list of texts")
        return tuple(value)

    def fields(self, key: str) -> Fields:
        """The object under `key`."""
        value = self._take(key)
        if not isinstance(value, dict):
            raise self.fault(key, f"must be an object, is {_kind(value)}")
        return Fields(value, self._where, self._name(key))

    def objects(self, key: str) -> tuple[Fields, ...]:
        """The objects in the list under `key`."""
        value = self._take(key)
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self.fault(key, "must be a list of objects")
        return tuple(Fields(item, self._where, f"{self._name(key)}[{i}]") for i, item in enumerate(value))

    def mapping(self, key: str) -> Mapping[str, object]:
        """The object under `key`, as it is."""
        value = self._take(key)
        if not isinstance(value, dict):
            raise self.fault(key, f"must be an object, is {_kind(value)}")
        return value

    def keys(self) -> tuple[str, ...]:
        return tuple(self._data)

    def version(self, expected: int) -> None:
        """Take `version` and refuse any other than `expected`."""
        found = self.integer("version")
        if found != expected:
            raise self.fault("version", f"is {found}, this hub reads {expected}; install matching packages")

    def done(self) -> None:
        unknown = sorted(set(self._data) - self._taken)
        if unknown:
            raise self.fault(unknown[0], "unknown key; install matching versions of the hubagent packages")

    def fault(self, key: str, problem: str) -> SettingsError:
        """The error for `key`, ready to raise."""
        return SettingsError(f"{self._where}: {self._name(key)}: {problem}")

    def _name(self, key: str) -> str:
        return f"{self._path}.{key}" if self._path else key

    def _take(self, key: str) -> object:
        if key not in self._data:
            raise self.fault(key, "missing")
        self._taken.add(key)
        return self._data[key]


def _kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
        case _:
            return "an object"
