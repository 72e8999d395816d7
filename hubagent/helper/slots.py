"""What the helper does when it is asked: one method for each message."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from hubagent import wire
from hubagent.helper import allowed_folders
from hubagent.helper.attachment import Attachment
from hubagent.helper.busy_guard import BusyGuard
from hubagent.helper.folder import SlotFolder
from hubagent.helper.refusal import RefusalError, words
from hubagent.helper.roots import HomesFolder

_LOG = logging.getLogger(__name__)

_ID: Final = re.compile(r"[0-9a-f]{12}")


class Slots:
    """Methods raise RefusalError, and are safe to be called from several threads at once."""

    def __init__(self, folder: SlotFolder, *, homes: HomesFolder, servers_file: Path) -> None:
        self._folder = folder
        self._homes = homes
        self._servers_file = servers_file
        self._busy_guard = BusyGuard()

    def prepare(self, request: wire.Prepare) -> wire.Prepared:
        with self._work_on(request.slot):
            self._folder.make(request.slot)
            with self._folder.place(request.slot):
                return wire.Prepared(str(self._folder.path / request.slot))

    def attach(self, request: wire.Attach, *, still_wanted: Callable[[], bool]) -> wire.Attached:
        """All of it or nothing; nothing when it is no longer wanted by the time that all is ready."""
        sources = {request.source, *(folder.source for folder in request.folders)}
        _check_text(*sources, *(folder.target for folder in request.folders))
        with self._work_on(request.slot), self._busy_guard.sources(sources):
            with self._folder.place(request.slot):
                pass  # free: else nothing of what is attached may be undone
            try:
                return self._attach(request, still_wanted)
            except BaseException:
                self._folder.unmount(request.slot)
                raise

    def detach(self, request: wire.Detach) -> wire.Done:
        with self._work_on(request.slot):
            self._folder.unmount(request.slot)
            self._folder.remove(request.slot)
        return wire.Done()

    def known(self) -> wire.Slots:
        try:
            return wire.Slots(tuple(sorted(filter(_ID.fullmatch, self._folder.ids()))))
        except OSError as error:
            raise RefusalError(f"{self._folder.path}: cannot be listed: {words(error)}") from error

    def _attach(self, request: wire.Attach, still_wanted: Callable[[], bool]) -> wire.Attached:
        with Attachment(request.source, self._homes.holding(request.source)) as attachment:
            if request.folders:
                attachment.add(
                    request.folders, allowed_folders.read(self._servers_file), beside=self._homes.all()
                )
            with self._folder.place(request.slot) as place:
                if not still_wanted():
                    raise RefusalError(f"slot {request.slot}: the request was given up; nothing is attached")
                return attachment.attach(place)

    @contextmanager
    def _work_on(self, slot: str) -> Iterator[None]:
        if not _ID.fullmatch(slot):
            raise RefusalError(f"{slot[:40]!r} is not a slot: an id has 12 hex digits", reason="message")
        with self._busy_guard.slot(slot):
            try:
                yield
            except OSError as error:
                raise RefusalError(f"slot {slot}: {error.strerror or error}") from error


def _check_text(*paths: str) -> None:
    """Raises RefusalError for what cannot be a path of this machine."""
    for path in paths:
        try:
            is_path = b"\0" not in os.fsencode(path)
        except UnicodeEncodeError:
            is_path = False
        if not is_path:
            raise RefusalError(f"{path[:80]!r}: cannot be a path", reason="message")
