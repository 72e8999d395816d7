"""The packet filter as the kernel holds it. The agent has no right to ask the kernel: hubagent-firewall.service
notes what it loaded, hubagent-firewall-watch.service what it finds there since."""

from __future__ import annotations

import hashlib
from typing import Final

from hubagent.converge.tools import Tools
from hubagent.layout import FIREWALL, FIREWALL_WATCH

_FOLDER: Final = "run/hubagent-firewall"
_NOTHING: Final = hashlib.sha256(b"").hexdigest()
"""Of a table that is not there."""


def loaded(tools: Tools) -> str | None:
    """The marker of the rules in the kernel; None when they are not those that were loaded, or nothing was."""
    return None if fault(tools) else _read(tools, "loaded") or None


def fault(tools: Tools) -> str:
    """What is wrong with the rules that were loaded, in words; empty when they are in the kernel as they were."""
    listing, held = _read(tools, "listing"), _read(tools, "held")
    if not listing or not held or held == listing:
        return ""
    if held == _NOTHING:
        return "the kernel's packet filter of users' containers is gone"
    return "the kernel's packet filter of users' containers was changed by hand"


def problems(tools: Tools) -> tuple[str, ...]:
    """That nobody watches, in words, with what to do."""
    if not _read(tools, "listing") or _read(tools, "held"):
        return ()
    return (
        f"{FIREWALL_WATCH} does not run, so nobody sees whether the rules of {FIREWALL} are still in the kernel:"
        f" systemctl start {FIREWALL_WATCH}",
    )


def _read(tools: Tools, name: str) -> str:
    state = tools.files.read(tools.layout.root / _FOLDER / name, max_bytes=4096)
    return "" if state is None else state.content.decode("ascii", "replace").strip()
