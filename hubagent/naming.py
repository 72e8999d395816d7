"""Names of containers and volumes: different users never get the same one. For the agent and the hub alike."""

from __future__ import annotations

import hashlib
import string
from typing import Final

_SAFE: Final = frozenset(string.ascii_lowercase + string.digits)

MAX_ESCAPED: Final = 120
"""Longer escaped names end in a hash: a volume's name is a file name, of at most 255 bytes."""


def escape(text: str) -> str:
    """`text` in a-z, 0-9, `-` and `_`, so that different texts give different results.

    As DockerSpawner does it with the package escapism: whatever is not a-z or 0-9 becomes `-` and the hex
    digits of each byte in UTF-8, the `-` itself, too. What gets too long is cut and ends in `_` and the
    text's SHA-256; `_` does not occur otherwise, nor does `--`.
    """
    escaped = "".join(
        character if character in _SAFE else "".join(f"-{byte:x}" for byte in character.encode())
        for character in text
    )
    if len(escaped) <= MAX_ESCAPED:
        return escaped
    # 64 hex digits, `_`, and so much of the start that a person sees whose it is.
    return f"{escaped[: MAX_ESCAPED - 65]}_{hashlib.sha256(text.encode()).hexdigest()}"


def container_name(user: str, server_name: str) -> str:
    """`server_name` is that of JupyterHub's named servers, empty for a user's default server."""
    name = f"jupyter-{escape(user)}"
    return f"{name}--{escape(server_name)}" if server_name else name


def volume_name(pattern: str, user: str) -> str:
    """The user's volume after a pattern with `{username}` in it."""
    return pattern.replace("{username}", escape(user))
