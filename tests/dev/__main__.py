"""`make dev`: the agent on a machine in memory. It follows a scratch file as the real one follows /etc/hubagent.yaml,
and serves its real status page and metrics. Needs no root, no systemd and no Docker, and touches nothing outside its
folder.

Real are the judging, rendering, switching, verifying and taking back of an edit, the warm pool, what watches the file,
and the metrics port. Systemd, Docker, nginx, hub, proxy and disk are the fakes of the unit tests.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import signal
import sys
from pathlib import Path
from typing import Final

from hubagent.adapters.files.watch import ConfigWatch
from hubagent.cli import console
from hubagent.cli.plan_report import plan_text
from hubagent.cli.status_report import status_text
from hubagent.converge.intent import Order
from hubagent.converge.triggers import Trigger, Triggers
from hubagent.errors import HubagentError
from hubagent.state.status import Result, Status
from tests.dev.machine import Machine

SCRATCH: Final = """\
# What `make dev` runs: this file is /etc/hubagent.yaml of a machine that is only in memory.
# Save it and see what becomes of the edit. docs/reference.md has every key; without this file it begins anew.
host: hub.example.org

hub:
  admins: [ada]

servers:
  julia:
    title: Julia (Jupyter and Pluto)
    warm: {ready: 2}

nginx:
  max_body: 100M

metrics:
  listen: 127.0.0.1:9811
"""
_POLL_S: Final = 1.0


class Session:
    """One machine and its scratch file, until somebody ends it."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._machine = Machine("")
        self._triggers = Triggers(self._machine.clock.monotonic)

    def run(self) -> None:
        """Returns by KeyboardInterrupt alone."""
        watch = ConfigWatch(self._scratch, on_change=lambda: self._triggers.put(Trigger.FILE))
        watch.start()
        self._machine.start()
        self._triggers.put(Trigger.FILE)
        try:
            while True:
                self._step(self._triggers.take(_POLL_S))
        finally:
            watch.stop()
            self._machine.stop()

    def _step(self, why: frozenset[Trigger]) -> None:
        if why == {Trigger.EARLY}:
            self._machine.reconciler.rehearse()
            return
        if why:
            self._copy()
            self._show_plan()
        status = self._reconcile()
        if why or status.result is not Result.NOOP:
            self._show(status)

    def _copy(self) -> None:
        """The scratch file becomes the machine's own, as it is now."""
        path = self._machine.layout.config
        try:
            self._machine.files.put(path, self._scratch.read_bytes())
        except FileNotFoundError:
            self._machine.files.remove(path)

    def _show_plan(self) -> None:
        with contextlib.suppress(HubagentError):
            prepared = self._machine.reconciler.preview(Order())
            self._machine.bring_images(prepared.intent.config)
            if prepared.intent.desired is not None and not prepared.errors:
                print(f"\n{plan_text(prepared.plan, colour=console.has_colour())}", flush=True)

    def _reconcile(self) -> Status:
        machine, begun_s = self._machine, self._machine.clock.monotonic()
        outcome = machine.reconciler.reconcile(Order())
        machine.metrics.reconcile_finished(outcome.result, machine.clock.monotonic() - begun_s)
        machine.follow()
        status = machine.survey.status(outcome)
        machine.metrics.set_status(status)
        machine.endpoints.alive()
        return status

    def _show(self, status: Status) -> None:
        colour, now_s = console.has_colour(), self._machine.clock.time()
        print(status_text(status, now_s=now_s, width=console.width(), colour=colour))
        if self._machine.served_metrics is not None:
            print(f"page:   http://{self._machine.served_metrics.listen}/  (/metrics, /status.json)")
        print(f"edit:   {self._scratch}\nCtrl-C ends it.", flush=True)


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="make dev", description=__doc__)
    parser.add_argument("folder", type=Path, help="where the scratch file hubagent.yaml is, or is made")
    folder: Path = parser.parse_args().folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    scratch = folder / "hubagent.yaml"
    if not scratch.exists():
        scratch.write_text(SCRATCH)
    console.show_log()
    logging.getLogger().setLevel(logging.INFO)
    for end in (
        signal.SIGINT,
        signal.SIGTERM,
    ):  # a shell starts what is in its background with SIGINT ignored
        signal.signal(end, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):
        Session(scratch).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
