"""What is tried again, and when: files that did not work out, that took too long, or that a crash interrupted.

Bytes that are to blame are not tried again until they change. Those that ran out of time wait in memory, ever longer,
while what they need gets more time: each try may interrupt people, and keeps the agent from repairing what is in force.
What a crash left open is closed, back to the origin; the ordinary check then does the rest.
"""

from __future__ import annotations

import dataclasses
import logging
from dataclasses import dataclass
from typing import Final

from hubagent.backoff import Backoff
from hubagent.codec import Codec, CodecError
from hubagent.converge.generations import Generations, Switch
from hubagent.errors import StorageError
from hubagent.layout import Layout
from hubagent.ports import Clock, FileStore
from hubagent.state import words
from hubagent.state.model import Plan

log = logging.getLogger(__name__)

_WAIT_S: Final = (0.0, 30.0, 120.0, 600.0, 1800.0)
"""Before the second try, the third and so on; the last for all that follow."""

_AT_ONCE: Final = 3
"""So often a file is tried without a pause. Then it may be what takes the agent down, and each try may interrupt
people; but a power cut or a lack of memory is not its fault, so that it is tried for ever, and ever more rarely."""

_PAUSES: Final = Backoff(first_s=300.0, most_s=6 * 3600.0)


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


@dataclass(frozen=True, slots=True)
class _Waiting:
    digest: str
    reason: str
    tries: int
    until_s: float  # Clock.monotonic


class Postponed:
    """At most one generation waits, by its digest. In memory: a new agent tries at once."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: _Waiting | None = None

    def put(self, digest: str, reason: str) -> None:
        """Time ran out while this generation was tested or applied."""
        before = self._waiting
        tries = before.tries + 1 if before is not None and before.digest == digest else 1
        wait_s = _WAIT_S[min(tries, len(_WAIT_S)) - 1]
        self._waiting = _Waiting(digest, reason, tries, self._clock.monotonic() + wait_s)

    def release(self) -> None:
        """Whatever waits is tried now, and forgotten."""
        self._waiting = None

    def message(self, digest: str) -> str:
        """Why this generation waits, and how long still; empty when it does not."""
        waiting = self._waiting
        if waiting is None or waiting.digest != digest:
            return ""
        left_s = waiting.until_s - self._clock.monotonic()
        return f"{waiting.reason}, in {words.duration(left_s)}" if left_s > 0 else ""


class Recovery:
    """Remembers the switch that was interrupted. Methods may raise StorageError."""

    def __init__(self, generations: Generations, quarantine: Quarantine, clock: Clock) -> None:
        self._generations = generations
        self._quarantine = quarantine
        self._clock = clock
        self._interrupted: Switch | None = None
        self._has_permission = False

    @property
    def has_permission(self) -> bool:
        """Whether websockets may be dropped, because that was allowed to the switch that was interrupted: half
        of it may be in force, such as a new token in the proxy alone."""
        return self._has_permission

    def recover(self) -> None:
        """To be called by every check, before it starts."""
        switch = self._generations.interrupted()
        if switch is None:
            return
        log.warning(
            "an apply of generation %d was interrupted; starting again from %s", switch.target, switch.origin
        )
        if switch.origin is None or self._generations.whole(switch.origin) is not None:
            self._generations.abort(switch, "interrupted")
        known = self._quarantine.interruptions(switch.source_sha256)  # another may have held it
        if switch.attempt >= _AT_ONCE and switch.attempt > known:
            reason = f"the agent was interrupted {switch.attempt} times while it applied this file"
            pause_s = _PAUSES.delay_s(switch.attempt - _AT_ONCE + 1)
            self._quarantine.hold(
                Held(switch.source_sha256, None, reason, self._clock.time(), pause_s, switch.attempt)
            )
        self._interrupted, self._has_permission = switch, switch.disruptive
        if not switch.disruptive:
            self._generations.commit()

    def uncount(self) -> None:
        """The switch that is open was interrupted on purpose, which says nothing about its file."""
        switch = self._generations.interrupted()
        if switch is not None:
            self._generations.note(dataclasses.replace(switch, attempt=switch.attempt - 1))

    def settle(self) -> None:
        """To be called when the services are as they should be. Until then the journal of a switch that had permission
        stays open, to remember that."""
        if self._has_permission:
            self._generations.commit()
            self._has_permission = False

    def switch(self, origin: int | None, target: int, source_sha256: str, steps: Plan) -> Switch:
        """The one to begin now."""
        before = self._interrupted
        again = before is not None and before.source_sha256 == source_sha256
        attempts = before.attempt if before and again else self._quarantine.interruptions(source_sha256)
        return Switch(origin, target, source_sha256, attempts + 1, disruptive=steps.level.drops_websockets)


class Allowance:
    """The time for one kind of work. One that ran out is multiplied; what work really took says how much is enough."""

    def __init__(self, first_s: float, *, most_s: float, factor: int = 2) -> None:
        self._first_s = first_s
        self._most_s = most_s
        self._factor = factor
        self._allowed_s = first_s

    @property
    def allowed_s(self) -> float:
        """For the next try, in seconds."""
        return self._allowed_s

    @property
    def is_at_its_end(self) -> bool:
        """It will not grow any more."""
        return self._allowed_s >= self._most_s

    def ran_out(self, over: str = "within") -> str:
        """What is said of it, after `over`: the time that was too short, and the one that the next try has."""
        before_s = self._allowed_s
        self._allowed_s = min(before_s * self._factor, self._most_s)
        return f"{over} {before_s:.0f} s, as happens on a busy machine; next try with {self._allowed_s:.0f} s"

    def met(self, took_s: float) -> None:
        """Done in time. A machine that is busy still keeps what it was found to need."""
        self._allowed_s = min(max(self._first_s, took_s * self._factor), self._most_s)
