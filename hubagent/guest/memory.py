"""Whether memory is short: the machine's, or that of this container.

A container sees the machine's own /proc/meminfo, so nobody has to tell it; proc(5). Its limit is in its control group,
which it sees at the top of its own tree; cgroups(7) has two versions.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

MACHINE_SHARE: Final = 0.1
"""The agent makes no slot when less than this of the machine's memory is free (hubagent.pool.policy)."""

OWN_SHARE: Final = 0.1
"""With less than this of its limit left, what a cell takes next may be the end of a kernel."""

_UNLIMITED: Final = 1 << 60
"""Version 1 says so by a number near 2^63."""

_GROUPS: Final = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_inactive_file"),
)
"""Limit, use, and what of the use can be taken back at once; of version 2, of version 1."""


def is_short(proc: Path = Path("/proc"), cgroup: Path = Path("/sys/fs/cgroup")) -> bool:
    """What cannot be read is taken to be enough."""
    return _of_machine(proc / "meminfo") or any(_of_group(cgroup, *names) for names in _GROUPS)


def _of_machine(meminfo: Path) -> bool:
    facts = _table(meminfo)
    total, available = facts.get("MemTotal:", 0), facts.get("MemAvailable:")
    return available is not None and available < total * MACHINE_SHARE


def _of_group(cgroup: Path, limit_name: str, use_name: str, cache_name: str) -> bool:
    limit, use = _number(cgroup / limit_name), _number(cgroup / use_name)
    if limit is None or use is None or not 0 < limit < _UNLIMITED:
        return False
    cache = _table((cgroup / use_name).with_name("memory.stat")).get(cache_name, 0)
    return limit - (use - cache) < limit * OWN_SHARE


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):  # version 2 says `max` where there is no limit
        return None


def _table(file: Path) -> Mapping[str, int]:
    """Lines of a name and a number, whatever its unit."""
    try:
        lines = [line.split() for line in file.read_text().splitlines()]
        return {words[0]: int(words[1]) for words in lines if len(words) >= 2 and words[1].isdigit()}
    except OSError:
        return {}
