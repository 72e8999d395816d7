"""Would the candidate work? Asked of the real programs, in their own sandboxes, before anything is touched."""

from __future__ import annotations

from hubagent.converge.tools import Tools
from hubagent.errors import PreflightError, StorageError
from hubagent.ports import JobResult, UnitVerb
from hubagent.state.desired import HUB_FILE, NGINX_FILE, NGINX_MAIN_FILE, Desired, ManagedFile

_MIN_FREE_BYTES = 64 * 1024**2
_TEST_S = 45.0
NGINX_TEST = "hubagent-nginx-test@{}.service"
HUB_TEST = "hubagent-hub-test@{}.service"


class Preflight:
    """Checks of a staged generation; PreflightError names what is wrong."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    def disk(self) -> None:
        """Room for another generation, before it is written."""
        free = self._tools.files.free_bytes(self._tools.layout.state)
        if free < _MIN_FREE_BYTES:
            raise PreflightError(
                f"{self._tools.layout.state}: only {free // 1024**2} MiB free on this disk; "
                f"hubagent changes nothing below {_MIN_FREE_BYTES // 1024**2} MiB, make room"
            )

    def candidate(self, number: int, desired: Desired, previous: Desired | None) -> None:
        """Test what differs from the previous generation, as generation `number` on disk."""
        if _differ(desired, previous, NGINX_FILE, NGINX_MAIN_FILE):
            self._run(NGINX_TEST.format(number), "nginx-test.log", "nginx refuses the rendered configuration")
        if _differ(desired, previous, HUB_FILE):
            self._run(HUB_TEST.format(number), "hub-test.log", "JupyterHub refuses the settings")

    def programs(self, number: int) -> None:
        """Test whether the hub that is installed now would work with generation `number`, which is in force."""
        self._run(HUB_TEST.format(number), "hub-test.log", "the installed JupyterHub would not work")

    def _run(self, unit: str, log: str, what: str) -> None:
        result = self._tools.units.run(UnitVerb.START, unit, timeout_s=_TEST_S)
        if result is JobResult.DONE:
            return
        raise PreflightError(f"{what}: {self._log(log) or f'{unit} ended with {result.value}'}")

    def _log(self, name: str) -> str:
        try:
            state = self._tools.files.read(self._tools.layout.run / name, max_bytes=65536)
        except StorageError:
            return ""
        lines = state.content.decode(errors="replace").strip().splitlines() if state else []
        return "; ".join(lines[-3:])


def _differ(desired: Desired, previous: Desired | None, *paths: str) -> bool:
    if previous is None:
        return True
    return any(_file(desired, path) != _file(previous, path) for path in paths)


def _file(desired: Desired, path: str) -> ManagedFile | None:
    return next((file for file in desired.files if str(file.path) == path), None)
