"""Waiting for a condition, with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

DEADLINE_S = 240.0
"""No test waits for so long, however busy the machine is, unless something is wrong."""

_PAUSE_S = 0.01


def wait_until(
    condition: Callable[[], T | None], what: str | Callable[[], str] = "", *, timeout_s: float = DEADLINE_S
) -> T:
    """The first true value of `condition`; AssertionError after `timeout_s`, with `what` was waited for or was seen."""
    deadline_s = time.monotonic() + timeout_s
    while not (value := condition()):
        if time.monotonic() > deadline_s:
            raise AssertionError(f"not within {timeout_s:g} s: {what if isinstance(what, str) else what()}")
        time.sleep(_PAUSE_S)
    return value
