"""Lectures: full before they begin, by the wall clock, whatever the clocks do."""

from __future__ import annotations

import datetime
import zoneinfo

from hypothesis import given, settings
from hypothesis import strategies as st

from hubagent.config.kinds.types import TimeOfDay
from hubagent.config.model import Lecture, Warm
from hubagent.pool import schedule

BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
ZONES = st.sampled_from(
    ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"]
).map(zoneinfo.ZoneInfo)
MONDAY = 0
SUNDAY = 6


def lecture(day: int, start: str, end: str, ready: int = 40) -> Lecture:
    return Lecture((day,), _time(start), _time(end), ready)


def _time(text: str) -> TimeOfDay:
    hour, minute = text.split(":")
    return TimeOfDay(int(hour), int(minute))


def berlin(text: str, *, fold: int = 0) -> float:
    return datetime.datetime.fromisoformat(text).replace(tzinfo=BERLIN, fold=fold).timestamp()


def wanted(warm: Warm, at_s: float, *, have: int = 2, refill_s: float = 4) -> int:
    return schedule.wanted(warm, at_s, have=have, refill_s=refill_s, zone=BERLIN)


MORNING = Warm(ready=2, schedule=(lecture(MONDAY, "08:15", "09:45"),))


def test_ready_counts_all_the_time() -> None:
    assert wanted(MORNING, berlin("2026-03-03 12:00")) == 2
    assert wanted(Warm(ready=5), berlin("2026-03-02 08:20")) == 5


def test_a_lecture_lasts_from_its_start_to_its_end() -> None:
    assert wanted(MORNING, berlin("2026-03-02 08:15")) == 40
    assert wanted(MORNING, berlin("2026-03-02 09:44:59")) == 40
    assert wanted(MORNING, berlin("2026-03-02 09:45")) == 2
    assert wanted(MORNING, berlin("2026-03-03 08:30")) == 2


def test_filling_begins_so_early_that_the_pool_is_full_in_time() -> None:
    lead_s = 38 * 4 * schedule.SAFETY + schedule.MARGIN_S
    begins_s = berlin("2026-03-02 08:15") - lead_s
    assert wanted(MORNING, begins_s - 1) == 2
    assert wanted(MORNING, begins_s) == 40
    assert wanted(MORNING, begins_s, have=10) == 2, "less is missing, so it can wait"
    assert wanted(MORNING, begins_s - 1, refill_s=5) == 40, "slots take longer, so it cannot"


def test_a_missed_start_is_simply_a_lecture_that_runs() -> None:
    assert wanted(MORNING, berlin("2026-03-02 09:40"), have=0) == 40


def test_lectures_that_overlap_want_the_larger_number() -> None:
    both = Warm(
        ready=2, schedule=(lecture(MONDAY, "08:00", "10:00", 10), lecture(MONDAY, "09:00", "11:00", 30))
    )
    assert wanted(both, berlin("2026-03-02 08:10")) == 10
    assert wanted(both, berlin("2026-03-02 09:10")) == 30
    assert wanted(both, berlin("2026-03-02 10:10")) == 30


def test_a_lecture_never_lowers_what_is_ready_anyway() -> None:
    less = Warm(ready=10, schedule=(lecture(MONDAY, "08:00", "10:00", 3),))
    assert wanted(less, berlin("2026-03-02 09:00")) == 10


def test_a_lead_longer_than_a_day_begins_on_an_earlier_day() -> None:
    slow = Warm(ready=0, schedule=(lecture(MONDAY, "08:00", "10:00", 1000),))
    assert wanted(slow, berlin("2026-03-01 12:00"), have=0, refill_s=60) == 1000


def test_a_start_that_the_clock_jumps_over() -> None:
    """On 29 March 2026 the clock goes from 02:00 to 03:00."""
    night = Warm(ready=0, schedule=(lecture(SUNDAY, "02:30", "03:30", 7),))
    jump_s = berlin("2026-03-29 03:00")
    assert wanted(night, jump_s, have=7) == 7
    assert wanted(night, berlin("2026-03-29 03:29"), have=7) == 7
    assert wanted(night, berlin("2026-03-29 03:30"), have=7) == 0


def test_an_end_that_the_clock_jumps_over() -> None:
    night = Warm(ready=0, schedule=(lecture(SUNDAY, "01:00", "02:30", 7),))
    assert wanted(night, berlin("2026-03-29 01:59"), have=7) == 7
    assert wanted(night, berlin("2026-03-29 04:00"), have=7) == 0


def test_an_hour_that_comes_twice() -> None:
    """On 25 October 2026 the clock goes from 03:00 back to 02:00."""
    night = Warm(ready=0, schedule=(lecture(SUNDAY, "02:10", "02:50", 7),))
    for fold in (0, 1):
        assert wanted(night, berlin("2026-10-25 02:30", fold=fold), have=7) == 7
    assert wanted(night, berlin("2026-10-25 03:00"), have=7) == 0
    assert wanted(night, berlin("2026-10-25 01:30"), have=7) == 0


def test_a_lecture_over_the_change_begins_and_ends_by_the_wall_clock() -> None:
    long = Warm(ready=0, schedule=(lecture(SUNDAY, "01:00", "05:00", 7),))
    assert wanted(long, berlin("2026-03-29 04:59"), have=7) == 7
    assert wanted(long, berlin("2026-03-29 05:00"), have=7) == 0


times = st.builds(TimeOfDay, st.integers(0, 23), st.integers(0, 59))
lectures = st.builds(
    lambda days, one, other, ready: Lecture(tuple(sorted(days)), min(one, other), max(one, other), ready),
    st.sets(st.integers(0, 6), min_size=1),
    times,
    times,
    st.integers(0, 50),
).filter(lambda one: one.start < one.end)
warms = st.builds(Warm, ready=st.integers(0, 10), schedule=st.lists(lectures, max_size=4).map(tuple))
moments = st.floats(1_700_000_000, 1_900_000_000)


@settings(deadline=None)
@given(warms, moments, ZONES)
def test_inside_a_lecture_by_the_wall_clock_it_is_wanted(
    warm: Warm, at_s: float, zone: zoneinfo.ZoneInfo
) -> None:
    local = datetime.datetime.fromtimestamp(at_s, tz=zone)
    now = TimeOfDay(local.hour, local.minute)
    running = [
        one.ready for one in warm.schedule if local.weekday() in one.days and one.start <= now < one.end
    ]
    found = schedule.wanted(warm, at_s, have=0, refill_s=4, zone=zone)
    assert found >= max([warm.ready, *running])
    assert found <= max([warm.ready, *(one.ready for one in warm.schedule)])


@settings(deadline=None)
@given(warms, moments, ZONES, st.integers(0, 60), st.floats(0.1, 60))
def test_what_is_wanted_is_worth_keeping(
    warm: Warm, at_s: float, zone: zoneinfo.ZoneInfo, have: int, refill_s: float
) -> None:
    """So that filling for a lecture never throws away what it has just made."""
    now = schedule.wanted(warm, at_s, have=have, refill_s=refill_s, zone=zone)
    assert schedule.worth_keeping(warm, at_s, refill_s=refill_s, zone=zone) >= now


@settings(deadline=None)
@given(warms, moments, ZONES)
def test_the_sooner_a_slot_is_made_the_later_filling_begins(
    warm: Warm, at_s: float, zone: zoneinfo.ZoneInfo
) -> None:
    quick = schedule.wanted(warm, at_s, have=0, refill_s=1, zone=zone)
    assert schedule.wanted(warm, at_s, have=0, refill_s=30, zone=zone) >= quick
