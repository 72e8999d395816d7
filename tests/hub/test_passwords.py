"""What passwords are accepted, and hashing in threads."""

from __future__ import annotations

import asyncio
import time

import pytest

from hubagent.hub.passwords import (
    ONE_TIME,
    PasswordHasher,
    PasswordPolicy,
    TooBusyError,
    one_time_password,
)

POLICY = PasswordPolicy(min_length=10, check_common=True)


@pytest.mark.parametrize(
    ("password", "message"),
    [
        ("short", "too short: use at least 10"),
        ("x" * 73, "too long: use at most 72 bytes"),
        ("é" * 37, "too long: use at most 72 bytes"),
        ("Alice@Example.org", "must not be the user name"),
        ("1234567890", "most common"),
        ("Qwertyuiop", "most common"),
    ],
)
def test_refused_with_a_reason(password: str, message: str) -> None:
    assert message in str(POLICY.problem(password, "alice@example.org"))


def test_accepted() -> None:
    assert POLICY.problem("x" * 71 + "y", "alice") is None
    assert POLICY.problem("пароль для меня", "alice") is None
    assert PasswordPolicy(min_length=4, check_common=False).problem("1234", "alice") is None


def test_one_time_passwords_are_long_different_and_acceptable() -> None:
    passwords = {one_time_password() for _ in range(200)}
    assert len(passwords) == 200
    assert all(POLICY.problem(password, "admin") is None for password in passwords)


def test_hash_and_verify() -> None:
    async def scenario() -> None:
        hasher = PasswordHasher()
        stored = await hasher.hash("correct horse")
        assert await hasher.verify("correct horse", stored)
        assert not await hasher.verify("correct horsf", stored)
        assert not await hasher.verify("x" * 100, stored)
        one_time = await hasher.hash("correct horse", one_time=True)
        assert one_time.startswith(ONE_TIME)
        assert await hasher.verify("correct horse", one_time)
        full = await hasher.hash("x" * 72)
        assert await hasher.verify("x" * 72, full)
        assert not await hasher.verify("x" * 73, full)

    asyncio.run(scenario())


def test_somebody_unknown_takes_as_long() -> None:
    async def scenario() -> tuple[list[float], list[float]]:
        hasher = PasswordHasher(workers=1)
        stored = await hasher.hash("correct horse")
        times: dict[bytes | None, list[float]] = {stored: [], None: []}
        for _ in range(8):
            for hashed, taken in times.items():
                start = time.thread_time()
                clock = time.process_time()
                assert not await hasher.verify("wrong", hashed)
                taken.append(time.process_time() - clock - (time.thread_time() - start))
        return times[stored], times[None]

    known, unknown = asyncio.run(scenario())
    assert min(unknown) == pytest.approx(min(known), rel=0.3)


def test_the_loop_goes_on_and_the_queue_is_bounded() -> None:
    async def scenario() -> None:
        hasher = PasswordHasher(workers=1, max_waiting=3)
        tasks = [asyncio.create_task(hasher.hash("correct horse")) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(TooBusyError, match="try again"):
            await hasher.hash("one too many")
        rounds = 0
        while not all(task.done() for task in tasks):
            await asyncio.sleep(0.01)
            rounds += 1
        assert rounds > 10
        await hasher.hash("room again")

    asyncio.run(scenario())
