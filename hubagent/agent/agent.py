"""The agent: builds everything, then one loop that checks, acts, reports and feeds the watchdog.

With cli, user_servers and home_desk the only place that knows adapters. One thread reconciles; what serves users has
threads of its own; every other thread only says "check again" (see converge/triggers.py).
"""

from __future__ import annotations

import faulthandler
import json
import logging
import os
import signal
import threading
import time
from pathlib import Path

import hubagent
from hubagent.adapters.docker.engine import DockerEngine
from hubagent.adapters.files.lock import InstanceLock
from hubagent.adapters.files.store import LocalFileStore
from hubagent.adapters.files.watch import ConfigWatch
from hubagent.adapters.machine.clock import SystemClock
from hubagent.adapters.machine.facts import LocalMachineFacts
from hubagent.adapters.net.certificates import PemCertificateStore
from hubagent.adapters.net.probe import SocketHttpProbe
from hubagent.adapters.systemd.manager import SystemdUnitManager
from hubagent.adapters.systemd.notify import SystemdNotifier
from hubagent.agent.user_servers import UserServers
from hubagent.agent.watchdog_clock import Progress, with_watchdog
from hubagent.backoff import Backoff
from hubagent.certificates.keeper import CertificateKeeper, CertificatePorts, InForce
from hubagent.config.model import Metrics as ServedMetrics
from hubagent.converge import surroundings
from hubagent.converge.apply import Applier
from hubagent.converge.candidate import Candidates, Preflight
from hubagent.converge.generations import Generations
from hubagent.converge.in_force import Declared
from hubagent.converge.intent import Order, Outcome
from hubagent.converge.observe import UNITS, Observer
from hubagent.converge.ports import Ports
from hubagent.converge.reconciler import Reconciler
from hubagent.converge.requests import Requests
from hubagent.converge.retry import Quarantine
from hubagent.converge.survey import Survey
from hubagent.converge.triggers import Trigger, Triggers
from hubagent.converge.verify import Verifier
from hubagent.errors import HubagentError, PreflightError, StopRequested, StorageError
from hubagent.layout import Layout
from hubagent.render.generation import Desired, Templates
from hubagent.state.model import Step
from hubagent.state.status import Result, Status
from hubagent.state.status_json import to_json
from hubagent.web.endpoints import Endpoints
from hubagent.web.metrics import Metrics
from hubagent.web.page import Sources, StatusPage
from hubagent.web.server import Exposition

log = logging.getLogger(__name__)

POLL_S = 20.0
"""How often the agent checks without being told to: every hint may be lost, this is what counts."""

_STOP_S = 20.0
"""After being told to end. Less than the unit's TimeoutStopSec, so that an end is never a failure."""

_LOG_S = 1.0

_BACKOFF = Backoff(first_s=0.5, most_s=30.0)

_SIGNALS = {signal.SIGHUP, signal.SIGTERM, signal.SIGINT}

TEMPLATES = Path("/usr/share/hubagent/templates")


def templates(folder: Path = TEMPLATES) -> Templates:
    """The sources of the templates, as installed."""
    return Templates(
        site=(folder / "nginx.conf.j2").read_text("utf-8"),
        main=(folder / "nginx-main.conf.j2").read_text("utf-8"),
    )


def status_page(folder: Path = TEMPLATES) -> StatusPage:
    """The status page, from its sources as installed."""
    return StatusPage(
        Sources(
            template=(folder / "status.html.j2").read_text("utf-8"),
            style=(folder / "status.css").read_text("utf-8"),
            script=(folder / "status.js").read_text("utf-8"),
        )
    )


class Agent:
    """One instance for `run`, and for a command of the command line while no agent runs."""

    def __init__(self, layout: Layout, *, serve_metrics: bool, template_folder: Path = TEMPLATES) -> None:
        self.layout = layout
        self._serve_metrics = serve_metrics
        self.notifier = SystemdNotifier()
        self.progress = Progress(self._feed)
        self.metrics = Metrics()
        self.triggers = Triggers(SystemClock().monotonic)
        self.endpoints = Endpoints(self.metrics, status_page(template_folder))
        self.exposition = Exposition(self.endpoints, self.metrics)
        self.units = SystemdUnitManager(
            watched=tuple(UNITS.values()),
            on_change=lambda: self.triggers.put(Trigger.UNIT),
            on_lost=self.metrics.dbus_reconnect,
            on_wait=self.progress,
        )
        self.engine = DockerEngine()
        files, clock = LocalFileStore(), SystemClock()
        plain = Ports(
            units=self.units,
            engine=self.engine,
            files=files,
            probe=SocketHttpProbe(),
            certificates=PemCertificateStore(files, clock),
            machine=LocalMachineFacts(),
            clock=clock,
            layout=layout,
            templates=templates(template_folder),
        )
        self.ports = with_watchdog(plain, self.progress)
        self.generations = Generations(self.ports.files, layout)
        self.requests = Requests(self.ports.files, layout)
        self._serving: ServedMetrics | None = None
        observer = Observer(
            self.ports,
            self.generations,
            version=hubagent.__version__,
            served_metrics=self._served_metrics,
        )
        self.reconciler = Reconciler(
            self.ports,
            generations=self.generations,
            quarantine=Quarantine(self.ports.files, layout),
            observer=observer,
            candidates=Candidates(self.generations, Preflight(self.ports)),
            applier=Applier(
                self.ports,
                Verifier(self.ports, observer),
                move_metrics=self._move_metrics,
                on_step=self._on_step,
                on_job=self.metrics.unit_job,
            ),
            recorder=self.metrics,
        )
        self._declared = Declared(self.generations)
        self.user_servers = UserServers(
            layout,
            declared=self._declared.config,
            files=files,
            clock=clock,
            probe=plain.probe,
            recorder=self.metrics.pool,
            on_change=lambda: self.triggers.put(Trigger.SERVERS),
        )
        self.certificates = CertificateKeeper(
            CertificatePorts(self.units, files, plain.certificates, clock),
            layout,
            in_force=self._certificate_in_force,
            on_change=lambda: self.triggers.put(Trigger.CERTIFICATE),
        )
        self.survey = Survey(
            self.ports,
            self.generations,
            observer,
            version=hubagent.__version__,
            pid=os.getpid(),
            user_servers=self.user_servers,
            authority=self.certificates,
        )
        self._failures = 0  # of checks that are worth a retry, in a row

    def run(self) -> int:
        """Reconcile until told to stop, within _STOP_S then. Services are never touched on the way out; a change that
        is broken off is taken up by the next start, as after a power cut."""
        faulthandler.enable()  # systemd's watchdog ends a hanging agent by SIGABRT: the journal shows where it hung
        self.ports.files.make_dir(self.layout.run, mode=0o755)
        with InstanceLock(self.layout.run / "lock"):
            signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)  # before any thread starts, which inherits it
            threading.Thread(target=self._obey, name="signals", daemon=True).start()
            watch = ConfigWatch(
                self.layout.config,
                on_change=lambda: self.triggers.put(Trigger.FILE),
                poll_s=POLL_S / 2,
                on_fault=self.metrics.watch_error,
            )
            watch.start()
            self.engine.watch(self._docker_changed)
            self.user_servers.start()
            self.certificates.start()
            try:
                self._loop()
            except StopRequested:
                log.info("told to stop in the middle of a check; the next start continues from there")
                self.reconciler.broken_off()
            finally:
                self.notifier.stopping()
                self.user_servers.stop()
                self.certificates.stop()
                watch.stop()
                self.close()
        return 0

    def close(self) -> None:
        """Let go of connections and threads."""
        self.exposition.close()
        self.engine.close()
        self.units.close()

    def reconcile(self, order: Order) -> tuple[Outcome, Status]:
        """One check with everything that follows from it: metrics, status file, STATUS=."""
        begun_s = self.ports.clock.monotonic()
        self._answer_scrapes(None)
        outcome = self.reconciler.reconcile(order)
        self._answer_scrapes(ServedMetrics())
        self.metrics.reconcile_finished(outcome.result, self.ports.clock.monotonic() - begun_s)
        if outcome.prepared is not None:
            self.user_servers.avoid(
                surroundings.unsuitable_networks(self.ports, outcome.prepared.intent.config)
            )
        status = self.survey.status(outcome)
        self.metrics.set_status(status)
        self._publish(status)
        return outcome, status

    def _loop(self) -> None:
        self.triggers.put(Trigger.START)
        feed_s = self.notifier.watchdog_interval_s or POLL_S
        next_poll_s = 0.0
        while not self.progress.is_stopping:
            now_s = self.ports.clock.monotonic()
            why = self.triggers.take(max(0.0, min(feed_s, next_poll_s - now_s)))
            self._feed()
            if self.progress.is_stopping or (not why and self.ports.clock.monotonic() < next_poll_s):
                continue
            if why == {Trigger.EARLY}:
                self.reconciler.rehearse()
                continue
            if why & {Trigger.DOCKER, Trigger.SERVERS}:
                self.survey.forget()
            if Trigger.SIGNAL in why:
                self.notifier.reloading()
            self.user_servers.keep()
            self._answer_requests()
            outcome, status = self.reconcile(Order())
            if outcome.result is not Result.NOOP:
                self.user_servers.wake()
                self.certificates.wake()
            next_poll_s = self.ports.clock.monotonic() + POLL_S
            if outcome.retry:
                self._failures += 1
                self.triggers.put(Trigger.RETRY, delay_s=_BACKOFF.delay_s(self._failures))
            else:
                self._failures = 0
            self.notifier.ready(_words(status))

    def _answer_requests(self) -> None:
        try:
            self.user_servers.decide()
            waiting = self.requests.waiting()
        except HubagentError as error:
            log.error("%s", error)
            return
        for request in waiting:
            self.survey.forget()  # somebody waits for how it is now
            outcome, status = self.reconcile(request.order)
            self.user_servers.wake(asked=True)
            self.certificates.wake(asked=True)
            self.requests.answer(request, {"result": outcome.result.value, "status": to_json(status)})

    def _docker_changed(self) -> None:
        self.user_servers.wake()
        self.triggers.put(Trigger.DOCKER)

    def _feed(self) -> None:
        self.notifier.watchdog()
        self.endpoints.alive()

    def _publish(self, status: Status) -> None:
        try:
            content = json.dumps(to_json(status)).encode()
            self.ports.files.write(self.layout.run / "status.json", content, mode=0o600)
        except HubagentError as error:  # a full disk must not stop the agent
            log.error("%s", error)

    def _on_step(self, step: Step, done: bool) -> None:  # noqa: FBT001
        self.metrics.step_finished(step, done)
        log.log(
            logging.INFO if done else logging.ERROR,
            "%s %s: %s%s",
            step.component.value,
            step.verb.value,
            step.reason,
            "" if done else " (failed)",
        )

    def _served_metrics(self) -> ServedMetrics | None:
        if self._serve_metrics:
            return self._serving
        desired = self.generations.desired()  # a command serves nothing; the agent serves what is in force
        return desired.metrics if desired else None

    def _answer_scrapes(self, otherwise: ServedMetrics | None) -> None:
        """Serve metrics whatever else does not work: those of the generation in force, else `otherwise`."""
        if not self._serve_metrics or self._serving is not None:
            return
        try:
            desired = self.generations.desired()
        except StorageError:
            desired = None
        metrics = desired.metrics if desired else otherwise
        try:
            if metrics is not None:
                self._serve(metrics)
        except PreflightError as error:
            log.warning("%s", error)

    def _certificate_in_force(self) -> InForce:
        """StorageError when the generation cannot be read."""
        desired = self.generations.desired()
        fingerprint = desired.certificate.fingerprint_sha256 if desired else None
        return InForce(self._declared.config(), fingerprint)

    def _move_metrics(self, desired: Desired) -> None:
        if self._serve_metrics:
            self._serve(desired.metrics)

    def _serve(self, metrics: ServedMetrics) -> None:
        self.exposition.switch(self.exposition.bind(metrics.listen, metrics.tls, metrics.users))
        self._serving = metrics

    def _obey(self) -> None:
        """Turn signals into triggers, in a thread: a handler could interrupt the loop anywhere."""
        while signal.sigwait(_SIGNALS) is signal.SIGHUP:
            self.triggers.put(Trigger.SIGNAL)
        self.progress.stop()
        self.triggers.put(Trigger.STOP)
        # Whatever still waits for an answer then is left waiting: all that has to last is on disk at every moment.
        time.sleep(_STOP_S)
        log.warning("stopped after %.0f s although something had not answered yet", _STOP_S)
        time.sleep(_LOG_S)
        os._exit(0)


def _words(status: Status) -> str:
    """One line for `systemctl status`."""
    what = f"generation {status.generation} in force" if status.generation else "no generation in force yet"
    if status.problems:
        return f"{what}; degraded: {status.problems[0].message}"
    if status.pending:
        return f"{what}; waiting for your permission: {status.pending[0].reason}"
    return f"{what}; {'as it should be' if status.result is Result.NOOP else status.result.value}"
