"""When a server is stopped for being idle, in words for the person whose server it is: the hub's pages say so."""

from __future__ import annotations

from typing import Final

_UNITS: Final = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


def idle_notice(stop_idle_after_s: float, keep_busy_s: float) -> str:
    """Empty when servers are never stopped for that."""
    if stop_idle_after_s <= 0:
        return ""
    notice = (
        f"A server that nobody uses for {_in_words(stop_idle_after_s)} is stopped; files stay, variables are lost. "
        "An open page counts as use"
    )
    if keep_busy_s <= 0:
        return f"{notice}; with the page closed, a cell that computes does not."
    return (
        f"{notice}, and so does a cell that computes, with its page closed too, for {_in_words(keep_busy_s)} "
        "at most. A program in a terminal does not."
    )


def _in_words(seconds: float) -> str:
    """In the largest unit that fits without a rest: `90 minutes`, `8 hours`."""
    whole = max(1, round(seconds))
    size, unit = next((size, unit) for size, unit in _UNITS if whole % size == 0)
    count = whole // size
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
