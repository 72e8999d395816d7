"""Notebooks in a home: an empty one for whoever begins, and the one that was changed last.

Whoever begins ten times and writes nothing finds one empty notebook, not ten: what is empty still is taken again, and
gets the name of the day.
"""

from __future__ import annotations

import datetime
import json
import os
import re
import time
import uuid
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

EMPTY_BYTES: Final = 16 * 1024
"""An empty notebook is smaller, whatever JupyterLab adds when it saves one."""

READ_BYTES: Final = 4 * 1024**2
"""Of a larger notebook nobody waits to hear which kernel it wants."""

ENTRIES: Final = 50_000
"""So many files and folders are looked at for the last notebook, the upper ones first: a home may hold data sets."""

LOOK_S: Final = 2.0
"""For so long, too: it may lie behind a slow network (seconds)."""

MOST: Final = 1000
"""New notebooks of one day."""

_OWN: Final = re.compile(r"notebook-(\d{4}-\d\d-\d\d)(?:-([1-9]\d{0,3}))?\.ipynb", re.ASCII)
_SUFFIX: Final = ".ipynb"
_PACKAGES: Final = frozenset({"site-packages", "node_modules"})
"""Folders in which notebooks are those of other people."""

_OF_A_KERNEL: Final = frozenset({"kernelspec", "language_info"})
_MOUNT_POINT: Final = 4  # field of /proc/PID/mountinfo, proc(5), counted from 0


@dataclass(frozen=True)
class Kernel:
    """As a kernelspec has it, and a notebook's metadata."""

    name: str
    display_name: str
    language: str


def new(root: Path, kernel: Kernel | None, in_use: Collection[str], today: datetime.date) -> str:
    """The name of an empty notebook in `root`; it is there when this returns. `in_use` are paths that kernels run for:
    those stay as they are. Raises OSError."""
    found = max(_untouched(root), key=lambda name: (name in in_use, _order(name)), default=None)
    if found is None:
        return _made(root, kernel, today)
    if found in in_use:
        return found
    return _renewed(root, found, kernel, today)


def _made(root: Path, kernel: Kernel | None, today: datetime.date) -> str:
    for name in _names(today):
        try:
            with open(root / name, "x", encoding="utf-8") as file:
                file.write(_content(kernel))
        except FileExistsError:
            continue
        return name
    raise FileExistsError(f"{root} has {MOST} notebooks of {today}")


def _renewed(root: Path, name: str, kernel: Kernel | None, today: datetime.date) -> str:
    """An empty notebook of another day, or for another kernel, made one of today's."""
    if _kernel_of(_read(root / name, EMPTY_BYTES)) != (None if kernel is None else kernel.name):
        beside = root / f".{name}.new"
        beside.write_text(_content(kernel), encoding="utf-8")
        os.replace(beside, root / name)
    if _day(name) == today.isoformat():
        return name
    for other in _names(today):
        try:
            os.link(root / name, root / other)  # unlike a renaming, never over what is there
        except FileExistsError:
            continue
        except OSError:  # a file system without links
            return name
        os.unlink(root / name)
        return other
    return name


def _names(day: datetime.date) -> Iterator[str]:
    yield f"notebook-{day.isoformat()}{_SUFFIX}"
    for number in range(2, MOST + 1):
        yield f"notebook-{day.isoformat()}-{number}{_SUFFIX}"


def _day(name: str) -> str:
    found = _OWN.fullmatch(name)
    return found[1] if found else ""


def _order(name: str) -> tuple[str, int]:
    found = _OWN.fullmatch(name)
    return (found[1], int(found[2] or 1)) if found else ("", 0)


def _untouched(root: Path) -> Iterator[str]:
    """Names of those that were made here and in which nobody has written."""
    with os.scandir(root) as entries:
        own = [one.name for one in entries if _OWN.fullmatch(one.name) and one.is_file(follow_symlinks=False)]
    for name in own:
        notebook = _read(root / name, EMPTY_BYTES)
        if notebook is not None and _is_empty(notebook):
            yield name


def _is_empty(notebook: Mapping[str, Any]) -> bool:
    cells, metadata = notebook.get("cells"), notebook.get("metadata")
    if not isinstance(cells, list) or not isinstance(metadata, dict) or metadata.keys() - _OF_A_KERNEL:
        return False
    return all(
        isinstance(cell, dict)
        and not "".join(cell.get("source") or ()).strip()
        and not cell.get("outputs")
        and not cell.get("attachments")
        for cell in cells
    )


def _content(kernel: Kernel | None) -> str:
    metadata: dict[str, object] = {}
    if kernel is not None:
        metadata["kernelspec"] = {
            "display_name": kernel.display_name,
            "language": kernel.language,
            "name": kernel.name,
        }
        metadata["language_info"] = {"name": kernel.language}
    cell: dict[str, object] = {
        "cell_type": "code",
        "execution_count": None,
        "id": uuid.uuid4().hex[:8],
        "metadata": {},
        "outputs": [],
        "source": [],
    }
    notebook = {"cells": [cell], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(notebook, indent=1) + "\n"


def kernel_wanted(file: Path) -> str | None:
    """The name of the kernel that a notebook was last used with; None when it does not say, or is very large."""
    return _kernel_of(_read(file, READ_BYTES))


def _kernel_of(notebook: Mapping[str, Any] | None) -> str | None:
    metadata = None if notebook is None else notebook.get("metadata")
    spec = metadata.get("kernelspec") if isinstance(metadata, dict) else None
    name = spec.get("name") if isinstance(spec, dict) else None
    return name if isinstance(name, str) else None


def _read(file: Path, most_bytes: int) -> Mapping[str, Any] | None:
    """None for what is too large, gone or no notebook."""
    try:
        with open(file, "rb") as content:
            data = content.read(most_bytes + 1)
        notebook = json.loads(data) if len(data) <= most_bytes else None
    except (OSError, ValueError, RecursionError):
        return None
    return notebook if isinstance(notebook, dict) else None


def last(root: Path, *, entries: int = ENTRIES, look_s: float = LOOK_S) -> str | None:
    """The path, from `root`, of the notebook that was changed last; None when there is none.

    Only what is the user's own: not what is mounted in the home, where others or nobody writes, no hidden folder, no
    packages. A link may lead anywhere, and is left out.
    """
    end_s = time.monotonic() + look_s
    mounts = _mounted_below(root)
    found: tuple[float, str] | None = None
    folders = deque([""])
    while folders and entries > 0 and time.monotonic() < end_s:
        folder = folders.popleft()
        for entry in _entries(root / folder):
            entries -= 1
            path = f"{folder}/{entry.name}" if folder else entry.name
            if entry.name.startswith(".") or entry.is_symlink():
                continue
            if entry.is_dir(follow_symlinks=False):
                if entry.name not in _PACKAGES and path not in mounts:
                    folders.append(path)
            elif entry.name.endswith(_SUFFIX) and path not in mounts:
                changed = _changed(entry)
                if changed is not None and (found is None or changed > found[0]):
                    found = changed, path
    return None if found is None else found[1]


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:  # gone, or not for us
        return []


def _changed(entry: os.DirEntry[str]) -> float | None:
    try:
        facts = entry.stat(follow_symlinks=False)
    except OSError:
        return None
    return facts.st_mtime if facts.st_size else None


def _mounted_below(root: Path) -> frozenset[str]:
    """Paths from `root` at which something else is mounted; a folder of the same disk has the same device."""
    top = f"{os.path.realpath(root)}/"
    try:
        lines = Path("/proc/self/mountinfo").read_bytes().splitlines()
    except OSError:
        return frozenset()
    points = [os.fsdecode(_unescaped(line.split(b" ")[_MOUNT_POINT])) for line in lines]
    return frozenset(point.removeprefix(top) for point in points if point.startswith(top))


def _unescaped(field: bytes) -> bytes:
    """Blanks and such are written as three octal digits there."""
    return re.sub(rb"\\([0-7]{3})", lambda found: bytes([int(found[1], 8)]), field)
