"""A private connection to the system bus, kept up by a thread of its own.

pydbus's shared connection would end the process when dbus-daemon goes, and stays closed for ever after; a
private one is simply opened again. All signals arrive in the thread here, in a GLib context of its own, so
that no other part of the process needs a GLib main loop.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from gi.repository import Gio, GLib
from pydbus.bus import Bus

from hubagent.backoff import Backoff
from hubagent.errors import UnitError
from hubagent.threads import NamedThread

SYSTEM_BUS: Final = "unix:path=/run/dbus/system_bus_socket"

_LOG = logging.getLogger(__name__)

_BACKOFF: Final = Backoff(first_s=0.1, most_s=30.0)
_GRACE_S: Final = 2.0  # a caller waits so long for a connection that was lost just now
_JOIN_S: Final = 5.0


class BusError(UnitError):
    """A failed D-Bus call."""

    def __init__(self, message: str, *, remote_name: str | None = None, is_answer_lost: bool = False) -> None:
        super().__init__(message)
        self.remote_name = remote_name
        """The D-Bus name of the error, when the other side (or the bus) answered with one."""
        self.is_answer_lost = is_answer_lost
        """The connection or the recipient went away in the middle: the call may have been carried out."""


class BusConnection:
    """Opens the connection at first use and again, with growing pauses, whenever it is lost.

    `on_up` gets each new pydbus.Bus before anyone else, in the GLib thread: the place to subscribe.
    `on_down` is called in the same thread when that connection is lost.
    """

    def __init__(self, address: str, *, on_up: Callable[[Any], None], on_down: Callable[[], None]) -> None:
        self._address = address
        self._on_up = on_up
        self._on_down = on_down
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._context: Any = None
        self._bus: Any = None
        self._fault = "not connected yet"
        self._down_since = 0.0

    def bus(self) -> Any:
        """The pydbus.Bus in use; raises BusError when there is none now."""
        with self._changed:
            self._start()
            patience = self._down_since + _GRACE_S - time.monotonic()
            self._changed.wait_for(
                lambda: self._bus is not None or self._closing.is_set(), max(patience, 0.0)
            )
            if self._bus is None:
                raise BusError(
                    f"no connection to the system bus ({self._fault}); hubagent keeps trying, "
                    f"see `systemctl status dbus.service`"
                )
            return self._bus

    def close(self) -> None:
        with self._changed:
            self._closing.set()
            self._changed.notify_all()
            thread = self._thread
            if self._context is not None:
                self._context.wakeup()
        if thread is not None:
            thread.join(_JOIN_S)
        self._context = None

    def _start(self) -> None:
        if self._thread is None and not self._closing.is_set():
            self._down_since = time.monotonic()
            self._context = GLib.MainContext.new()
            # A daemon: a bus that accepts and then never answers must not keep the process from ending.
            self._thread = NamedThread(self._keep_connected, name="systemd-bus")
            self._thread.start()

    def _keep_connected(self) -> None:
        context = self._context
        context.push_thread_default()
        failures = 0
        while not self._closing.is_set():
            try:
                self._serve_once(context)
                failures = 0
            except (GLib.Error, UnitError) as error:
                with self._changed:
                    self._fault = error.message if isinstance(error, GLib.Error) else str(error)
                failures += 1
                self._closing.wait(_BACKOFF.delay_s(failures))
        context.pop_thread_default()

    def _serve_once(self, context: Any) -> None:
        """Connect, then dispatch signals until the connection is lost or nobody needs it any more."""
        bus = _connect(self._address)
        closed = threading.Event()
        bus.con.connect("closed", lambda *_: closed.set())
        try:
            self._on_up(bus)
            self._set_bus(bus)
            while not (closed.is_set() or self._closing.is_set()):
                context.iteration(True)  # noqa: FBT003 (GLib takes no names)
        finally:
            self._set_bus(None)
            _close(bus)
            while not closed.is_set():  # else the event stays in the context, and both for ever
                context.iteration(True)  # noqa: FBT003
        if not self._closing.is_set():
            _LOG.warning("lost the connection to the system bus; connecting again")
            self._on_down()

    def _set_bus(self, bus: Any) -> None:
        with self._changed:
            if self._bus is not None:
                self._fault = "the connection was lost"
                self._down_since = time.monotonic()
            self._bus = bus
            self._changed.notify_all()


def guarded(what: str, call: Callable[[], Any]) -> Any:
    """Make a D-Bus call; a GLib.Error becomes a BusError in words for a person."""
    try:
        return call()
    except GLib.Error as error:
        raise _bus_error(what, error) from error


def _bus_error(what: str, error: Any) -> BusError:
    name = Gio.DBusError.get_remote_error(error)
    text = error.message.removeprefix(f"GDBus.Error:{name}: ").rstrip(".")
    if name is None and error.matches(Gio.io_error_quark(), Gio.IOErrorEnum.TIMED_OUT):
        return BusError(f"{what}: systemd did not answer in time; see `systemctl list-jobs`")
    if name is None:
        return BusError(f"{what}: lost the connection to the system bus: {text}", is_answer_lost=True)
    is_answer_lost = name in ("org.freedesktop.DBus.Error.NoReply", "org.freedesktop.DBus.Error.Disconnected")
    advice = _ADVICE.get(name.rpartition(".")[2])
    message = f"{what}: {text}" + (f"; {advice}" if advice else "")
    return BusError(message, remote_name=name, is_answer_lost=is_answer_lost)


_ADVICE: Final = {
    "NoSuchUnit": "install the package that provides this unit",
    "LoadFailed": "look at the unit file with `systemctl status` and correct it",
    "BadUnitSetting": "look at the unit file with `systemctl status` and correct it",
    "UnitMasked": "the administrator masked this unit; `systemctl unmask` allows it again",
    "JobTypeNotApplicable": "this unit does not support this action",
    "OnlyByDependency": "this unit may not be started or stopped by hand",
    "TransactionIsDestructive": "another job conflicts with it; see `systemctl list-jobs`",
    "ShuttingDown": "the machine is shutting down",
    "AccessDenied": "run hubagent as root",
    "InteractiveAuthorizationRequired": "run hubagent as root",
    "ServiceUnknown": "systemd is not on the bus now; hubagent keeps trying",
    "NameHasNoOwner": "systemd is not on the bus now; hubagent keeps trying",
    "NoReply": "systemd was restarted or is very busy; hubagent tries again",
}


def _connect(address: str) -> Any:
    """As pydbus.connect does, but its Bus and connection hold each other: a lost one would keep its socket
    until the next garbage collection, which may be hours away."""
    flags = Gio.DBusConnectionFlags
    return Bus(
        Gio.DBusConnection.new_for_address_sync(
            address, flags.AUTHENTICATION_CLIENT | flags.MESSAGE_BUS_CONNECTION, None, None
        )
    )


def _close(bus: Any) -> None:
    try:
        bus.con.close_sync(None)
    except GLib.Error:
        return  # it is closed already
