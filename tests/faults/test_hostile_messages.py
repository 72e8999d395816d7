"""The sockets of agent and homes helper under bytes that nobody would send: answered or cut off, and the next is served."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings

from hubagent import wire
from hubagent.adapters.net.spawn_socket import SpawnServer
from hubagent.pool.broker import REQUESTS
from tests.contract.small_homes import SmallHomes
from tests.faults.hostile import almost_messages, streams
from tests.fuzz.frames import exchange

PATIENT = settings(
    deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@given(almost_messages())
@settings(deadline=None, max_examples=500)
@example(b'{"v": 1, "verb": "Inspect", "name": "\\ud800"}')
@example(b'{"v": 1, "verb": "Output", "name": "a", "lines": 1e400}')
@example(b'{"v": 1, "verb": "Output", "name": "a", "lines": ' + b"9" * 5000 + b"}")
@example(b'{"v": 1, "verb": "Inspect", "name": "a", "name": ["b"]}')
def test_what_almost_is_a_message_is_one_or_is_refused(body: bytes) -> None:
    """Never another error; and what is taken says the same when it is sent on."""
    try:
        message = wire.from_json(body, *(codec.kind for codec in wire.messages.BY_NAME.values()))
    except wire.WireError as error:
        assert len(str(error)) < 1000
    else:
        assert wire.from_json(wire.to_json(message), type(message)) == message


def _is_answer(answer: bytes) -> bool:
    """One whole frame with a message, or nothing."""
    if not answer:
        return True
    length = wire.body_length(answer[: wire.HEADER.size])
    return length == len(answer) - wire.HEADER.size and b'"verb"' in answer


@pytest.fixture(scope="module")
def spawn_socket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("run") / "spawn.sock"
    server = SpawnServer(
        path, lambda request: wire.Refused("message", "no"), requests=REQUESTS, owner="nobody"
    )
    server.start()
    yield path
    server.stop()


@given(streams())
@PATIENT
def test_the_agents_socket_answers_or_cuts_off_and_goes_on(spawn_socket: Path, data: bytes) -> None:
    assert _is_answer(exchange(spawn_socket, data))
    assert exchange(spawn_socket, wire.encode(wire.Inspect("a")))


@pytest.fixture(scope="module")
def homes_socket() -> Iterator[Path]:
    homes = SmallHomes()
    try:
        homes.start()
        yield homes.seen(homes.layout.homes_socket)
    finally:
        homes.close()


@given(streams())
@PATIENT
def test_the_homes_helpers_socket_answers_or_cuts_off_and_goes_on(homes_socket: Path, data: bytes) -> None:
    assert _is_answer(exchange(homes_socket, data))
    assert b"Slots" in exchange(homes_socket, wire.encode(wire.ListSlots()))
