"""The order of a soak's events."""

from __future__ import annotations

from itertools import islice

from tests.soak.events import PEOPLE, Kind, rounds

SEEDS = range(40)


def test_the_same_seed_gives_the_same_order_and_another_one_another() -> None:
    one, again, other = (list(islice(rounds(seed), 3)) for seed in (7, 7, 8))
    assert one == again
    assert one != other


def test_every_kind_occurs_in_every_round() -> None:
    for seed in SEEDS:
        for events in islice(rounds(seed), 5):
            assert {event.kind for event in events} == set(Kind)


def test_people_start_what_does_not_run_and_stop_what_does() -> None:
    for seed in SEEDS:
        running: set[str] = set()
        for events in islice(rounds(seed), 10):
            for event in events:
                assert len(set(event.people)) == len(event.people)
                assert set(event.people) <= set(PEOPLE)
                if event.kind in (Kind.START_WARM, Kind.START_COLD, Kind.CLAIMS_AT_ONCE):
                    assert len(event.people) == (3 if event.kind is Kind.CLAIMS_AT_ONCE else 1)
                    assert running.isdisjoint(event.people)
                    running.update(event.people)
                elif event.kind in (Kind.STOP, Kind.CULL):
                    assert event.people
                    assert running.issuperset(event.people)
                    running.difference_update(event.people)
                else:
                    assert event.people == ()
