"""Facts about the nginx of this machine: its versions, and workers that linger after a reload."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Final

from hubagent.errors import TemporaryError

Version = tuple[int, int, int]

_TIMEOUT_S: Final = 10.0
_NGINX_VERSION: Final = re.compile(r"^nginx version: \S*?/(\d+)\.(\d+)\.(\d+)", re.MULTILINE)
# "built with OpenSSL 3.0.9 …", and if the library was updated since: "(running with OpenSSL 3.0.19 …)"
_SSL_VERSION: Final = re.compile(r"(?:built|running) with OpenSSL (\d+)\.(\d+)\.(\d+)")
_OLD_WORKER: Final = b"nginx: worker process is shutting down"


class NginxFacts:
    """Asks the nginx binary, and /proc about its processes."""

    def __init__(
        self, binary: Path = Path("/usr/sbin/nginx"), pid_file: Path = Path("/run/nginx.pid")
    ) -> None:
        self._binary = binary
        self._pid_file = pid_file
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

    def _ask(self) -> tuple[Version, Version]:
        try:
            answer = subprocess.run(  # noqa: S603 (the fixed path of a system binary)
                [self._binary, "-V"], capture_output=True, text=True, timeout=_TIMEOUT_S, check=True
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise TemporaryError(f"{self._binary} -V: {error}; reinstall the package nginx") from error
        nginx = _NGINX_VERSION.findall(answer.stderr)
        ssl = _SSL_VERSION.findall(answer.stderr)
        if not nginx or not ssl:
            raise TemporaryError(
                f"{self._binary} -V: names no version of nginx with OpenSSL; install Debian's package nginx"
            )
        return _version(nginx[0]), _version(ssl[-1])


def _version(parts: tuple[str, str, str]) -> Version:
    return int(parts[0]), int(parts[1]), int(parts[2])


def _title(pid: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""  # it ended just now
