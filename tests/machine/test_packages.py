"""The life of the packages on a machine: install, upgrade, remove, reinstall, purge."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hubagent import __version__
from tests.machine.course import Course, set_up
from tests.machine.hub import Hub, install, until
from tests.machine.rig import NOTEBOOK, Machine, Suite
from tests.machine.rig.locks import locked
from tests.machine.upgrade import OLDER, REPO, AtWork, Schema, offered, packages_back, put_back

REPOSITORY = Path("dist/repo")
RELEASED = "6f57c0a3b6"  # the commit that version 0.1.0 was built from
UNITS = ("hubagent", "jupyterhub", "configurable-http-proxy", "hubagent-firewall")
LEFT_ALONE = ("jupyterhub", "configurable-http-proxy", "hubagent-firewall", "nginx", "docker")
VOLUME = "jupyterhub-user-alice"
PENDING = [("proxy", "restart")]  # its programs have changed since, and a restart would end connections

_CONFIG = """\
hub: {signup: open, ask_email: false}
nginx: {max_body: 7M}
servers:
  course:
    image: hubagent/julia
    memory: 640M
    cpus: 1.5
    warm: {ready: 1, max: 1, pluto: false}
"""

# What a package manager, Docker and the system itself change at any time, and this test's own files.
ELSEWHERE = re.compile(
    r"/(proc|sys|dev|run|tmp|srv|root)(/|$)|/var/(cache|log|tmp|backups)(/|$)"
    r"|/var/lib/(apt|dpkg|docker|containerd|systemd|private)(/|$)"
    r"|/etc/((passwd|group|shadow|gshadow|subuid|subgid)-?|\.pwd\.lock|apt/.*|docker/key\.json|mtab)$"
    r"|/usr/share/keyrings/hubagent\.gpg$"
)


@pytest.fixture(scope="session")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of the version that people have installed, built from its own commit."""
    workers_share = os.environ.get("PYTEST_XDIST_TESTRUNUID", f"{os.getpid()}")
    folder = tmp_path_factory.getbasetemp().parent / f"released-{workers_share}"
    tree, repository = folder / "tree", folder / "repo"
    with locked(folder.with_suffix(".lock")):
        if not repository.exists():
            subprocess.run(["git", "clone", "--quiet", "--shared", ".", str(tree)], check=True)
            subprocess.run(["git", "-C", str(tree), "checkout", "--quiet", RELEASED], check=True)
            for script in ("packaging/build.sh", "packaging/repo.sh"):
                subprocess.run([str(tree / script)], check=True)
            (tree / "dist/repo").rename(repository)
            shutil.rmtree(tree)
    return repository


@pytest.fixture(scope="session")
def packaged(released: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages under test, signed after the older ones: apt takes no list that is older than what it has seen."""
    assert released.exists()
    folder = tmp_path_factory.mktemp("packaged") / "repo"
    subprocess.run(["packaging/repo.sh", "--from", "dist", "--into", str(folder)], check=True)
    return folder


def _everything(machine: Machine) -> set[str]:
    """Every path on the machine's own disk that somebody must have put there."""
    paths = machine.run(["find", "/", "-xdev"], timeout_s=120.0).stdout.splitlines()
    return {path for path in paths if not ELSEWHERE.match(path)}


def _starts(machine: Machine) -> dict[str, str]:
    """When each unit that users work through was last started, to the microsecond, and its process."""
    show = ["systemctl", "show", "--property=ActiveEnterTimestampMonotonic,MainPID", "--value"]
    return {unit: machine.run([*show, unit]).stdout for unit in LEFT_ALONE}


def _fingerprint(machine: Machine, *paths: str) -> str:
    return machine.run(["sha256sum", *paths]).stdout


def _users(machine: Machine) -> list[str]:
    query = "select name from users order by name"
    return machine.run(["sqlite3", "/var/lib/jupyterhub/jupyterhub.sqlite", query]).stdout.split()


def _apt(machine: Machine, *arguments: str) -> str:
    return machine.run(["apt-get", "-yq", *arguments], timeout_s=600.0).stdout


def _serves_debians_page(machine: Machine) -> bool:
    return "Welcome to nginx" in machine.run(["curl", "-s", "http://127.0.0.1/"]).stdout


@pytest.mark.parametrize("suite", list(Suite), ids=lambda suite: suite.value)
def test_packages_come_are_upgraded_go_and_come_back(suite: Suite, released: Path, packaged: Path) -> None:
    """From the version that people have installed to this one, back, and to this one again, with somebody at work."""
    with Machine.boot(suite, image=NOTEBOOK) as machine:
        machine.run(["docker", "volume", "create", VOLUME])
        before = _everything(machine)
        hub = install(machine, released)
        _installed(hub)
        version = machine.run(["hubagent", "--version"]).stdout.split()[1]
        with (
            set_up(Course, hub, _CONFIG, own="label=hubagent.server=course") as course,
            AtWork(course, "ada") as ada,
        ):
            schema = Schema(machine)
            schema.grows()
            _upgraded(hub, packaged, ada, schema)
            schema.shrinks()
            _went_back(hub, version, ada, schema)
            _upgraded_again(hub, ada)
            ada.starts_anew()
        _removed(hub)
        _reinstalled(hub)
        _purged(hub, before)
        _installed_again(hub)


def _installed(hub: Hub) -> None:
    machine = hub.machine
    assert hub.config() == machine.read("/usr/share/hubagent/hubagent.yaml")
    assert machine.run(["stat", "-c", "%a %U", "/etc/hubagent.yaml"]).stdout == "644 root\n"
    assert [machine.unit_state(unit) for unit in UNITS] == ["active"] * len(UNITS)
    assert hub.get("/hub/login")[0] == 200
    assert not machine.exists("/etc/nginx/sites-enabled/default")
    assert machine.run(["systemctl", "is-enabled", *UNITS]).stdout.split() == ["enabled"] * len(UNITS)
    python = {Suite.BOOKWORM: "3.11", Suite.TRIXIE: "3.13"}[machine.suite]
    packages = f"/usr/lib/hubagent-jupyterhub/lib/python{python}/site-packages"
    assert machine.exists(f"{packages}/aiohttp/__pycache__")
    assert machine.run(["man", "--where", "hubagent", "hubagent.yaml"], check=False).rc in (0, 127)
    assert _users(machine) == ["admin"]


def _upgraded(hub: Hub, newer: Path, ada: AtWork, schema: Schema) -> None:
    """`apt upgrade` brings the higher version, restarts the agent, which restarts the hub, and nothing else;
    an edited file is kept, and people at work notice nothing. The hub keeps its database as it was."""
    machine = hub.machine
    starts, agent, config = _starts(machine), hub.main_pid("hubagent"), hub.config()
    machine.run(["mv", REPO, OLDER])
    offered(machine, OLDER)
    machine.push(newer, REPO)
    _apt(machine, "update")
    _apt(machine, "upgrade")
    assert machine.run(["hubagent", "--version"]).stdout == f"hubagent {__version__}\n"
    assert hub.main_pid("hubagent") not in (0, agent)
    status = hub.settled(after=lambda status: status["version"] == __version__ and status["looks"] > 0)
    assert [step["verb"] for step in status["steps"] if step["component"] == "hub"] == ["restart"]
    assert _pending(status) == PENDING
    upgraded = _starts(machine)
    assert [unit for unit in LEFT_ALONE if upgraded[unit] != starts[unit]] == ["jupyterhub"]
    assert hub.apply()[1]["result"] == "noop"
    assert _starts(machine) == upgraded
    assert hub.config() == config
    assert hub.get("/hub/login")[0] == 200
    ada.works_on("an upgrade")
    assert schema.revision() == schema.LATER
    assert schema.revision(schema.copy()) == schema.first
    assert schema.copy() in machine.run(["journalctl", "-u", "jupyterhub", "-o", "cat"]).stdout


def _went_back(hub: Hub, version: str, ada: AtWork, schema: Schema) -> None:
    """By the commands of the guide to the older packages, whose hub does not know the later schema: it is not started,
    and the later one goes on until the database is put back."""
    machine, starts, config = hub.machine, _starts(hub.machine), hub.config()
    packages_back(machine, version)
    status = hub.settled(after=lambda status: status["version"] == version and status["looks"] > 0)
    (problem,) = status["problems"]
    assert problem["reason"] == "preflight"
    assert f"schema {schema.LATER}" in problem["message"]
    assert schema.copy() in problem["message"]
    assert _starts(machine) == starts
    assert hub.get("/hub/login")[0] == 200
    ada.works_on("going back")
    put_back(machine, schema.copy())
    until(lambda: hub.get("/hub/login")[0] == 200, 60.0, "the login page")
    status = hub.settled(after=lambda status: status["looks"] > 0 and not status["problems"])
    assert (status["version"], status["pending"]) == (version, [])
    back = _starts(machine)
    assert [unit for unit in LEFT_ALONE if back[unit] != starts[unit]] == ["jupyterhub"]
    assert schema.revision() == schema.first
    assert hub.config() == config
    ada.works_on("putting the database back")
    until(ada.is_known, 60.0, "the hub to know the server again")
    machine.run(["rm", "-r", "/var/lib/jupyterhub/replaced"])


def _upgraded_again(hub: Hub, ada: AtWork) -> None:
    """Now without a later schema, and the home is as it was when its owner starts the next server."""
    _apt(hub.machine, "upgrade")
    status = hub.settled(after=lambda status: status["version"] == __version__ and status["looks"] > 0)
    assert _pending(status) == PENDING
    until(lambda: hub.get("/hub/login")[0] == 200, 60.0, "the login page")
    ada.works_on("the second upgrade")
    until(lambda: _came_to_homes(hub) == {"ada": "adopted"}, 60.0, "the home from before to be its account's")
    until(ada.is_known, 60.0, "the hub to know the server again")


def _pending(status: dict[str, Any]) -> list[tuple[str, str]]:
    return [(step["component"], step["verb"]) for step in status["pending"]]


def _came_to_homes(hub: Hub) -> dict[str, str]:
    """How each user came to their home."""
    listed = json.loads(hub.machine.run(["hubagent", "homes", "--json"]).stdout)["homes"]
    return {home["owner"]: home["how"] for home in listed}


def _removed(hub: Hub) -> None:
    """Removal stops everything of ours, gives nginx back, and keeps the state."""
    machine = hub.machine
    _apt(machine, "remove", "hubagent")
    assert [machine.unit_state(unit) for unit in UNITS] == ["inactive"] * len(UNITS)
    for path in ("conf.d/hubagent.conf", "modules-enabled/90-hubagent.conf"):
        assert not machine.exists(f"/etc/nginx/{path}")
    assert machine.run(["readlink", "/etc/nginx/sites-enabled/default"]).stdout.strip() == (
        "/etc/nginx/sites-available/default"
    )
    machine.wait_until(lambda: _serves_debians_page(machine), 10.0, "Debian's page")
    assert "hubagent" not in machine.run(["nft", "list", "tables"]).stdout
    for path in (
        "/etc/hubagent.yaml",
        "/var/lib/hubagent/generations",
        "/var/lib/jupyterhub/jupyterhub.sqlite",
    ):
        assert machine.exists(path)
    assert not machine.exists("/run/hubagent")


def _reinstalled(hub: Hub) -> None:
    """Accounts, logins and settings are as they were."""
    machine = hub.machine
    kept = ("/var/lib/jupyterhub/cookie_secret", "/etc/hubagent.yaml")
    before = _fingerprint(machine, *kept), _users(machine)
    _apt(machine, "install", "hubagent")
    hub.settled(after=lambda status: not status["degraded"] or status["generation"] is not None)
    machine.wait_until(lambda: machine.unit_state("jupyterhub") == "active", 60.0, "the hub")
    machine.wait_until(lambda: hub.get("/hub/login")[0] == 200, 60.0, "the login page")
    assert (_fingerprint(machine, *kept), _users(machine)) == before
    assert not machine.exists("/etc/nginx/sites-enabled/default")


def _purged(hub: Hub, before: set[str]) -> None:
    """Purging leaves the machine as it was, and users' volumes."""
    machine = hub.machine
    # One that ends badly on its way out, as a killed one does.
    machine.run(["mkdir", "-p", "/run/systemd/system/hubagent.service.d"])
    machine.write("/run/systemd/system/hubagent.service.d/bad.conf", "[Service]\nExecStopPost=/bin/false\n")
    machine.run(["systemctl", "daemon-reload"])
    _apt(machine, "purge", "--autoremove", "hubagent")
    machine.run(["rm", "-r", "/run/systemd/system/hubagent.service.d"])
    left = [
        "systemctl",
        "list-units",
        "--all",
        "--no-legend",
        "hubagent*",
        "jupyterhub*",
        "configurable-http*",
    ]
    assert machine.run(left).stdout == "", "such as one that is not found, and failed"
    after = _everything(machine)
    assert (sorted(after - before), sorted(before - after)) == ([], [])
    assert not machine.run(["getent", "passwd", "jupyterhub"], check=False).ok
    assert not machine.run(["sh", "-c", "ls /var/log/nginx | grep hubagent"], check=False).ok
    assert (
        machine.run(
            ["systemctl", "list-unit-files", "--no-legend", *(f"{unit}*" for unit in UNITS)], check=False
        ).stdout
        == ""
    )
    assert VOLUME in machine.run(["docker", "volume", "ls", "--quiet"]).stdout.split()
    assert "hubagent" not in machine.run(["docker", "network", "ls", "--format={{.Name}}"]).stdout.split()
    assert _serves_debians_page(machine)


def _installed_again(hub: Hub) -> None:
    """After a purge it is a first install again."""
    _apt(hub.machine, "install", "hubagent")
    hub.settled(after=lambda status: status["generation"] is not None)
    _installed(hub)


def test_an_edited_default_site_of_nginx_is_left_in_place() -> None:
    """Somebody's real site is not ours to move, and the packages say so."""
    with Machine.boot(Suite.BOOKWORM) as machine:
        machine.run(["sh", "-c", "echo '# my own site' >>/etc/nginx/sites-available/default"])
        machine.push(REPOSITORY, "/srv/repo")
        machine.run(["sh", "/srv/repo/add.sh"])
        _apt(machine, "update")
        done = machine.run(["apt-get", "-yq", "install", "hubagent"], timeout_s=600.0)
        assert "was edited and is left in place" in done.stdout + done.stderr
        assert machine.exists("/etc/nginx/sites-enabled/default")
