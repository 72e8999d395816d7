"""Bytes that did not work out are not tried again until they change."""

from __future__ import annotations

import json
from dataclasses import dataclass

from hubagent.errors import StorageError
from hubagent.layout import Layout
from hubagent.ports import FileStore
from hubagent.state.json_object import json_object


@dataclass(frozen=True, slots=True)
class Held:
    """What is not tried again, and why. `digest` None holds these YAML bytes whatever they render to."""

    source_sha256: str
    digest: str | None
    reason: str
    at_s: float  # unix time


class Quarantine:
    """One entry, on disk, so that a restart of the agent does not try again either."""

    def __init__(self, files: FileStore, layout: Layout) -> None:
        self._files = files
        self._path = layout.state / "quarantine.json"

    def hold(self, held: Held) -> None:
        value = {
            "source_sha256": held.source_sha256,
            "digest": held.digest,
            "reason": held.reason,
            "at_s": held.at_s,
        }
        self._files.write(self._path, json.dumps(value).encode(), mode=0o600)

    def release(self) -> None:
        self._files.remove(self._path)

    def release_unless(self, source_sha256: str) -> None:
        """The file has changed, if these are not the bytes that are held: whatever comes is tried again."""
        held = self._entry()
        if held is not None and held.source_sha256 != source_sha256:
            self.release()

    def held(self, source_sha256: str, digest: str) -> Held | None:
        """The entry when it covers this candidate."""
        held = self._entry()
        if held is None or held.source_sha256 != source_sha256:
            return None
        return held if held.digest in (None, digest) else None

    def _entry(self) -> Held | None:
        try:
            state = self._files.read(self._path, max_bytes=65536)
            if state is None:
                return None
            value = json_object(state.content)
            return Held(value["source_sha256"], value["digest"], value["reason"], float(value["at_s"]))
        except (StorageError, ValueError, KeyError, TypeError):
            return None  # a damaged note must not stop the service; the worst is one more try
