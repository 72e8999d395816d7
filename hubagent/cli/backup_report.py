"""A backup in words, and as JSON."""

from __future__ import annotations

import time
from typing import Any

from hubagent.backup.manifest import Database, Manifest, to_json
from hubagent.backup.restoring import Restored
from hubagent.state.words import counted, size
from hubagent.text import clean

_SAFE = "This file contains all passwords and secrets of the server: protect it like the server itself."


def made_text(manifest: Manifest, *, name: str, packed: int) -> str:
    """What a backup is, after it was made; `packed` is the file's size in bytes."""
    return _lines(f"{name}: {size(packed)}, with {_contents(manifest)}.", *_left_out(manifest), _SAFE)


def checked_text(manifest: Manifest, *, name: str) -> str:
    """What a backup is that can be restored."""
    made = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(manifest.made_s))
    return _lines(
        f"{name}: complete, from {manifest.host}, made on {made} by hubagent {manifest.version}, "
        f"with {_contents(manifest)}.",
        *_left_out(manifest),
    )


def restored_text(restored: Restored) -> str:
    return _lines(
        f"Restored {_contents(restored.manifest)}, from {restored.manifest.host}.",
        *(f"Moved aside: {moved}." for moved in restored.moved_aside),
        *_left_out(restored.manifest),
    )


def made_json(manifest: Manifest, *, name: str, packed: int) -> dict[str, Any]:
    return {"file": name, "bytes": packed, "manifest": to_json(manifest)}


def restored_json(restored: Restored) -> dict[str, Any]:
    return {"manifest": to_json(restored.manifest), "moved_aside": list(restored.moved_aside)}


def _contents(manifest: Manifest) -> str:
    what = ["the configuration and its secrets"]
    if manifest.database is Database.SQLITE:
        what.append("the hub's database")
    if manifest.homes:
        what.append(counted(len(manifest.volumes), "home"))
    return f"{', '.join(what[:-1])} and {what[-1]} ({size(manifest.size)} of files)"


def _left_out(manifest: Manifest) -> list[str]:
    without = [] if manifest.homes else ["Users' homes are not in this file."]
    return [*without, *manifest.left_out]


def _lines(*lines: str) -> str:
    return "".join(f"{clean(line)}\n" for line in lines)
