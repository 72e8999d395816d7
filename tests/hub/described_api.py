"""The hub's API as an OpenAPI description, made from the handlers that serve it: no route can be missing.

    python -m tests.hub.described_api …

runs the hub as its service does, and leaves the description in `openapi.json` in its working directory. What a handler
reads from a body or a query is in its code alone; the tables here say it once more, by the names that are read.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from tornado.web import RequestHandler

from hubagent.hub.application import HubagentHub

PREFIX: Final = "/hub/api"
METHODS: Final = ("post", "put", "get", "patch", "delete")

OURS: Final = "ours"
JUPYTERHUBS: Final = "JupyterHub's"
"""Whose method serves an operation: a tag of it."""

NOT_ASKED: Final[Mapping[tuple[str, str], str]] = {
    ("post", "/shutdown"): "ends the hub",
    ("patch", "/proxy"): "takes another proxy",
    ("get", "/hubagent/health"): "nginx answers 404 to all below",
    ("post", "/hubagent/probe"): "likewise",
    ("delete", "/hubagent/probe"): "likewise",
}
"""What the description leaves out, and why."""

KNOWN: Final[Mapping[str, tuple[str, ...]]] = {
    "user_name": ("ada", "bob", "eve"),
    "group_name": ("circle", "ring"),
    "service_name": ("tester", "added"),
    "server_name": ("", "named"),
}
"""Names that are there, for paths and bodies; others are made up."""

_TEXT: Final = {"type": "string"}
_TEXTS: Final = {"type": "array", "items": _TEXT}
_NAMES: Final = {"type": "array", "items": {"anyOf": [{"enum": [*KNOWN["user_name"], "new"]}, _TEXT]}}
_SCOPES: Final = {
    "type": "array",
    "items": {
        "anyOf": [{"enum": ["self", "read:users", "access:servers!user=ada", "users!group=ring"]}, _TEXT]
    },
}
_TIME: Final = {"anyOf": [{"type": "string", "format": "date-time"}, _TEXT]}
_ANY_OBJECT: Final = {"type": "object"}

FIELDS: Final[tuple[tuple[str, Mapping[str, Any]], ...]] = (
    (r"/users$", {"usernames": _NAMES, "admin": {"type": "boolean"}}),
    (r"/users/[^/]+$", {"name": {"anyOf": [{"enum": ["ada", "zoe"]}, _TEXT]}, "admin": {"type": "boolean"}}),
    (r"/servers?(/[^/]+)?$", {"user_options": _ANY_OBJECT, "display_name": _TEXT, "name": _TEXT, "server": _TEXT,
                              "remove": {"type": "boolean"}}),
    (r"/tokens", {"note": _TEXT, "expires_in": {"type": "integer"}, "roles": _TEXTS, "scopes": _SCOPES,
                  "auth": {"type": "object", "properties": {"username": _TEXT, "password": _TEXT}}}),
    (r"/authorizations/token", {"username": _TEXT, "password": _TEXT}),
    (r"/activity", {"last_activity": _TIME, "servers": {
        "type": "object", "additionalProperties": {"type": "object", "properties": {"last_activity": _TIME}}}}),
    (r"/groups$", {"groups": _TEXTS}),
    (r"/groups/[^/]+/properties", _ANY_OBJECT),
    (r"/groups", {"users": _NAMES, "name": _TEXT, "properties": _ANY_OBJECT}),
    (r"/services", {"name": _TEXT, "url": {"type": "string", "format": "uri"}, "admin": {"type": "boolean"},
                    "api_token": _TEXT, "info": _ANY_OBJECT, "oauth_client_id": _TEXT, "oauth_redirect_uri": _TEXT,
                    "oauth_no_confirm": {"type": "boolean"}, "oauth_client_allowed_scopes": _SCOPES,
                    "display": {"type": "boolean"}}),
    (r"/share", {"user": {"anyOf": [{"enum": ["ada", "bob"]}, _TEXT]}, "group": _TEXT, "scopes": _SCOPES,
                 "expires_in": {"type": "integer"}}),
)  # fmt: skip
"""What is read from a body, by the end of the path; the first that fits."""

_PAGE: Final = {"offset": {"type": "integer"}, "limit": {"type": "integer"}}
QUERIES: Final[tuple[tuple[str, Mapping[str, Any]], ...]] = (
    (r"/oauth2/", {"client_id": _TEXT, "redirect_uri": {"type": "string", "format": "uri"},
                   "response_type": {"enum": ["code", "token"]}, "scope": _TEXT}),
    (r"/users$", {**_PAGE, "state": {"enum": ["active", "inactive", "ready", "other"]}, "name_filter": _TEXT,
                  "sort": {"enum": ["id", "name", "-last_activity", "other"]}, "include_stopped_servers": _TEXT}),
    (r"/users/[^/]+$", {"include_stopped_servers": _TEXT}),
    (r"/share-codes", {**_PAGE, "code": _TEXT, "id": _TEXT}),
    (r"/(groups|proxy)$|/share", _PAGE),
)  # fmt: skip
"""What is read from a query, likewise."""


def described(handlers: Iterable[tuple[Any, ...]]) -> dict[str, Any]:
    """OpenAPI 3 of these of Tornado's handlers that are the API."""
    paths: dict[str, Any] = {}
    for expression, handler, *_ in handlers:
        if not expression.startswith(PREFIX):
            continue
        for route in _without_options(expression.removeprefix(PREFIX)):
            for method in METHODS:
                function = getattr(handler, method)
                if function is not getattr(RequestHandler, method):
                    path = _path(route, function)
                    if (method, path) not in NOT_ASKED:
                        operation = _operation(method, path)
                        operation["tags"] = [OURS if _is_ours(function) else JUPYTERHUBS]
                        paths.setdefault(path, {}).setdefault(method, operation)
    return {
        "openapi": "3.0.3",
        "info": {"title": "the hub's API", "version": "1"},
        "servers": [{"url": PREFIX}],
        "paths": paths,
    }


def _is_ours(method: Any) -> bool:
    return bool(inspect.unwrap(method).__module__.startswith("hubagent."))


def _without_options(expression: str) -> Iterator[str]:
    """Each way to write what may be left out."""
    expression = expression.removesuffix("$").replace("/?", "/")
    option = re.search(r"\(\?:((?:[^()]|\([^()]*\))*)\)\?", expression)
    if option is None:
        yield expression
    else:
        for text in ("", option[1]):
            yield from _without_options(expression[: option.start()] + text + expression[option.end() :])


def _path(route: str, function: Any) -> str:
    """With the names that the method has for the groups of the expression."""
    parameters = list(inspect.signature(inspect.unwrap(function)).parameters.values())[1:]
    names = [parameter.name for parameter in parameters if parameter.kind is parameter.POSITIONAL_OR_KEYWORD]
    return re.sub(r"\([^()]*\)", lambda _: f"{{{names.pop(0) if names else 'rest'}}}", route)


def _operation(method: str, path: str) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": _named(name)}
        for name in re.findall(r"\{(\w+)\}", path)
    ]
    operation: dict[str, Any] = {"parameters": parameters, "responses": {"default": {"description": "any"}}}
    if method == "get" or "oauth2" in path or "share-codes" in path:
        queries = _first(QUERIES, path)
        parameters += [{"name": name, "in": "query", "schema": schema} for name, schema in queries.items()]
    if method in {"post", "put", "patch"} or (
        method == "delete" and re.search(r"/(groups/.*users|servers?.*)$", path)
    ):
        fields = _first(FIELDS, path)
        schema = fields if "type" in fields else {"type": "object", "properties": dict(fields)}
        operation["requestBody"] = {"content": {"application/json": {"schema": schema}}}
    return operation


def _first(table: Iterable[tuple[str, Mapping[str, Any]]], path: str) -> Mapping[str, Any]:
    return next((fields for end, fields in table if re.search(end, path)), {})


def _named(parameter: str) -> dict[str, Any]:
    known = KNOWN.get(parameter)
    return dict(_TEXT) if known is None else {"anyOf": [{"enum": list(known)}, _TEXT]}


class DescribedHub(HubagentHub):
    """The hub, which also describes its API."""

    def init_handlers(self) -> None:
        super().init_handlers()
        Path("openapi.json").write_text(json.dumps(described(self.handlers), indent=1))


if __name__ == "__main__":
    DescribedHub.launch_instance()
