"""What a unit's processes wrote to the journal."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

_JOURNALCTL: Final = Path("/usr/bin/journalctl")
_TIMEOUT_S: Final = 10.0
_MOST_LINES: Final = 300
_MOST_BYTES: Final = 256 * 1024


def lines_of(unit: str, since_s: float, *, journalctl: Path = _JOURNALCTL) -> tuple[str, ...]:
    """The last lines from `since_s` (unix seconds) on, oldest first, without what systemd says of the unit itself.
    Empty when there are none, or the journal cannot be read: it only explains a fault that is known already."""
    command = [
        str(journalctl),
        "--quiet",
        "--no-pager",
        "--output=cat",
        f"--since=@{int(since_s)}",
        f"--lines={_MOST_LINES}",
        f"_SYSTEMD_UNIT={unit}",
    ]
    try:
        said = subprocess.run(  # noqa: S603 (the fixed path of a system binary)
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=_TIMEOUT_S, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(said[-_MOST_BYTES:].decode(errors="replace").splitlines())
