"""The whole installation, check by check; every finding comes with its remedy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hubagent import limits
from hubagent.config.reading.advice import judge_host
from hubagent.converge.intent import Order, Prepared
from hubagent.converge.observe import UNITS, Listening
from hubagent.converge.ports import Ports
from hubagent.converge.reconciler import Reconciler
from hubagent.errors import HubagentError
from hubagent.layout import AGENT, DOCKER, FIREWALL_WATCH
from hubagent.ports import ActiveState, LoadState
from hubagent.state import words
from hubagent.state.status import Status
from hubagent.state.words import size

_CONNECTIONS_PER_USER = 10
"""An open JupyterLab holds a websocket for each kernel, terminal and its events, and one connection to ask on;
nginx counts each twice, for the browser and for the proxy."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what was checked, and what to do when it is not right."""

    check: str
    ok: bool
    found: str
    remedy: str = ""


def examine(ports: Ports, reconciler: Reconciler, status: Status | None) -> tuple[Finding, ...]:
    """Run every check; one that cannot be made is a finding too."""
    checks: list[tuple[str, Callable[[], Finding]]] = [
        ("agent", lambda: _agent(ports, status)),
        ("configuration", lambda: _configuration(reconciler)),
        *(
            (f"unit {name}", lambda name=name: _unit(ports, name))
            for name in (DOCKER, *UNITS.values(), FIREWALL_WATCH)
        ),
        ("live-restore", lambda: _live_restore(ports)),
        ("nginx version", lambda: _nginx(ports)),
        ("nginx connections", lambda: _connections(ports, status)),
        ("ports", lambda: _ports(ports, reconciler)),
        ("host", lambda: _host(ports, reconciler)),
        ("certificate", lambda: _certificate(ports, status)),
        ("disk", lambda: _disk(ports)),
    ]
    findings = []
    for name, check in checks:
        try:
            findings.append(check())
        except HubagentError as error:
            findings.append(Finding(name, ok=False, found=str(error), remedy="see the message"))
    problems = status.problems if status else ()
    findings += [Finding(f"problem: {one.reason.value}", ok=False, found=one.message) for one in problems]
    return tuple(findings)


def _agent(ports: Ports, status: Status | None) -> Finding:
    unit = ports.units.unit(AGENT)
    if unit.active is not ActiveState.ACTIVE:
        return Finding(
            "agent", ok=False, found=f"{AGENT} is {unit.active.value}", remedy=f"systemctl start {AGENT}"
        )
    if status is None or limits.LAST_CHECK_AGE_S.verdict(ports.clock.time() - status.looked_at_s):
        return Finding(
            "agent",
            ok=False,
            found="it has not checked the machine recently",
            remedy=f"journalctl -u {AGENT} -n 50",
        )
    return Finding("agent", ok=True, found=f"checked {status.looks} times, generation {status.generation}")


def _configuration(reconciler: Reconciler) -> Finding:
    prepared: Prepared = reconciler.preview(Order())
    if prepared.intent.errors:
        return Finding(
            "configuration",
            ok=False,
            found="; ".join(prepared.intent.errors),
            remedy="correct /etc/hubagent.yaml",
        )
    if prepared.plan.pending:
        waits = "; ".join(step.reason for step in prepared.plan.pending)
        return Finding("configuration", ok=False, found=waits, remedy="hubagent apply --allow-disruption")
    return Finding("configuration", ok=True, found="valid and in force")


def _unit(ports: Ports, name: str) -> Finding:
    unit = ports.units.unit(name)
    if unit.load is LoadState.NOT_FOUND:
        return Finding(
            f"unit {name}", ok=False, found="not installed", remedy="apt install --reinstall hubagent"
        )
    if unit.load is LoadState.MASKED:
        return Finding(f"unit {name}", ok=False, found="masked", remedy=f"systemctl unmask {name}")
    ok = unit.active is ActiveState.ACTIVE
    return Finding(
        f"unit {name}", ok=ok, found=unit.active.value, remedy="" if ok else f"journalctl -u {name} -n 50"
    )


def _live_restore(ports: Ports) -> Finding:
    facts = ports.engine.facts()
    remedy = 'set "live-restore": true in /etc/docker/daemon.json, systemctl reload docker'
    if facts.in_swarm:
        remedy = "docker swarm leave: in a swarm Docker does not start with live-restore, so do not set it"
    return Finding(
        "live-restore",
        ok=facts.live_restore,
        found="on" if facts.live_restore else "off: a restart of Docker stops all user servers",
        remedy="" if facts.live_restore else remedy,
    )


def _nginx(ports: Ports) -> Finding:
    version, _ = ports.machine.nginx_versions()
    return Finding("nginx version", ok=True, found=".".join(map(str, version)))


def _connections(ports: Ports, status: Status | None) -> Finding:
    users = status.figures.hub_users if status else None
    have = ports.machine.nginx_connections()
    name, found = "nginx connections", f"{'unknown' if have is None else have} for {users or 'unknown'} users"
    needed = _CONNECTIONS_PER_USER * (users or 0)
    if have is None or have >= needed:
        return Finding(name, ok=True, found=found)
    remedy = (
        f"in /etc/nginx/nginx.conf, raise worker_connections until all workers together have {needed}, "
        f"then systemctl reload nginx"
    )
    return Finding(
        name, ok=False, found=f"{found}: pages would hang when all users are connected", remedy=remedy
    )


def _ports(ports: Ports, reconciler: Reconciler) -> Finding:
    desired = reconciler.preview(Order()).intent.desired
    listening, gateway = Listening(ports), desired.gateway if desired else ""
    found = [
        f"{name}: {taken}"
        for component, name in UNITS.items()
        if (taken := listening.taken(component, ports.units.unit(name), gateway))
    ]
    if found:
        remedy = "stop that program, or move it to another port"
        return Finding("ports", ok=False, found="; ".join(found), remedy=remedy)
    return Finding("ports", ok=True, found="all are held by the intended services")


def _host(ports: Ports, reconciler: Reconciler) -> Finding:
    host = reconciler.preview(Order()).intent.config.host
    if host is None:
        return Finding(
            "host",
            ok=False,
            found="not set: any name is served, with a self-signed certificate",
            remedy="set `host` in /etc/hubagent.yaml to this server's name",
        )
    addresses = ports.machine.addresses(host)
    notice = judge_host(host, addresses)
    if notice is None:
        return Finding("host", ok=True, found=host)
    remedy = "create its DNS entry, or correct `host`" if addresses == {} else ""
    return Finding("host", ok=addresses != {}, found=notice.message, remedy=remedy)


def _certificate(ports: Ports, status: Status | None) -> Finding:
    found = status.certificate if status else None
    if found is None:
        return Finding("certificate", ok=False, found="none is in force yet", remedy="see the other findings")
    told = words.certificate(status, ports.clock.time()) if status else ""
    if found.renewal is not None and found.renewal.failure:
        remedy = "put that right, then hubagent apply"
        return Finding("certificate", ok=False, found=f"{told}: {found.renewal.failure}", remedy=remedy)
    return Finding("certificate", ok=True, found=told)


def _disk(ports: Ports) -> Finding:
    free = ports.files.free_bytes(ports.layout.state)
    ok = not limits.DISK_FREE_BYTES.verdict(free)
    remedy = "" if ok else "free some space; see docker system df"
    return Finding("disk", ok=ok, found=f"{size(free)} free", remedy=remedy)
