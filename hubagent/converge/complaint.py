"""What a program said of its own error: the one line that a person should see, fit for any screen. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Final

from hubagent.request_log import HIDDEN, hide

_MOST: Final = 400  # characters
_SHORTEST_SECRET: Final = 6  # shorter ones would make holes in ordinary words

_ESCAPE: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-_])")
_CREDENTIALS: Final = re.compile(r"(://[^/\s:@]*):[^/\s@]+@")
_NAMED: Final = re.compile(
    r"""((?:token|password|passwd|secret|authorization|cookie|api_?key)["']?\s*[=:]\s*["']?(?:token|bearer|basic)?\s*)"""
    r"""[^\s"',;]+""",
    re.IGNORECASE,
)
_TOKEN: Final = re.compile(r"\b[0-9a-fA-F]{32,}\b")

_TRACEBACK: Final = "Traceback (most recent call last):"
_AN_ERROR: Final = re.compile(
    r"^\[[EC] |\[(?:emerg|alert|crit|error)\]|\b(?:error|fatal|critical|failed|exception|refused|cannot|denied)\b"
    r"|\w(?:Error|Exception)\b",
    re.IGNORECASE,
)


def first_error(lines: Sequence[str], secrets: Iterable[str] = ()) -> str:
    """The line that names the fault: what a Python traceback ends with, else the first that speaks of an error,
    else the last. One line of at most 400 characters without control characters; empty when nothing was said.

    `secrets` are shown in no form, nor is what looks like one.
    """
    cleaned = [_clean(line) for line in lines]
    said = [line for line in cleaned if line.strip()]
    if not said:
        return ""
    found = _raised(said) or next((line for line in said if _AN_ERROR.search(line)), said[-1])
    return _without_secrets(" ".join(found.split()), secrets)[:_MOST]


def secrets_in(content: bytes) -> tuple[str, ...]:
    """All strings of a JSON document of secrets; nothing from one that is none."""
    try:
        return tuple(_strings(json.loads(content)))
    except (ValueError, RecursionError):
        return ()


def _strings(value: object) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _strings(one)
    elif isinstance(value, list):
        for one in value:
            yield from _strings(one)


def _raised(lines: Sequence[str]) -> str:
    """What the last traceback ends with: its first line that is not indented."""
    begins = [number for number, line in enumerate(lines) if _TRACEBACK in line]
    if not begins:
        return ""
    indent = len(lines[begins[-1]]) - len(lines[begins[-1]].lstrip())
    for line in lines[begins[-1] + 1 :]:
        if len(line) - len(line.lstrip()) <= indent:
            return line
    return ""


def _clean(line: str) -> str:
    text = _ESCAPE.sub("", line)
    return "".join(char if char.isprintable() else " " for char in text)


def _without_secrets(text: str, secrets: Iterable[str]) -> str:
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, HIDDEN)
    text = _CREDENTIALS.sub(rf"\1:{HIDDEN}@", hide(text))
    return _TOKEN.sub(HIDDEN, _NAMED.sub(rf"\1{HIDDEN}", text))
