"""What the agent has to hear of accounts arrives once agent and database are there, in order, and not for ever."""

from __future__ import annotations

import asyncio
import getpass
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from jupyterhub import orm
from sqlalchemy import text
from sqlalchemy.orm import Session

from hubagent import wire
from hubagent.adapters.net.spawn_socket import SpawnServer
from hubagent.backoff import Backoff
from hubagent.hub import reports
from hubagent.hub.account_reports import Reporter
from hubagent.hub.agent_client import AgentClient
from hubagent.hub.reports import Reports

NO_PAUSES = Backoff(0.0, 0.0)
DEADLINE_S = 60.0


class Listener:
    """The agent's socket, and what was heard there: names, by kind of message."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "agent.sock"
        self.heard: list[tuple[str, ...]] = []
        self.refuse: Callable[[object], str] = lambda _: ""  # by which reason; empty for not
        kinds = (wire.Expect, wire.Known, wire.Gone)
        self._server = SpawnServer(self.path, self._answer, requests=kinds, owner=getpass.getuser())

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        self._server.stop()

    def reporter(self, **bounds: Any) -> Reporter:
        return Reporter(AgentClient(self.path), Reports(**{"pauses": NO_PAUSES, **bounds}))

    async def hears(self, count: int) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while len(self.heard) < count:
                await asyncio.sleep(0.01)

    def _answer(self, request: Any) -> object:
        reason = self.refuse(request)
        if reason:
            return wire.Refused(reason, "not now")
        people = request.people if isinstance(request, wire.Known) else (request,)
        self.heard.append((type(request).__name__, *(one.user for one in people)))
        return wire.Done()


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[Listener]:
    listener = Listener(tmp_path)
    yield listener
    listener.stop()


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    with closing(orm.new_session_factory(f"sqlite:///{tmp_path}/hub.sqlite")()) as session:
        yield session


def _user(session: Session, name: str) -> orm.User:
    user = orm.User(name=name)
    session.add(user)
    session.commit()
    return user


def _delete(session: Session, told: Reporter, user: orm.User) -> None:
    """As JupyterHub does it: the authenticator is asked first."""
    told.leaving(user)
    session.delete(user)
    session.commit()


def _run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(scenario)


async def _logged(caplog: pytest.LogCaptureFixture, words: str) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while words not in caplog.text:
            await asyncio.sleep(0.01)


def test_an_agent_that_was_away_hears_all_of_it_in_order(
    listener: Listener, session: Session, caplog: pytest.LogCaptureFixture
) -> None:
    ada, grace = _user(session, "ada"), _user(session, "grace")

    async def scenario() -> None:
        told = listener.reporter()
        told.arrived(ada)
        told.arrived(grace)
        _delete(session, told, ada)
        told.exists(grace)
        await _logged(caplog, "is tried again")
        listener.start()
        await listener.hears(4)

    _run(scenario())
    assert listener.heard == [("Expect", "ada"), ("Expect", "grace"), ("Gone", "ada"), ("Known", "grace")]


def test_who_is_not_deleted_after_all_is_not_told_to_be(listener: Listener, session: Session) -> None:
    """The database may fail in that moment; the home of an account that stays needs nobody's decision."""
    ada, grace = _user(session, "ada"), _user(session, "grace")
    listener.start()

    async def scenario() -> None:
        told = listener.reporter()
        told.leaving(ada)
        session.delete(ada)
        session.flush()
        session.rollback()
        _user(session, "mary")  # others go on
        _delete(session, told, grace)
        await listener.hears(1)
        _delete(session, told, ada)
        await listener.hears(2)
        _user(session, "joan")
        told.arrived(_user(session, "emmy"))
        await listener.hears(3)

    _run(scenario())
    assert listener.heard == [("Gone", "grace"), ("Gone", "ada"), ("Expect", "emmy")]


def test_what_the_agent_cannot_do_now_is_told_again(listener: Listener, session: Session) -> None:
    """Docker is being restarted, say."""
    ada = _user(session, "ada")
    reasons = ["engine", "busy", "engine"]
    listener.refuse = lambda _: reasons.pop() if reasons else ""
    listener.start()

    async def scenario() -> None:
        told = listener.reporter()
        _delete(session, told, ada)
        told.exists(_user(session, "grace"))
        await listener.hears(2)

    _run(scenario())
    assert listener.heard == [("Gone", "ada"), ("Known", "grace")]


@pytest.mark.parametrize("reason", ["message", "engine"])
def test_what_the_agent_never_takes_does_not_hold_up_the_rest(
    listener: Listener, session: Session, reason: str
) -> None:
    ada, grace = _user(session, "ada"), _user(session, "grace")
    listener.refuse = lambda request: reason if isinstance(request, wire.Known) else ""
    listener.start()

    async def scenario() -> None:
        told = listener.reporter()
        told.exists(ada)
        _delete(session, told, grace)
        await listener.hears(1)
        listener.refuse = lambda _: ""
        told.exists(grace)
        await listener.hears(2)

    _run(scenario())
    assert listener.heard == [("Gone", "grace"), ("Known", "ada", "grace")], "and later it may"


def test_accounts_that_the_database_does_not_give_now_are_told_when_it_does(
    listener: Listener, session: Session, caplog: pytest.LogCaptureFixture
) -> None:
    ada = _user(session, "ada")
    listener.start()

    async def scenario() -> None:
        told = listener.reporter()
        told.exists(ada)
        session.expire_all()
        session.execute(text("alter table users rename to aside"))
        session.commit()
        await _logged(caplog, "is tried again")
        session.rollback()
        session.execute(text("alter table aside rename to users"))
        session.commit()
        await listener.hears(1)
        told.exists(_user(session, "grace"))
        await listener.hears(2)

    _run(scenario())
    assert listener.heard == [("Known", "ada"), ("Known", "grace")]


def test_more_than_can_wait_is_lost_and_said(
    listener: Listener, session: Session, caplog: pytest.LogCaptureFixture
) -> None:
    users = [_user(session, name) for name in ("ada", "grace", "lise")]

    async def scenario() -> None:
        told = listener.reporter(most=2)
        for user in users:
            told.arrived(user)
        listener.start()
        await listener.hears(2)

    _run(scenario())
    assert listener.heard == [("Expect", "ada"), ("Expect", "grace")]
    assert "will not hear that lise has signed in" in caplog.text


def test_whoever_renames_a_user_does_not_wait_for_an_agent_that_is_away(
    listener: Listener, session: Session
) -> None:
    ada = _user(session, "ada")

    async def scenario() -> None:
        told = listener.reporter()
        async with asyncio.timeout(DEADLINE_S):
            await told.know(ada)
        assert listener.heard == []
        listener.start()
        await told.know(ada)
        assert listener.heard == [("Known", "ada"), ("Known", "ada")]

    _run(scenario())


def test_a_hub_tells_again_for_an_hour_what_is_refused() -> None:
    waits = sum(reports.PAUSES.delay_s(failures) for failures in range(1, reports.REFUSALS))
    assert 3000 < waits < 4000
