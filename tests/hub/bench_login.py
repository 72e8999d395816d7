"""How long thirty simultaneous logins stall the hub, with our authenticator and with NativeAuthenticator's own.

    build/hub-venv/bin/python tests/hub/bench_login.py [build/bench/login.json]

Both hubs run behind a real proxy on the same machine, one after the other, with the same accounts.
NativeAuthenticator 1.3 cannot log anybody in on JupyterHub 6 as it is; it runs here with the one line of
its login handler that fails (a timer of a removed library) supplied, and hashes where it always does.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import aiohttp
import bcrypt
import sqlalchemy
from browser import Page
from running import ROOT, RunningHub

LOGINS = 30
PROBE_S = 0.02
IDLE_S = 3.0
LIMIT_S = 0.3
"""How much longer than at rest /hub/health may take while everybody signs in."""
PASSWORD = "a rather long password"
STOCK = Path(__file__).with_name("stock_config.py")


class Watch:
    """Asks /hub/health every PROBE_S seconds while its context is open, and keeps how long each answer took."""

    def __init__(self, hub: RunningHub) -> None:
        self._url = f"{hub.hub_url}/hub/health"
        self.answers_s: list[float] = []

    async def __aenter__(self) -> Watch:
        self._session = aiohttp.ClientSession()
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])
        await self._session.close()

    async def _run(self) -> None:
        while True:
            start = time.perf_counter()
            async with self._session.get(self._url) as answer:
                assert answer.status == 200
            self.answers_s.append(time.perf_counter() - start)
            await asyncio.sleep(PROBE_S)


async def measure(hub: RunningHub) -> dict[str, float]:
    """Sign in LOGINS users at once, asking /hub/health before and meanwhile; seconds."""
    people = [await Person.at_the_form(hub, f"student{number}") for number in range(LOGINS)]
    async with Watch(hub) as idle:
        await asyncio.sleep(IDLE_S)
    async with Watch(hub) as busy:
        start = time.perf_counter()
        times = await asyncio.gather(*(person.sign_in() for person in people))
        total = time.perf_counter() - start
        await asyncio.sleep(2 * PROBE_S)  # the last answer may be the one that waited
    for person in people:
        await person.session.close()
    return {
        "all_signed_in_s": total,
        "login_median_s": statistics.median(times),
        "login_max_s": max(times),
        "health_idle_max_s": max(idle.answers_s),
        "health_median_s": statistics.median(busy.answers_s),
        "health_max_s": max(busy.answers_s),
    }


class Person:
    """A browser that has the login page open."""

    def __init__(self, session: aiohttp.ClientSession, url: str, name: str, token: str) -> None:
        self.session = session
        self._url = url
        self._fields = {"username": name, "password": PASSWORD, "_xsrf": token}

    @classmethod
    async def at_the_form(cls, hub: RunningHub, name: str) -> Person:
        session = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))
        url = f"{hub.url}/hub/login"
        async with session.get(url) as answer:
            text = await answer.text()
            assert answer.status == 200, text
        return cls(session, url, name, Page(text, url).form("/hub/login").fields["_xsrf"])

    async def sign_in(self) -> float:
        start = time.perf_counter()
        async with self.session.post(self._url, data=self._fields, allow_redirects=False) as answer:
            assert answer.status == 302, f"{answer.status} {(await answer.text())[-500:]}"
        return time.perf_counter() - start


def add_accounts(hub: RunningHub, count: int = LOGINS, *, rounds: int = 12) -> None:
    """Put the accounts into the database of a hub that is stopped; one hash for all, to save time. `rounds` is the
    logarithm of bcrypt's."""
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(rounds))
    engine = sqlalchemy.create_engine(f"sqlite:///{hub.folder / 'state' / 'jupyterhub.sqlite'}")
    with engine.begin() as connection:
        connection.execute(
            sqlalchemy.text(
                "INSERT INTO users_info (username, password, is_authorized, login_email_sent, has_2fa, otp_secret)"
                " VALUES (:name, :password, 1, 0, 0, 'x')"
            ),
            [{"name": f"student{number}", "password": hashed} for number in range(count)],
        )
    engine.dispose()


def run(folder: Path, *, stock: bool) -> dict[str, float]:
    hub = RunningHub(folder, config=STOCK if stock else ROOT / "hubagent" / "hub" / "jupyterhub_config.py")
    hub.settings["stop_idle_after_s"] = 0
    try:
        hub.start()
        hub.stop_hub()
        add_accounts(hub)
        hub.start()
        return asyncio.run(measure(hub))
    finally:
        hub.stop()


def main(target: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        ours = run(Path(folder) / "hubagent", stock=False)
        theirs = run(Path(folder) / "stock", stock=True)
    result = {
        "logins": LOGINS,
        "hubagent": ours,
        "native_authenticator": theirs,
        "ratio": {key: theirs[key] / ours[key] for key in ours},
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))
    stall_s = ours["health_max_s"] - ours["health_idle_max_s"]
    if stall_s > LIMIT_S:
        sys.exit(f"/hub/health was held up for {stall_s:.2f} s, more than {LIMIT_S} s")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "bench" / "login.json")
