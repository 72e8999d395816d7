"""How a value is refused, and how it is quoted in the message. A leaf."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable
from typing import Final

MAX_FAULTS: Final = 100  # more are not collected: nobody reads them
_SHOWN_CHARACTERS: Final = 60


class RefusedError(ValueError):
    """A value outside its grammar. The text reads "what is wrong; what to do", without the place."""


def shown(text: str) -> str:
    """The value for a message: quoted, on one line, control characters escaped, shortened."""
    if len(text) > _SHOWN_CHARACTERS:
        text = text[: _SHOWN_CHARACTERS - 1] + "…"
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in quoted)


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant, if any."""
    found = difflib.get_close_matches(word[:_SHOWN_CHARACTERS], list(known), n=1, cutoff=0.6)
    return found[0] if found else None
