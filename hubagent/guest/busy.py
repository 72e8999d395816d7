"""A cell that computes counts as activity of its server, with its page closed too, for a limited time.

The server reports to the hub when it was last active, and the hub stops those that were not for a while. Jupyter
counts what comes from a kernel: a cell that computes in silence counts as nothing, and one that prints for ever as
activity for ever. Here both count for the same time since they began.

What runs in a terminal does not count: nobody can tell a program that works from a shell or an editor that waits.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

POLL_S: Final = 10.0
"""How often kernels are asked (seconds); with a short limit, more often."""

FRESH_S: Final = 120.0
"""Pluto writes its report anew every few seconds; an older one is of a Pluto that is dead or stuck (seconds)."""

_BUSY: Final = "busy"  # execution_state, https://jupyter-client.readthedocs.io/en/stable/messaging.html
_PERIODIC: Final = "_last_activity"  # how the names of settings end that Jupyter Server counts as activity


class Busy:
    """Which kernels compute, since when, and for how long that counts. Times are monotonic seconds."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._since_s: dict[str, float] = {}

    def see(self, states: Mapping[str, str], now_s: float) -> None:
        """The execution state of every kernel, by its id."""
        self._since_s = {
            kernel: self._since_s.get(kernel, now_s) for kernel, state in states.items() if state == _BUSY
        }

    def left_s(self, kernel: str, now_s: float) -> float | None:
        """For how much longer it counts, negative when that is over; None when it does not compute."""
        since_s = self._since_s.get(kernel)
        return None if since_s is None else since_s + self._limit_s - now_s


def pluto_left_s(report: Path, limit_s: float, now_s: float) -> float | None:
    """For how much longer Pluto's running cells count; None when none runs. `now_s` is unix time.

    The report holds the unix time since when the notebook computes that began last; there is none while none does.
    """
    try:
        if now_s - report.stat().st_mtime > FRESH_S:
            return None
        return float(report.read_text()) + limit_s - now_s
    except (OSError, ValueError):
        return None


class Activity:
    """When a server was last active, in place of `ServerWebApplication.last_activity`."""

    def __init__(self, web_app: Any, limit_s: float, pluto: Path | None) -> None:
        self._settings: Mapping[str, Any] = web_app.settings
        self._ordinary: Callable[[], datetime.datetime] = web_app.last_activity
        self._limit_s = limit_s
        self._pluto = pluto
        self._busy = Busy(limit_s)

    def check(self) -> None:
        """See what the kernels do now."""
        self._busy.see(
            {kernel: getattr(one, "execution_state", "") or "" for kernel, one in self._kernels().items()},
            time.monotonic(),
        )

    def last(self) -> datetime.datetime:
        self.check()
        now_s = time.monotonic()
        now = datetime.datetime.now(datetime.timezone.utc)  # noqa: UP017 - images have Python 3.10
        left_s = {kernel: self._busy.left_s(kernel, now_s) for kernel in self._kernels()}
        pluto = None if self._pluto is None else pluto_left_s(self._pluto, self._limit_s, time.time())
        if any(one is not None and one > 0 for one in (*left_s.values(), pluto)):
            return now
        over = {kernel: one for kernel, one in left_s.items() if one is not None}
        return self._without(over, now) if over else self._ordinary()

    def _without(self, over: Mapping[str, float], now: datetime.datetime) -> datetime.datetime:
        """As Jupyter Server counts, but for kernels that compute for too long: they count until then."""
        settings = self._settings
        sources: list[datetime.datetime] = [
            settings["started"],
            *settings.get("last_activity_times", {}).values(),
        ]
        sources += [value for name, value in settings.items() if name.endswith(_PERIODIC)]
        for kernel, one in self._kernels().items():
            last = getattr(one, "last_activity", None)
            if last is not None:
                until = now + datetime.timedelta(seconds=over.get(kernel, 0.0))
                sources.append(min(last, until))
        return max(sources)

    def _kernels(self) -> dict[str, Any]:
        manager = self._settings["kernel_manager"]
        return {kernel: manager.get_kernel(kernel) for kernel in manager.list_kernel_ids()}


_limit_s = 0.0
_pluto: Path | None = None


def add(config: Any, limit_s: float, pluto: Path | None) -> None:
    """Count busy kernels for `limit_s`, and Pluto by its report in the file `pluto`."""
    global _limit_s, _pluto
    _limit_s, _pluto = limit_s, pluto
    config.ServerApp.jpserver_extensions.update({__name__: True})


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": __name__}]


def _load_jupyter_server_extension(server: Any) -> None:
    from tornado.ioloop import PeriodicCallback  # type: ignore[import-not-found]  # the image's

    activity = Activity(server.web_app, _limit_s, _pluto)
    server.web_app.last_activity = activity.last
    PeriodicCallback(activity.check, 1000 * min(POLL_S, _limit_s / 8)).start()
