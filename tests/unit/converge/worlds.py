"""Plain values for tests of the pure core: a Desired, and a machine that looks just like it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from hubagent.config.model import Config
from hubagent.layout import FIREWALL, HUB, NGINX, PROXY
from hubagent.ports import ActiveState, CertificateFacts, LoadState, UnitState
from hubagent.render.generation import Desired, Facts, Templates, desired
from hubagent.render.hub_files import Secrets
from hubagent.state.model import Component, Observed

TEMPLATE_FOLDER = Path(__file__).parents[3] / "conf" / "templates"
TEMPLATES = Templates(
    site=(TEMPLATE_FOLDER / "nginx.conf.j2").read_text(),
    main=(TEMPLATE_FOLDER / "nginx-main.conf.j2").read_text(),
)
FACTS = Facts(
    nginx_version=(1, 22, 1),
    openssl_version=(3, 0, 0),
    ipv6=False,
    gateway="172.18.0.1",
    resolvers=("10.0.0.53",),
    attached=(),
    foreign_bridges=(),
    certificate=Path("/var/lib/hubagent/tls/self-signed.crt"),
    key=Path("/var/lib/hubagent/tls/self-signed.key"),
    certificate_facts=CertificateFacts("ab" * 32, 0.0, 2e9, ("localhost",)),
    self_signed=True,
)
SECRETS = Secrets(proxy_token="p" * 64, agent_token="a" * 64)
UNITS = {Component.NGINX: NGINX, Component.HUB: HUB, Component.PROXY: PROXY, Component.FIREWALL: FIREWALL}
STATICS: Mapping[str, bytes] = {"/etc/nginx/conf.d/hubagent.conf": b"include;\n"}


def wished(config: Config | None = None) -> Desired:
    return desired(config or Config(), FACTS, SECRETS, source=b"# yaml\n", templates=TEMPLATES)


def running(name: str) -> UnitState:
    return UnitState(name=name, load=LoadState.LOADED, active=ActiveState.ACTIVE, sub="running", main_pid=100)


def in_shape(generation: Desired, /, **changed: object) -> Observed:
    """A machine that runs exactly this generation, but for what is `changed`."""
    observed = Observed(
        generation=7,
        digest=generation.digest,
        markers=dict(generation.markers),
        damaged=(),
        statics=dict(STATICS),
        units={component: running(name) for component, name in UNITS.items()},
        loaded=dict(generation.markers),
        routes=1,
        hub_route=True,
        metrics=generation.metrics,
        live_restore=True,
    )
    return dataclasses.replace(observed, **changed)  # type: ignore[arg-type]


def with_unit(observed: Observed, component: Component, **changed: object) -> Observed:
    unit = dataclasses.replace(observed.units[component], **changed)  # type: ignore[arg-type]
    return dataclasses.replace(observed, units={**observed.units, component: unit})
