"""What Docker's errors mean to the person who pressed Start."""

from __future__ import annotations

import re
from typing import Final

from docker.errors import APIError, DockerException, NotFound
from jupyterhub.spawner import SpawnException
from requests.exceptions import RequestException

DOCKER_ERRORS: Final = (DockerException, RequestException)
"""Whatever the Docker SDK raises: its own errors, and its transport's where it does not wrap them."""

_NETWORK: Final = re.compile(r"network (\S+) not found")
_BIND: Final = re.compile(r"bind source path does not exist: (.+)")


def is_absent(error: BaseException) -> bool:
    """Did Docker say that there is no such thing (and not that it cannot tell)?"""
    return isinstance(error, NotFound)


def missing_image(image: str) -> SpawnException:
    return failure(
        f"Image {image} is not on this server; an administrator sees why with `hubagent status`.",
        reason="image",
    )


def explain(error: BaseException, image: str) -> SpawnException:
    """What to raise instead of one of DOCKER_ERRORS. The error itself belongs into the log."""
    if not isinstance(error, APIError):
        return failure(
            "The container service (Docker) does not answer. Please try again in a minute.",
            reason="docker_down",
            status=503,
        )
    text = str(error.explanation or error)
    if "No such image" in text:
        return missing_image(image)
    if match := _NETWORK.search(text):
        return failure(
            f"The container network {match[1]} is missing; an administrator finds out more with `hubagent doctor`.",
            reason="network",
        )
    if match := _BIND.search(text):
        return failure(
            f"The folder {match[1]} belongs into this server, but is missing on this machine.", reason="mount"
        )
    return failure(
        "The container service (Docker) could not start this server; the hub's log says why.", reason="docker"
    )


def failure(message: str, *, reason: str, status: int = 500) -> SpawnException:
    """An error that JupyterHub shows as `message` alone, and counts under `reason`."""
    error = SpawnException(message, reason=reason, status_code=status)
    error.jupyterhub_message = message
    return error
