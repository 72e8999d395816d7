"""The program of hubagent-homes.service: attaches users' homes to running containers, for the agent.

It has no mount namespace of its own, unlike the agent, so that what it mounts shows up everywhere. It ends
and starts at any time without touching what is attached.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Final

from hubagent.adapters.systemd.notify import SystemdNotifier
from hubagent.helper import cgroups
from hubagent.helper.folder import SlotFolder
from hubagent.helper.restorable import Restorable
from hubagent.helper.roots import USUAL, HomesFolder, ask_docker
from hubagent.helper.server import Server
from hubagent.helper.slots import Slots
from hubagent.helper.yielding import Yielding
from hubagent.layout import Layout
from hubagent.log_priority import PriorityFormatter

_LAYOUT: Final = Layout()


def main(arguments: Sequence[str] | None = None, *, layout: Layout = _LAYOUT) -> int:
    options = _options(arguments)
    start_log()
    os.umask(0o022)  # the slots' folders are entered by any user of a container
    try:
        folder = SlotFolder(layout.homes)
        folder.establish()
        homes = (
            HomesFolder(options.homes)
            if options.homes
            else HomesFolder(ask=partial(ask_docker, layout.docker_socket))
        )
        slots = Slots(folder, homes=homes, servers_file=layout.current / "hub/servers.json")
        loans = Restorable(layout.homes_loans)
        loans.give_back_all()
        server = Server(layout.homes_socket, slots, Yielding(cgroups.find(), loans))
    except OSError as error:
        logging.error(
            "cannot start in %s: %s; it needs root, space there, and Linux 5.12 or later",
            layout.homes.parent,
            error.strerror or error,
        )
        return 1
    asked_to_stop, ask_to_stop = socket.socketpair()
    with asked_to_stop, ask_to_stop:
        os.set_blocking(ask_to_stop.fileno(), False)
        signal.set_wakeup_fd(ask_to_stop.fileno())
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _wake_up)
        notifier = SystemdNotifier()
        notifier.ready(f"{len(slots.known().slots)} slots")
        server.serve(asked_to_stop.fileno())
        notifier.stopping()
        signal.set_wakeup_fd(-1)
    return 0


def start_log() -> None:
    """Log to standard error, each line with its priority where the journal reads it."""
    handler = logging.StreamHandler()
    handler.setFormatter(PriorityFormatter("%(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="homes-helper", description=__doc__, allow_abbrev=False)
    parser.add_argument(
        "--homes",
        type=_absolute,
        metavar="FOLDER",
        help=f"where homes are (default: {USUAL}, or wherever Docker says that it keeps its volumes)",
    )
    return parser.parse_args(arguments)


def _absolute(text: str) -> Path:
    path = Path(text)
    if not path.is_absolute() or ".." in path.parts:
        raise argparse.ArgumentTypeError(f"{text!r} is not an absolute path without `..`")
    return path


def _wake_up(_number: int, _frame: FrameType | None) -> None:
    """The signal's number is written to the wake-up descriptor by Python itself."""


if __name__ == "__main__":
    sys.exit(main())
