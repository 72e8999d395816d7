"""Settings of the kernel's that are changed for a while and given back, whatever happens.

What a setting was is written down before it is changed. A helper that is killed leaves its notes, and the next one
gives back what they say before it does anything else.
"""

from __future__ import annotations

import errno
import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hubagent.codec import Codec, CodecError
from hubagent.helper.refusal import RefusalError

_LOG = logging.getLogger(__name__)

_NOTE: Final = Codec(tuple[tuple[str, str], ...], strict=False)  # files, and what to write to them
_GONE: Final = frozenset({errno.ENOENT, errno.ENODEV})


@dataclass(frozen=True, slots=True)
class Setting:
    file: Path
    value: str


@dataclass(frozen=True, slots=True)
class Change:
    """What to write, and what to write to give it back; both in this order."""

    to: tuple[Setting, ...]
    back: tuple[Setting, ...]


class Restorable:
    """Notes lie in `folder`. Safe to use from any thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._users: Counter[str] = Counter()
        self._lock = threading.Lock()

    def give_back_all(self) -> None:
        """What an earlier helper has left. Before the first change; raises OSError when notes cannot be kept."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        for note in self._folder.iterdir():
            _give_back(note)

    @contextmanager
    def changed(self, name: str, change: Callable[[], Change]) -> Iterator[None]:
        """While anybody is within; `change` is asked by who comes first. Raises RefusalError when nothing could be
        changed."""
        note = self._folder / name
        with self._lock:
            if not self._users[name]:
                try:
                    _make(note, change())
                except OSError as error:
                    raise RefusalError(
                        f"{name}: nothing could be changed: {error}", reason="engine"
                    ) from error
            self._users[name] += 1
        try:
            yield
        finally:
            with self._lock:
                self._users[name] -= 1
                if not self._users[name]:
                    _give_back(note)


def _make(note: Path, change: Change) -> None:
    # Whole before anything is changed: one that cannot be read is of a helper that had not changed anything.
    note.write_bytes(_NOTE.dumps(tuple((str(one.file), one.value) for one in change.back)))
    try:
        for one in change.to:
            one.file.write_text(one.value)
    except BaseException:
        _give_back(note)
        raise


def _give_back(note: Path) -> None:
    try:
        settings = _NOTE.loads(note.read_bytes())
    except CodecError:
        settings = ()
    for file, value in settings:
        try:
            Path(file).write_text(value)
        except OSError as error:
            if error.errno not in _GONE:  # with its container, or its service
                _LOG.warning("%s: its %s cannot be restored: %s", file, value, error.strerror)
    note.unlink()
