"""What a user of the hub may be called, whatever signs people in: what breaks pages, URLs or a database is no name."""

from __future__ import annotations

from typing import Final

MAX_CHARACTERS: Final = 255
"""The hub's column."""


def problem(name: object) -> str | None:
    """What is wrong with it, as a sentence; None if nothing is."""
    if not isinstance(name, str) or not name.strip():
        return "A user has a name of at least one visible character."
    if len(name) > MAX_CHARACTERS:
        return f"A user name has at most {MAX_CHARACTERS} characters."
    if name != name.strip():
        return "A user name neither begins nor ends with white space."
    if not name.isprintable():
        return "A user name has no control characters."
    return None
