"""The homes helper as a unit of a real systemd, and real Docker containers that see what it attaches."""

from __future__ import annotations

import io
import re
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hubagent import layout, wire
from hubagent.adapters.net.homes_helper import HomesClient
from hubagent.errors import HomeError
from hubagent.hub_documents import Mount
from tests.contract.small_homes import servers_with
from tests.contract.test_homes import new_slot
from tests.machine.rig import Machine

_ROOT = Path(__file__).parents[2]
_IMAGE = "hubagent-test/homes"
_HOME = "/home/jovyan/work"
_COURSE = wire.Folder("/srv/course", "course", read_only=True)
_OWNER = "1000:100"


@pytest.fixture(scope="module", params=["bookworm", "trixie"])
def machine(request: pytest.FixtureRequest) -> Iterator[Machine]:
    with Machine.boot(request.param) as machine:
        program = subprocess.run(
            [
                "tar",
                "-C",
                _ROOT,
                "-c",
                "--exclude=__pycache__",
                "--exclude=hub",
                "--exclude=guest",
                "hubagent",
            ],
            capture_output=True,
            check=True,
        ).stdout
        machine.run(["tar", "-x", "-C", "/usr/lib/python3/dist-packages"], input=program)
        machine.write(
            "/usr/lib/hubagent/homes-helper", (_ROOT / "packaging/hubagent/homes-helper").read_text(), 0o755
        )
        machine.write(f"/lib/systemd/system/{layout.HOMES}", (_ROOT / "units" / layout.HOMES).read_text())
        mount = Mount(_COURSE.source, f"{_HOME}/{_COURSE.target}", read_only=True)
        servers = servers_with(_HOME, [mount]).decode()
        machine.write("/var/lib/hubagent/current/hub/servers.json", servers)
        machine.write("/srv/course/exercise", "1 + 1")
        machine.run(["chmod", "755", "/srv/course"])
        machine.run(["systemctl", "daemon-reload"])
        machine.run(["systemctl", "enable", "--now", layout.HOMES])
        machine.run(["docker", "import", "-", _IMAGE], input=_image())
        yield machine


def _image() -> bytes:
    """Folders and links alone; /usr comes from the machine."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name in ("usr", "home/jovyan/work"):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(folder)
        for name in ("bin", "lib", "lib64"):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, f"usr/{name}"
            archive.addfile(link)
    return content.getvalue()


@pytest.fixture
def homes(machine: Machine) -> HomesClient:
    return _client(machine)


def _client(machine: Machine) -> HomesClient:
    return HomesClient(Path(f"/proc/{machine.leader}/root{layout.Layout().homes_socket}"))


def _home(machine: Machine, user: str) -> str:
    """A user's volume with a file, of mode 0700."""
    machine.run(["docker", "volume", "create", user])
    path = machine.run(["docker", "volume", "inspect", "-f", "{{.Mountpoint}}", user]).stdout.strip()
    machine.run(["sh", "-c", f"echo -n {user} >{path}/note; chown -R {_OWNER} {path}; chmod 700 {path}"])
    return path


@contextmanager
def _container(machine: Machine, folder: str) -> Iterator[str]:
    """A running container that was started before its home is known."""
    mount = f"type=bind,source={folder},target={_HOME},bind-propagation=rslave"
    name = machine.run(
        [
            *("docker", "run", "--detach", "--network", "none", "--user", _OWNER, "--volume", "/usr:/usr:ro"),
            *("--mount", mount, _IMAGE, "sleep", "600"),
        ]
    ).stdout.strip()
    try:
        yield name
    finally:
        machine.run(["docker", "rm", "--force", name])


def _inside(machine: Machine, container: str, command: str) -> str:
    done = machine.run(["docker", "exec", container, "sh", "-c", command], check=False)
    return str(done.stdout + done.stderr)


def _attached(machine: Machine) -> list[str]:
    """What is attached, in the mount namespace of process 1."""
    table = machine.read("/proc/1/mountinfo").splitlines()
    return [line.split()[4] for line in table if "/run/hubagent-homes/slots/" in line]


def _options(machine: Machine, container: str, target: str) -> set[str]:
    """How the container's kernel table of mounts has it."""
    table = _inside(machine, container, "cat /proc/self/mountinfo").splitlines()
    rows = [line.split() for line in table]
    return set([row[5] for row in rows if row[4] == target][-1].split(","))


def test_the_helper_has_the_mount_namespace_of_process_1(machine: Machine) -> None:
    pid = machine.run(["systemctl", "show", "--property=MainPID", "--value", layout.HOMES]).stdout.strip()
    namespaces = machine.run(["readlink", "/proc/1/ns/mnt", f"/proc/{pid}/ns/mnt"]).stdout.split()
    assert namespaces[0] == namespaces[1]


def test_a_running_container_gets_its_home(machine: Machine, homes: HomesClient) -> None:
    slot, path = new_slot(), _home(machine, "ada")
    with _container(machine, homes.prepare(slot)) as container:
        assert "Read-only file system" in _inside(machine, container, f"touch {_HOME}/early")
        attached = homes.attach(slot, path, (_COURSE,))
        assert _inside(machine, container, f"stat -c '%d %i' {_HOME}").split() == [
            str(attached.device),
            str(attached.inode),
        ]
        assert _inside(machine, container, f"cat {_HOME}/note {_HOME}/course/exercise") == "ada1 + 1"
        assert {"rw", "nosuid", "nodev"} <= _options(machine, container, _HOME)
        assert {"ro", "nosuid", "nodev"} <= _options(machine, container, f"{_HOME}/course")
        assert "Read-only file system" in _inside(machine, container, f"touch {_HOME}/course/x")
        assert _inside(machine, container, f"echo 42 >{_HOME}/answer; cd {_HOME}; cat answer") == "42\n"
        machine.run(["docker", "exec", "--detach", "--workdir", _HOME, container, "sleep", "600"])
        with pytest.raises(HomeError, match="in use"):
            homes.detach(slot)
    homes.detach(slot)
    assert _attached(machine) == []
    assert not machine.exists(f"/run/hubagent-homes/slots/{slot}")
    assert machine.read(f"{path}/answer") == "42\n"
    assert machine.run(["stat", "-c", "%u:%g", f"{path}/course"]).stdout.strip() == _OWNER


_MOVED = {
    "data-root": ('{"data-root": "/srv/docker-data"}', "true"),
    "link": (
        '{"data-root": "/srv/docker-link"}',
        "mkdir -p /srv/elsewhere; ln -sfn /srv/elsewhere /srv/docker-link",
    ),
    "userns-remap": ('{"userns-remap": "default"}', "true"),
}
"""How an admin moves Docker's data: daemon.json, and what is done before."""


@pytest.mark.parametrize("how", _MOVED)
def test_a_home_is_attached_wherever_docker_keeps_its_data(
    machine: Machine, homes: HomesClient, how: str
) -> None:
    """By the unit as it is, with its filter of system calls; nobody tells it."""
    settings, before = _MOVED[how]
    with _docker_with(machine, settings, before):
        path = _home(machine, "moved")
        assert not path.startswith("/var/lib/docker/volumes/")
        slot = new_slot()
        homes.prepare(slot)
        attached = homes.attach(slot, path, ())
        facts = machine.run(["stat", "-c", "%d %i", f"/run/hubagent-homes/slots/{slot}"]).stdout.split()
        assert facts == [str(attached.device), str(attached.inode)]
        homes.detach(slot)
        other = new_slot()
        homes.prepare(other)
        with pytest.raises(HomeError, match="where homes are"):
            homes.attach(other, "/etc", ())
        homes.detach(other)


@contextmanager
def _docker_with(machine: Machine, settings: str, before: str) -> Iterator[None]:
    """Docker with another daemon.json, which it had not."""
    file = "/etc/docker/daemon.json"
    kept = machine.read(file) if machine.exists(file) else None
    machine.run(["sh", "-c", before])
    machine.write(file, settings)
    try:
        machine.run(["sh", "-c", "systemctl reset-failed docker; systemctl restart docker"])
        yield
    finally:
        if kept is None:
            machine.run(["rm", "-f", file])
        else:
            machine.write(file, kept)
        machine.run(["sh", "-c", "systemctl reset-failed docker; systemctl restart docker"])


_STOPPED_AND_CLEANED = "; ".join(  # systemd finds nothing of the unit's own to clean, as is meant
    f"systemctl {do} {layout.HOMES}" for do in ("stop", "clean --what=all", "start")
)


def test_a_home_stays_whatever_happens_to_the_helper(machine: Machine, homes: HomesClient) -> None:
    slot, path = new_slot(), _home(machine, "ada")
    with _container(machine, homes.prepare(slot)) as container:
        homes.attach(slot, path, (_COURSE,))
        for command in (
            f"systemctl restart {layout.HOMES}",
            f"systemctl kill --signal=KILL {layout.HOMES}; systemctl restart {layout.HOMES}",
            _STOPPED_AND_CLEANED,
            "systemd-tmpfiles --clean; systemd-tmpfiles --remove --create --exclude-prefix=/dev",
            "systemctl daemon-reexec",
        ):
            machine.run(["sh", "-c", command], check=False)
            assert _inside(machine, container, f"cat {_HOME}/note {_HOME}/course/exercise") == "ada1 + 1"
            assert homes.slots() == (slot,), command
            assert len(_attached(machine)) == 2
    homes.detach(slot)
    assert _attached(machine) == []
    assert machine.read(f"{path}/note") == "ada"


def test_the_agent_reaches_the_helper_out_of_its_sandbox(machine: Machine, homes: HomesClient) -> None:
    slot, path = new_slot(), _home(machine, "ada")
    program = "; ".join(
        [
            "from pathlib import Path",
            "from hubagent.adapters.net.homes_helper import HomesClient",
            f"homes = HomesClient(Path('{layout.Layout().homes_socket}'))",
            f"homes.prepare('{slot}')",
            f"print(homes.attach('{slot}', '{path}', ()).inode)",
        ]
    )
    machine.write("/root/agent.py", program)
    unit = (_ROOT / "units" / layout.AGENT).read_text()
    unit = re.sub(r"^ExecStart=.*$", "ExecStart=/usr/bin/python3 /root/agent.py", unit, flags=re.MULTILINE)
    unit = re.sub(r"^(Restart|WatchdogSec|NotifyAccess|ExecReload)=.*$", "", unit, flags=re.MULTILINE)
    machine.write("/run/systemd/system/like-the-agent.service", unit.replace("Type=notify", "Type=oneshot"))
    machine.run(["systemctl", "daemon-reload"])
    machine.run(["systemctl", "start", "like-the-agent"])
    assert machine.run(["stat", "-c", "%i", path]).stdout in machine.journal("like-the-agent")
    assert _attached(machine) == [f"/run/hubagent-homes/slots/{slot}"]
    homes.detach(slot)


def test_services_with_namespaces_of_their_own_hold_nothing(machine: Machine, homes: HomesClient) -> None:
    slots = new_slot(), new_slot()
    for slot, user in zip(slots, ("ada", "bob"), strict=True):  # one before, one after the service starts
        homes.prepare(slot)
        homes.attach(slot, _home(machine, user), ())
        machine.run(["systemd-run", f"--unit=sandboxed-{user}", "-p", "ProtectSystem=strict", "sleep", "600"])
    for slot in slots:
        homes.detach(slot)
    assert homes.slots() == ()
    for user in ("ada", "bob"):
        pid = machine.run(["systemctl", "show", "-P", "MainPID", f"sandboxed-{user}"]).stdout.strip()
        assert "/run/hubagent-homes/slots/" not in machine.read(f"/proc/{pid}/mountinfo")
        machine.run(["systemctl", "stop", f"sandboxed-{user}"])


@pytest.fixture(scope="module")
def rebooted(machine: Machine) -> HomesClient:
    """The helper after a boot, with a home attached before it."""
    homes = _client(machine)
    homes.prepare(slot := new_slot())
    homes.attach(slot, _home(machine, "ada"), (_COURSE,))
    machine.reboot()
    return _client(machine)


def test_a_boot_begins_with_nothing_attached(machine: Machine, rebooted: HomesClient) -> None:
    assert rebooted.slots() == ()
    assert _attached(machine) == []
    assert machine.read(f"{_home(machine, 'ada')}/note") == "ada"


def test_purging_detaches_and_removes_no_file_of_a_user(machine: Machine, homes: HomesClient) -> None:
    slot, empty, path = new_slot(), new_slot(), _home(machine, "ada")
    homes.prepare(empty)
    with _container(machine, homes.prepare(slot)):
        homes.attach(slot, path, (_COURSE,))
        machine.run(["ln", "-s", "/srv", f"{path}/link"])
        machine.run(["systemctl", "disable", "--now", layout.HOMES])
        machine.write("/root/postrm", (_ROOT / "packaging/debian/hubagent.postrm").read_text(), 0o755)
        machine.run(["/root/postrm", "remove"])
        assert len(_attached(machine)) == 2  # users go on working
        machine.run(["/root/postrm", "purge"])
    assert _attached(machine) == []
    assert not machine.exists("/run/hubagent-homes")
    assert machine.read(f"{path}/note") == "ada"
    assert machine.read("/srv/course/exercise") == "1 + 1"
