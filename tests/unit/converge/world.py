"""A whole machine out of fakes: services that really read what `current` points at when they start or reload."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hubagent
from hubagent.config.model import Metrics as ServedMetrics
from hubagent.converge.apply import Applier
from hubagent.converge.candidate import Candidates, Preflight
from hubagent.converge.generations import Generations
from hubagent.converge.intent import Order, Outcome
from hubagent.converge.observe import UNITS, Observer
from hubagent.converge.ports import Ports
from hubagent.converge.reconciler import Reconciler
from hubagent.converge.retry import Quarantine
from hubagent.converge.survey import Survey, UserServers
from hubagent.converge.verify import Verifier
from hubagent.errors import PreflightError, TemporaryError
from hubagent.layout import (
    DOCKER,
    FIREWALL_WATCH,
    HUB_TEST,
    NGINX_TEST,
    PORT_HOLDER,
    PROXY_API_PORT,
    PROXY_PORT,
    Layout,
)
from hubagent.ports import ActiveState, HttpAnswer, Listener, Process, UnitVerb
from hubagent.render.generation import Desired
from hubagent.state.model import Component, Step
from hubagent.web.metrics import Metrics
from tests.fakes.certificates import FakeCertificateStore
from tests.fakes.clock import ManualClock
from tests.fakes.containers import FakeContainerRuntime
from tests.fakes.files import MemoryFileStore
from tests.fakes.http import FakeHttpProbe, Request
from tests.fakes.hub_pages import FakeHubPages
from tests.fakes.machine_facts import FakeMachineFacts
from tests.fakes.memory_tree import Survivors
from tests.fakes.units import FakeUnitManager
from tests.unit.converge.worlds import TEMPLATES

GATEWAY = "172.18.0.1"
_PROXY_USER = 61234
_USERS = {Component.NGINX: 0, Component.HUB: 998, Component.PROXY: _PROXY_USER}
CONFIG = "host: hub.example.org\n"


_FOLDERS = (
    "/etc/nginx/conf.d",
    "/etc/nginx/modules-enabled",
    "/etc/docker",
    "/run/hubagent",
    "/run/jupyterhub",
    "/run/configurable-http-proxy",
    "/run/hubagent-firewall",
    "/var/lib/hubagent",
)


HOSTS = ("hub.example.org", "other.example.org", "third.example.org")
FRONTS = (*(f"https://{host}" for host in HOSTS), "https://localhost")


class World:
    """The agent's converging half on a fake machine. `reboot_agent` is a kill -9 and a start."""

    def __init__(
        self,
        config: str = CONFIG,
        *,
        files: MemoryFileStore | None = None,
        pools: UserServers | None = None,
        clock: ManualClock | None = None,
    ) -> None:
        self.layout = Layout()
        self._pools = pools
        self.through: Callable[[Any], Any] = (
            lambda port: port
        )  # what the next agent reaches the machine through
        self.with_ports: Callable[[Ports], Ports] = lambda ports: ports  # and how it uses it
        self.clock = clock or ManualClock()
        self.files = files or MemoryFileStore()
        self.units = FakeUnitManager(
            dict.fromkeys(UNITS.values(), ActiveState.INACTIVE)
            | dict.fromkeys((DOCKER, FIREWALL_WATCH), ActiveState.ACTIVE),
            clock=self.clock,
        )
        for number in range(1, 30):  # systemd makes instances of a template by itself
            self.units.add(NGINX_TEST.format(number))
            self.units.add(HUB_TEST.format(number))
        for port in (80, 443, PROXY_PORT, PROXY_API_PORT, 8081):
            self.units.add(PORT_HOLDER.format(port=port))
        self.other_certificate = ""  # that nginx serves instead of ours
        self.stopped: set[int] = set()  # pids
        self.foreign: dict[int, str] = {}  # programs that are not hubagent's, by the port they hold
        self.engine = FakeContainerRuntime(images={"hubagent/julia": "sha256:1"})
        self.probe = FakeHttpProbe(clock=self.clock)
        self.machine = FakeMachineFacts()
        self.machine.process_by = self._process
        self.machine.is_open = lambda one: one.user_id != _PROXY_USER or self._up(Component.PROXY)
        self.nginx_loads = True  # a reload takes effect
        self.served = ""  # nginx's configuration in memory
        self.routes: dict[str, object] = {}
        self.proxy_token = self.hub_token = self.agent_token = ""  # that proxy and hub have in memory
        self.taken_ports: set[int] = set()
        self.metrics = Metrics(now=self.clock.time)  # of all its agents: to make one takes as long as a check
        self.served_metrics: ServedMetrics | None = None
        self.steps: list[tuple[Component, str, bool]] = []
        for path in _FOLDERS:
            self.files.put_folder(path)
        self.edit(config)
        self._wire()
        self.reboot_agent()

    def edit(self, config: str) -> None:
        self.files.write(self.layout.config, config.encode(), mode=0o644)

    def reboot_agent(self) -> None:
        """A new agent process on the same machine."""
        self.served_metrics = None
        reached = Ports(
            units=self.through(self.units),
            engine=self.through(self.engine),
            files=self.through(self.files),
            probe=self.through(self.probe),
            certificates=FakeCertificateStore(self.through(self.files), self.clock),
            machine=self.machine,
            clock=self.clock,
            layout=self.layout,
            templates=TEMPLATES,
        )
        self.ports = ports = self.with_ports(reached)
        self.generations = Generations(ports.files, self.layout)
        observer = Observer(
            ports, self.generations, version="1.0", served_metrics=lambda: self.served_metrics
        )
        self.reconciler = Reconciler(
            ports,
            generations=self.generations,
            quarantine=Quarantine(ports.files, self.layout),
            observer=observer,
            candidates=Candidates(self.generations, Preflight(ports)),
            applier=Applier(
                ports,
                Verifier(ports, observer),
                move_metrics=self._move_metrics,
                on_step=self._on_step,
                on_job=self.metrics.unit_job,
            ),
            recorder=self.metrics,
        )
        self.survey = Survey(
            ports,
            self.generations,
            observer,
            version=hubagent.__version__,
            pid=os.getpid(),
            user_servers=self._pools,
        )

    def lose_power(self, survivors: Survivors) -> None:
        """The machine goes off and boots again; the agent has not checked yet."""
        self.files.reboot(survivors)
        for name in UNITS.values():
            self.units.change(name, active=ActiveState.INACTIVE, sub="dead", main_pid=0)
        self.routes.clear()
        self.served = ""
        for path in _FOLDERS:
            if path.startswith("/run/"):
                self.files.put_folder(path)

    def reconcile(self, **order: object) -> Outcome:
        self.steps = []
        return self.reconciler.reconcile(Order(**order))  # type: ignore[arg-type]

    @property
    def taken(self) -> list[tuple[Component, str]]:
        """Steps of the last check that worked, as (component, verb)."""
        return [(component, verb) for component, verb, done in self.steps if done]

    def current(self, path: str) -> bytes:
        state = self.files.read(self.layout.current / path, max_bytes=2**22)
        assert state is not None
        return state.content

    # What others do.

    def take_port(self, port: int, who: str = "python3 (pid 4711, demo.service)") -> None:
        """A program that is not ours takes this port: a service of ours that is started now does not get it."""
        self.foreign[port] = who
        self.machine.held[port] = "a program of the user root"
        self.machine.sockets = [one for one in self.machine.sockets if one.port != port]
        self.machine.sockets.append(Listener(port, "0.0.0.0", 0))

        def tell(_verb: UnitVerb) -> None:
            self.files.write(self.layout.port_holder, f"{self.foreign.get(port, '')}\n".encode(), mode=0o600)

        self.units.on(PORT_HOLDER.format(port=port), tell)

    def free_port(self, port: int) -> None:
        """It has ended. Nobody listens there now."""
        del self.foreign[port], self.machine.held[port]
        self.close_port(port)

    def close_port(self, port: int) -> None:
        """Whoever listened there does so no longer, and runs on."""
        self.machine.sockets = [one for one in self.machine.sockets if one.port != port]

    # What the services do.

    def _wire(self) -> None:
        self.units.on(UNITS[Component.NGINX], self._nginx)
        self.units.on(UNITS[Component.HUB], self._hub)
        self.units.on(UNITS[Component.PROXY], self._proxy)
        self.units.on(UNITS[Component.FIREWALL], self._firewall)
        self.units.on(DOCKER, self._docker)
        self.probe.serve_by("http://127.0.0.1/-/hubagent", self._marker)
        self.probe.serve_by("http://127.0.0.1:8001/api/routes", self._routes)
        self.probe.serve_by(f"http://{GATEWAY}:8081/hub/api/proxy", self._resync, method="POST")
        self.probe.serve_by(f"http://{GATEWAY}:8081/hub/api/health", lambda _: self._if_up(Component.HUB))
        self.probe.serve_by("http://127.0.0.1:8000/_chp_healthz", self._public_port)
        back = f"http://{GATEWAY}:8081"
        self.pages = FakeHubPages(
            self.probe,
            back=back,
            fronts=(),
            token=lambda: self.agent_token,
            is_open=lambda front: self._up(Component.HUB) and (front == back or self._through()),
            certificate=self._served_certificate,
        )
        for front in FRONTS:
            self.open_front(front)

    def open_front(self, front: str) -> None:
        """This URL leads to nginx."""
        self.probe.serve_by(f"{front}/-/hubagent", self._marker)
        self.pages.serve_under(front)

    def _up(self, component: Component) -> bool:
        return self.units.is_active(UNITS[component])

    def _if_up(self, component: Component) -> HttpAnswer:
        if not self._up(component):
            raise TemporaryError("Connection refused")
        return HttpAnswer(200, b"{}")

    def _process(self, pid: int) -> Process | None:
        users = {self.units.unit(UNITS[component]).main_pid: user for component, user in _USERS.items()}
        return Process(users[pid], is_stopped=pid in self.stopped) if users.get(pid) is not None else None

    def _listens(self, port: int) -> bool:
        return any(one.user_id == _PROXY_USER for one in self.machine.listeners(port))

    def _public_port(self, _request: Request) -> HttpAnswer:
        if not self._listens(PROXY_PORT):
            if PROXY_PORT in self.foreign:
                return HttpAnswer(404, b"not here")
            raise TemporaryError("Connection refused")
        return self._if_up(Component.PROXY)

    def _nginx(self, verb: UnitVerb) -> None:
        if verb is not UnitVerb.STOP and self.nginx_loads:
            self.served = self.current("nginx/hubagent.conf").decode()

    def _through(self) -> bool:
        """Whether nginx and the proxy pass requests on."""
        return self._up(Component.NGINX) and self._up(Component.PROXY) and self._listens(PROXY_PORT)

    def _served_certificate(self) -> str:
        if self.other_certificate:
            return self.other_certificate
        certificate = re.search(r"^# certificate ([0-9a-f]+)", self.served, re.MULTILINE)
        return certificate[1] if certificate else ""

    def _marker(self, _request: Request) -> HttpAnswer:
        found = re.search(r'return 200 "([0-9a-f]*)"', self.served)
        if not self._up(Component.NGINX) or found is None:
            raise TemporaryError("Connection refused")
        return HttpAnswer(200, found[1].encode(), self._served_certificate())

    def _note(self, folder: str, path: str) -> None:
        digest = hashlib.sha256(self.current(path)).hexdigest()
        release = self.files.read(self.release(folder), max_bytes=2**12)
        marker = f"{digest}\n".encode() + (release.content if release else b"")
        self.files.write(Path(f"/run/{folder}/loaded"), marker, mode=0o644)

    @staticmethod
    def release(folder: str) -> Path:
        package = {"configurable-http-proxy": "proxy"}.get(folder, folder)
        return Path(f"/usr/lib/hubagent-{package}/release")

    def upgrade(self, service: str, version: str, build: str) -> None:
        """Install other programs of a service, beside the running ones."""
        self.files.put(self.release(service), f"{version} {hashlib.sha256(build.encode()).hexdigest()}\n")

    def _hub(self, verb: UnitVerb) -> None:
        if verb is not UnitVerb.STOP:
            self._note("jupyterhub", "hub/hub.json")
            secrets = json.loads(self.current("hub/secrets.json"))
            self.hub_token, self.agent_token = secrets["proxy_token"], secrets["agent_token"]
            if self.hub_token == self.proxy_token:
                self.routes["/"] = {"hub": True}

    def _proxy(self, verb: UnitVerb) -> None:
        self.routes.clear()
        if verb is not UnitVerb.STOP:
            self.routes["/"] = {}  # its own default target, which is not the hub's route
            self._note("configurable-http-proxy", "proxy/proxy.env")
            self.proxy_token = self.current("proxy/token").decode()
        pid = self.units.unit(UNITS[Component.PROXY]).main_pid
        for port in (PROXY_PORT, PROXY_API_PORT):
            if port not in self.foreign:
                self.close_port(port)
                if pid:
                    self.machine.sockets.append(Listener(port, "127.0.0.1", _PROXY_USER))

    def _firewall(self, verb: UnitVerb) -> None:
        if verb is not UnitVerb.STOP:
            self._note("hubagent-firewall", "firewall/hubagent.nft")
            for name in (
                "listing",
                "held",
            ):  # what the kernel made of it; the same as long as nobody changes it
                self.hold(self.current("firewall/hubagent.nft"), name)

    def hold(self, rules: bytes, name: str = "held") -> None:
        """The kernel holds these rules, by whoever's hand, and that was noted."""
        digest = hashlib.sha256(rules).hexdigest()
        self.files.write(Path("/run/hubagent-firewall") / name, f"{digest}\n".encode(), mode=0o600)

    def _docker(self, verb: UnitVerb) -> None:
        state = self.files.read(self.layout.docker_config, max_bytes=2**16)
        settings = json.loads(state.content) if state is not None else {}
        if (
            "live-restore" in settings or verb is not UnitVerb.RELOAD
        ):  # a reload does not take away what is gone
            self.engine.live_restore = settings.get("live-restore") is True

    def _routes(self, request: Request) -> HttpAnswer:
        if not self._up(Component.PROXY) or not self._listens(PROXY_API_PORT):
            raise TemporaryError("Connection refused")
        if request.headers.get("Authorization") != f"token {self.proxy_token}":
            return HttpAnswer(403, b"")
        return HttpAnswer(200, json.dumps(self.routes).encode())

    def _resync(self, request: Request) -> HttpAnswer:
        if request.headers.get("Authorization") != f"token {self.agent_token}":
            return HttpAnswer(403, b"{}")
        if self.hub_token != self.proxy_token:
            return HttpAnswer(500, b"{}")
        self.routes["/"] = {"hub": True}
        return HttpAnswer(200, b"{}")

    def _move_metrics(self, desired: Desired) -> None:
        if desired.metrics.listen.port in self.taken_ports:
            raise PreflightError(f"metrics.listen: {desired.metrics.listen}: address in use")
        self.served_metrics = desired.metrics

    def _on_step(self, step: Step, done: bool) -> None:
        self.steps.append((step.component, step.verb.value, done))
