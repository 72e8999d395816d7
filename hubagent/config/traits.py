"""`hub.traits`: what else JupyterHub and its classes can be told, as data.

Names are checked, values are free JSON. What hubagent itself sets is refused with the key that does it, and
secrets come by file: a trait `x_file` with an absolute path stands for a secret trait `x`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hubagent.config.nodes import Entries, Items, Node, Text
from hubagent.config.places import parse_path
from hubagent.config.refusal import RefusedError, shown
from hubagent.config.scalars import MASK, Schema
from hubagent.config.secrecy import names_secret
from hubagent.config.walk import At, UnreadableError

CLASS_PATTERN: Final = r"[A-Z][A-Za-z0-9_]{0,99}"
_TRAIT: Final = r"[A-Za-z][A-Za-z0-9_]{0,99}"
_TEXT_LIMIT: Final = 65536

_SET_BY_HUBAGENT: Final = {
    "admin_users": "hub.admins",
    "allow_all": "hub.signup",
    "allowed_failed_logins": "hub.passwords.max_failed_logins",
    "ask_email_on_signup": "hub.ask_email",
    "authenticator_class": "hub.authenticator",
    "check_common_password": "hub.passwords.check_common",
    "cpu_limit": "servers.NAME.cpus",
    "db_url": "hub.database",
    "default_url": "hub.landing",
    "enable_signup": "hub.signup",
    "environment": "servers.NAME.environment",
    "image": "servers.NAME.image",
    "mem_limit": "servers.NAME.memory",
    "minimum_password_length": "hub.passwords.min_length",
    "notebook_dir": "servers.NAME.home",
    "open_signup": "hub.signup",
    "seconds_before_next_try": "hub.passwords.lockout",
    "volumes": "servers.NAME.volume and servers.NAME.mounts",
}
_HUBAGENTS_OWN: Final = {
    *(
        "bind_url",
        "cleanup_proxy",
        "cleanup_servers",
        "config_file",
        "cookie_secret",
        "cookie_secret_file",
        "hub_bind_url",
    ),
    *(
        "hub_connect_url",
        "hub_ip",
        "hub_port",
        "hub_connect_ip",
        "ip",
        "load_roles",
        "network_name",
        "port",
        "proxy_class",
    ),
    *("services", "spawner_class", "ssl_cert", "ssl_key"),
}
_OWN_CLASSES: Final = {"ConfigurableHTTPProxy", "Proxy"}


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
        if name in _OWN_CLASSES:
            raise RefusedError("is set by hubagent; remove it")
        if not isinstance(node, Entries):
            raise RefusedError("is not a mapping; write traits and their values, such as {client_id: abc}")
        traits: dict[str, object] = {}
        complete = True
        for trait, child in node.entries:
            here = at.child(trait.text)
            here.passed(trait.place, child)
            try:
                traits[trait.text] = _read_trait(name, trait.text, child)
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


def _read_trait(class_name: str, trait: str, node: Node) -> object:
    if not re.fullmatch(_TRAIT, trait):
        raise RefusedError(f"{shown(trait)} is not a trait; write a name such as client_id")
    if trait in _SET_BY_HUBAGENT:
        raise RefusedError(f"is set by {_SET_BY_HUBAGENT[trait]}; write it there")
    if class_name == "JupyterHub" and trait in _HUBAGENTS_OWN:
        raise RefusedError("is set by hubagent; remove it")
    value = _json(node)
    if names_secret(trait) and isinstance(value, str):
        raise RefusedError(
            f"holds a secret in plain text; write {trait}_file with the path of a file that holds it"
        )
    if trait.endswith("_file"):
        if not isinstance(value, str):
            raise RefusedError("is not a path; write an absolute path such as /etc/hubagent/client-secret")
        parse_path(value)
    return value


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
            f"{shown(value)} cannot be passed on; leave NUL away and keep it under {_TEXT_LIMIT} characters"
        )
    return value
