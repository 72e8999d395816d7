"""Maintenance windows: local wall-clock times, which may pass midnight. Pure."""

from __future__ import annotations

import datetime

from hubagent.config.model import Window


def contains(window: Window, unix_s: float) -> bool:
    """Whether this moment, in the server's time zone, lies in the window (start included, end not)."""
    now = datetime.datetime.fromtimestamp(unix_s, tz=datetime.UTC).astimezone()
    minute = now.hour * 60 + now.minute
    start = window.start.hour * 60 + window.start.minute
    end = window.end.hour * 60 + window.end.minute
    if start <= end:
        return start <= minute < end
    return minute >= start or minute < end
