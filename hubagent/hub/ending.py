"""The hub ends when it is told to, whatever its event loop waits for."""

from __future__ import annotations

import os
import signal
from types import FrameType
from typing import Final

from hubagent.hub import log_lines

WITHIN_S: Final = 20
"""Of the 30 seconds after which systemd kills it (TimeoutStopSec= of jupyterhub.service); JupyterHub itself gives the
culler up to 15 seconds."""

_LATE: Final = f"jupyterhub: it was told to end, did not within {WITHIN_S} s, and ends now; servers run on"


def install() -> None:
    """To be called when the event loop has its own handler of SIGTERM, which goes on to work: it hears of the signal
    by a descriptor (signal.set_wakeup_fd). But a query on that loop may wait for its database for ever."""
    signal.signal(signal.SIGTERM, _told)
    signal.signal(signal.SIGALRM, _late)


def _told(_number: int, _frame: FrameType | None) -> None:
    signal.alarm(WITHIN_S)


def _late(_number: int, _frame: FrameType | None) -> None:
    os.write(2, f"{log_lines.last_words(_LATE)}\n".encode())  # the log may be what it was about to write to
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.raise_signal(signal.SIGTERM)
