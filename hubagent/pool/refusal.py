"""What a start that failed means to the person who pressed Start."""

from __future__ import annotations

import re
from typing import Final

from hubagent import wire
from hubagent.errors import ContainerError, EngineAbsentError, GuestError, HomeError, HubagentError

_NETWORK: Final = re.compile(r"network (\S+) not found")
_BIND: Final = re.compile(r"bind source path does not exist: ([^;]+)")


class SpawnError(HubagentError):
    """A server cannot be started; the message is for its user, the reason one of wire.REASONS."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def missing_image(image: str) -> SpawnError:
    return SpawnError(
        "image", f"Image {image} is not on this server; an administrator sees why with `hubagent status`."
    )


def refusal(error: HubagentError, *, image: str) -> wire.Refused:
    """What to tell the hub. The error itself belongs into the log."""
    if not isinstance(error, SpawnError):
        error = _explained(error, image)
    return wire.Refused(error.reason, str(error))


def _explained(error: HubagentError, image: str) -> SpawnError:
    text = str(error)
    if isinstance(error, EngineAbsentError):
        return SpawnError(
            "engine", "The container service (Docker) does not answer. Please try again in a minute."
        )
    if isinstance(error, ContainerError) and "No such image" in text:
        return missing_image(image)
    if match := _NETWORK.search(text):
        return SpawnError(
            "engine",
            f"The container network {match[1]} is missing; an administrator finds out more with `hubagent doctor`.",
        )
    if match := _BIND.search(text):
        return SpawnError(
            "engine", f"The folder {match[1]} belongs in this server, but is missing on this machine."
        )
    if isinstance(error, GuestError):
        return SpawnError("guest", "The server could not be started; hubagent's log says why.")
    if isinstance(error, HomeError):
        return SpawnError("home", "Your files could not be reached; hubagent's log says why.")
    return SpawnError(
        "engine", "The container service (Docker) could not start this server; hubagent's log says why."
    )
