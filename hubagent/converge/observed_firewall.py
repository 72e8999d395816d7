"""The packet filter as the kernel holds it. The agent has no right to ask the kernel: hubagent-firewall.service
notes what it loaded, hubagent-firewall-watch.service what it finds there since."""

from __future__ import annotations

import hashlib
from typing import Final

from hubagent.converge.ports import Ports
from hubagent.layout import DOCKER, FIREWALL, FIREWALL_WATCH

_FOLDER: Final = "run/hubagent-firewall"
_NOTHING: Final = hashlib.sha256(b"").hexdigest()
"""Of a table that is not there."""


def loaded(ports: Ports) -> str | None:
    """The marker of the rules in the kernel; None when they are not those that were loaded, or nothing was."""
    return None if fault(ports) else _read(ports, "loaded") or None


def fault(ports: Ports) -> str:
    """What is wrong with the rules that were loaded, in words; empty when they are in the kernel as they were."""
    listing, held = _read(ports, "listing"), _read(ports, "held")
    if not listing or not held or held == listing:
        return ""
    if held == _NOTHING:
        return "the kernel's packet filter of users' containers is gone"
    return "the kernel's packet filter of users' containers was changed by hand"


def problems(ports: Ports, *, docker_answers: bool) -> tuple[str, ...]:
    """What is not hubagent's to put right, in words, with what to do."""
    found = []
    if _read(ports, "listing") and not _read(ports, "held"):
        found.append(
            f"{FIREWALL_WATCH} does not run, so nobody sees whether the rules of {FIREWALL} are still in the kernel:"
            f" systemctl start {FIREWALL_WATCH}"
        )
    if docker_answers and _read(ports, "docker") == "gone":
        found.append(
            "Docker's own rules in the packet filter are gone, as after `nft flush ruleset`: users' servers do not"
            f" reach the internet. systemctl restart {DOCKER} puts them back, and servers do not notice it"
        )
    return tuple(found)


def _read(ports: Ports, name: str) -> str:
    state = ports.files.read(ports.layout.root / _FOLDER / name, max_bytes=4096)
    return "" if state is None else state.content.decode("ascii", "replace").strip()
