"""The last error of the hub, in its own words, for whoever finds that a page does not come."""

from __future__ import annotations

import logging
import time
from typing import Final

from traitlets.log import get_logger

from hubagent.request_log import hide

FRESH_S: Final = 60.0
"""An error from before that has nothing to do with what is asked about now (seconds)."""

_SHOWN: Final = 300  # characters


class LastError(logging.Handler):
    """Remembers the first line of the last exception that was logged."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self._line = ""
        self._at_s = 0.0

    @property
    def line(self) -> str:
        """Empty when there was none lately."""
        return self._line if time.monotonic() - self._at_s < FRESH_S else ""

    def install(self) -> None:
        """Listen to the hub's own log, which has the name of its class, is Tornado's parent and passes nothing on; and
        to that of all others, such as tasks of asyncio whose error nobody has asked for."""
        for logger in (logging.getLogger(get_logger().name), logging.getLogger()):
            logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            self._line, self._at_s = _line(error), time.monotonic()


def _line(error: BaseException) -> str:
    told = next((line for line in str(error).splitlines() if line.strip()), "")
    text = hide(f"{type(error).__name__}: {told.strip()}" if told else type(error).__name__)
    return "".join(character for character in text if character.isprintable())[:_SHOWN]
