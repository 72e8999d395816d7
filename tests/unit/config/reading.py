"""How these tests read configurations."""

from __future__ import annotations

from hubagent.config.model import Config
from hubagent.config.reading.loader import load
from hubagent.errors import ConfigError

PATH = "/etc/hubagent.yaml"


def read(text: str | bytes) -> Config:
    return load(text.encode() if isinstance(text, str) else text, path=PATH)


def faults(text: str | bytes) -> list[str]:
    """The messages that the text is refused with, without the path; empty when it is accepted."""
    messages: tuple[str, ...] = ()
    try:
        read(text)
    except ConfigError as error:
        messages = error.messages
    assert all(message.startswith(f"{PATH}:") for message in messages)
    return [message.removeprefix(f"{PATH}:") for message in messages]
