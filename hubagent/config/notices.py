"""Keys that are read and checked, but not acted on by this version."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hubagent.config.model import Config, TlsMode
from hubagent.config.walk import Path, spell


@dataclass(frozen=True, slots=True)
class Notice:
    """One key with what happens instead."""

    key: str
    message: str

    def __str__(self) -> str:
        return f"{self.key}: {self.message}"


def not_yet(config: Config) -> tuple[Notice, ...]:
    """What the file asks for and does not get yet, in the order of the file's keys."""
    return tuple(Notice(spell(path), message) for path, message in _unserved(config))


def _unserved(config: Config) -> Iterator[tuple[Path, str]]:
    if config.tls.mode is TlsMode.LETSENCRYPT:
        message = "letsencrypt is not built in yet; the self-signed certificate is served meanwhile"
        yield ("tls", "mode"), message
