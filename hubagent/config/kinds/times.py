"""Times of the day, windows, and lists of days."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from hubagent.config.kinds.types import TimeOfDay
from hubagent.config.tree import RefusedError, shown

TIME_PATTERN: Final = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]"
WINDOW_PATTERN: Final = f"{TIME_PATTERN}-{TIME_PATTERN}"
DAY_NAMES: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY: Final = f"(?:{'|'.join(DAY_NAMES)})"
DAYS_PATTERN: Final = f"{_DAY}(?:-{_DAY})?(?:,{_DAY}(?:-{_DAY})?)*"


@dataclass(frozen=True, slots=True)
class Window:
    """From when to when, each day; it may pass midnight."""

    start: TimeOfDay
    end: TimeOfDay

    def __str__(self) -> str:
        return f"{self.start}-{self.end}"


def parse_time(text: str) -> TimeOfDay:
    if not re.fullmatch(TIME_PATTERN, text):
        raise RefusedError(
            f'{shown(text)} is not a time of the day; write hours and minutes such as "08:45" (00:00 to'
            " 23:59)"
        )
    return TimeOfDay(int(text[:2]), int(text[3:]))


def parse_window(text: str) -> Window:
    if not re.fullmatch(WINDOW_PATTERN, text):
        raise RefusedError(f'{shown(text)} is not a window; write from-to such as "03:00-05:00"')
    window = Window(parse_time(text[:5]), parse_time(text[6:]))
    if window.start == window.end:
        raise RefusedError(f"{shown(text)} is empty; write two different times")
    return window


def parse_days(text: str) -> tuple[int, ...]:
    """Days of the week, sorted, 0 is Monday: `mon-fri`, `sat`, `mon,wed`, `fri-mon`."""
    if not re.fullmatch(DAYS_PATTERN, text):
        raise RefusedError(
            f"{shown(text)} is not a list of days; write mon-fri, sat, or mon,wed (mon tue wed thu fri sat"
            " sun)"
        )
    days: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        start = DAY_NAMES.index(first)
        count = (DAY_NAMES.index(last or first) - start) % 7 + 1
        days.update((start + offset) % 7 for offset in range(count))
    return tuple(sorted(days))


def format_days(days: tuple[int, ...]) -> str:
    """The shortest text that `parse_days` reads as these days."""
    parts: list[str] = []
    start = 0
    for index, day in enumerate(days):
        if index + 1 < len(days) and days[index + 1] == day + 1:
            continue
        run = days[start : index + 1]
        parts.append(DAY_NAMES[run[0]] if len(run) == 1 else f"{DAY_NAMES[run[0]]}-{DAY_NAMES[run[-1]]}")
        start = index + 1
    return ",".join(parts)
