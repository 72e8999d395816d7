"""How many slots are to be ready by the clock: `ready`, and the lectures of `schedule`. Pure.

Lectures are in the machine's wall-clock time. They become unix seconds before they are compared, so that a
change of the clocks never hides one: where a time comes twice or not at all, the lecture is taken to begin at
the earlier and to end at the later of the two moments that could be meant.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Final

from hubagent.config.kinds.types import TimeOfDay
from hubagent.config.model import Lecture, Warm

SAFETY: Final = 1.5
"""Filling is taken to last so many times longer than it lately did: machines get busy."""

MARGIN_S: Final = 120.0
"""So long before the lecture the pool should be full: students come early."""

LINGER_S: Final = 900.0
"""What will be wanted within this time is not thrown away."""

_DAYS_AHEAD: Final = 8  # the longest lead that is looked for; the days of a week come around in 7


def wanted(
    warm: Warm, now_s: float, *, have: int, refill_s: float, zone: datetime.tzinfo | None = None
) -> int:
    """Slots that should be ready, or on their way, now; before `max` and memory.

    `have` are there already, another takes `refill_s` seconds. A lecture counts from when filling has to begin
    until its end; who asks late, or for the first time in the middle of it, is simply in it. `zone` None is
    the machine's own.
    """
    most = warm.ready
    for lecture in warm.schedule:
        lead_s = max(0, lecture.ready - have) * refill_s * SAFETY + MARGIN_S
        if any(start_s - lead_s <= now_s < end_s for start_s, end_s in _times(lecture, now_s, zone)):
            most = max(most, lecture.ready)
    return most


def worth_keeping(warm: Warm, now_s: float, *, refill_s: float, zone: datetime.tzinfo | None = None) -> int:
    """Slots that are not too many now: those wanted soon, or now if the pool were empty. Never below `wanted`:
    a pool that fills up has a shorter and shorter lead, and must not be emptied for that."""
    return max(
        wanted(warm, moment_s, have=0, refill_s=refill_s, zone=zone) for moment_s in (now_s, now_s + LINGER_S)
    )


def _times(lecture: Lecture, now_s: float, zone: datetime.tzinfo | None) -> Iterator[tuple[float, float]]:
    """Start and end in unix seconds, on the days around now."""
    today = datetime.datetime.fromtimestamp(now_s, tz=datetime.UTC).astimezone(zone).date()
    for offset in range(-1, _DAYS_AHEAD + 1):
        day = today + datetime.timedelta(days=offset)
        if day.weekday() in lecture.days:
            yield min(_moments(day, lecture.start, zone)), max(_moments(day, lecture.end, zone))


def _moments(day: datetime.date, time: TimeOfDay, zone: datetime.tzinfo | None) -> tuple[float, float]:
    """The two unix seconds that a wall-clock time may mean; nearly always the same (PEP 495)."""
    wall = datetime.datetime.combine(day, datetime.time(time.hour, time.minute), tzinfo=zone)
    return wall.timestamp(), wall.replace(fold=1).timestamp()
