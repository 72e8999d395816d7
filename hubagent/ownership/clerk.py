"""Carries out decisions one after the other, in a thread of its own: an archive may take as long as a home is large."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable

from hubagent.errors import BusyError, HubagentError, TemporaryError, UsageError
from hubagent.ownership.desk import Desk
from hubagent.ownership.requests import Answer, Decision, Decisions, Outcome, Verb
from hubagent.threads import NamedThread

log = logging.getLogger(__name__)


class Clerk:
    """`on_change` is called after each decision."""

    def __init__(self, desk: Desk, decisions: Decisions, *, on_change: Callable[[], None]) -> None:
        self._desk = desk
        self._decisions = decisions
        self._on_change = on_change
        self._queue: queue.SimpleQueue[Decision | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = NamedThread(self._run, name="homes")
        self._thread.start()

    def stop(self, *, timeout_s: float = 1.0) -> None:
        """What is under way is broken off by the end of the process; each decision can be made again."""
        self._queue.put(None)
        if self._thread is not None:
            self._thread.join(timeout_s)

    def poll(self) -> None:
        """Take what is asked; returns at once. Raises StorageError."""
        for decision in self._decisions.waiting():
            self._queue.put(decision)

    def _run(self) -> None:
        while (decision := self._queue.get()) is not None:
            answer = decide(self._desk, decision.verb, decision.name)
            try:
                self._decisions.answer(decision, answer)
            except HubagentError as error:
                log.error("cannot answer `hubagent homes %s`: %s", decision.verb.value, error)
            self._on_change()


def decide(desk: Desk, verb: Verb, name: str) -> Answer:
    """Never raises."""
    act = {Verb.KEEP: desk.keep, Verb.ARCHIVE: desk.archive, Verb.SET_ASIDE: desk.set_aside}[verb]
    try:
        return Answer(Outcome.DONE, act(name))
    except UsageError as error:
        return Answer(Outcome.USAGE, (str(error),))
    except (BusyError, TemporaryError) as error:
        log.warning("homes %s: %s", verb.value, error)
        return Answer(Outcome.BUSY, (str(error),))
    except HubagentError as error:
        log.error("homes %s: %s", verb.value, error)
        return Answer(Outcome.FAILED, (str(error),))
    except Exception as error:  # a fault of ours must not end the thread
        log.exception("homes %s", verb.value)
        return Answer(Outcome.FAILED, (f"hubagent failed: {error!r}; its log says how",))
