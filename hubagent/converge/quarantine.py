"""Bytes that did not work out are not tried again until they change, or until a while has passed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hubagent.codec import Codec, CodecError
from hubagent.errors import StorageError
from hubagent.layout import Layout
from hubagent.ports import FileStore


@dataclass(frozen=True, slots=True)
class Held:
    """What is not tried again, and why. `digest` None holds these YAML bytes whatever they render to."""

    source_sha256: str
    digest: str | None
    reason: str
    at_s: float  # unix time
    pause_s: float | None = None  # after which they are tried again; None for never
    interruptions: int = 0  # how often the agent ended while it applied them

    def left_s(self, now_s: float) -> float | None:
        """Until they are tried again, in seconds, 0 when they may be now; None for never. A clock that was put back
        makes no pause longer."""
        if self.pause_s is None:
            return None
        return max(0.0, self.at_s + self.pause_s - now_s) if now_s >= self.at_s else 0.0


_HELD: Final = Codec(Held, strict=False)


class Quarantine:
    """One entry, on disk, so that a restart of the agent does not try again either."""

    def __init__(self, files: FileStore, layout: Layout) -> None:
        self._files = files
        self._path = layout.state / "quarantine.json"

    def hold(self, held: Held) -> None:
        self._files.write(self._path, _HELD.dumps(held), mode=0o600)

    def release(self) -> None:
        self._files.remove(self._path)

    def release_unless(self, source_sha256: str) -> None:
        """The file has changed, if these are not the bytes that are held: whatever comes is tried again."""
        held = self._entry()
        if held is not None and held.source_sha256 != source_sha256:
            self.release()

    def interruptions(self, source_sha256: str) -> int:
        """How often the agent ended while it applied these bytes, as far as that was held against them."""
        held = self._entry()
        return held.interruptions if held is not None and held.source_sha256 == source_sha256 else 0

    def held(self, source_sha256: str, digest: str) -> Held | None:
        """The entry when it covers this candidate."""
        held = self._entry()
        if held is None or held.source_sha256 != source_sha256:
            return None
        return held if held.digest in (None, digest) else None

    def _entry(self) -> Held | None:
        try:
            state = self._files.read(self._path, max_bytes=65536)
            return None if state is None else _HELD.loads(state.content)
        except (StorageError, CodecError):
            return None  # a damaged note must not stop the service; the worst is one more try
