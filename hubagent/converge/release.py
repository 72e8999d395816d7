"""Which build of a service's programs runs, and which is installed: an upgrade leaves the running one alone.

Packages carry a file `release` (packaging/release.sh) with version and hash of their programs. A service copies
it into its `loaded` file, below the marker of its settings, when it starts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_RELEASE = re.compile(r"([0-9A-Za-z.+~:-]{1,64}) ([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Release:
    """One build of a package."""

    version: str
    digest: str  # hex sha256 over its files: another version with the same files is no other release


def parse(text: str) -> Release | None:
    """One line of a `release` file; None when it is none."""
    match = _RELEASE.fullmatch(text.strip())
    return Release(match[1], match[2]) if match else None


def behind(running: Release | None, installed: Release | None, *, agent_version: str) -> str:
    """What is old, in words; empty when nothing is.

    Nothing is said of an installed release that is not of the agent's own version: then an upgrade is under
    way, and what it brings together belongs together.
    """
    if installed is None or installed.version != agent_version:
        return ""
    if running is not None and running.digest == installed.digest:
        return ""
    if running is None or running.version == installed.version:
        return f"runs an older build than the installed {installed.version}"
    return f"runs {running.version}, {installed.version} is installed"
