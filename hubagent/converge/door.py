"""The door that people come through: the hub's pages, asked for as a browser does, through nginx and the proxy."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hubagent.codec import json_object
from hubagent.errors import HubagentError
from hubagent.layout import HUB_PORT
from hubagent.ports import HttpAnswer, HttpProbe
from hubagent.render import hub_files
from hubagent.render.generation import HUB_FILE, HUB_SECRETS_FILE, Desired

LOGIN: Final = "/hub/login"
HOME: Final = "/hub/home"

NOT_OURS: Final = "another program answers"
"""That what came is not the hub's."""

_MARK: Final = "?from=hubagent"
"""So that logs can be kept for people's requests."""

_AGENT: Final = "/hub/api/hubagent"
_HUB_HEADER: Final = "x-jupyterhub-version"
_ANSWERS_S: Final = 5.0  # a page takes milliseconds; the hub gives its database 3 s
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_MOST_REDIRECTS: Final = 5
_FORM: Final = re.compile(rb'<input[^>]*\bname="password"')
_XSRF: Final = re.compile(rb'<input[^>]*\bname="_xsrf"[^>]*\bvalue="([^"]*)"')
_LET_IN: Final = (401, 403)
"""What authenticators answer that expect the user's name from another proxy in front."""


@dataclass(frozen=True, slots=True)
class HubHealth:
    """What the hub says of itself; both empty when all is well."""

    database: str = ""  # why it cannot work with it
    error: str = ""  # its last one, in its own words


class Visit:
    """One browser: keeps cookies, follows redirects that stay on the site. Methods raise TemporaryError."""

    def __init__(self, probe: HttpProbe, base: str, *, connect_to: str | None = None) -> None:
        """`base` is scheme, host and port."""
        self.base = base
        self._probe = probe
        self._connect_to = connect_to
        self._cookies: dict[str, str] = {}

    def get(self, path: str) -> HttpAnswer:
        answer = self._ask("GET", path, None)
        for _ in range(_MOST_REDIRECTS):
            following = self._path_of(answer.header("location")) if answer.status in _REDIRECTS else None
            if following is None:
                break
            answer = self._ask("GET", following, None)
        return answer

    def post(self, path: str, fields: Mapping[str, str]) -> HttpAnswer:
        """A form; where its answer leads to is not followed."""
        form = "&".join(f"{name}={_quoted(value)}" for name, value in fields.items())
        return self._ask("POST", path, form.encode())

    def _ask(self, method: str, path: str, body: bytes | None) -> HttpAnswer:
        headers = {"User-Agent": "hubagent", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "same-origin"}
        if self._cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        answer = self._probe.request(
            f"{self.base}{path}",
            method=method,
            headers=headers,
            body=body,
            connect_to=self._connect_to,
            timeout_s=_ANSWERS_S,
        )
        for name, value in answer.headers:
            if name == "set-cookie":
                cookie, _, content = value.partition(";")[0].partition("=")
                self._cookies[cookie.strip()] = content.strip()
        return answer

    def _path_of(self, location: str) -> str | None:
        """Where a redirect leads to on this site; None when it leaves it."""
        path = location.removeprefix(self.base)
        return path if path.startswith("/") and not path.startswith("//") else None


class Door:
    """Fetches pages, and signs in where asked to; changes nothing that lasts."""

    def __init__(self, probe: HttpProbe, *, hub_port: int = HUB_PORT) -> None:
        self._probe = probe
        self._hub_port = hub_port

    def front(self, desired: Desired) -> Visit:
        """As people come: to nginx, by the name that it serves."""
        return Visit(self._probe, f"https://{desired.host or 'localhost'}", connect_to="127.0.0.1")

    def back(self, desired: Desired) -> Visit:
        """Straight to the hub."""
        return Visit(self._probe, f"http://{desired.gateway}:{self._hub_port}")

    def knock(self, desired: Desired) -> HttpAnswer:
        """The login page as it comes through nginx. Raises TemporaryError."""
        return self.front(desired).get(LOGIN + _MARK)

    def login_page(self, desired: Desired, visit: Visit) -> str:
        """What is wrong with the login page, in words; empty when people can sign in by it. Raises TemporaryError when
        it does not come."""
        return fault(visit.get(LOGIN + _MARK), desired)

    def sign_in(self, desired: Desired, visit: Visit) -> str:
        """Why nobody can sign in, in words; empty when a probe could, or when accounts are not ours. Raises
        TemporaryError when no answer comes."""
        if not is_native(desired):
            return ""
        try:
            granted = self._agent(desired, "POST", "probe")
            if granted.status == 404:
                return ""  # a hub from before there was a probe
            if granted.status != 200:
                return f"the hub answers {granted.status} when asked for a sign-in probe"
            account = json_object(granted.body)
            return self._with(visit, str(account["username"]), str(account["password"]))
        except (ValueError, KeyError) as error:
            return f"the hub's answer to a sign-in probe cannot be read: {error}"
        finally:
            self._end(desired)

    def health(self, desired: Desired) -> HubHealth | None:
        """None when the hub does not say, as one does not from before it could. Raises TemporaryError."""
        answer = self._agent(desired, "GET", "health")
        try:
            value = json_object(answer.body) if answer.status == 200 else None
        except ValueError:
            return None
        return HubHealth(str(value.get("database", "")), str(value.get("error", ""))) if value else None

    def token_works(self, desired: Desired) -> int:
        """Status of a question of JupyterHub's own that needs its database. Raises TemporaryError."""
        return self._ask_hub(desired, "GET", "/hub/api/info").status

    def _with(self, visit: Visit, username: str, password: str) -> str:
        page = visit.get(LOGIN + _MARK)
        found = _XSRF.search(page.body)
        xsrf = found[1].decode("ascii", "replace") if found else ""
        answer = visit.post(LOGIN + _MARK, {"_xsrf": xsrf, "username": username, "password": password})
        if answer.status not in _REDIRECTS:
            return f"signing in answers {answer.status}"
        home = visit.get(HOME + _MARK)
        if home.status != 200 or _FORM.search(home.body):
            return f"after signing in, the home page answers {home.status}"
        return ""

    def _end(self, desired: Desired) -> None:
        with contextlib.suppress(HubagentError):  # the hub ends it by itself
            self._agent(desired, "DELETE", "probe")

    def _agent(self, desired: Desired, method: str, what: str) -> HttpAnswer:
        return self._ask_hub(desired, method, f"{_AGENT}/{what}")

    def _ask_hub(self, desired: Desired, method: str, path: str) -> HttpAnswer:
        token = hub_files.agent_token(desired.file(HUB_SECRETS_FILE).content)
        return self._probe.request(
            f"http://{desired.gateway}:{self._hub_port}{path}",
            method=method,
            headers={"Authorization": f"token {token}"},
            timeout_s=_ANSWERS_S,
        )


def fault(answer: HttpAnswer, desired: Desired) -> str:
    """What is wrong with a login page, in words; empty when people can sign in by it.

    That of another authenticator may lead to a provider, or expect to be told who comes."""
    if answer.status >= 400 and not (answer.status in _LET_IN and not is_native(desired)):
        return f"the login page answers {answer.status}"
    if not answer.header(_HUB_HEADER):
        return f"{NOT_OURS} where the login page should be"
    if is_native(desired) and not (_FORM.search(answer.body) and _XSRF.search(answer.body)):
        return "the login page has no sign-in form"
    return ""


def is_native(desired: Desired) -> bool:
    """Whether accounts are hubagent's own."""
    return json_object(desired.file(HUB_FILE).content).get("authenticator") == "native"


def _quoted(text: str) -> str:
    """As in application/x-www-form-urlencoded (WHATWG URL, 5.2)."""
    return "".join(
        character
        if character.isascii() and (character.isalnum() or character in "-._*")
        else _escaped(character)
        for character in text
    )


def _escaped(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode())
