"""systemd's objects on the bus: names, paths, and pydbus proxies for the methods in use.

Asking systemd to describe itself costs 8 ms for each object, and pydbus 0.6.0 fails on descriptions that
leave `direction` out; so the few methods are declared here.
"""

from __future__ import annotations

import functools
from typing import Any, Final
from xml.etree import ElementTree

from pydbus.proxy import Interface

SYSTEMD: Final = "org.freedesktop.systemd1"
MANAGER_PATH: Final = "/org/freedesktop/systemd1"
MANAGER: Final = "org.freedesktop.systemd1.Manager"
UNIT: Final = "org.freedesktop.systemd1.Unit"
JOB: Final = "org.freedesktop.systemd1.Job"
PROPERTIES: Final = "org.freedesktop.DBus.Properties"

_UNIT_FOLDER: Final = f"{MANAGER_PATH}/unit/"

_SIGNATURES: Final = {  # method: types in, types out
    MANAGER: {
        "StartUnit": ("ss", "o"),
        "StopUnit": ("ss", "o"),
        "RestartUnit": ("ss", "o"),
        "ReloadUnit": ("ss", "o"),
        "CancelJob": ("u", ""),
        "ResetFailedUnit": ("s", ""),
        "Subscribe": ("", ""),
    },
    PROPERTIES: {"Get": ("ss", "v")},
}


def _declared(interface: str) -> Any:
    """The class of pydbus's proxies for these methods."""
    parent = ElementTree.Element("interface", name=interface)
    for method, (types_in, types_out) in _SIGNATURES[interface].items():
        child = ElementTree.SubElement(parent, "method", name=method)
        for direction, types in (("in", types_in), ("out", types_out)):
            for letter in types:
                ElementTree.SubElement(child, "arg", type=letter, direction=direction)
    return Interface(parent)


_Manager: Final = _declared(MANAGER)
_Properties: Final = _declared(PROPERTIES)


def manager(bus: Any) -> Any:
    """Proxy of systemd's manager on this pydbus.Bus."""
    return _proxy(_Manager, bus, MANAGER_PATH)


def properties(bus: Any, path: str) -> Any:
    """Proxy of the properties of one unit or job."""
    return _proxy(_Properties, bus, path)


def _proxy(kind: Any, bus: Any, path: str) -> Any:
    # Without a whole that it is a part of (for signals, unused here) it would be its own, and hold itself, the
    # bus and the socket until the next garbage collection.
    return kind(bus, SYSTEMD, path, bus)


@functools.lru_cache(maxsize=64)
def unit_path(name: str) -> str:
    """The object path of a unit, as sd_bus_path_encode(3) makes it. Using it loads the unit."""
    escaped = "".join(
        character if _is_plain(character) and not (index == 0 and character.isdigit()) else f"_{byte:02x}"
        for index, byte in enumerate(name.encode())
        for character in (chr(byte),)
    )
    return _UNIT_FOLDER + (escaped or "_")


def _is_plain(character: str) -> bool:
    return character.isascii() and character.isalnum()
