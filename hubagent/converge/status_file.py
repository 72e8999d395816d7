"""What the agent reported last, for the commands: the status document in /run/hubagent."""

from __future__ import annotations

from hubagent.codec import json_object
from hubagent.errors import TemporaryError
from hubagent.layout import Layout
from hubagent.ports import FileStore
from hubagent.state.status import Status
from hubagent.state.status_json import from_json

_MAX_BYTES = 4 * 1024**2


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
