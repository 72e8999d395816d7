"""Where homes are: where Docker keeps its volumes.

By default that is below /var/lib/docker, but an admin may have moved Docker's data (`data-root` in daemon.json, the
option of that name, a symbolic link, userns-remap). So for a home that lies elsewhere Docker itself is asked: not the
agent, whose word the helper does not take for folders of the host. Whoever may say where Docker's data lies is root.
"""

from __future__ import annotations

import json
import os
import socket
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Final

from hubagent.helper import system_calls
from hubagent.helper.refusal import RefusalError, words

USUAL: Final = PurePosixPath("/var/lib/docker/volumes")

ASK_S: Final = 2.0
"""How long Docker may take to say it (seconds)."""

ASK_AT_MOST_EVERY_S: Final = 1.0
"""Whoever asks for homes that are nowhere does not make the helper ask Docker for each."""

_QUESTION: Final = b"GET /info HTTP/1.0\r\nHost: docker\r\n\r\n"
_MAX_BYTES: Final = 4 * 1024 * 1024
_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH

AskDocker = Callable[[], PurePosixPath]
"""Docker's data folder. Raises RefusalError."""


class HomesFolder:
    """Safe to use from any thread. Methods raise RefusalError."""

    def __init__(self, usual: Path | PurePosixPath = USUAL, ask: AskDocker | None = None) -> None:
        """`ask` None: homes are in `usual` and nowhere else."""
        self._usual = PurePosixPath(usual)
        self._ask = ask
        self._lock = threading.Lock()
        self._moved: PurePosixPath | None = None
        self._asked_s = float("-inf")

    def holding(self, source: str) -> PurePosixPath:
        """The folder of homes in which this home lies."""
        path = PurePosixPath(source)
        if ".." in path.parts:
            raise self._nowhere(source)
        if self._usual in path.parents:
            return self._usual
        with self._lock:
            if self._moved is None or self._moved not in path.parents:
                self._refresh()
            if self._moved is None or self._moved not in path.parents:
                raise self._nowhere(source)
            return self._moved

    def all(self) -> tuple[PurePosixPath, ...]:
        """Every folder of homes that is known of now."""
        with self._lock:
            return (self._usual, *((self._moved,) if self._moved else ()))

    def _refresh(self) -> None:
        if self._ask is None or time.monotonic() - self._asked_s < ASK_AT_MOST_EVERY_S:
            return
        self._asked_s = time.monotonic()
        folder = self._ask() / "volumes"
        _check(folder)
        self._moved = folder

    def _nowhere(self, source: str) -> RefusalError:
        where = " or ".join(str(one) for one in (self._usual, self._moved) if one is not None)
        return RefusalError(
            f"{source}: is not a folder in {where}, where homes are; hubagent-homes.service accepts another "
            "folder by --homes",
            reason="not_allowed",
        )


def ask_docker(path: Path) -> PurePosixPath:
    """What Docker, at this socket, says of itself (SystemInfo of docs.docker.com/engine/api). Raises RefusalError."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(ASK_S)
            connection.connect(str(path))
            connection.sendall(_QUESTION)
            with connection.makefile("rb") as answer:
                status = answer.readline(200).split()
                while answer.readline(8192).strip():
                    pass
                body = answer.read(_MAX_BYTES)
        if status[1:2] != [b"200"]:
            raise ValueError(f"it answers {b' '.join(status[1:]).decode(errors='replace')}")
        folder = PurePosixPath(json.loads(body)["DockerRootDir"])
    except OSError as error:
        raise RefusalError(f"Docker does not say where its data is stored: {words(error)}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise RefusalError(f"Docker does not say where its data is stored: {error}") from error
    if not folder.is_absolute() or ".." in folder.parts:
        raise RefusalError(f"Docker says that its data is stored in {str(folder)!r}")
    return folder


def _check(folder: PurePosixPath) -> None:
    """Raises RefusalError for a folder of volumes in which others than root could put something."""
    try:
        descriptor = system_calls.open_folder(folder)
    except OSError as error:
        raise RefusalError(f"{folder}: cannot be opened: {words(error)}") from error
    try:
        mode = os.fstat(descriptor).st_mode
    finally:
        os.close(descriptor)
    if mode & _OTHERS_WRITE:
        raise RefusalError(
            f"{folder}: users other than its owner may write there; homes are not attached from it"
        )
