"""Stages of something slow, each with the time it took; on a terminal the clock runs while one is under way."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_TICK_S = 0.2
_GREEN, _RED, _PLAIN, _CLEAR = "\x1b[32m", "\x1b[31m", "\x1b[0m", "\r\x1b[K"


class Stages:
    """Prints one line for each stage. Colour and the running clock only on a terminal."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._terminal = sys.stdout.isatty()

    @contextmanager
    def stage(self, title: str) -> Iterator[None]:
        """What is done in the `with` block is called `title`."""
        begun = time.monotonic()
        ended = threading.Event()
        ticker = threading.Thread(target=self._tick, args=(title, begun, ended), daemon=True)
        if self._terminal:
            ticker.start()
        else:
            print(f"{title} …", flush=True)
        good = False
        try:
            yield
            good = True
        finally:
            ended.set()
            if self._terminal:
                ticker.join()
            self._close(title, time.monotonic() - begun, good=good)

    @property
    def elapsed_s(self) -> float:
        """Seconds since the first stage could begin."""
        return time.monotonic() - self._begun

    def _tick(self, title: str, begun: float, ended: threading.Event) -> None:
        while True:
            print(f"{_CLEAR}{time.monotonic() - begun:7.1f} s  {title} …", end="", flush=True)
            if ended.wait(_TICK_S):
                return

    def _close(self, title: str, took_s: float, *, good: bool) -> None:
        word = "done" if good else "failed"
        if self._terminal:
            colour = _GREEN if good else _RED
            print(f"{_CLEAR}{took_s:7.1f} s  {title}: {colour}{word}{_PLAIN}", flush=True)
        else:
            print(f"{took_s:7.1f} s  {title}: {word}", flush=True)
