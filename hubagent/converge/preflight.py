"""Would the candidate work? Asked of the real programs, in their own sandboxes, before anything is touched."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from hubagent.converge.complaint import first_error, secrets_in
from hubagent.converge.ports import Ports
from hubagent.converge.retry import Allowance
from hubagent.errors import DeadlineError, JobDeadlineError, PreflightError, StorageError, UnitError
from hubagent.layout import HUB_TEST, NGINX_TEST
from hubagent.limits import EDIT_NEEDS_BYTES
from hubagent.ports import ActiveState, JobResult, UnitVerb
from hubagent.render.generation import (
    HUB_FILE,
    HUB_SECRETS_FILE,
    NGINX_FILE,
    NGINX_MAIN_FILE,
    Desired,
    ManagedFile,
)

_STOP_S = 30.0
_NOT_BY_ITSELF = ("signal", "core-dump", "oom-kill", "watchdog", "resources")
"""Results of a unit that say nothing about what its program was asked (systemd.exec(5), $SERVICE_RESULT)."""


@dataclass(frozen=True, slots=True)
class _Test:
    """A program asked by a unit of its own; that unit's own time limit is longer than any that is set here."""

    unit: str
    log: str  # in Layout.run
    of: str  # what is tested, in words
    allowance: Allowance


class Preflight:
    """Checks of a staged generation. PreflightError says what is wrong with it, as the program itself put it. A test
    that took too long (DeadlineError), or was ended by others (UnitError), says nothing about it."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._nginx = _Test(
            NGINX_TEST, "nginx-test.log", "nginx's configuration", Allowance(20.0, most_s=160.0)
        )
        self._hub = _Test(HUB_TEST, "hub-test.log", "JupyterHub's settings", Allowance(40.0, most_s=320.0))

    def disk(self) -> None:
        """Room for another generation, before it is written."""
        free = self._ports.files.free_bytes(self._ports.layout.state)
        if free < EDIT_NEEDS_BYTES:
            raise PreflightError(
                f"{self._ports.layout.state}: only {free // 1024**2} MiB free on this disk; "
                f"hubagent changes nothing below {EDIT_NEEDS_BYTES // 1024**2} MiB, make room"
            )

    def candidate(self, number: int, desired: Desired, previous: Desired | None) -> None:
        """Test what differs from the previous generation, as generation `number` on disk."""
        if _differ(desired, previous, NGINX_FILE, NGINX_MAIN_FILE):
            self._run(self._nginx, number, "nginx refuses the rendered configuration")
        if _differ(desired, previous, HUB_FILE):
            secrets = secrets_in(desired.file(HUB_SECRETS_FILE).content)
            self._run(self._hub, number, "JupyterHub refuses the settings", secrets)

    def programs(self, number: int) -> None:
        """Test whether the hub that is installed now would work with generation `number`, which is in force."""
        self._run(self._hub, number, "the installed JupyterHub would not work")

    def _run(self, test: _Test, number: int, refusal: str, secrets: tuple[str, ...] = ()) -> None:
        unit, clock = test.unit.format(number), self._ports.clock
        # One is still under way when the agent was ended in the middle of it.
        if self._ports.units.unit(unit).active is ActiveState.ACTIVATING:
            self._end(unit)
        begun_s = clock.monotonic()
        try:
            result = self._ports.units.run(UnitVerb.START, unit, timeout_s=test.allowance.allowed_s)
        except JobDeadlineError as error:
            self._end(unit)
            too_long = f"the test of {test.of} took {test.allowance.ran_out('longer than')}"
            raise DeadlineError(too_long) from error
        if result is JobResult.DONE:
            test.allowance.met(clock.monotonic() - begun_s)
            return
        ended = self._how_it_ended(unit)
        if ended == "timeout":  # by the unit's own limit
            raise DeadlineError(f"the test of {test.of} took {test.allowance.ran_out('longer than')}")
        if result is not JobResult.FAILED or ended in _NOT_BY_ITSELF:
            how = ended if result is JobResult.FAILED else result.value
            raise UnitError(f"the test of {test.of} did not finish ({how}); see journalctl -u {unit} -n 50")
        words = first_error(self._log(test.log), secrets)
        raise PreflightError(f"{refusal}: {words or f'{unit} ended with {result.value}'}")

    def _end(self, unit: str) -> None:
        """So that it burns no processor, and answers no other question than it was asked. systemd ends it in the end,
        whatever happens here; one that was ended counts as failed."""
        with contextlib.suppress(UnitError):
            self._ports.units.run(UnitVerb.STOP, unit, timeout_s=_STOP_S)
            self._ports.units.reset_failed(unit)

    def _how_it_ended(self, unit: str) -> str:
        """systemd's Result of a unit that failed, which is not kept any longer."""
        ended = self._ports.units.unit(unit).result
        with contextlib.suppress(UnitError):
            self._ports.units.reset_failed(unit)
        return ended

    def _log(self, name: str) -> tuple[str, ...]:
        try:
            state = self._ports.files.read(self._ports.layout.run / name, max_bytes=65536)
        except StorageError:
            return ()
        return tuple(state.content.decode(errors="replace").splitlines()) if state else ()


def _differ(desired: Desired, previous: Desired | None, *paths: str) -> bool:
    if previous is None:
        return True
    return any(_file(desired, path) != _file(previous, path) for path in paths)


def _file(desired: Desired, path: str) -> ManagedFile | None:
    return next((file for file in desired.files if str(file.path) == path), None)
