"""Waiting for a condition, with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_PAUSE_S = 0.01


def wait_until(
    condition: Callable[[], T | None], timeout_s: float, explain: Callable[[], str] = lambda: ""
) -> T:
    """The first true value of `condition`; fails after `timeout_s` with what `explain` says."""
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not true within {timeout_s:g} s: {explain()}")
        time.sleep(_PAUSE_S)
    return value
