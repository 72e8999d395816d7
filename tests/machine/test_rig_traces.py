"""Machines do not disturb each other, and leave nothing behind on the host, however their owner ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.machine.rig import HostUnfit, Machine, RigError, Suite, caches, cgroups, network, paths, registry
from tests.machine.rig.process import run, wait_until

TOP = Path(__file__).resolve().parents[2]

_OWNER = """\
import os, signal, sys
from tests.machine.rig import Machine
machine = Machine.boot("bookworm", name=sys.argv[1])
print("up", machine._reaper.pid, flush=True)
signal.pause()
"""


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    """One that is there while others come and go."""
    with Machine.boot(Suite.TRIXIE) as booted:
        yield booted


def traces(name: str) -> list[str]:
    """Everything on this host that a machine of this name could have left."""
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    return [
        *(f"namespace {space}" for space in network.namespaces() if space == f"{paths.PREFIX}{name}"),
        *(
            f"rule {rule}"
            for rule in network.rules()
            if f"{paths.PREFIX}{name} " in rule.replace('"', "") + " "
        ),
        *(f"cgroup {group}" for group in cgroups.groups(name)),
        *(f"process {pid}" for pid in _processes(name)),
        *(f"mount {line}" for line in mounts if f"/{name}/" in line),
        *(f"file {path}" for path in paths.machines().glob(name)),
        *(f"file {path}" for path in Path("/run").rglob(f"*{name}*")),
    ]


def _processes(name: str) -> list[int]:
    """Processes with the machine's folder or name in their command line; ours has neither."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if any(word.endswith((f"/{name}".encode(), f"={name}".encode())) for word in words):
            found.append(int(folder.name))
    return found


# -- machines beside each other, and nothing behind them


def test_two_machines_have_ports_and_names_of_their_own(machine: Machine) -> None:
    machine.write("/var/www/html/who", machine.name)
    with Machine.boot(machine.suite) as other:
        assert other.address != machine.address
        assert other.read("/etc/machine-id") != machine.read("/etc/machine-id")
        other.write("/var/www/html/who", other.name)
        for each in (machine, other):
            assert run(["curl", "-sS", f"http://{each.address}/who"]).stdout == each.name
        across = machine.run(["curl", "-sS", f"http://{other.address}/who"]).stdout
        assert across == other.name


def test_a_name_is_taken_once(machine: Machine) -> None:
    with pytest.raises(RigError, match="is there already"):
        Machine.boot(machine.suite, name=machine.name)
    with pytest.raises(RigError, match="cannot name a machine"):
        Machine.boot(machine.suite, name="../evil")
    assert machine.run(["true"]).ok


def test_a_closed_machine_leaves_nothing() -> None:
    with Machine.boot(Suite.BOOKWORM) as machine:
        machine.run(["docker", "network", "create", "trial"])
        assert len(traces(machine.name)) > 5, "the search finds a machine that is there"
        interface = machine.network.interface
        assert interface in network.interfaces()
    assert traces(machine.name) == []
    assert not any(f" {interface} " in rule for rule in network.rules())


@pytest.mark.parametrize("reaper_dies", [False, True], ids=["owner killed", "owner and reaper killed"])
def test_a_killed_owner_leaves_nothing(*, reaper_dies: bool) -> None:
    name = f"killed-{os.getpid()}"
    with subprocess.Popen(
        [sys.executable, "-c", _OWNER, name],
        stdout=subprocess.PIPE,
        text=True,
        cwd=TOP,
        start_new_session=True,
    ) as owner:
        assert owner.stdout is not None
        word, reaper = owner.stdout.readline().split()
        assert word == "up"
        assert traces(name)
        if reaper_dies:
            os.kill(int(reaper), signal.SIGKILL)
        owner.kill()
    if reaper_dies:
        assert traces(name), "nobody cleaned up yet"
        assert name in registry.sweep()
    wait_until(lambda: not traces(name), 30, f"no trace of {name}")


def test_a_sweep_takes_only_what_is_left_over(machine: Machine) -> None:
    (paths.machines() / "half-made").mkdir()
    network.create("half-made")
    assert "half-made" in registry.sweep()
    assert traces("half-made") == []
    assert machine.run(["true"]).ok


def test_old_caches_go_and_used_ones_stay(machine: Machine) -> None:
    old, fresh = paths.roots() / "old-root", paths.roots() / "fresh-root"
    for folder in (old, fresh):
        (folder / "etc").mkdir(parents=True)
    os.utime(old, (0, 0))
    below = machine.disk.below
    kept = below.stat()
    os.utime(below, (0, 0))
    try:
        assert old in caches.prune()
        assert fresh.exists()
        assert below.exists(), "a machine lies over it"
    finally:
        os.utime(below, (kept.st_atime, kept.st_mtime))
        fresh.joinpath("etc").rmdir()
        fresh.rmdir()
        (paths.roots() / "old-root.lock").unlink()


# -- what a host must have


def test_each_lack_of_the_host_is_named(tmp_path: Path) -> None:
    check = [sys.executable, "-m", "tests.machine.rig", "check"]
    # Another user, who yet reaches the checkout wherever it lies.
    reader = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    nobody = run(
        ["setpriv", "--reuid=65534", "--clear-groups", *reader, *check],
        check=False,
        env={"PYTHONPATH": str(TOP)},
    )
    assert nobody.rc == 1
    assert "root: run this as root" in nobody.stderr
    memory = Path(f"/dev/shm/{tmp_path.name}")
    paths = {"PATH": os.environ["PATH"], "PYTHONPATH": str(TOP)}
    unfit = run(check, check=False, env={**paths, "HUBAGENT_CACHE": str(memory)})
    run(["rm", "-rf", str(memory)])
    assert unfit.rc == 1
    assert "set HUBAGENT_CACHE to a folder on ext4 or xfs" in unfit.stderr
    assert str(HostUnfit(["one", "two"])).count("\n  - ") == 2
    assert run(check, env={**paths, "HOME": os.environ["HOME"]}).ok
