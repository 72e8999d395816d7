"""What is said of a valid file, one key at a time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Notice:
    """One key with what there is to know of it."""

    key: str
    message: str

    def __str__(self) -> str:
        return f"{self.key}: {self.message}"
