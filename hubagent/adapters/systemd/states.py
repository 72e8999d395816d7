"""Units' states, read whole and remembered while systemd says that nothing happened to them.

A unit has some 300 properties: reading them costs the agent about 2 ms of CPU each time, and a check of the
machine reads several units. One property alone, the time of the unit's last change, costs a seventh of that,
and no change of state leaves it as it was.
"""

from __future__ import annotations

import enum
import threading
import time
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from gi.repository import Gio, GLib

from hubagent.adapters.systemd.bus import guarded
from hubagent.adapters.systemd.objects import PROPERTIES, SYSTEMD, UNIT, unit_path
from hubagent.errors import UnitError
from hubagent.ports import ActiveState, LoadState, UnitState

_REMEMBER_S: Final = 60.0
"""What changes without a change of state (UnitFileState, NeedDaemonReload) is at most so old."""

_LAST_CHANGE: Final = GLib.Variant("(ss)", (UNIT, "StateChangeTimestampMonotonic"))
_EVERYTHING: Final = GLib.Variant("(s)", ("",))  # the empty name means all interfaces of the unit

_AnyState = TypeVar("_AnyState", bound=enum.Enum)


@dataclass(frozen=True, slots=True)
class _Known:
    state: UnitState
    changed_us: int
    until: float


class UnitStates:
    """Reads units from a pydbus.Bus; used by several threads."""

    def __init__(self) -> None:
        self._lock: Final = threading.Lock()
        self._known: dict[str, _Known] = {}
        self._version = 0  # tells a reader that what it read may be older than a `forget`

    def read(self, bus: Any, name: str, *, timeout_s: float) -> UnitState:
        with self._lock:
            known = self._known.get(name)
            version = self._version
        if known is not None and time.monotonic() < known.until:
            answer = _ask(bus, name, "Get", _LAST_CHANGE, "(v)", timeout_s)
            if answer.get_child_value(0).get_variant().get_uint64() == known.changed_us:
                return known.state
        fresh = _read(bus, name, timeout_s)
        with self._lock:
            if version == self._version:
                self._known[name] = fresh
        return fresh.state

    def forget(self, name: str | None = None) -> None:
        """What is known of this unit, or of all, may be out of date."""
        with self._lock:
            self._version += 1
            if name is None:
                self._known.clear()
            else:
                self._known.pop(name, None)


def _ask(bus: Any, name: str, method: str, question: Any, answer: str, timeout_s: float) -> Any:
    """A call to the unit's properties. Not through the proxy: pydbus would turn every value into Python
    objects, which takes 10 ms for all of them, and makes the proxy anew for one."""
    return guarded(
        f"{name}: its state cannot be read",
        lambda: bus.con.call_sync(
            SYSTEMD,
            unit_path(name),
            PROPERTIES,
            method,
            question,
            GLib.VariantType.new(answer),
            Gio.DBusCallFlags.NONE,
            int(timeout_s * 1000),
            None,
        ),
    )


def _read(bus: Any, name: str, timeout_s: float) -> _Known:
    """All properties in one answer, so that they belong together."""
    answer = _ask(bus, name, "GetAll", _EVERYTHING, "(a{sv})", timeout_s)
    values = answer.get_child_value(0)

    def get(key: str, absent: Any) -> Any:
        value = values.lookup_value(key, None)
        return absent if value is None else value.unpack()

    state = UnitState(
        name=name,
        load=_state(LoadState, name, get("LoadState", "")),
        active=_state(ActiveState, name, get("ActiveState", "")),
        sub=get("SubState", ""),
        main_pid=get("MainPID", 0),
        restarts=get("NRestarts", 0),
        result=get("Result", "success"),
        active_since_s=get("ActiveEnterTimestampMonotonic", 0) / 1e6,
    )
    changed_us = get("StateChangeTimestampMonotonic", 0)
    return _Known(state, changed_us, time.monotonic() + _REMEMBER_S)


def _state(kind: type[_AnyState], name: str, value: str) -> _AnyState:
    try:
        return kind(value)
    except ValueError:
        raise UnitError(
            f"{name}: systemd reports the {kind.__name__} {value!r}, which this hubagent does not know; "
            f"update hubagent"
        ) from None
