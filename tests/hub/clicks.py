"""A hub whose users start servers and see their first page. The servers are one process with JupyterHub's own classes for
OAuth, the agent is one that says that they run: what is real is the hub, its database, the proxy and all requests."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from bench_login import PASSWORD, add_accounts
from browser import Browser
from crowd import Crowd
from jupyterhub.services.auth import HubOAuth, HubOAuthCallbackHandler, HubOAuthenticated
from tornado import httpserver, web


class UserServer(HubOAuth):  # type: ignore[misc]  # jupyterhub is untyped here
    """One user's server, as far as the hub meets it."""

    def __init__(self, clicks: Clicks, environment: dict[str, str]) -> None:
        super().__init__(
            api_token=environment["JUPYTERHUB_API_TOKEN"],
            api_url=environment["JUPYTERHUB_API_URL"],
            base_url=environment["JUPYTERHUB_SERVICE_PREFIX"],
            oauth_client_id=environment["JUPYTERHUB_CLIENT_ID"],
            access_scopes=set(json.loads(environment["JUPYTERHUB_OAUTH_ACCESS_SCOPES"])),
        )
        self._clicks = clicks
        self._activity_url = environment["JUPYTERHUB_ACTIVITY_URL"]

    async def token_for_code(self, *arguments: Any, **more: Any) -> Any:
        with self._clicks.measured("server: POST /hub/api/oauth2/token"):
            return await super().token_for_code(*arguments, **more)

    async def user_for_token(self, *arguments: Any, **more: Any) -> Any:
        with self._clicks.measured("server: GET /hub/api/user"):
            return await super().user_for_token(*arguments, **more)

    def begin(self) -> None:
        """What jupyterhub-singleuser asks and tells as it starts."""
        with self._clicks.measured("server: GET /hub/api"):
            requests.get(self.api_url, timeout=60).raise_for_status()
        when = datetime.now(UTC).isoformat()
        told = {"servers": {"": {"last_activity": when}}, "last_activity": when}
        headers = {"Authorization": f"token {self.api_token}"}
        with self._clicks.measured("server: POST /hub/api/users/NAME/activity"):
            requests.post(self._activity_url, json=told, headers=headers, timeout=60).raise_for_status()


class Handler(HubOAuthenticated, web.RequestHandler):  # type: ignore[misc]  # jupyterhub is untyped here
    def initialize(self, clicks: Clicks) -> None:
        self._clicks = clicks

    def prepare(self) -> None:
        self.set_header("X-JupyterHub-Version", "6.1.1")
        self.hub_auth = self._clicks.server_of(self.path_args[0])


class Api(Handler):
    async def get(self, _: str) -> None:
        self.write({"version": "2.21.1"})


class Page(Handler):
    async def get(self, name: str, page: str) -> None:
        if await self.hub_auth.get_user(self, sync=False) is None:
            self.redirect(self.get_login_url())
        elif not page:
            self.redirect(f"/user/{name}/lab")
        else:
            self.write("the page")


class Callback(Handler, HubOAuthCallbackHandler):  # type: ignore[misc]  # jupyterhub is untyped here
    async def get(self, _: str) -> None:
        await HubOAuthCallbackHandler.get(self)


class UserServers:
    """A server for all addresses, in a loop of its own."""

    def __init__(self, clicks: Clicks, port: int) -> None:
        self._loop = asyncio.new_event_loop()
        self._ended = asyncio.Event()
        self._begun = threading.Event()
        self._clicks, self._port = clicks, port

    def serve_forever(self) -> None:
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        more = {"clicks": self._clicks}
        application = web.Application(
            [
                (r"/user/([^/]+)/api", Api, more),
                (r"/user/([^/]+)/oauth_callback", Callback, more),
                (r"/user/([^/]+)/(.*)", Page, more),
            ],
            cookie_secret="secret",
        )
        server = httpserver.HTTPServer(application)
        server.listen(self._port, "0.0.0.0")
        self._begun.set()
        await self._ended.wait()
        server.stop()

    def shutdown(self) -> None:
        self._begun.wait()
        self._loop.call_soon_threadsafe(self._ended.set)

    def server_close(self) -> None:
        pass


class Clicks(Crowd):
    """One hub, and what it has spent so far (seconds of processor)."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.clicks: list[dict[str, float]] = []  # what each has spent, by request
        self._spent: dict[str, float] = defaultdict(float)
        self._servers_of: dict[str, UserServer] = {}
        self.browsers: list[Browser] = []

    def listen(self, port: int) -> UserServers:
        return UserServers(self, port)

    @contextmanager
    def measured(self, request: str) -> Iterator[None]:
        before_s = self.hub_cpu_s
        yield
        self._spent[request] += self.hub_cpu_s - before_s

    def server_of(self, name: str) -> UserServer:
        asked = self.asked[name]
        known = self._servers_of.get(name)
        if known is None or known.api_token != asked.environment["JUPYTERHUB_API_TOKEN"]:
            known = self._servers_of[name] = UserServer(self, asked.environment)
        return known

    def sign_in(self, users: int) -> None:
        """Accounts, and who has just signed in to them."""
        self.hub.stop_hub()
        add_accounts(self.hub, users, rounds=4)
        self.hub.start()
        for number in range(users):
            browser = Browser(self.hub.url)
            assert browser.sign_in(f"student{number}", PASSWORD).path == "hub/home"
            self.browsers.append(browser)

    def click(self, number: int) -> None:
        """One user has a server and sees its page; then it is stopped again. A click that came to the page that waits,
        after a second, is not counted."""
        browser, name = self.browsers[number], f"student{number}"
        with suppress(KeyError):  # no cookie of a server that is gone
            browser.session.cookies.clear(path=f"/user/{name}/", domain="127.0.0.1")
        self._spent.clear()
        with self.measured("all"):
            in_time = self.follow(number, "/hub/spawn")
            self.server_of(name).begin()
        with self.measured("not of a click: stop"):
            assert self.api("DELETE", f"users/{name}/server") in {202, 204}
        if in_time:
            self.clicks.append(dict(self._spent))

    def follow(self, number: int, path: str) -> bool:
        """One user comes to the page, as a browser does, but each request by itself. Whether there was no page that
        waits."""
        url = urljoin(self.hub.url, path)
        in_time = True
        while True:
            path = urlsplit(url).path
            spent = self.measured(f"browser: GET {path.replace(f'student{number}', 'NAME')}")
            with spent if path.startswith("/hub/") else nullcontext():
                answer = self.browsers[number].session.get(url, timeout=60, allow_redirects=False)
            if answer.status_code == 302:
                url = urljoin(url, answer.headers["Location"])
            elif answer.text == "the page":
                return in_time
            else:
                assert path.startswith("/hub/spawn-pending/"), (
                    f"{url}: {answer.status_code} {answer.text[:2000]}"
                )
                in_time = False
                time.sleep(0.1)
