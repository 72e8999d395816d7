"""What the machine should look like: pure, from a Config and facts about the machine, or from an earlier generation."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from hubagent.config.kinds.composites import Section
from hubagent.config.model import Config, Metrics, Server, Start, TlsMode
from hubagent.layout import HUB_USER, PROXY_PORT, Layout, bridge_of
from hubagent.ports import CertificateFacts
from hubagent.render import firewall, hub_files, nginx
from hubagent.render.hub_files import Secrets
from hubagent.state.model import Component


@dataclass(frozen=True, slots=True)
class Facts:
    """What rendering has to know of the machine; kept with the generation."""

    nginx_version: nginx.Version
    openssl_version: nginx.Version  # that this nginx runs with
    ipv6: bool
    gateway: str  # the host's address on the bridge of the user containers
    resolvers: tuple[str, ...]  # that containers ask for names
    attached: tuple[str, ...]  # networks on the machine's own cables that have public addresses
    foreign_bridges: tuple[str, ...]  # of networks of ours that somebody else made
    certificate: Path
    key: Path
    certificate_facts: CertificateFacts
    self_signed: bool


@dataclass(frozen=True, slots=True)
class Templates:
    """Sources of the templates, read once by the composition root; values never become source."""

    site: str
    main: str


@dataclass(frozen=True, slots=True)
class ManagedFile:
    """One file of a generation; `path` is relative to the generation's folder."""

    path: PurePosixPath
    content: bytes
    mode: int = 0o644
    owner: str = "root"
    group: str = "root"

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True, slots=True)
class Desired:
    """A whole generation, and what verification compares the machine with."""

    source: bytes  # the YAML it was made from
    files: tuple[ManagedFile, ...]
    markers: Mapping[Component, str]  # what each consumer answers once it has loaded these files
    gateway: str
    certificate: CertificateFacts
    self_signed: bool
    host: str | None = None
    metrics: Metrics = field(default_factory=Metrics)
    digest: str = field(init=False)
    """Identity of the content: two equal digests need no edit of the machine. Asked often, computed once."""
    source_sha256: str = field(init=False)

    def __post_init__(self) -> None:
        whole = hashlib.sha256()
        for file in sorted(self.files, key=lambda one: one.path):
            whole.update(f"{file.path} {file.mode:o} {file.owner} {file.group} {file.sha256}\n".encode())
        whole.update(json.dumps(_written(self.metrics), sort_keys=True).encode())
        object.__setattr__(self, "digest", whole.hexdigest())
        object.__setattr__(self, "source_sha256", hashlib.sha256(self.source).hexdigest())

    def file(self, path: str) -> ManagedFile:
        """The file at this relative path; KeyError when the generation has none."""
        for file in self.files:
            if str(file.path) == path:
                return file
        raise KeyError(path)


NGINX_FILE = "nginx/hubagent.conf"
NGINX_MAIN_FILE = "nginx-main/hubagent.conf"
HUB_FILE = "hub/hub.json"
SERVERS_FILE = "hub/servers.json"
AGENT_FILE = "agent/servers.json"
AGENT_FILE_VERSION = 2
HUB_SECRETS_FILE = "hub/secrets.json"
PROXY_FILE = "proxy/proxy.env"
PROXY_TOKEN_FILE = "proxy/token"  # noqa: S105 (a path)
FIREWALL_FILE = "firewall/hubagent.nft"


def desired(
    config: Config,
    facts: Facts,
    secrets: Secrets,
    *,
    source: bytes,
    templates: Templates,
    layout: Layout | None = None,
) -> Desired:
    """Render the whole generation that `config` asks for on this machine."""
    layout = layout or Layout()
    hub_secrets = hub_files.secrets_json(secrets)
    hub_json = hub_files.hub_json(
        config.hub,
        gateway=facts.gateway,
        servers_file=layout.current / SERVERS_FILE,
        one_time_dir=layout.one_time_passwords,
        secrets_digest=hashlib.sha256(hub_secrets).hexdigest(),
    )
    servers_json = hub_files.servers_json(
        config.servers,
        landing=config.hub.landing,
        start_at_login=config.hub.start is Start.AT_LOGIN,
    )
    proxy_env = hub_files.proxy_env(gateway=facts.gateway, token=secrets.proxy_token)
    rules = firewall.rules(
        gateway=facts.gateway,
        resolvers=facts.resolvers,
        attached=facts.attached,
        foreign_bridges=facts.foreign_bridges,
        opened={bridge_of(one.name, own=True): one.networks for one in config.servers if one.networks},
    )
    site = _site(config, facts, templates, layout)
    files = (
        ManagedFile(PurePosixPath(NGINX_FILE), nginx.render_site(site, templates.site)),
        ManagedFile(PurePosixPath(NGINX_MAIN_FILE), nginx.render_main(site, templates.main)),
        ManagedFile(PurePosixPath(HUB_FILE), hub_json, 0o640, group=HUB_USER),
        ManagedFile(PurePosixPath(SERVERS_FILE), servers_json, 0o640, group=HUB_USER),
        ManagedFile(PurePosixPath(AGENT_FILE), agent_json(config.servers), 0o600),
        ManagedFile(PurePosixPath(HUB_SECRETS_FILE), hub_secrets, 0o600),
        ManagedFile(PurePosixPath(PROXY_FILE), proxy_env),
        ManagedFile(PurePosixPath(PROXY_TOKEN_FILE), secrets.proxy_token.encode(), 0o600),
        ManagedFile(PurePosixPath(FIREWALL_FILE), rules),
    )
    markers = {
        Component.NGINX: site.marker,
        Component.HUB: hashlib.sha256(hub_json).hexdigest(),
        Component.PROXY: hashlib.sha256(proxy_env).hexdigest(),
        Component.FIREWALL: hashlib.sha256(rules).hexdigest(),
    }
    return Desired(
        source=source,
        files=files,
        markers=markers,
        gateway=facts.gateway,
        certificate=facts.certificate_facts,
        self_signed=facts.self_signed,
        host=config.host,
        metrics=config.metrics,
    )


def agent_json(servers: Sequence[Server]) -> bytes:
    """What of `servers` only the agent goes by: images and warm pools. It reads that from the source of the
    generation in force; by this file an edit of nothing else is a generation too."""
    parts = {one.name: {"build": _written(one.build), "warm": _written(one.warm)} for one in servers}
    whole = {"version": AGENT_FILE_VERSION, "servers": parts}
    return (json.dumps(whole, indent=1, sort_keys=True) + "\n").encode()


def _written(part: object | None) -> dict[str, object] | None:
    """A mapping of the configuration as the file has it, every key written out: its identity."""
    return None if part is None else Section(type(part)).write(part)


def _site(config: Config, facts: Facts, templates: Templates, layout: Layout) -> nginx.NginxSite:
    site = nginx.NginxSite(
        version=facts.nginx_version,
        openssl=facts.openssl_version,
        host=config.host,
        certificate=facts.certificate,
        key=facts.key,
        certificate_sha256=facts.certificate_facts.fingerprint_sha256,
        self_signed=facts.self_signed,
        max_body_bytes=config.nginx.max_body_bytes,
        websocket_drain_s=config.nginx.websocket_drain_s,
        marker="",
        proxy_port=PROXY_PORT,
        acme_webroot=layout.acme_webroot if config.tls.mode is TlsMode.LETSENCRYPT else None,
        ipv6=facts.ipv6,
        static_sets=layout.static_sets,
    )
    return dataclasses.replace(site, marker=nginx.marker_of(site, templates.site))


def with_tokens_of(earlier: Desired, in_force: Desired) -> Desired:
    """`earlier` with the tokens that are in use: going back to it shall not bring back a token that has been
    replaced, and hub and proxy take another one only together. Raises ValueError for files that are damaged."""
    token = in_force.file(PROXY_TOKEN_FILE).content
    secrets = hub_files.with_tokens(
        earlier.file(HUB_SECRETS_FILE).content, in_force.file(HUB_SECRETS_FILE).content
    )
    changed = {PROXY_TOKEN_FILE: token, HUB_SECRETS_FILE: secrets}
    if all(earlier.file(path).content == content for path, content in changed.items()):
        return earlier
    changed[HUB_FILE] = hub_files.with_secrets_digest(
        earlier.file(HUB_FILE).content, hashlib.sha256(secrets).hexdigest()
    )
    changed[PROXY_FILE] = hub_files.with_token_digest(earlier.file(PROXY_FILE).content, token.decode())
    return dataclasses.replace(
        earlier,
        files=tuple(
            dataclasses.replace(file, content=changed.get(str(file.path), file.content))
            for file in earlier.files
        ),
        markers={
            **earlier.markers,
            Component.HUB: hashlib.sha256(changed[HUB_FILE]).hexdigest(),
            Component.PROXY: hashlib.sha256(changed[PROXY_FILE]).hexdigest(),
        },
    )
