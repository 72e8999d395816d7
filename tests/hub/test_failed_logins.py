"""Failed logins are counted and locked, in bounded memory."""

from __future__ import annotations

from hubagent.hub.failed_logins import FailedLogins


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_locks_after_so_many_failures_and_opens_again() -> None:
    clock = Clock()
    logins = FailedLogins(3, 600, clock=clock)
    assert [logins.begin("alice") for _ in range(3)] == [0, 0, 0]
    clock.now += 10
    assert logins.begin("alice") == 590
    clock.now += 589
    assert logins.begin("alice") == 1
    clock.now += 1
    assert logins.begin("alice") == 0


def test_trying_while_locked_does_not_lock_for_longer() -> None:
    clock = Clock()
    logins = FailedLogins(1, 600, clock=clock)
    logins.begin("alice")
    for _ in range(599):
        clock.now += 1
        assert logins.begin("alice") > 0
    clock.now += 1
    assert logins.begin("alice") == 0


def test_many_at_once_get_no_more_tries_than_many_in_a_row() -> None:
    logins = FailedLogins(3, 600, clock=Clock())
    assert [logins.begin("alice") > 0 for _ in range(30)].count(False) == 3


def test_a_success_forgets_the_failures() -> None:
    logins = FailedLogins(3, 600, clock=Clock())
    for _ in range(10):
        assert logins.begin("alice") == 0
        assert logins.begin("alice") == 0
        logins.succeeded("alice")
    assert len(logins) == 0


def test_names_do_not_disturb_each_other() -> None:
    logins = FailedLogins(1, 600, clock=Clock())
    assert logins.begin("alice") == 0
    assert logins.begin("bob") == 0
    assert logins.begin("alice") > 0


def test_old_failures_do_not_add_up() -> None:
    clock = Clock()
    logins = FailedLogins(2, 600, clock=clock)
    for _ in range(10):
        assert logins.begin("alice") == 0
        clock.now += 600


def test_no_limit() -> None:
    logins = FailedLogins(0, 600, clock=Clock())
    assert all(logins.begin("alice") == 0 for _ in range(100))
    assert len(logins) == 0


def test_memory_is_bounded_and_the_oldest_go_first() -> None:
    logins = FailedLogins(1, 600, capacity=100, clock=Clock())
    for number in range(1000):
        logins.begin(f"user{number}")
    assert len(logins) == 100
    assert logins.begin("user999") > 0
    assert logins.begin("user0") == 0
