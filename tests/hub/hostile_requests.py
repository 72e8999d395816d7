"""Requests as no client would make them, to all of JupyterHub's pages, the same ones every time."""

from __future__ import annotations

import http.client
import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlsplit

from jupyterhub import handlers

METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")

TEXTS: Final[tuple[str, ...]] = (
    "ada",
    "Ada",
    "named",
    "",
    " ",
    ".",
    "..",
    "a/b",
    "a\\b",
    "a\0b",
    "\0",
    "a\nb",
    "a%2fb",
    "%",
    "{x}",
    "\u202eada",
    "\u200b",
    "\u0627\u0644\u0639",
    "i\u0307\u0300",
    "\u1e9e",
    "\U0001f600",
    "\ud800",
    "a\udfffb",
    "x" * 10_000,
    "\u738b" * 2_000,
    "-1",
    "9" * 30,
    "null",
    "'; drop table users; --",
)

VALUES: Final[tuple[Any, ...]] = (
    *TEXTS, None, True, False, 0, -1, 3, 1.5, 10**30, [], {}, [None], [3], [[]], [["ada"]], ["ada", "ada"], ["\ud800"],
    ["a\0b"], {"ada": {}}, {"": None}, {"server": 3}, json.loads("[" * 200 + "]" * 200),
)  # fmt: skip

KEYS: Final = (
    *("name", "usernames", "admin", "groups", "users", "services", "scopes", "roles", "note", "expires_in"),
    *(
        "properties",
        "display_name",
        "user_options",
        "server",
        "remove",
        "servers",
        "last_activity",
        "auth_model",
    ),
    *(
        "username",
        "password",
        "server_name",
        "user",
        "group",
        "url",
        "api_token",
        "oauth_client_id",
        "managed_by_auth",
    ),
)

QUERIES: Final = (
    "offset",
    "limit",
    "state",
    "name_filter",
    "sort",
    "include_stopped_servers",
    "next",
    "code",
    "scope",
)
QUERIES_OF_PAGES: Final = (
    "server",
    "opt-server",
    "opt-",
    "display_name",
    "client_id",
    "redirect_uri",
    "_xsrf",
    "error",
)

UNTOUCHED: Final = ("shutdown", "/logo", "/static", "/proxy")
"""Of the paths: what ends the hub, serves files, or takes another proxy."""


@dataclass(frozen=True)
class Hostile:
    method: str
    path: str  # as it is sent, below /hub
    body: bytes
    headers: tuple[tuple[str, str], ...]

    def send(self, url: str, token: str, *, timeout_s: float = 60.0) -> int:
        """The answer's status; 0 when the connection ends without one."""
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(str(parts.hostname), parts.port or 80, timeout=timeout_s)
        try:
            connection.putrequest(self.method, f"/hub{self.path}", skip_accept_encoding=True)
            for name, value in (*self.headers, ("Authorization", f"token {token}")):
                connection.putheader(name, value.encode("utf-8", "replace"))
            connection.putheader("Content-Length", str(len(self.body)))
            connection.endheaders(self.body)
            return connection.getresponse().status
        except (http.client.HTTPException, OSError):
            return 0
        finally:
            connection.close()


def hostile_requests(seed: int, count: int) -> Iterator[Hostile]:
    """Every path with every method at least once, if `count` allows, in an order that depends on the seed alone."""
    chance = random.Random(seed)
    paths = [path for path, *_ in handlers.default_handlers]
    routes = [
        (path, method) for path in paths for method in METHODS if not any(word in path for word in UNTOUCHED)
    ]
    while count > 0:
        chance.shuffle(routes)
        for path, method in routes[:count]:
            yield _request(chance, path, method)
        count -= len(routes)


def _request(chance: random.Random, route: str, method: str) -> Hostile:
    path = _path(chance, route)
    if chance.random() < 0.5:
        names = chance.sample((*QUERIES, *QUERIES_OF_PAGES), 2)
        path += "?" + "&".join(f"{name}={percent_encoded(chance.choice(TEXTS))[:3000]}" for name in names)
    headers = []
    if chance.random() < 0.2:
        headers.append(
            ("Cookie", f"jupyterhub-session-id={quote(chance.choice(TEXTS)[:1000], errors='replace')}")
        )
    if chance.random() < 0.1:
        headers.append(("Accept", "application/jupyterhub-pagination+json"))
    body = b""
    if method != "GET":
        body = _body(chance)
        if chance.random() < 0.2:
            headers.append(("Content-Type", "application/x-www-form-urlencoded"))
            body = "&".join(
                f"{key}={percent_encoded(chance.choice(TEXTS))}" for key in chance.sample(KEYS, 3)
            ).encode()
    return Hostile(method, path, body, tuple(headers))


def _path(chance: random.Random, route: str) -> str:
    """A path that the expression matches, more or less."""
    path = re.sub(r"\((?!\?:)[^()]*\)", lambda _: percent_encoded(chance.choice(TEXTS))[:4000], route)
    path = re.sub(r"\(\?:[^()]*\)[?*]?", "", path)
    return re.sub(r"[\\^$?*+()|]", "", path) or "/"


def percent_encoded(text: str) -> str:
    """A lone surrogate becomes bytes that are no UTF-8."""
    return quote(text.encode("utf-8", "surrogatepass"), safe="")


def _body(chance: random.Random) -> bytes:
    kind = chance.random()
    if kind < 0.1:
        return chance.choice((b"", b"{", b"\xff\xfe", b"[" * 5000, b'"\\ud800"', b"NaN", b"null", b"1e400"))
    if kind < 0.2:
        return json.dumps(chance.choice(VALUES)).encode()
    return json.dumps(
        {key: chance.choice(VALUES) for key in chance.sample(KEYS, chance.randint(1, 2))}
    ).encode()
