"""Facts about the nginx of this machine: its versions, and workers that linger after a reload."""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path
from typing import Final

from hubagent.errors import PreflightError, TemporaryError
from hubagent.render.nginx import Version, parse_versions

_TIMEOUT_S: Final = 10.0
_TAIL_BYTES: Final = 16 * 1024
# "2026/11/23 00:59:34 [emerg] 85#85: bind() to 0.0.0.0:443 failed (98: Address already in use)", local time
_COMPLAINT: Final = re.compile(r"^(\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) \[emerg\] [\d#]+: (.+)$", re.MULTILINE)
_LIMIT: Final = re.compile(r"^\s*(worker_processes|worker_connections)\s+(auto|\d+)\s*;", re.MULTILINE)
_DEFAULT_LIMITS: Final = {"worker_processes": "1", "worker_connections": "512"}  # nginx's own
_OLD_WORKER: Final = b"nginx: worker process is shutting down"


class NginxFacts:
    """Asks the nginx binary, and /proc about its processes."""

    def __init__(
        self,
        binary: Path = Path("/usr/sbin/nginx"),
        pid_file: Path = Path("/run/nginx.pid"),
        error_log: Path = Path("/var/log/nginx/error.log"),
        main_file: Path = Path("/etc/nginx/nginx.conf"),
    ) -> None:
        self._binary = binary
        self._pid_file = pid_file
        self._error_log = error_log
        self._main_file = main_file
        self._known: tuple[tuple[int, int, int], tuple[Version, Version]] | None = None

    def versions(self) -> tuple[Version, Version]:
        """Of nginx and of the OpenSSL it runs with. Asked again when the binary is another one."""
        try:
            facts = os.stat(self._binary)
        except OSError as error:
            raise TemporaryError(f"{self._binary}: {error.strerror}; install the package nginx") from error
        identity = (facts.st_dev, facts.st_ino, facts.st_mtime_ns)
        if self._known is None or self._known[0] != identity:
            self._known = (identity, self._ask())
        return self._known[1]

    def old_workers(self) -> int:
        """Workers that were told to stop and still hold connections; 0 when nginx does not run."""
        try:
            master = int(self._pid_file.read_text())
            children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
        except (OSError, ValueError):
            return 0
        return sum(_title(child).startswith(_OLD_WORKER) for child in children)

    def connections(self) -> int | None:
        """Of all workers together, clients' and upstream ones. Files that the main one includes are not
        followed: both directives belong there, and Debian has them there."""
        try:
            text = self._main_file.read_text("utf-8", "replace")
        except OSError:
            return None
        limits = _DEFAULT_LIMITS | dict(_LIMIT.findall(text))
        workers = limits["worker_processes"]
        processes = os.cpu_count() or 1 if workers == "auto" else int(workers)
        return processes * int(limits["worker_connections"])

    def complaint(self, since_s: float) -> str | None:
        """The last [emerg] line of nginx's error log from `since_s` (unix seconds) on: why a reload had no
        effect, which no exit code tells."""
        try:
            with open(self._error_log, "rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL_BYTES))
                lines = _COMPLAINT.findall(log.read().decode(errors="replace"))
        except OSError:
            return None
        if not lines:
            return None
        when, what = lines[-1]
        logged_s = time.mktime(time.strptime(when, "%Y/%m/%d %H:%M:%S"))
        return str(what) if logged_s >= int(since_s) else None

    def _ask(self) -> tuple[Version, Version]:
        try:
            answer = subprocess.run(  # noqa: S603 (the fixed path of a system binary)
                [self._binary, "-V"], capture_output=True, text=True, timeout=_TIMEOUT_S, check=True
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise TemporaryError(f"{self._binary} -V: {error}; reinstall the package nginx") from error
        try:
            return parse_versions(answer.stderr)
        except PreflightError as error:
            raise TemporaryError(f"{self._binary}: {error}") from error


def _title(pid: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""  # it ended just now
