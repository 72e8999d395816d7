"""When what waits in a user's server gives its memory back: files as proc(5) and cgroups(7) have them."""

from __future__ import annotations

from pathlib import Path

import pytest

from hubagent.guest import memory
from hubagent.pool.policy import RESERVE_SHARE

GIB = 1024**3
NO_LIMIT = 9223372036854771712


def machine(folder: Path, *, total: int, available: int) -> Path:
    (folder / "meminfo").write_text(
        f"MemTotal:       {total // 1024} kB\nMemFree:          100 kB\nMemAvailable:   {available // 1024} kB\n"
        "HugePages_Total:       0\n"
    )
    return folder


def group(folder: Path, version: int, *, limit: str, used: int, cache: int = 0) -> Path:
    files = {
        1: ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_inactive_file"),
        2: ("memory.max", "memory.current", "inactive_file"),
    }[version]
    (folder / "memory").mkdir(exist_ok=True)
    (folder / files[0]).write_text(f"{limit}\n")
    (folder / files[1]).write_text(f"{used}\n")
    (folder / files[0]).with_name("memory.stat").write_text(f"anon 12\n{files[2]} {cache}\n")
    return folder


@pytest.mark.parametrize(("available", "short"), [(8 * GIB, False), (1 * GIB, True)])
def test_the_machines_memory(tmp_path: Path, available: int, short: bool) -> None:
    proc = machine(tmp_path, total=16 * GIB, available=available)
    assert memory.is_short(proc, tmp_path / "none") is short


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(
    ("limit", "used", "cache", "short"),
    [
        (str(4 * GIB), 3 * GIB, 0, False),
        (str(4 * GIB), 4 * GIB - 1024**2, 0, True),
        (str(4 * GIB), 4 * GIB - 1024**2, 2 * GIB, False),  # files that can be read again
        ("max", 60 * GIB, 0, False),
        (str(NO_LIMIT), 60 * GIB, 0, False),
        ("0", 0, 0, False),
    ],
)
def test_the_containers_own(
    tmp_path: Path, version: int, limit: str, used: int, cache: int, short: bool
) -> None:
    found = group(tmp_path, version, limit=limit, used=used, cache=cache)
    assert memory.is_short(tmp_path / "none", found) is short


def test_what_cannot_be_read_is_enough(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("what is this\n\x00")
    assert not memory.is_short(tmp_path, tmp_path)


def test_the_machine_itself_can_be_read() -> None:
    assert memory.is_short() in (True, False)
    assert memory._table(Path("/proc/meminfo"))["MemAvailable:"] > 0


def test_slots_are_made_from_what_servers_leave_and_not_the_other_way_round() -> None:
    """A slot is not made with less than this, so that memory which a spare gave back does not become a slot's."""
    assert memory.MACHINE_SHARE == RESERVE_SHARE
