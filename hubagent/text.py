"""Foreign text, made fit for whoever reads it: no value steers a terminal. A leaf."""

from __future__ import annotations

import unicodedata


def clean(text: str) -> str:
    """One line without control, format and surrogate characters: values come from files and other programs,
    and an escape sequence in one must not reach the terminal."""
    return "".join(
        " " if char in "\n\r\t" else "\N{REPLACEMENT CHARACTER}" if _steers(char) else char for char in text
    )


def clean_lines(text: str) -> str:
    """As `clean`, line by line."""
    return "\n".join(map(clean, text.split("\n")))


def _steers(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")
