"""A systemd that tests script."""

from __future__ import annotations

import dataclasses
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from hubagent.errors import JobDeadlineError, UnitError
from hubagent.ports import ActiveState, JobResult, LoadState, UnitState, UnitVerb
from tests.fakes.clock import ManualClock

Effect = Callable[[UnitVerb], object]


@dataclass(frozen=True, slots=True)
class _Fault:
    """How one job departs from the usual."""

    result: JobResult = JobResult.DONE
    delay_s: float = 0.0
    never: bool = False
    is_carried_out: bool = True
    ended: str = "exit-code"


class FakeUnitManager:
    """`ports.UnitManager` over plain values.

    Units are given as UnitState, or as their ActiveState alone. Everything works until a fault is scripted:
    `fail`, `hang`, `delay`, `lose` say how the next job (the next `times` jobs) of a verb on a unit goes;
    `disconnect` takes the bus away. `on` runs a function after a job was carried out: what the service does
    when it starts or reloads. `journal` holds every call, e.g. ("reload", "nginx.service").
    """

    def __init__(
        self,
        units: Mapping[str, UnitState | ActiveState] | None = None,
        *,
        without_reload: Collection[str] = (),
        clock: ManualClock | None = None,
        on_wait: Callable[[], None] = lambda: None,
    ) -> None:
        self.clock = clock or ManualClock()
        self.on_wait = on_wait
        self.journal: list[tuple[str, str]] = []
        self._without_reload = frozenset(without_reload)
        self._units: dict[str, UnitState] = {}
        self._faults: dict[tuple[UnitVerb, str], deque[_Fault]] = defaultdict(deque)
        self._effects: dict[str, list[Effect]] = defaultdict(list)
        self._next_pid = 100
        self._is_connected = True
        for name, unit in (units or {}).items():
            self._add(name, unit)

    # What the agent calls.

    def unit(self, name: str) -> UnitState:
        self._call("unit", name)
        absent = UnitState(name, LoadState.NOT_FOUND, ActiveState.INACTIVE, sub="dead")
        return self._units.get(name, absent)

    def run(self, verb: UnitVerb, name: str, *, timeout_s: float) -> JobResult:
        self._call(verb.value, name)
        self._refuse_impossible(verb, name)
        queue = self._faults[verb, name]
        fault = queue.popleft() if queue else _Fault()
        if fault.never or fault.delay_s > timeout_s:
            if verb is UnitVerb.START:
                self.change(name, active=ActiveState.ACTIVATING, sub="start")
            self._wait(timeout_s)
            raise JobDeadlineError(f"{verb.value} of {name}: not finished within {timeout_s:g} s")
        self._wait(fault.delay_s)
        if fault.result in (JobResult.DONE, JobResult.LOST):
            if fault.is_carried_out:
                self._carry_out(verb, name)
        elif verb in (UnitVerb.START, UnitVerb.RESTART) and fault.result is not JobResult.CANCELED:
            self.crash(name, result=fault.ended)
        return fault.result

    def reset_failed(self, name: str) -> None:
        self._call("reset-failed", name)
        unit = self._loaded(name)
        active = ActiveState.INACTIVE if unit.active is ActiveState.FAILED else unit.active
        self.change(name, active=active, result="success", restarts=0)

    def close(self) -> None:
        self.journal.append(("close", ""))

    # What tests script.

    def change(self, name: str, **changes: Any) -> None:
        """Set fields of a unit's state, as if it had happened outside."""
        self._units[name] = dataclasses.replace(self._units[name], **changes)

    def add(self, name: str, unit: UnitState | ActiveState = ActiveState.INACTIVE) -> None:
        """A package brought this unit."""
        self._add(name, unit)

    def mask(self, name: str) -> None:
        self.change(name, load=LoadState.MASKED)

    def crash(self, name: str, *, result: str = "exit-code") -> None:
        """The main process is gone and systemd gave up on it; `result` says how it ended."""
        self.change(name, active=ActiveState.FAILED, sub="failed", main_pid=0, result=result)

    def kill(self, name: str) -> None:
        """Somebody killed the main process, and systemd will start it again (Restart=always)."""
        self.change(name, active=ActiveState.ACTIVATING, sub="auto-restart", main_pid=0, result="signal")

    def restart_by_itself(self, name: str) -> None:
        """The service crashed and systemd started it again (Restart=always)."""
        self._enter_active(name, restarts=self._units[name].restarts + 1)

    def on(self, name: str, effect: Effect) -> None:
        """Call effect(verb) whenever a job on this unit was carried out."""
        self._effects[name].append(effect)

    def fail(
        self,
        verb: UnitVerb,
        name: str,
        result: JobResult = JobResult.FAILED,
        *,
        times: int = 1,
        ended: str = "exit-code",
    ) -> None:
        """`ended` is the unit's Result when a start fails."""
        self._script(verb, name, _Fault(result=result, ended=ended), times)

    def hang(self, verb: UnitVerb, name: str, *, times: int = 1) -> None:
        """The job does not end before the caller's deadline."""
        self._script(verb, name, _Fault(never=True), times)

    def delay(self, verb: UnitVerb, name: str, seconds: float, *, times: int = 1) -> None:
        self._script(verb, name, _Fault(delay_s=seconds), times)

    def lose(self, verb: UnitVerb, name: str, *, is_carried_out: bool, times: int = 1) -> None:
        """The connection breaks in the middle; the job may have been carried out all the same."""
        self._script(verb, name, _Fault(result=JobResult.LOST, is_carried_out=is_carried_out), times)

    def heal(self) -> None:
        """Whatever was scripted and has not happened yet will not happen."""
        self._faults.clear()
        self._is_connected = True

    def disconnect(self) -> None:
        self._is_connected = False

    def reconnect(self) -> None:
        self._is_connected = True

    def is_active(self, name: str) -> bool:
        """Whether it really runs, whoever can be asked about that."""
        return self._units[name].active is ActiveState.ACTIVE

    def verbs(self, name: str | None = None) -> list[tuple[str, str]]:
        """The journal without the reading calls; of one unit, if named."""
        return [
            entry for entry in self.journal if entry[0] not in ("unit", "close") and name in (None, entry[1])
        ]

    def _add(self, name: str, unit: UnitState | ActiveState) -> None:
        if isinstance(unit, UnitState):
            self._units[name] = unit
            return
        self._units[name] = UnitState(name, LoadState.LOADED, ActiveState.INACTIVE, sub="dead")
        if unit is ActiveState.ACTIVE:
            self._enter_active(name)
        else:
            self.change(name, active=unit, sub="failed" if unit is ActiveState.FAILED else "dead")

    def _wait(self, seconds: float) -> None:
        """With a sign of life each second."""
        end_s = self.clock.monotonic() + seconds
        while (left_s := end_s - self.clock.monotonic()) > 1e-9:
            self.clock.advance(min(left_s, 1.0))
            self.on_wait()

    def _script(self, verb: UnitVerb, name: str, fault: _Fault, times: int) -> None:
        self._faults[verb, name].extend([fault] * times)

    def _call(self, what: str, name: str) -> None:
        self.journal.append((what, name))
        if not self._is_connected:
            raise UnitError("no connection to the system bus (it was lost); hubagent keeps trying")

    def _loaded(self, name: str) -> UnitState:
        unit = self._units.get(name)
        if unit is None or unit.load is LoadState.NOT_FOUND:
            raise UnitError(f"{name}: Unit {name} not found; install the package that provides this unit")
        return unit

    def _refuse_impossible(self, verb: UnitVerb, name: str) -> None:
        unit = self._loaded(name)
        if unit.load is LoadState.MASKED and verb is not UnitVerb.STOP:
            raise UnitError(f"cannot {verb.value} {name}: Unit {name} is masked")
        if verb is UnitVerb.RELOAD and name in self._without_reload:
            raise UnitError(f"cannot reload {name}: Job type reload is not applicable for unit {name}")

    def _carry_out(self, verb: UnitVerb, name: str) -> None:
        is_active = self._units[name].active is ActiveState.ACTIVE
        if verb is UnitVerb.RESTART or (verb is UnitVerb.START and not is_active):
            self._enter_active(name)
        elif verb is UnitVerb.STOP and self._units[name].active is ActiveState.ACTIVATING:
            self.crash(name, result="signal")
        elif verb is UnitVerb.STOP:
            self.change(name, active=ActiveState.INACTIVE, sub="dead", main_pid=0)
        for effect in self._effects[name]:
            effect(verb)

    def _enter_active(self, name: str, *, restarts: int = 0) -> None:
        self._next_pid += 1
        self.change(
            name,
            active=ActiveState.ACTIVE,
            sub="running",
            main_pid=self._next_pid,
            restarts=restarts,
            result="success",
            active_since_s=self.clock.monotonic(),
        )
