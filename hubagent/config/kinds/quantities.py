"""Sizes (bytes, binary multiples) and durations (seconds), in both directions."""

from __future__ import annotations

import re
from typing import Final

from hubagent.config.tree import RefusedError, shown

SIZE_PATTERN: Final = r"([0-9]{1,15})(?:\.([0-9]{1,3}))?([kKmMgGtT])"
DURATION_PATTERN: Final = (
    r"0|(?=[0-9])(?:([0-9]{1,9})d)?(?:([0-9]{1,9})h)?(?:([0-9]{1,9})m)?(?:([0-9]{1,9})s)?"
)

_SIZE_UNITS: Final = {"K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}
_DURATION_UNITS: Final = {"d": 86400, "h": 3600, "m": 60, "s": 1}


def parse_size(text: str) -> int:
    """Bytes: `4G`, `1.5G`, `512M`, `100m`; the letter's case does not matter."""
    match = re.fullmatch(SIZE_PATTERN, text)
    if not match:
        plain = re.fullmatch(r"([0-9.]{1,15}[kKmMgGtT])i?[bB]", text.replace(" ", ""))
        advice = (
            f"write {plain[1]} (1G is 1024M)"
            if plain
            else "write a number and k, M, G or T, such as 512M or 4G"
        )
        raise RefusedError(f"{shown(text)} is not a size; {advice}")
    unit = _SIZE_UNITS[match[3].upper()]
    thousandths = int(match[1]) * 1000 + int((match[2] or "0").ljust(3, "0"))
    if thousandths * unit % 1000:
        raise RefusedError(f"{shown(text)} is not a whole number of bytes; write it in a smaller unit")
    return thousandths * unit // 1000


def format_size(size_bytes: int) -> str | int:
    """The text that `parse_size` reads as this size; a plain number where no unit divides it."""
    for letter, unit in reversed(_SIZE_UNITS.items()):
        if size_bytes and size_bytes % unit == 0:
            return f"{size_bytes // unit}{letter}"
    return size_bytes


def parse_duration(text: str) -> float:
    """Seconds: `30m`, `12h`, `1h30m`, `90s`, `2d`, `0`."""
    match = re.fullmatch(DURATION_PATTERN, text)
    if not match:
        advice = "write a number and s, m, h or d, such as 30m or 12h"
        if re.fullmatch(r"[0-9]{1,9}", text):
            advice = f"a unit is missing: write {text}s, {text}m or {text}h"
        raise RefusedError(f"{shown(text)} is not a duration; {advice}")
    return float(
        sum(
            int(amount or 0) * unit
            for amount, unit in zip(match.groups(), _DURATION_UNITS.values(), strict=True)
        )
    )


def format_duration(seconds: float) -> str | int:
    """The shortest text that `parse_duration` reads as this; 0 is plain 0."""
    rest = int(seconds)
    parts = []
    for letter, unit in _DURATION_UNITS.items():
        amount, rest = divmod(rest, unit)
        if amount:
            parts.append(f"{amount}{letter}")
    return "".join(parts) or 0
