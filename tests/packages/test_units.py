"""The units: how much of the machine each service could touch, and what keeps it running."""

from __future__ import annotations

import configparser
import re
import subprocess
from pathlib import Path

import pytest

from hubagent import layout
from hubagent.adapters.net import certbot
from tests.packages.debs import ROOT

UNITS = sorted((ROOT / "units").glob("*.service"))


def _load(path: Path) -> configparser.RawConfigParser:
    unit = configparser.RawConfigParser(strict=False, delimiters=("=",), interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(path.read_text())
    return unit


@pytest.mark.parametrize(
    ("name", "threshold"),
    [
        (layout.AGENT, 25),
        (layout.HUB, 40),
        (layout.PROXY, 40),
        (layout.FIREWALL, 40),
        (layout.PORT_HOLDER.format(port=""), 40),
        (layout.FIREWALL_WATCH, 40),
        (layout.CERTBOT, 25),
        (layout.HOMES, 42),  # it needs the machine's own mount namespace
    ],
)
def test_exposure_is_within_its_limit(name: str, threshold: int) -> None:
    done = subprocess.run(
        [
            "systemd-analyze", "security", "--offline=true", "--no-pager",
            f"--threshold={threshold}", str(ROOT / "units" / name),
        ],
        text=True,
        capture_output=True,
    )  # fmt: skip
    overall = re.search(r"exposure level for \S+: ([0-9.]+)", done.stdout)
    assert overall, done.stderr
    assert done.returncode == 0, overall[0]


def test_tests_of_settings_run_with_fewer_rights_than_what_they_test() -> None:
    """nginx as Debian ships it has all of root's capabilities. The hub has none, and neither has its test."""
    nginx, hub = (
        _load(ROOT / "units" / f"hubagent-{name}-test@.service")["Service"] for name in ("nginx", "hub")
    )
    needed = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "NET_BIND_SERVICE", "SETGID", "SETUID")
    assert set(nginx["CapabilityBoundingSet"].split()) == {f"CAP_{name}" for name in needed}
    assert (hub["CapabilityBoundingSet"], hub["User"]) == ("", "jupyterhub")
    assert nginx["NoNewPrivileges"] == hub["NoNewPrivileges"] == "yes"


def test_there_is_a_unit_for_every_name_that_the_agent_knows() -> None:
    known = {layout.AGENT, layout.HUB, layout.PROXY, layout.FIREWALL, layout.FIREWALL_WATCH, layout.HOMES}
    known.add(layout.NGINX_TEST.format(""))
    known.add(layout.PORT_HOLDER.format(port=""))
    known.add(layout.CERTBOT)
    assert known <= {path.name for path in UNITS}


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_unit_says_where_it_is_explained_and_never_gives_up_on_restarts(path: Path) -> None:
    unit = _load(path)
    assert "man:hubagent(8)" in unit["Unit"]["Documentation"]
    assert unit["Unit"]["StartLimitIntervalSec"] == "0"
    assert unit["Service"]["SyslogIdentifier"] == re.sub(r"@?\.service$", "", path.name)


@pytest.mark.parametrize(
    "name", [layout.AGENT, layout.HUB, layout.PROXY, layout.FIREWALL_WATCH, layout.HOMES]
)
def test_long_running_services_come_back(name: str) -> None:
    service = _load(ROOT / "units" / name)["Service"]
    assert service["Restart"] == "always"
    assert int(service["OOMScoreAdjust"]) < 0


@pytest.mark.parametrize("name", [layout.HUB, layout.PROXY, layout.FIREWALL])
def test_services_wait_for_the_first_generation(name: str) -> None:
    condition = _load(ROOT / "units" / name)["Unit"]["ConditionPathExists"]
    assert condition.startswith(f"{layout.Layout().current}/")


def test_secrets_reach_services_as_credentials_alone() -> None:
    assert _load(ROOT / "units" / layout.HUB)["Service"]["LoadCredential"].endswith(
        "/current/hub/secrets.json"
    )
    assert _load(ROOT / "units" / layout.PROXY)["Service"]["LoadCredential"].endswith("/current/proxy/token")


def test_agent_may_write_what_it_manages_and_nothing_else() -> None:
    service = _load(ROOT / "units" / layout.AGENT)["Service"]
    where = layout.Layout()
    written = {
        where.nginx_include.parent,
        where.nginx_main_include.parent,
        where.docker_config.parent,
        where.hub_state,
    }
    assert {Path(path.lstrip("-")) for path in service["ReadWritePaths"].split()} == written
    assert service["StateDirectory"] == where.state.name
    assert service["RuntimeDirectory"] == where.run.name
    assert set(service["CapabilityBoundingSet"].split()) == {"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER"}


def test_certbot_may_write_its_accounts_and_what_nginx_serves_and_reads_no_file_of_the_agents() -> None:
    service, where = _load(ROOT / "units" / layout.CERTBOT)["Service"], layout.Layout()
    assert (service["User"], service["CapabilityBoundingSet"]) == (layout.CERTBOT_USER, "")
    assert service["ReadWritePaths"] == str(where.acme_webroot)
    assert f"/var/lib/{service['StateDirectory']}" == str(where.certbot_state)
    assert service["StandardInput"] == f"file:{where.certbot_request}"
    assert service["StandardOutput"] == f"truncate:{where.certbot_answer}"
    assert (where.certbot, where.certbot_state) == (certbot.CERTBOT, certbot.STATE)


def test_homes_helper_has_no_mount_namespace_and_nothing_that_systemd_would_clean() -> None:
    service = _load(ROOT / "units" / layout.HOMES)["Service"]
    namespaced = r"Protect|Private|ReadOnly|ReadWrite|Inaccessible|Bind|Temporary|Mount|Root|Exec(Paths|Search)|Dynamic"
    cleaned = r"(Runtime|State|Cache|Logs|Configuration)Directory"
    assert [key for key in service if re.match(f"{namespaced}|{cleaned}", key)] == []
    capabilities = set(service["CapabilityBoundingSet"].split())
    assert capabilities == {"CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE", "CAP_CHOWN"}


def test_homes_helper_is_there_before_the_agent_asks() -> None:
    assert layout.AGENT in _load(ROOT / "units" / layout.HOMES)["Unit"]["Before"].split()
