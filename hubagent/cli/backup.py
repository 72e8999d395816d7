"""The commands `backup` and `restore`: adapters, progress on a terminal, and what is printed at the end."""

from __future__ import annotations

import argparse
import json
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, cast

import hubagent
from hubagent.adapters.docker.containers import DockerContainers
from hubagent.adapters.files.backup_file import Watched, new_file, old_file
from hubagent.adapters.files.lock import InstanceLock
from hubagent.adapters.files.sqlite import SqliteDatabases
from hubagent.adapters.files.store import LocalFileStore
from hubagent.adapters.files.trees import LocalTrees
from hubagent.adapters.machine.clock import SystemClock
from hubagent.adapters.systemd.manager import SystemdUnitManager
from hubagent.backup.making import Making
from hubagent.backup.manifest import Manifest, to_json
from hubagent.backup.ports import BackupPorts
from hubagent.backup.restoring import Restored, Restoring
from hubagent.cli import backup_report, console
from hubagent.cli.agent_commands import apply_restored
from hubagent.errors import UsageError
from hubagent.layout import Layout
from hubagent.state.words import size
from hubagent.text import clean

_EVERY_S: Final = 0.2


def backup(arguments: argparse.Namespace, layout: Layout) -> int:
    console.require_root("backup")
    name, progress = arguments.file, _Progress()
    is_stream = name == "-"
    if is_stream and sys.stdout.isatty():
        raise UsageError("a backup cannot be written to a terminal; name a file, or redirect the output")

    def write(file: Watched) -> tuple[Manifest, int]:
        manifest = _write(cast("BinaryIO", file), layout, progress, homes=not arguments.without_homes)
        return manifest, file.count

    with _one_at_a_time(layout), progress:
        if is_stream:
            manifest, packed = write(Watched(sys.stdout.buffer, progress.count))
            sys.stdout.buffer.flush()
        else:
            with new_file(Path(name), overwrite=arguments.overwrite, told=progress.count) as file:
                manifest, packed = write(file)
    output = sys.stderr if is_stream else sys.stdout
    if arguments.json:
        print(json.dumps(backup_report.made_json(manifest, name=name, packed=packed), indent=1), file=output)
    else:
        print(backup_report.made_text(manifest, name=name, packed=packed), end="", file=output)
    return 0


def _write(file: BinaryIO, layout: Layout, progress: _Progress, *, homes: bool) -> Manifest:
    containers = DockerContainers()
    try:
        making = Making(
            _ports(containers),
            layout,
            host=socket.gethostname(),
            version=hubagent.__version__,
            say=progress.say,
        )
        return making.write(file, homes=homes)
    finally:
        containers.close()


def restore(arguments: argparse.Namespace, layout: Layout) -> int:
    console.require_root("restore")
    progress = _Progress()
    with (
        _one_at_a_time(layout),
        progress,
        old_file(arguments.file, told=progress.count) as (file, total),
        _restoring(layout, progress) as restoring,
    ):
        progress.total = total
        if arguments.check:
            manifest = restoring.check(cast("BinaryIO", file))
        else:
            restored = restoring.restore(cast("BinaryIO", file), replace=arguments.replace)
    if arguments.check:
        _print_check(manifest, arguments)
        return 0
    return _print_restored(restored, layout, as_json=arguments.json)


def _print_check(manifest: Manifest, arguments: argparse.Namespace) -> None:
    if arguments.json:
        print(json.dumps({"file": str(arguments.file), "manifest": to_json(manifest)}, indent=1))
    else:
        print(backup_report.checked_text(manifest, name=str(arguments.file)), end="")


def _print_restored(restored: Restored, layout: Layout, *, as_json: bool) -> int:
    if as_json:
        return apply_restored(
            layout, lambda status: {**backup_report.restored_json(restored), "status": status}
        )
    print(backup_report.restored_text(restored), flush=True)
    return apply_restored(layout, None)


@contextmanager
def _restoring(layout: Layout, progress: _Progress) -> Iterator[Restoring]:
    containers, units = DockerContainers(), SystemdUnitManager()
    try:
        yield Restoring(
            _ports(containers),
            layout,
            units=units,
            lock=InstanceLock(layout.run / "lock"),
            version=hubagent.__version__,
            say=progress.say,
        )
    finally:
        units.close()
        containers.close()


def _ports(containers: DockerContainers) -> BackupPorts:
    return BackupPorts(
        files=LocalFileStore(),
        trees=LocalTrees(),
        databases=SqliteDatabases(),
        containers=containers,
        clock=SystemClock(),
    )


@contextmanager
def _one_at_a_time(layout: Layout) -> Iterator[None]:
    """And ended in order, without half a file, by whoever stops a service or closes a terminal."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    LocalFileStore().make_dir(layout.run, mode=0o755)
    with InstanceLock(layout.run / "backup.lock"):
        yield


def _end(number: int, _frame: object) -> None:
    raise KeyboardInterrupt


class _Progress:
    """One line on standard error, where that is a terminal."""

    def __init__(self) -> None:
        self.total: int | None = None  # bytes
        self._is_shown = sys.stderr.isatty()
        self._words = ""
        self._next_s = 0.0

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self._write("")

    def say(self, words: str) -> None:
        self._words = words
        self._write(words)

    def count(self, done: int) -> None:
        if not self._is_shown or time.monotonic() < self._next_s:
            return
        self._next_s = time.monotonic() + _EVERY_S
        share = f"{100 * done // self.total} %" if self.total else size(done)
        self._write(f"{self._words} ({share})")

    def _write(self, line: str) -> None:
        if self._is_shown:
            print(f"\r\033[K{clean(line)}", end="", flush=True, file=sys.stderr)
