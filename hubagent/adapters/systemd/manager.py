"""systemd over D-Bus (org.freedesktop.systemd1(5)).

A verb is done when systemd says how its job ended (JobRemoved): a unit's state alone cannot tell a failed
reload from a good one. Everything else that arrives by signal is only a hint to ask again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection
from typing import Any, Final

from gi.repository import Gio
from pydbus.bus import Bus

from hubagent.adapters.systemd import objects as objects
from hubagent.adapters.systemd.bus import SYSTEM_BUS, BusConnection, BusError, guarded
from hubagent.adapters.systemd.jobs import JobBoard, JobWaiter
from hubagent.adapters.systemd.states import UnitStates
from hubagent.errors import JobDeadlineError, UnitError
from hubagent.ports import JobResult, UnitState, UnitVerb

_LOG = logging.getLogger(__name__)

_CALL_TIMEOUT_S: Final = 10.0
_ASK_AGAIN_S: Final = 1.0
_ASK_TIMEOUT_S: Final = 2.0
_SIGNAL_ON_ITS_WAY_S: Final = 0.5

_METHODS: Final = {
    UnitVerb.START: "StartUnit",
    UnitVerb.STOP: "StopUnit",
    UnitVerb.RESTART: "RestartUnit",
    UnitVerb.RELOAD: "ReloadUnit",
}


class SystemdUnitManager:
    """`ports.UnitManager` on the system bus.

    `on_change` is called from another thread whenever something happened to one of the `watched` units, or to
    the connection. It may be called without cause, and must not block. `on_lost` is called each time the
    connection is gone and made anew. `on_wait` is called about once a second by who waits for a job: a sign of
    life, and the place to break off by an exception.
    """

    def __init__(
        self,
        *,
        address: str = SYSTEM_BUS,
        watched: Collection[str] = (),
        on_change: Callable[[], None] = lambda: None,
        on_lost: Callable[[], None] = lambda: None,
        on_wait: Callable[[], None] = lambda: None,
    ) -> None:
        self._watched = frozenset(watched)
        self._names = {objects.unit_path(name): name for name in self._watched}
        self._on_change = on_change
        self._jobs = JobBoard()
        self._states = UnitStates()
        self._on_lost = on_lost
        self._on_wait = on_wait
        self._connection = BusConnection(address, on_up=self._subscribe, on_down=self._lost)

    def _lost(self) -> None:
        self._on_lost()
        self._look_again()

    def unit(self, name: str) -> UnitState:
        return self._states.read(self._connection.bus(), name, timeout_s=_CALL_TIMEOUT_S)

    def run(self, verb: UnitVerb, name: str, *, timeout_s: float) -> JobResult:
        """LOST also when the connection broke while the verb was asked for: it may have been carried out."""
        deadline = time.monotonic() + timeout_s
        manager = objects.manager(self._connection.bus())
        queue = getattr(manager, _METHODS[verb])
        call_timeout_s = min(timeout_s, _CALL_TIMEOUT_S)
        try:
            with self._jobs.call():
                job = guarded(
                    f"cannot {verb.value} {name}", lambda: queue(name, "replace", timeout=call_timeout_s)
                )
                with self._jobs.waiter(job) as waiter:
                    return self._wait(waiter, job, deadline, f"{verb.value} of {name}", timeout_s)
        except BusError as error:
            if error.is_answer_lost:
                _LOG.warning("%s", str(error))
                return JobResult.LOST
            raise
        finally:
            self._states.forget(name)

    def reset_failed(self, name: str) -> None:
        manager = objects.manager(self._connection.bus())
        guarded(
            f"cannot reset the failed state of {name}",
            lambda: manager.ResetFailedUnit(name, timeout=_CALL_TIMEOUT_S),
        )
        self._states.forget(name)

    def close(self) -> None:
        self._connection.close()

    def _wait(self, waiter: JobWaiter, job: str, deadline: float, what: str, timeout_s: float) -> JobResult:
        """Until the signal arrives, or the job is gone without one, or the deadline has passed."""
        while (left_s := deadline - time.monotonic()) > 0:
            result = waiter.wait(min(left_s, _ASK_AGAIN_S))
            self._on_wait()
            if result is None and not self._is_queued(job):
                result = waiter.wait(_SIGNAL_ON_ITS_WAY_S) or JobResult.LOST.value
            if result is not None:
                return _job_result(what, result)
        self._cancel(job)
        raise JobDeadlineError(
            f"{what}: not finished within {timeout_s:g} s, and removed from systemd's queue; "
            f"`systemctl status` and the unit's log show what it waits for"
        )

    def _is_queued(self, job: str) -> bool:
        """Whether systemd still has the job; True when it cannot be asked now."""
        try:
            properties = objects.properties(self._connection.bus(), job)
            guarded(job, lambda: properties.Get(objects.JOB, "State", timeout=_ASK_TIMEOUT_S))
        except BusError as error:
            return error.remote_name != "org.freedesktop.DBus.Error.UnknownObject"
        return True

    def _cancel(self, job: str) -> None:
        """So that it does not run later, behind the back of whoever gave up on it."""
        try:
            manager = objects.manager(self._connection.bus())
            number = int(job.rpartition("/")[2])
            guarded(f"cannot cancel {job}", lambda: manager.CancelJob(number, timeout=_ASK_TIMEOUT_S))
        except BusError as error:
            _LOG.warning("%s", str(error))

    def _subscribe(self, bus: Any) -> None:
        """Before any call on this connection: a job's signal must not come before we listen."""
        self._on_signal(bus, objects.MANAGER_PATH, objects.MANAGER, "JobRemoved", self._job_removed)
        for signal in ("Reloading", "UnitFilesChanged"):
            self._on_signal(bus, objects.MANAGER_PATH, objects.MANAGER, signal, self._all_changed)
        for path in self._names:
            self._on_signal(bus, path, objects.PROPERTIES, "PropertiesChanged", self._unit_changed)
        bus.con.signal_subscribe(
            "org.freedesktop.DBus",
            "org.freedesktop.DBus",
            "NameOwnerChanged",
            "/org/freedesktop/DBus",
            objects.SYSTEMD,
            Gio.DBusSignalFlags.NONE,
            lambda connection, _sender, _path, _interface, _signal, values: self._systemd_moved(
                Bus(connection), values
            ),
        )
        self._ask_for_signals(bus)
        self._look_again()

    @staticmethod
    def _on_signal(
        bus: Any, path: str, interface: str, signal: str, react: Callable[[str, Any], None]
    ) -> None:
        # Not pydbus's subscribe: it turns all values of each signal into Python objects, wanted or not.
        bus.con.signal_subscribe(
            objects.SYSTEMD,
            interface,
            signal,
            path,
            None,
            Gio.DBusSignalFlags.NONE,
            lambda _con, _sender, path, _interface, _signal, values: react(path, values),
        )

    def _ask_for_signals(self, bus: Any) -> None:
        """systemd sends most of its signals only to connections that asked for them."""
        manager = objects.manager(bus)
        try:
            guarded(
                "cannot subscribe to systemd's signals", lambda: manager.Subscribe(timeout=_CALL_TIMEOUT_S)
            )
        except BusError as error:
            if error.remote_name != "org.freedesktop.systemd1.AlreadySubscribed":
                raise

    def _systemd_moved(self, bus: Any, values: Any) -> None:
        """systemd left the bus, or came back to it (daemon-reexec)."""
        _name, _old_owner, new_owner = values.unpack()
        if new_owner:
            try:
                self._ask_for_signals(bus)
            except BusError as error:
                _LOG.warning("%s", str(error))
        self._look_again()

    def _job_removed(self, _path: str, values: Any) -> None:
        _number, job, name, result = values.unpack()
        self._jobs.removed(job, result)
        if name in self._watched:
            self._states.forget(name)
            self._on_change()

    def _unit_changed(self, path: str, _values: Any) -> None:
        self._states.forget(self._names[path])
        self._on_change()

    def _all_changed(self, _path: str, _values: Any) -> None:
        self._look_again()

    def _look_again(self) -> None:
        self._states.forget()
        self._on_change()


def _job_result(what: str, value: str) -> JobResult:
    try:
        return JobResult(value)
    except ValueError:
        raise UnitError(f"{what}: systemd ended the job with {value!r}; see `systemctl status`") from None
