"""Composes the Status after a check: components, figures, certificate, user servers, disk."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Protocol

from hubagent import limits
from hubagent.converge import entrance, figures
from hubagent.converge.entrance import Entrance
from hubagent.converge.generations import Generations
from hubagent.converge.in_force import declared_images, running_servers
from hubagent.converge.intent import Outcome, Prepared
from hubagent.converge.observe import UNITS, Observer
from hubagent.converge.ports import Ports
from hubagent.converge.problems import certificate_problems, image_problems, server_problems
from hubagent.errors import ContainerError, HubagentError, StorageError, TemporaryError
from hubagent.layout import (
    HUB_PORT,
    LABEL_SERVER,
    PROXY_METRICS_PORT,
)
from hubagent.limits import Verdict
from hubagent.ports import ActiveState, Container
from hubagent.render import hub_files
from hubagent.render.generation import HUB_SECRETS_FILE, Desired
from hubagent.state.model import Component
from hubagent.state.status import (
    CertificateStatus,
    ComponentStatus,
    Figures,
    ImageStatus,
    PoolStatus,
    Problem,
    Reason,
    RenewalStatus,
    Result,
    Status,
)
from hubagent.state.words import size

_ASK_AGAIN_S = 15.0  # how old containers, images and the services' own figures may be
_NO_DOCKER = Problem(Component.DOCKER, Reason.DOCKER, "Docker does not answer; see systemctl status docker")


class UserServers(Protocol):
    """What serves users' containers, as far as a Status tells of it."""

    def fault(self) -> str:
        """Why the hub cannot ask for servers; empty when it can."""
        ...

    def status(self) -> tuple[PoolStatus, ...]:
        """Of the warm pools."""
        ...

    def images(self) -> tuple[ImageStatus, ...]: ...

    def failed_trials(self) -> Mapping[str, str]:
        """Why no server starts, by the name of the entry of `servers`."""
        ...

    def users(self) -> Mapping[str, str]:
        """Whose server a slot's container is, by the container's id."""
        ...

    def homes_waiting(self) -> int:
        """How many homes somebody asks for whose they are not."""
        ...


class Authority(Protocol):
    """What gets certificates from an authority, as far as a Status tells of it."""

    def status(self) -> RenewalStatus | None:
        """None where no authority is asked."""
        ...


class Survey:
    """Remembers what a Status needs of earlier checks."""

    def __init__(
        self,
        ports: Ports,
        generations: Generations,
        observer: Observer,
        *,
        version: str,
        pid: int,
        user_servers: UserServers | None = None,
        authority: Authority | None = None,
    ) -> None:
        """`user_servers`, `authority` None: nobody looks after them here."""
        self._ports = ports
        self._authority = authority
        self._user_servers = user_servers
        self._generations = generations
        self._observer = observer
        self._asked = Figures()
        self._entrance = Entrance()
        self._asked_at_s = -_ASK_AGAIN_S
        self._containers: tuple[Container, ...] | None = None
        self._absent: frozenset[str] = frozenset()  # images
        self._last = Status(version=version, pid=pid, looks=0, looked_at_s=0.0, result=Result.NOOP)

    def status(self, outcome: Outcome) -> Status:
        """The whole Status; never raises: what does not answer is None or down."""
        now_s, last, prepared = self._ports.clock.time(), self._last, outcome.prepared
        intent = prepared.intent if prepared else outcome.intent
        in_force = self._in_force()
        self._ask(in_force, now_s, fresh=not (prepared is not None and prepared.plan.is_empty))
        containers, served = self._containers, self._user_servers
        owners = served.users() if served else {}
        pools = served.status() if served else ()
        homes_waiting = served.homes_waiting() if served else 0
        images = served.images() if served else None
        certificate, of_the_certificate = self.certificate(in_force, now_s)
        free, disk_problems = self._disk()
        accepted = outcome.result is Result.OK and prepared is not None and prepared.intent.is_new
        took_steps = prepared is not None and outcome.result in (Result.OK, Result.ROLLED_BACK)
        self._last = dataclasses.replace(
            last,
            looks=last.looks + 1,
            looked_at_s=now_s,
            result=outcome.result,
            url=_url(in_force),
            config_sha256=intent.source_sha256 if intent else last.config_sha256,
            config_errors=intent.errors if intent else last.config_errors,
            config_accepted_at_s=now_s if accepted else last.config_accepted_at_s,
            generation=self._generation(),
            candidate=outcome.candidate or (last.candidate if outcome.result is Result.REJECTED else None),
            components=self._components(prepared),
            problems=(
                *outcome.problems,
                *self._entrance.problems,
                *(() if containers is not None else (_NO_DOCKER,)),
                *self._said_by_the_hub(),
                *image_problems(declared_images(in_force) if in_force else {}, images, self._absent),
                *server_problems(
                    served.fault() if served else "",
                    pools,
                    served.failed_trials() if served else {},
                    homes_waiting=homes_waiting,
                ),
                *of_the_certificate,
                *disk_problems,
            ),
            steps=prepared.plan.steps if prepared and took_steps else last.steps,
            pending=prepared.plan.pending if prepared else (),
            pending_changes=prepared.plan.changes if prepared and prepared.plan.pending else (),
            certificate=certificate,
            servers=running_servers(in_force, containers or (), owners),
            images=images or (),
            pools=pools,
            homes_waiting=homes_waiting,
            figures=self._figures(prepared),
            dbus_up=prepared is not None,
            docker_up=containers is not None,
            disk_free_bytes=free,
            time_zone=self._ports.clock.zone(),
            last_failure=outcome.failure or last.last_failure,
            last_failure_at_s=now_s if outcome.failure else last.last_failure_at_s,
        )
        return self._last

    def _generation(self) -> int | None:
        try:
            return self._generations.current()
        except StorageError:
            return None

    def _in_force(self) -> Desired | None:
        try:
            return self._generations.desired()
        except StorageError:
            return None

    def _components(self, prepared: Prepared | None) -> tuple[ComponentStatus, ...]:
        found = []
        untouched = prepared is not None and prepared.plan.is_empty
        for component, name in UNITS.items():
            try:
                if prepared is not None and untouched:  # then what the check saw is still so
                    unit, loaded = prepared.observed.units[component], prepared.observed.loaded[component]
                else:
                    unit = self._ports.units.unit(name)
                    loaded = self._observer.loaded(component, unit)
            except TemporaryError as error:
                found.append(ComponentStatus(component, name, "unknown", healthy=False, detail=str(error)))
                continue
            wanted = (
                prepared.intent.desired.markers[component] if prepared and prepared.intent.desired else None
            )
            active = unit.active is ActiveState.ACTIVE
            behind = active and wanted is not None and loaded != wanted
            found.append(
                ComponentStatus(
                    component,
                    name,
                    unit.load.value if unit.load.value == "masked" else unit.active.value,
                    healthy=active and loaded is not None and not self._entrance.component(component),
                    restarts=unit.restarts,
                    detail="runs with older settings" if behind else self._outdated(prepared, component),
                )
            )
        return tuple(found)

    @staticmethod
    def _outdated(prepared: Prepared | None, component: Component) -> str:
        left_alone = prepared is not None and prepared.plan.is_empty
        return prepared.observed.outdated.get(component, "") if prepared and left_alone else ""

    def forget(self) -> None:
        """Ask Docker, the hub and the proxy again at the next check: something has happened there."""
        self._asked_at_s = -_ASK_AGAIN_S

    def _ask(self, in_force: Desired | None, now_s: float, *, fresh: bool) -> None:
        """The expensive queries of a check; a check may come many times a second."""
        if not fresh and 0 <= now_s - self._asked_at_s < _ASK_AGAIN_S:
            return
        self._asked_at_s = now_s
        try:
            self._containers = self._ports.engine.containers(label=LABEL_SERVER)
        except ContainerError:
            self._containers = None
        self._absent = self._look_for_images(in_force)
        self._entrance = entrance.ask(self._ports, in_force) if in_force else Entrance()
        self._asked = self._ask_services(in_force)

    def _look_for_images(self, in_force: Desired | None) -> frozenset[str]:
        """Those of the servers in force that are not on this machine; none while that cannot be told."""
        if in_force is None or self._containers is None:
            return frozenset()
        names = set(declared_images(in_force).values())
        try:
            return frozenset(name for name in names if self._ports.engine.image_id(name) is None)
        except ContainerError:
            return frozenset()

    def certificate(
        self, in_force: Desired | None, now_s: float
    ) -> tuple[CertificateStatus | None, tuple[Problem, ...]]:
        if in_force is None:
            return None, ()
        facts = in_force.certificate
        lifetime_s = facts.not_after_s - facts.not_before_s
        renewal = self._authority.status() if self._authority else None
        status = CertificateStatus(facts.not_after_s, facts.names, in_force.self_signed, lifetime_s, renewal)
        return status, certificate_problems(status, now_s)

    def _disk(self) -> tuple[int | None, tuple[Problem, ...]]:
        path = self._ports.layout.state
        try:
            free = self._ports.files.free_bytes(path)
        except StorageError:
            return None, ()
        verdict = limits.DISK_FREE_BYTES.verdict(free)
        if not verdict:
            return free, ()
        how = "this disk is nearly full" if verdict is Verdict.CRITICAL else "free space on this disk is low"
        message = f"{path}: {how}, {size(free)} free; see docker system df"
        return free, (Problem(None, Reason.DISK, message),)

    def _said_by_the_hub(self) -> tuple[Problem, ...]:
        return tuple(
            Problem(Component.HUB, Reason.SETTINGS, notice) for notice in self._observer.hub_notices()
        )

    def _ask_services(self, in_force: Desired | None) -> Figures:
        if in_force is None:
            return Figures()
        token = hub_files.agent_token(in_force.file(HUB_SECRETS_FILE).content)
        url = f"http://{in_force.gateway}:{HUB_PORT}/hub/metrics"
        hub = self._text(url, token) if self._entrance.is_the_hubs else None
        proxy = self._text(f"http://127.0.0.1:{PROXY_METRICS_PORT}/metrics", None)
        return figures.merge(figures.parse_hub(hub or ""), figures.parse_proxy(proxy or ""))

    def _figures(self, prepared: Prepared | None) -> Figures:
        own = Figures(
            proxy_routes=prepared.observed.routes if prepared else None,
            nginx_old_workers=self._ports.machine.nginx_old_workers(),
        )
        return figures.merge(own, self._asked)

    def _text(self, url: str, token: str | None) -> str | None:
        headers = {"Authorization": f"token {token}"} if token else {}
        try:
            answer = self._ports.probe.request(url, headers=headers)
        except HubagentError:
            return None
        return answer.body.decode(errors="replace") if answer.status == 200 else None


def _url(in_force: Desired | None) -> str | None:
    """Without a configured host, the machine's own name, as the self-signed certificate has it."""
    if in_force is None:
        return None
    names = in_force.certificate.names
    return f"https://{in_force.host or (names[0] if names else 'localhost')}/"
