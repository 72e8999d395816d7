"""Tells that the configuration file may have changed.

Events of its folder (inotify by watchdog) make it quick; a check of the file's identity every few seconds
makes it true: events miss edits behind a symbolic link, a folder that was made anew, network file systems,
and a queue that ran over. A check costs one stat, no reading.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from hubagent.threads import NamedThread

_LOG = logging.getLogger(__name__)

# Not "opened" and "closed_no_write": watchdog 2.3 and later report our own reading with them.
_EVENTS: Final = frozenset({"created", "modified", "moved", "deleted", "closed"})
_OF_A_RENAME: Final = frozenset({"moved", "deleted"})  # "deleted" when it leads out of the folder
_KUBERNETES_LINK: Final = "..data"  # the link that a mounted ConfigMap is switched by
_JOIN_S: Final = 5.0
_RENAMES_AT_MOST: Final = 200
"""watchdog remembers the source of each rename for as long as it watches (inotify_c.Inotify, watchdog 2.2 to 6.0):
300 bytes for an edit by an editor that writes beside and renames over."""

_make_observer: Final[Any] = Observer  # which class that is depends on the platform; watchdog 2 has no types

Signature = tuple[int, int, int, int, int]


class ConfigWatch:
    """Calls `on_change`, from other threads, when the file at `path` may have changed, appeared or gone.

    It may be called several times for one edit, and without cause; it must not block.
    """

    def __init__(
        self,
        path: Path,
        on_change: Callable[[], None],
        poll_s: float = 2.0,
        on_fault: Callable[[], None] = lambda: None,
    ) -> None:
        self._path = path
        self._on_change = on_change
        self._poll_s = poll_s
        self._stopping = threading.Event()
        self._seen = _signature(path)
        self._events = _FolderEvents(path, self._changed, on_fault)
        self._thread = NamedThread(self._poll, name="config-watch")

    def start(self) -> None:
        self._events.heal()
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(_JOIN_S)
        self._events.stop()

    def _poll(self) -> None:
        while not self._stopping.wait(self._poll_s):
            self._events.heal()
            if _signature(self._path) != self._seen:
                self._changed()

    def _changed(self) -> None:
        # Taken before the file is read: an edit in between shows at the next poll.
        self._seen = _signature(self._path)
        self._on_change()


class _FolderEvents(FileSystemEventHandler):
    """watchdog on one folder, set up again when the folder is another one, when the watching thread died, and after
    many renames."""

    def __init__(self, path: Path, on_event: Callable[[], None], on_fault: Callable[[], None]) -> None:
        self._folder = path.parent
        self._names = frozenset({path.name, _KUBERNETES_LINK})
        self._on_event = on_event
        self._on_fault = on_fault
        self._observer: Any = None
        self._watched: tuple[int, int] | None = None
        self._renames = 0
        self._fault = ""

    def heal(self) -> None:
        folder = _identity(self._folder)
        if self._observer is not None and folder == self._watched and self._is_alive():
            if self._renames < _RENAMES_AT_MOST:
                return
        else:
            self.stop()
        if folder is None:
            return
        self._renames = 0
        observer = _make_observer()
        observer.schedule(self, os.fspath(self._folder), recursive=False)
        try:
            observer.start()
        except OSError as error:
            self._report(f"no events for {self._folder} ({error}); it is checked at intervals instead")
            return
        self.stop()  # the one that saw many renames, only now: nothing is missed, and what both see is one edit
        self._observer, self._watched = observer, folder

    def stop(self) -> None:
        if self._observer is not None:
            self._observer.stop()
            self._observer.join(_JOIN_S)
            self._observer = None

    def on_any_event(self, event: FileSystemEvent) -> None:
        if event.event_type in _OF_A_RENAME:
            self._renames += 1
        paths = (event.src_path, getattr(event, "dest_path", ""))
        names = {os.path.basename(os.fsdecode(path)) for path in paths if path}
        if event.event_type in _EVENTS and names & self._names:
            self._on_event()

    def _report(self, fault: str) -> None:
        """Once, not at every attempt."""
        if fault != self._fault:
            _LOG.warning("%s", fault)
            self._on_fault()
        self._fault = fault

    def _is_alive(self) -> bool:
        return self._observer.is_alive() and all(emitter.is_alive() for emitter in self._observer.emitters)


def _signature(path: Path) -> Signature | None:
    """What any change of a file's content changes too; of the target, when it is a symbolic link."""
    try:
        facts = os.stat(path)
    except OSError:
        return None
    return facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        facts = os.stat(folder)
    except OSError:
        return None
    return facts.st_dev, facts.st_ino
