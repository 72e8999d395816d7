"""User names of native accounts: one spelling for each, and what is allowed in them."""

from __future__ import annotations

import unicodedata
from typing import Final
from urllib.parse import quote

MAX_CHARACTERS: Final = 100
MAX_ENCODED: Final = 180
"""Percent-encoded length: the name becomes part of a cookie's name, a URL and a 255 character column."""

_PUNCTUATION: Final = frozenset("._-+@'")


def normalise(name: str) -> str:
    """The one spelling under which a name is stored: NFKC, lower case, no white space around it."""
    previous = None
    while name != previous:  # lower-casing can denormalise again; two rounds settle it
        previous = name
        name = unicodedata.normalize("NFKC", name).lower().strip()
    return name


def problem(name: str) -> str | None:
    """What is wrong with a normalised name, as a sentence for the person who chose it; None if nothing."""
    if not name:
        return "Please give a user name."
    # A lone surrogate, which JSON may hold, has no encoding; below it is no character of a name either.
    if len(name) > MAX_CHARACTERS or len(quote(name, safe="", errors="replace")) > MAX_ENCODED:
        return f"This user name is too long; at most {MAX_CHARACTERS} letters, fewer in some scripts."
    if not name[0].isalnum():
        return "A user name starts with a letter or a digit."
    for character in name:
        if unicodedata.category(character)[0] not in "LMN" and character not in _PUNCTUATION:
            return "A user name has letters, digits and . _ - + @ ' only, and no spaces."
    return None
