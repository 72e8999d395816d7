"""Status as JSON: the document of `hubagent status --json`, /run/hubagent/status.json and /status.json.

The keys are those of the dataclasses in status.py, with these rules, and stay stable within a `format`:
times are unix seconds, sizes bytes, enums their values (a step's `level` its number, 0 to 5), what is not
known is null. `format` and `degraded` are added for readers. A newer or older hubagent's document can still be read
(see codec).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

from hubagent.codec import Codec, json_object
from hubagent.errors import TemporaryError
from hubagent.layout import Layout
from hubagent.ports import FileStore
from hubagent.state.status import Status

_STATUS: Final = Codec(Status, strict=False, mark=("format", 1))

_MAX_BYTES = 4 * 1024**2


def to_json(status: Status) -> dict[str, Any]:
    """A value of dicts, lists, strings, numbers, booleans and None, ready for json.dumps."""
    return {**_STATUS.plain(status), "degraded": status.degraded}


def from_json(document: Mapping[str, Any]) -> Status:
    """The inverse of to_json. Raises ValueError for another format, or for what does not fit."""
    return _STATUS.typed(document)


def without_people(status: Status) -> Status:
    """The same without names of users and containers, for readers that are not the administrator."""
    servers = tuple(dataclasses.replace(server, user="", container="") for server in status.servers)
    return dataclasses.replace(status, servers=servers)


def last_status(files: FileStore, layout: Layout) -> Status | None:
    """None before the first report; TemporaryError when it cannot be read."""
    path = layout.run / "status.json"
    state = files.read(path, max_bytes=_MAX_BYTES)
    if state is None:
        return None
    try:
        return from_json(json_object(state.content))
    except ValueError as error:
        raise TemporaryError(f"{path}: {error}; is the agent being upgraded?") from error
