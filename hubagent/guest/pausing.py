"""What warms up stands still while somebody's server starts: for so long the agent keeps a file in the guest's
folder.

A start wakes a score of processes one after the other, and each waits for whoever computes at that moment to
finish a slice of a few milliseconds, however little that one's weight is. Who stands still is not in the way at
all, and no container's processes can be stopped from outside without more rights than the agent has.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Final, Protocol

LOOK_S: Final = 0.005
"""Between two looks for the file (seconds), which take half a percent of a processor. None is looked for once all
is warm."""

PAUSE_AT_MOST_S: Final = 3.0
"""A start of a warm server is over by then. A file that stays longer is passed over until it has been away."""


class Pausable(Protocol):
    """What is started beside the preloaded modules (companions.Companions)."""

    @property
    def is_warm(self) -> bool: ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...


class Pausing:
    """Looks for `file` in a thread, from the beginning until all is warm or `end` is called."""

    def __init__(self, file: Path, *, at_most_s: float = PAUSE_AT_MOST_S) -> None:
        self._file = file
        self._at_most_s = at_most_s
        self._beside: Pausable | None = None
        self._may_run = threading.Event()
        self._may_run.set()
        self._ended = threading.Event()
        self._changing = threading.Lock()
        self._thread = threading.Thread(target=self._watch, name="pausing", daemon=True)
        self._thread.start()

    @contextlib.contextmanager
    def imports(self) -> Iterator[None]:
        """Modules that are imported within wait for the end of a pause."""
        sys.meta_path.insert(0, self)
        try:
            yield
        finally:
            sys.meta_path.remove(self)

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """importlib.abc.MetaPathFinder: asked before each new module. Leaves the finding to the others."""
        self._may_run.wait()
        return None

    def include(self, beside: Pausable) -> None:
        """Pause this, too."""
        with self._changing:
            self._beside = beside
            if not self._may_run.is_set():
                beside.pause()

    def end(self) -> None:
        """Nothing stands still any more when this returns."""
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        since_s = None
        while not self._ended.wait(LOOK_S) and not self._is_warm():
            now_s = time.monotonic()
            since_s = (since_s or now_s) if self._file.exists() else None
            self._change(paused=since_s is not None and now_s - since_s < self._at_most_s)
        self._change(paused=False)

    def _is_warm(self) -> bool:
        return self._beside is not None and self._beside.is_warm

    def _change(self, *, paused: bool) -> None:
        with self._changing:
            if paused != self._may_run.is_set():
                return
            if paused:
                self._may_run.clear()
            else:
                self._may_run.set()
            if self._beside is not None:
                (self._beside.pause if paused else self._beside.resume)()
