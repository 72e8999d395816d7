"""The rig itself: machines are real, with Docker inside, and do as they are told."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.machine.rig import (
    NOTEBOOK,
    CommandFailed,
    CommandTimeout,
    Machine,
    RigError,
    Suite,
    WaitTimeout,
    sources,
)
from tests.machine.rig.process import run

_CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=5)"
_SERVE = "import socket; s = socket.create_server(('', 7000)); print('listening', flush=True)\nwhile True: s.accept()"


@pytest.fixture(scope="module", params=list(Suite), ids=lambda suite: suite.value)
def machine(request: pytest.FixtureRequest) -> Iterator[Machine]:
    """A machine that these tests may bend, apart from the one that other tests build on."""
    with Machine.boot(request.param, image=NOTEBOOK) as booted:
        yield booted


def _container(machine: Machine, *options: str, command: tuple[str, ...] = ("sleep", "infinity")) -> str:
    return machine.run(["docker", "run", "--detach", *options, NOTEBOOK.name, *command]).stdout.strip()


def _listening_container(machine: Machine, on: str) -> str:
    """Answers on port 7000 of the Docker network `on`."""
    server = _container(machine, "--network", on, command=("python3", "-c", _SERVE))
    machine.wait_until(
        lambda: "listening" in machine.run(["docker", "logs", server]).stdout,
        20,
        "the server in the container",
    )
    return server


def _boot(machine: Machine) -> str:
    return machine.read("/proc/sys/kernel/random/boot_id").strip()


# -- a machine is a Debian that runs


def test_it_runs_the_release_that_was_asked_for(machine: Machine) -> None:
    assert machine.run(["systemctl", "is-system-running", "--wait"]).stdout.strip() == "running"
    release = dict(line.split("=", 1) for line in machine.read("/etc/os-release").splitlines())
    assert release["VERSION_ID"].strip('"') == str(machine.suite.release)
    assert machine.run(["hostname"]).stdout.strip() == machine.name
    assert machine.unit_state("docker") == "active"
    assert "Started docker.service" in machine.journal("docker")


def test_limits_of_units_are_enforced(machine: Machine) -> None:
    hungry = ["python3", "-c", "x = bytearray(200_000_000); x[::4096] = b'1' * len(x[::4096])"]
    limit = ["--property=MemoryMax=50M", "--property=MemorySwapMax=0"]
    assert not machine.run(["systemd-run", "--quiet", "--pipe", "--wait", *limit, *hungry], check=False).ok
    assert machine.run(["systemd-run", "--quiet", "--pipe", "--wait", *hungry]).ok
    assert int(machine.run(["systemctl", "show", "-P", "MemoryCurrent", "docker"]).stdout) > 1024**2


def test_apt_installs_from_the_archive(machine: Machine) -> None:
    machine.apt_install("hello")
    assert machine.run(["hello"]).stdout.strip() == "Hello, world!"


def test_the_host_reaches_its_ports_by_its_address(machine: Machine) -> None:
    machine.write("/var/www/html/name.txt", machine.name)
    assert run(["curl", "-sS", f"http://{machine.address}/name.txt"]).stdout == machine.name


def test_sandboxed_units_work(machine: Machine) -> None:
    machine.write("/root/secret", "s3cret", mode=0o600)
    machine.run(["mkdir", "-p", "/srv/one", "/srv/two"])
    machine.write("/srv/one/which", "one")
    machine.write("/srv/two/which", "two")
    properties = (
        "DynamicUser=yes",
        "LoadCredential=token:/root/secret",
        "BindReadOnlyPaths=/srv/one:/srv/two",
        "ProtectSystem=strict",
        "PrivateDevices=yes",
        "SystemCallFilter=@system-service",
    )
    script = 'id --user; cat "$CREDENTIALS_DIRECTORY/token" /srv/two/which'
    options = [f"--property={each}" for each in properties]
    said = machine.run(["systemd-run", "--quiet", "--pipe", "--wait", *options, "sh", "-c", script]).stdout
    number, rest = said.split("\n", 1)
    assert 61184 <= int(number) <= 65519  # systemd's range for dynamic users
    assert rest == "s3cretone"


def test_packet_filter_rules_take_effect(machine: Machine) -> None:
    table = "table inet trial { chain input { type filter hook input priority -10; tcp dport 81 reject with tcp reset; }; }"
    machine.write("/etc/nginx/conf.d/81.conf", "server { listen 81; }")
    machine.run(["systemctl", "reload", "nginx"])
    url = f"http://{machine.address}:81/"
    machine.wait_until(lambda: run(["curl", "-s", url], check=False).ok, 20, "nginx on port 81")
    machine.run(["nft", "-f", "-"], input=table)
    assert not run(["curl", "-s", "-m", "5", url], check=False).ok
    machine.run(["nft", "delete", "table", "inet", "trial"])
    assert run(["curl", "-s", "-m", "5", url], check=False).ok


# -- Docker inside


def test_containers_have_limits_that_can_be_changed_live(machine: Machine) -> None:
    name = _container(machine, "-m", "64m", "--memory-swap", "64m", "--cpus", "0.5", "--pids-limit", "50")

    def limits() -> list[int]:
        files = ("memory/memory.limit_in_bytes", "cpu/cpu.cfs_quota_us", "pids/pids.max")
        said = machine.run(["docker", "exec", name, "cat", *(f"/sys/fs/cgroup/{file}" for file in files)])
        return [int(line) for line in said.stdout.split()]

    assert limits() == [64 * 1024**2, 50_000, 50]
    machine.run(
        ["docker", "update", "-m", "128m", "--memory-swap", "128m", "--cpus", "1", "--pids-limit", "99", name]
    )
    assert limits() == [128 * 1024**2, 100_000, 99]
    machine.run(["docker", "rm", "--force", name])


def test_a_container_that_wants_too_much_memory_is_killed(machine: Machine) -> None:
    greedy = ["python3", "-c", "x = bytearray(200_000_000); x[::4096] = b'1' * len(x[::4096])"]
    limited = ["docker", "run", "--rm", "-m", "64m", "--memory-swap", "64m", NOTEBOOK.name, *greedy]
    assert machine.run(limited, check=False).rc == 137
    free = ["docker", "run", "--rm", NOTEBOOK.name, *greedy]
    assert machine.run(free, check=False).rc == 0


def test_containers_reach_each_other_unless_told_otherwise(machine: Machine) -> None:
    for communicate in ("true", "false"):
        option = f"com.docker.network.bridge.enable_icc={communicate}"
        machine.run(["docker", "network", "create", "-o", option, "trial"])
        server = _listening_container(machine, "trial")
        form = "{{.NetworkSettings.Networks.trial.IPAddress}}"
        address = machine.run(["docker", "inspect", "-f", form, server]).stdout.strip()
        client = ["docker", "run", "--rm", "--network", "trial", NOTEBOOK.name]
        reached = machine.run([*client, "python3", "-c", _CONNECT, address, "7000"], check=False)
        assert reached.ok is (communicate == "true"), reached.stderr
        machine.run(["docker", "rm", "--force", server])
        machine.run(["docker", "network", "rm", "trial"])


def test_containers_reach_the_world_outside(machine: Machine) -> None:
    archive = re.match(r"https?://([^/:]+)", sources.discover().archive)
    assert archive is not None
    machine.run(["docker", "run", "--rm", NOTEBOOK.name, "python3", "-c", _CONNECT, archive[1], "80"])


def test_the_user_image_has_what_a_hub_starts(machine: Machine) -> None:
    versions = "from importlib.metadata import version; print(version('jupyterlab'), version('ipykernel'))"
    inside = f'id --user; pwd; test -w .; jupyterhub-singleuser --version; python3 -c "{versions}"'
    said = machine.run(
        ["docker", "run", "--rm", NOTEBOOK.name, "sh", "-ec", inside], timeout_s=120
    ).stdout.split()
    assert said[:2] == ["1000", "/home/jovyan/work"]
    locked = NOTEBOOK.requirements[0].read_text()
    assert f"jupyterhub=={said[2]}\n" in locked
    assert f"jupyterlab=={said[3]}\n" in locked
    assert f"ipykernel=={said[4]}\n" in locked


@pytest.mark.slow
def test_removing_the_image_harms_no_other_machine(machine: Machine) -> None:
    machine.run(["docker", "rmi", "--force", NOTEBOOK.name])
    assert machine.run(["docker", "images", "--quiet"]).stdout == ""
    with Machine.boot(machine.suite, image=NOTEBOOK) as other:
        other.run(["docker", "run", "--rm", NOTEBOOK.name, "jupyter", "--version"])
        other.run(["systemctl", "restart", "docker"])
        other.run(["docker", "run", "--rm", NOTEBOOK.name, "true"])


# -- commands, files, power


def test_commands_are_reported_as_they_ended(machine: Machine) -> None:
    done = machine.run(["sh", "-c", "cat; echo oops >&2; exit 3"], input="in", check=False)
    assert (done.rc, done.stdout, done.stderr) == (3, "in", "oops\n")
    with pytest.raises(CommandFailed, match=r"exit code 3 from .*oops") as failed:
        machine.run(["sh", "-c", "echo oops; exit 3"])
    assert failed.value.rc == 3
    with pytest.raises(WaitTimeout, match="a thing that never comes"):
        machine.wait_until(lambda: False, 0.2, "a thing that never comes")


def test_a_command_that_takes_too_long_is_killed_inside(machine: Machine) -> None:
    with pytest.raises(CommandTimeout, match="within 1 s"):
        machine.run(["sleep", "4242"], timeout_s=1)
    machine.wait_until(
        lambda: not machine.run(["pgrep", "-fx", "sleep 4242"], check=False).ok, 10, "the kill"
    )


def test_nothing_of_this_process_environment_comes_in(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTSIDE", "secret")
    said = machine.run(["env"], env={"INSIDE": "given"}).stdout
    assert "secret" not in said
    assert "INSIDE=given" in said


def test_files_go_in_and_out(machine: Machine, tmp_path: Path) -> None:
    text = "ein Wort: Größe\n'quoted' \"twice\" $HOME\n"
    machine.write("/srv/new folder/file", text, mode=0o640)
    assert machine.read("/srv/new folder/file") == text
    assert machine.run(["stat", "-c", "%a %U", "/srv/new folder/file"]).stdout == "640 root\n"
    content = bytes(range(256)) * 5000
    (tmp_path / "tree/sub").mkdir(parents=True)
    (tmp_path / "tree/sub/data").write_bytes(content)
    machine.push(tmp_path / "tree", "/srv/tree")
    machine.push(tmp_path / "tree/sub/data", "/srv/other/data")
    machine.pull("/srv/tree/sub/data", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == content
    assert machine.run(["cmp", "/srv/tree/sub/data", "/srv/other/data"]).ok
    assert machine.exists("/srv/tree")
    assert not machine.exists("/srv/nothing")


def test_what_is_frozen_does_not_outlive_the_power(machine: Machine) -> None:
    still = "/sys/fs/cgroup/freezer/still"
    enter = f"mkdir {still}; echo $$ >{still}/cgroup.procs; sleep 1234 >/dev/null 2>&1 &"
    machine.run(["sh", "-ec", enter])
    machine.run(["sh", "-ec", f"echo FROZEN >{still}/freezer.state"])
    machine.cut_power()
    machine.start()
    assert not machine.run(["pgrep", "-f", "[s]leep 1234"], check=False).stdout


def test_the_disk_outlives_the_power_and_the_shared_root_stays_clean(machine: Machine) -> None:
    machine.write("/etc/kept", "by the disk")
    ident = machine.read("/etc/machine-id")
    boots = {_boot(machine)}
    machine.cut_power()
    assert not machine.running
    with pytest.raises(RigError, match="not running"):
        machine.run(["true"])
    machine.start()
    boots.add(_boot(machine))
    assert machine.read("/etc/kept") == "by the disk"
    machine.reboot()
    boots.add(_boot(machine))
    assert len(boots) == 3
    assert machine.read("/etc/machine-id") == ident
    assert machine.run(["systemctl", "is-system-running"]).stdout.strip() == "running"
    assert not (machine.disk.below / "etc/kept").exists()
