"""What has to exist before a generation can be rendered: secrets, network, certificate."""

from __future__ import annotations

import ipaddress
import re
import secrets as random
from pathlib import Path

from hubagent.certificates import pairs
from hubagent.config.model import Config, Hub, TlsMode
from hubagent.config.reading.rules import extras
from hubagent.converge import surroundings
from hubagent.converge.ports import Ports
from hubagent.converge.surroundings import docker_settings
from hubagent.errors import PreflightError
from hubagent.ports import CertificateFacts
from hubagent.render import firewall, hub_files
from hubagent.render.generation import FIREWALL_FILE, HUB_SECRETS_FILE, PROXY_TOKEN_FILE, Desired, Facts
from hubagent.render.hub_files import Secrets, secret_files, services_with_tokens

_RENEW_BEFORE_S = 30 * 86400.0
_MAX_SECRET_BYTES = 64 * 1024
_TOKEN = re.compile(r"[0-9a-f]{32,}")


def gather(config: Config, ports: Ports, *, in_force: Desired | None, config_in_force: Config) -> Facts:
    """Observe, and make what hubagent owns alone (networks, self-signed certificate).

    What `in_force` knows stands in while Docker does not answer. Raises PreflightError for certificates
    that cannot serve, TemporaryError when the machine does not answer.
    """
    in_use = in_force.certificate.fingerprint_sha256 if in_force else None
    certificate, key, facts, self_signed = _certificate(config, ports, in_use)
    nginx_version, openssl_version = ports.machine.nginx_versions()
    found = surroundings.ensure_networks(config, ports, known=_known(in_force), also=config_in_force)
    return Facts(
        nginx_version=nginx_version,
        openssl_version=openssl_version,
        ipv6=ports.machine.ipv6(),
        gateway=found.gateway,
        resolvers=_resolvers(config, ports),
        attached=tuple(
            text for text in ports.machine.attached() if not firewall.is_closed(ipaddress.ip_network(text))
        ),
        foreign_bridges=found.foreign_bridges,
        certificate=certificate,
        key=key,
        certificate_facts=facts,
        self_signed=self_signed,
    )


def _known(in_force: Desired | None) -> surroundings.FoundNetworks | None:
    if in_force is None:
        return None
    rules = in_force.file(FIREWALL_FILE).content
    return surroundings.FoundNetworks(in_force.gateway, firewall.foreign_bridges(rules))


def _resolvers(config: Config, ports: Ports) -> tuple[str, ...]:
    """Whom containers ask for names: as Docker was told, by the file or by its own settings, else as the machine."""
    told = [*_texts(extras(config.hub).host.get("dns")), *_texts(docker_settings(ports).get("dns"))]
    found = (*ports.machine.resolvers(), *filter(_is_address, told))
    return tuple(dict.fromkeys(found))


def _texts(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else []


def _is_address(text: str) -> bool:
    try:
        return not ipaddress.ip_address(text).is_loopback
    except ValueError:
        return False


def _certificate(
    config: Config, ports: Ports, in_use: str | None
) -> tuple[Path, Path, CertificateFacts, bool]:
    """With whether it is self-signed: what serves until an authority has given one, and again when none is valid."""
    if config.tls.mode is TlsMode.FILES and config.tls.certificate and config.tls.key:
        certificate, key = Path(config.tls.certificate), Path(config.tls.key)
        facts = ports.certificates.inspect(certificate, key)
        _check(facts, certificate, config.host, now_s=ports.clock.time())
        return certificate, key, facts, False
    if config.tls.mode is TlsMode.LETSENCRYPT and config.host:
        pair = pairs.held(ports.layout, ports.certificates, (config.host,), now_s=ports.clock.time())
        if pair is not None:
            return pair.certificate, pair.key, pair.facts, False
    return (*_self_signed(config, ports, in_use), True)


def _self_signed(config: Config, ports: Ports, in_use: str | None) -> tuple[Path, Path, CertificateFacts]:
    """One of two pairs: that of the generation in force (`in_use`, its fingerprint) is never overwritten, since that
    generation may have to serve again, and a name that is taken back finds the certificate that people know."""
    missing: list[tuple[Path, Path]] = []
    unused: list[tuple[Path, Path]] = []
    for name in ("self-signed", "self-signed-2"):
        certificate, key = ports.layout.tls / f"{name}.crt", ports.layout.tls / f"{name}.key"
        try:
            facts = ports.certificates.inspect(certificate, key)
        except PreflightError:  # not made yet, or damaged: it is ours alone, so it is made anew
            missing.append((certificate, key))
            continue
        is_fresh = facts.not_after_s - ports.clock.time() > _RENEW_BEFORE_S
        if is_fresh and _is_made_for(facts, config.host):
            return certificate, key, facts
        if facts.fingerprint_sha256 != in_use:
            unused.append((certificate, key))
    certificate, key = (*missing, *unused)[0]
    ports.certificates.create_self_signed(certificate, key, host=config.host)
    return certificate, key, ports.certificates.inspect(certificate, key)


def _is_made_for(facts: CertificateFacts, host: str | None) -> bool:
    """Where any name is served, it is the machine's own, which names `localhost` too: not that of an earlier host."""
    return "localhost" in facts.names if host is None else facts.names == (host,)


def _check(facts: CertificateFacts, certificate: Path, host: str | None, *, now_s: float) -> None:
    if facts.not_after_s <= now_s:
        raise PreflightError(
            f"tls.certificate: {certificate} has expired; renew it, or set tls.mode: self-signed"
        )
    if facts.not_before_s > now_s + 86400:
        raise PreflightError(f"tls.certificate: {certificate} is not valid yet; check the server's clock")
    if not _covers(facts, host):
        raise PreflightError(
            f"tls.certificate: {certificate} is for {', '.join(facts.names) or 'no name'}, not for host {host}; "
            "use a certificate for this host, or correct `host`"
        )


def _covers(facts: CertificateFacts, host: str | None) -> bool:
    """RFC 6125: an exact name, or a wildcard for the leftmost label."""
    if host is None:
        return True
    parent = host.partition(".")[2]
    return any(name.lower() in (host, f"*.{parent}") for name in facts.names)


def read_secrets(hub: Hub, ports: Ports, in_force: Desired | None, *, new_tokens: bool = False) -> Secrets:
    """Tokens (made at first use) and the secrets that the configuration names by file.

    The tokens of the generation in force stay in use: what runs has them, and a file that got lost or was
    damaged is no reason to drop every websocket. `new_tokens` makes others, which nothing has yet."""
    traits: dict[str, dict[str, object]] = {}
    for one in secret_files(hub.traits):
        text = _secret_file(ports, Path(one.path), one.key)
        traits.setdefault(one.cls, {})[one.trait] = text.split() if one.is_list else text
    services = services_with_tokens(hub.traits, lambda path, key: _secret_file(ports, Path(path), key))
    if services is not None:
        traits.setdefault("JupyterHub", {})["services"] = services
    password = None
    if hub.database_password_file is not None:
        password = _secret_file(ports, Path(hub.database_password_file), "hub.database_password_file")
    return Secrets(
        proxy_token=_new_token() if new_tokens else _token(ports, "proxy-token", _proxy_token(in_force)),
        agent_token=_new_token() if new_tokens else _token(ports, "agent-token", _agent_token(in_force)),
        database_password=password,
        traits=traits,
    )


def _proxy_token(in_force: Desired | None) -> str | None:
    return in_force.file(PROXY_TOKEN_FILE).content.decode() if in_force else None


def _agent_token(in_force: Desired | None) -> str | None:
    return hub_files.agent_token(in_force.file(HUB_SECRETS_FILE).content) if in_force else None


def _token(ports: Ports, name: str, in_use: str | None) -> str:
    path = ports.layout.secrets / name
    state = ports.files.read(path, max_bytes=_MAX_SECRET_BYTES)
    kept = state.content.decode("ascii", "replace").strip() if state is not None else ""
    if in_use is None and _TOKEN.fullmatch(kept):
        return kept
    token = in_use or _new_token()
    if kept != token:
        ports.files.write(path, token.encode(), mode=0o600)
    return token


def _new_token() -> str:
    return random.token_hex(32)


def _secret_file(ports: Ports, path: Path, key: str) -> str:
    state = ports.files.read(path, max_bytes=_MAX_SECRET_BYTES)
    if state is None:
        raise PreflightError(f"{key}: {path} does not exist; create it (mode 0600, owner root)")
    try:
        return state.content.decode().strip()
    except UnicodeDecodeError as error:
        raise PreflightError(f"{key}: {path} is not text in UTF-8; write it again") from error
