"""A certificate from an authority on a real machine: Debian's certbot in its unit, pebble as the authority."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.machine.hub import Hub, until

HOST = "hub.example.org"
LIFETIME_S = 120
ROOT = "/usr/local/share/ca-certificates/pebble.crt"
DIRECTORY = "https://localhost:14000/dir"
_CONFIG = f"""\
host: {HOST}
tls: {{mode: letsencrypt, email: admin@example.org, acme_directory: "{DIRECTORY}"}}
servers: {{julia: {{image: hubagent/julia, memory: 512M}}}}
"""
_PEBBLE = {
    "listenAddress": "127.0.0.1:14000",
    "managementListenAddress": "127.0.0.1:15000",
    "certificate": ROOT,
    "privateKey": "/srv/pebble/server.key",
    "httpPort": 80,
    "tlsPort": 1,
    "ocspResponderURL": "",
    "externalAccountBindingRequired": False,
    "certificateValidityPeriod": LIFETIME_S,
}
_MAKE_SERVER = f"""
mkdir -p /srv/pebble
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout /srv/pebble/server.key \
    -out {ROOT} -days 30 -subj /CN=pebble -addext subjectAltName=DNS:localhost 2>/dev/null
update-ca-certificates
"""
_SERVED = f"""
openssl s_client -connect 127.0.0.1:443 -servername {HOST} </dev/null 2>/dev/null | openssl x509 -noout -issuer -serial
"""


def _start_authority(hub: Hub) -> None:
    names = ["pebble-challtestsrv", "-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv6", ""]
    names += ["-dns01", "127.0.0.1:8053", "-management", "127.0.0.1:8055"]
    hub.machine.run(["systemd-run", "--collect", "--unit=pebble-names", *names])
    settings = ("PEBBLE_VA_NOSLEEP=1", "PEBBLE_AUTHZREUSE=0", "PEBBLE_WFE_NONCEREJECT=0")
    environment = [f"--setenv={one}" for one in settings]
    pebble = ["pebble", "-config", "/srv/pebble/pebble.json", "-dnsserver", "127.0.0.1:8053"]
    hub.machine.run(["systemd-run", "--collect", "--unit=pebble", *environment, *pebble])
    asks = ["curl", "-sf", "-o", "/dev/null", DIRECTORY]
    until(lambda: hub.machine.run(asks, check=False).rc == 0, 60.0, "pebble")


def _stop_authority(hub: Hub) -> None:
    hub.machine.run(["systemctl", "stop", "pebble.service", "pebble-names.service"], check=False)


@contextmanager
def authority(hub: Hub) -> Iterator[None]:
    hub.machine.write("/srv/pebble/pebble.json", json.dumps({"pebble": _PEBBLE}))
    hub.machine.run(["sh", "-ec", _MAKE_SERVER])
    try:
        _start_authority(hub)
        yield
    finally:
        _stop_authority(hub)
        hub.machine.run(["rm", "-rf", ROOT, "/srv/pebble"])
        hub.machine.run(["update-ca-certificates", "--fresh"])


def _served(hub: Hub) -> str:
    """Issuer and serial number of what browsers get."""
    return hub.machine.run(["sh", "-c", _SERVED]).stdout


def _login(hub: Hub) -> str:
    """What the login page answers to somebody who comes by the name."""
    show = ["-sk", "-o", "/dev/null", "-w", "%{http_code}"]
    to = ["--connect-to", f"{HOST}:443:127.0.0.1:443", f"https://{HOST}/hub/login"]
    return hub.machine.run(["curl", *show, *to], check=False).stdout


def _problems(status: dict[str, Any]) -> str:
    return " ".join(one["message"] for one in status["problems"] if one["reason"] == "certificate")


def _after(hub: Hub, **wanted: object) -> dict[str, Any]:
    """The Status once its certificate is so. To ask for it makes the agent look whether it is time."""
    found: dict[str, Any] = {}

    def look() -> bool:
        _, status = hub.apply()
        found.update(status)
        told = {**status["certificate"], **(status["certificate"]["renewal"] or {})}
        return all(told[name] == value for name, value in wanted.items())

    until(look, 300.0, f"a certificate with {wanted}")
    return found


@pytest.mark.slow  # it waits for certificates to end
def test_a_certificate_from_an_authority_is_obtained_renewed_and_kept(pristine: Hub) -> None:
    hub, machine = pristine, pristine.machine
    machine.run(["apt-get", "-yq", "remove", "certbot"], check=False, timeout_s=300.0)
    machine.run(["sh", "-c", f'echo "127.0.0.1 {HOST}" >>/etc/hosts'])
    hub.edit(_CONFIG)
    assert "apt install certbot" in machine.run(["hubagent", "check"]).stderr
    status = hub.settled(after=lambda status: bool(_problems(status)))
    assert "certbot is not installed" in _problems(status)
    assert status["certificate"]["self_signed"]
    assert f"CN = {HOST}" in _served(hub).replace("CN=", "CN = ")
    assert _login(hub) == "200"

    machine.apt_install("certbot", "pebble")
    with authority(hub):
        status = _after(hub, self_signed=False)
        first = _served(hub)
        assert "Pebble" in first
        assert (_problems(status), status["certificate"]["names"]) == ("", [HOST])
        assert _login(hub) == "200"
        text = machine.run(["hubagent", "status"], check=False).stdout
        assert "localhost gave it" in text
        assert "renewed in" in text
        assert hub.metric("hubagent_certificate_last_try_failed") == 0

        until(lambda: bool(hub.apply()) and _served(hub) != first, 300.0, "the renewal")
        second = _served(hub)
        assert "Pebble" in second

        _stop_authority(hub)
        status = _after(hub, is_trying=False, failure=_failure(hub))
        assert status["certificate"]["self_signed"] or _served(hub) == second
        status = _after(hub, self_signed=True)  # it has expired
        assert "no answer that certbot understood" in _problems(status)
        assert _login(hub) == "200"
        found = machine.run(["hubagent", "doctor"], check=False)
        assert "no answer that certbot understood" in found.stdout

        _start_authority(hub)
        status = _after(hub, self_signed=False)
        assert "Pebble" in _served(hub)
        _what_lies_where(hub)


def _failure(hub: Hub) -> str:
    """Once there is one."""
    found: list[str] = []

    def look() -> bool:
        renewal = hub.apply()[1]["certificate"]["renewal"]
        found[:] = [renewal["failure"]]
        return bool(renewal["failure"])

    until(look, 300.0, "a try that fails")
    return found[0]


def _what_lies_where(hub: Hub) -> None:
    """certbot's user has its account and nothing else; a backup has the account and the pairs."""
    machine = hub.machine
    owner = machine.run(["stat", "-c", "%U %a", "/var/lib/hubagent/certbot", "/var/lib/hubagent/acme"]).stdout
    assert owner.split() == ["hubagent-certbot", "700", "hubagent-certbot", "755"]
    theirs = machine.run(
        ["find", "/etc", "/var", "/run", "-xdev", "-user", "hubagent-certbot", "-type", "f"]
    ).stdout
    assert theirs
    assert all(path.startswith("/var/lib/hubagent/certbot/accounts/") for path in theirs.split())
    keys = machine.run(["sh", "-c", "stat -c '%U %a' /var/lib/hubagent/tls/letsencrypt*.key"]).stdout
    assert set(keys.splitlines()) == {"root 600"}
    assert not machine.exists("/etc/letsencrypt/live")
    machine.run(["hubagent", "backup", "/root/certificates.tar.gz"], timeout_s=300.0)
    listed = machine.run(["tar", "-tzf", "/root/certificates.tar.gz"], timeout_s=120.0).stdout.splitlines()
    machine.run(["rm", "/root/certificates.tar.gz"])
    assert "state/tls/letsencrypt.key" in listed
    assert any(
        path.startswith("state/certbot/accounts/") and path.endswith("private_key.json") for path in listed
    )
