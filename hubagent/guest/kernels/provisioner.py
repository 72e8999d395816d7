"""The kernel provisioner: a LocalProvisioner that takes a waiting process where one fits.

Imported by the user's server through the entry point `hubagent` in `entry`.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from pathlib import Path
from typing import Any, Final

from jupyter_client.provisioning import LocalProvisioner

from .companion import VARIABLE, running

_UNDERSTOOD: Final = frozenset({"cwd", "env", "kernel_id", "extra_arguments"})
_BOUND_S: Final = 1.0
_POLL_S: Final = 0.002
_LISTENS: Final = "0A"  # st in /proc/net/tcp, proc(5)
_PORTS: Final = ("shell_port", "iopub_port", "stdin_port", "control_port", "hb_port")


class WaitingKernelProvisioner(LocalProvisioner):  # type: ignore[misc]
    """Starts kernels as LocalProvisioner does, or hands over to a waiting one."""

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
        environment = dict(kwargs.get("env") or os.environ)
        environment.pop(VARIABLE, None)
        process = self._take(cmd, kwargs, environment)
        if process is None:
            return await super().launch_kernel(cmd, **{**kwargs, "env": environment})
        self.process = process
        self.pid = process.pid
        self.pgid = process.pid  # it leads a session of its own
        self.cwd = kwargs.get("cwd", Path.cwd())
        await self._bound()
        return self.connection_info

    def _take(
        self, cmd: list[str], kwargs: dict[str, Any], environment: dict[str, str]
    ) -> subprocess.Popen[bytes] | None:
        pool = running()
        if pool is None or any(value is not None for key, value in kwargs.items() if key not in _UNDERSTOOD):
            return None
        directory = os.path.abspath(kwargs.get("cwd") or os.getcwd())
        if not os.access(directory, os.X_OK):
            return None
        environment = {**environment, "JPY_PARENT_PID": str(os.getpid())}
        environment.pop("PYTHONEXECUTABLE", None)
        command = [os.path.expanduser(word) for word in cmd]
        spare = pool.take(command, directory, environment)
        return spare.process if spare else None

    async def _bound(self) -> None:
        """Wait until the kernel has bound its ports: a client that connects before that tries again only after
        100 ms (ZMQ_RECONNECT_IVL). Gives up after a while: then the client tries again, as it does without this.
        """
        if self.connection_info.get("transport", "tcp") != "tcp":
            return
        ports = {f"{int(self.connection_info[name]):04X}" for name in _PORTS}
        deadline_s = time.monotonic() + _BOUND_S
        while time.monotonic() < deadline_s and self.process and self.process.poll() is None:
            if ports <= _listening():
                return
            await asyncio.sleep(_POLL_S)


def _listening() -> set[str]:
    """Local TCP ports (four hex digits) that somebody listens on."""
    ports = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            words = line.split(maxsplit=4)
            if words[3] == _LISTENS:
                ports.add(words[1].rpartition(":")[2])
    return ports
