"""The pages and answers of a hub, for a network that tests script; tests/hub/test_door.py holds them to a real one."""

from __future__ import annotations

import json
from collections.abc import Callable

from hubagent.errors import TemporaryError
from hubagent.ports import HttpAnswer
from tests.fakes.http import FakeHttpProbe, Request

_OURS = (("x-jupyterhub-version", "6.1.1"),)
_LOGIN, _HOME = "/hub/login?from=hubagent", "/hub/home?from=hubagent"
LOGIN_FORM = b'<form action="/hub/login"><input type="hidden" name="_xsrf" value="abc:def=" /><input name="password"></form>'


class FakeHubPages:
    """Serves under each of `fronts`, if `is_open(front)`, and for the agent's token under `back`.

    `login`, `home` and `signing_in` are what answers (status); `database` and `error` what the hub says of itself;
    `is_old` is one that says nothing of itself. `probes` counts the sign-ins that worked."""

    def __init__(
        self,
        probe: FakeHttpProbe,
        *,
        back: str,
        fronts: tuple[str, ...],
        token: Callable[[], str],
        is_open: Callable[[str], bool],
        certificate: Callable[[], str],
    ) -> None:
        self.login = self.home = 200
        self.signing_in = 303
        self.info = 200
        self.form = LOGIN_FORM
        self.database = self.error = ""
        self.is_old = False
        self.probes = 0
        self._token = token
        self._is_open = is_open
        self._certificate = certificate
        self._password: str | None = None
        self._is_signed_in = False
        self._network = probe
        for front in (back, *fronts):
            self.serve_under(front)
        for path, answer in (("probe", self._probe), ("health", self._health)):
            probe.serve_by(f"{back}/hub/api/hubagent/{path}", self._to_agent(back, answer))
        probe.serve_by(f"{back}/hub/api/info", self._to_agent(back, lambda _: HttpAnswer(self.info, b"{}")))

    def serve_under(self, front: str) -> None:
        """People come in by this URL, too."""
        self._network.serve_by(f"{front}{_LOGIN}", self._page(front, self._login), method="GET")
        self._network.serve_by(f"{front}{_LOGIN}", self._page(front, self._sign_in), method="POST")
        self._network.serve_by(f"{front}{_HOME}", self._page(front, self._home), method="GET")

    @property
    def is_signed_in(self) -> bool:
        """Whether a probe's account is there now."""
        return self._is_signed_in

    def _page(self, front: str, page: Callable[[Request], HttpAnswer]) -> Callable[[Request], HttpAnswer]:
        def answer(request: Request) -> HttpAnswer:
            if not self._is_open(front):
                raise TemporaryError("Connection refused")
            found = page(request)
            secure = front.startswith("https:")
            return HttpAnswer(
                found.status,
                found.body,
                self._certificate() if secure else None,
                (*_OURS, *found.headers),
            )

        return answer

    def _to_agent(
        self, back: str, answer: Callable[[Request], HttpAnswer]
    ) -> Callable[[Request], HttpAnswer]:
        def judged(request: Request) -> HttpAnswer:
            if not self._is_open(back):
                raise TemporaryError("Connection refused")
            if request.headers.get("Authorization") != f"token {self._token()}":
                return HttpAnswer(403, b"")
            return answer(request)

        return judged

    def _login(self, _request: Request) -> HttpAnswer:
        return HttpAnswer(self.login, self.form, None, (("set-cookie", "_xsrf=x; Path=/hub/"),))

    def _sign_in(self, request: Request) -> HttpAnswer:
        form = dict(pair.split("=", 1) for pair in (request.body or b"").decode().split("&"))
        good = form.get("password") == self._password and form.get("username") == "hubagent%20probe"
        self._password = None
        if (
            not good
            or form.get("_xsrf") != "abc%3Adef%3D"
            or "_xsrf=x" not in request.headers.get("Cookie", "")
        ):
            return HttpAnswer(403, self.form)
        self._is_signed_in = self.signing_in == 303
        cookie = (("location", "/hub/home"), ("set-cookie", "jupyterhub-hub-login=y; Path=/hub/"))
        return HttpAnswer(self.signing_in, b"", None, cookie)

    def _home(self, request: Request) -> HttpAnswer:
        if not self._is_signed_in or "jupyterhub-hub-login=y" not in request.headers.get("Cookie", ""):
            return HttpAnswer(302, b"", None, (("location", _LOGIN),))
        self.probes += self.home == 200
        return HttpAnswer(self.home, b"home")

    def _probe(self, request: Request) -> HttpAnswer:
        if self.is_old:
            return HttpAnswer(404, b"")
        self._is_signed_in = False
        if request.method == "DELETE":
            self._password = None
            return HttpAnswer(204, b"")
        self._password = "one-use"
        granted = {"username": "hubagent probe", "password": self._password}
        return HttpAnswer(200, json.dumps(granted).encode())

    def _health(self, _request: Request) -> HttpAnswer:
        if self.is_old:
            return HttpAnswer(404, b"")
        return HttpAnswer(200, json.dumps({"database": self.database, "error": self.error}).encode())
