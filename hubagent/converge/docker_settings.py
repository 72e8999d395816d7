"""/etc/docker/daemon.json, which is the administrator's: one key of it is ours, live-restore, and not always."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from hubagent.codec import json_object
from hubagent.converge.ports import Ports
from hubagent.errors import StorageError
from hubagent.ports import EngineFacts

KEY: Final = "live-restore"
DATA_ROOT: Final = "/var/lib/docker"
_MAX_BYTES: Final = 1024**2


def docker_settings(ports: Ports) -> dict[str, Any]:
    """As they are in the file; empty where there is none, or one that Docker does not take either."""
    try:
        return _parsed(_content(ports))
    except (ValueError, StorageError):
        return {}


def docker_config(ports: Ports, engine: EngineFacts | None) -> bytes | None:
    """The daemon.json that should be there: live-restore on and everything else kept, so that containers survive
    a restart of Docker. On a member of a swarm Docker does not start with it: then without it, if it is there as
    hubagent writes it.

    None where the file is left alone: an administrator has decided about live-restore or wrote something that is
    no JSON object, or Docker is in a swarm or does not say whether it is. StorageError when it cannot be read.
    """
    content = _content(ports)
    try:
        value = _parsed(content)
    except ValueError:
        return None
    if is_in_swarm(ports, engine, value):
        return _without(value) if is_ours(content, value) else None
    if KEY in value:
        return content if value[KEY] is True else None
    return _with(value) if engine is not None else None


def is_in_swarm(ports: Ports, engine: EngineFacts | None, settings: Mapping[str, Any]) -> bool:
    """By Docker's own word, and while it does not answer by what it keeps of its swarm between starts."""
    if engine is not None:
        return engine.in_swarm
    folder = Path(str(settings.get("data-root") or DATA_ROOT))
    try:
        return ports.files.read(folder / "swarm/docker-state.json", max_bytes=_MAX_BYTES) is not None
    except StorageError:
        return False


def is_ours(content: bytes, value: Mapping[str, Any]) -> bool:
    """Whether hubagent wrote live-restore there: last, and the whole as it writes it."""
    rest = {key: one for key, one in value.items() if key != KEY}
    return value.get(KEY) is True and content == _with(rest)


def _with(value: Mapping[str, Any]) -> bytes:
    return _dumped({**value, KEY: True})


def _without(value: Mapping[str, Any]) -> bytes:
    return _dumped({key: one for key, one in value.items() if key != KEY})


def _dumped(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()


def _content(ports: Ports) -> bytes:
    state = ports.files.read(ports.layout.docker_config, max_bytes=_MAX_BYTES)
    return b"" if state is None else state.content


def _parsed(content: bytes) -> dict[str, Any]:
    """Raises ValueError."""
    return json_object(content) if content.strip() else {}
