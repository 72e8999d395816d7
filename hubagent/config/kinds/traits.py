"""`hub.traits`: what else JupyterHub and its classes can be told, as data.

What hubagent itself sets, and what only Python code can be, is refused with what to do instead (hubagent.traits).
Secrets come by file: a trait `x_file` with an absolute path stands for a secret trait `x`, where there is no `x_file`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hubagent.config.kinds.places import parse_path
from hubagent.config.kinds.scalars import MASK, Schema
from hubagent.config.tree import (
    At,
    Entries,
    Items,
    Node,
    RefusedError,
    Text,
    UnreadableError,
    names_secret,
    shown,
)
from hubagent.traits import known, verdict

CLASS_PATTERN: Final = r"[A-Z][A-Za-z0-9_]{0,99}"
_TRAIT: Final = r"[A-Za-z][A-Za-z0-9_]{0,99}"
_TEXT_LIMIT: Final = 65536
TOKEN_FILE: Final = "api_token_file"  # noqa: S105 - a key
"""In an entry of JupyterHub.services: the file that holds its api_token."""


@dataclass(frozen=True, slots=True)
class Traits:
    """Class name to trait name to JSON value."""

    label: str = "mapping of class to trait to value"

    def read(self, node: Node, at: At) -> dict[str, dict[str, object]]:
        if not isinstance(node, Entries):
            raise RefusedError(
                "is not a mapping; write classes and traits, such as {GitHubOAuthenticator: {client_id: abc}}"
            )
        classes: dict[str, dict[str, object]] = {}
        complete = True
        for name, child in node.entries:
            here = at.child(name.text)
            try:
                classes[name.text] = self._read_class(name.text, child, here)
            except (RefusedError, UnreadableError) as error:
                here.report_all(name.place, error)
                complete = False
        if not complete:
            raise UnreadableError
        return classes

    def _read_class(self, name: str, node: Node, at: At) -> dict[str, object]:
        if not re.fullmatch(CLASS_PATTERN, name):
            raise RefusedError(
                f"{shown(name)} is not a class of JupyterHub; write one such as GitHubOAuthenticator"
            )
        reason = verdict.of_class(name)
        if reason is not None and not at.walk.in_force:
            raise RefusedError(reason)
        if not isinstance(node, Entries):
            raise RefusedError("is not a mapping; write traits and their values, such as {client_id: abc}")
        traits: dict[str, object] = {}
        complete = True
        for trait, child in node.entries:
            here = at.child(trait.text)
            here.passed(trait.place, child)
            try:
                traits[trait.text] = _read_trait(name, trait.text, child, in_force=at.walk.in_force)
            except RefusedError as error:
                here.report(trait.place, str(error))
                complete = False
        if not complete:
            raise UnreadableError
        return traits

    def write(self, value: Mapping[str, Mapping[str, object]], *, masked: bool = False) -> object:
        return {
            name: {trait: _masked(trait, item) if masked else item for trait, item in traits.items()}
            for name, traits in value.items()
        }

    def schema(self) -> Schema:
        return {
            "type": "object",
            "propertyNames": {"pattern": f"^(?:{CLASS_PATTERN})$"},
            "additionalProperties": {"type": "object", "propertyNames": {"pattern": f"^(?:{_TRAIT})$"}},
        }


def _read_trait(class_name: str, trait: str, node: Node, *, in_force: bool) -> object:
    """Of a file in force the grammar counts alone: an earlier hubagent may have taken what this one refuses."""
    if not re.fullmatch(_TRAIT, trait):
        raise RefusedError(f"{shown(trait)} is not a trait; write a name such as client_id")
    value = _json(node)
    if in_force:
        return value
    names, traits = known.ancestry(class_name), known.traits(class_name)
    secret = verdict.secret_of(names, trait, traits)
    kinds = known.kinds(names, secret or trait)
    reason = verdict.of_trait(names, secret or trait, kinds)
    if reason is not None:
        raise RefusedError(reason)
    if secret is not None:
        if not isinstance(value, str):
            raise RefusedError("is not a path; write an absolute path such as /etc/hubagent/client-secret")
        parse_path(value)
        return value
    if _is_secret(class_name, trait, value):
        raise RefusedError(
            f"holds a secret in plain text; write {trait}_file with the path of a file that holds it"
        )
    reason = verdict.of_value(names, trait, kinds, value)
    if reason is not None:
        raise RefusedError(reason)
    if trait == "services" and class_name == "JupyterHub":
        _services(value)
    return value


def _is_secret(class_name: str, trait: str, value: object) -> bool:
    if (class_name, trait) == ("CryptKeeper", "keys"):
        return bool(value)
    return names_secret(trait) and isinstance(value, str)


def _services(value: object) -> None:
    """Their tokens come by file, too."""
    for entry in value if isinstance(value, list) else ():
        if not isinstance(entry, Mapping):
            continue
        if "api_token" in entry:
            raise RefusedError(
                "api_token holds a secret in plain text; write api_token_file with the path of a file that holds it"
            )
        path = entry.get(TOKEN_FILE)
        if path is not None:
            if not isinstance(path, str):
                raise RefusedError(f"{TOKEN_FILE} is not a path; write an absolute one")
            parse_path(path)


def _masked(name: str, value: object) -> object:
    """The value without what is a secret by its name, at any depth."""
    if names_secret(name):
        return MASK
    if isinstance(value, Mapping):
        return {inner: _masked(inner, item) for inner, item in value.items()}
    return [_masked("", item) for item in value] if isinstance(value, list) else value


def _json(node: Node) -> object:
    """The node as plain data. The depth is bounded by the document's."""
    if isinstance(node, Items):
        return [_json(item) for item in node.items]
    if isinstance(node, Entries):
        return {name.text: _json(child) for name, child in node.entries}
    return _text_or_number(node)


def _text_or_number(node: Text) -> object:
    value = node.value
    if isinstance(value, str) and (len(value) > _TEXT_LIMIT or "\0" in value):
        raise RefusedError(
            f"{shown(value)} cannot be passed on; leave out NUL and keep it under {_TEXT_LIMIT} characters"
        )
    return value
