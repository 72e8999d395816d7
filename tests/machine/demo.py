"""A demonstration: an empty Debian, `apt install hubagent`, and a hub to look at.

python -m tests.machine.demo up | down | status
"""

from __future__ import annotations

import argparse
import shutil
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

from tests.machine.hub import Hub, stand_in
from tests.machine.rig import NOTEBOOK, Flavour, HostUnfit, Machine, RigError, Suite, host, paths, registry
from tests.machine.rig.progress import Stages

TOP = Path(__file__).resolve().parents[2]
NAME = "demo"
REPOSITORY = TOP / "dist/repo"
SOURCES = ("hubagent", "units", "conf", "packaging", "pyproject.toml")
LOG = TOP / "build/demo.log"

_BUILD_S = 1800.0
_INSTALL_S = 900.0
_SERVES_S = 180.0
_WARM_S = 240.0


def main() -> int:
    """Run one command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    start = commands.add_parser("up", help="boot a machine, install hubagent in it, leave it running")
    start.add_argument("--suite", choices=[suite.value for suite in Suite], default=Suite.TRIXIE.value)
    start.add_argument("--bare", action="store_true", help="have apt fetch Debian's packages, too: minutes")
    commands.add_parser("down", help="remove the machine without a trace")
    commands.add_parser("status", help="what runs, and where")
    chosen = parser.parse_args()
    try:
        if chosen.command == "up":
            return up(Suite(chosen.suite), Flavour.BARE if chosen.bare else Flavour.SERVER)
        return down() if chosen.command == "down" else status()
    except RigError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped; `make demo-down` removes what is there", file=sys.stderr)
        return 130


def up(suite: Suite, flavour: Flavour) -> int:
    """Everything from nothing to a login page."""
    LOG.parent.mkdir(parents=True, exist_ok=True)
    stages = Stages()
    outdated = _outdated()
    with stages.stage("Check this host"):
        host.require()
        if shutil.which("make") is None:
            raise HostUnfit(["make (apt install make)"])
    if _running() and _serves(Machine.attach(NAME)):
        print("\nIt is up already; its first password was shown when it started.")
        return status()
    _remove()
    if outdated:
        with stages.stage("Build the packages"):
            _build()
    with stages.stage(
        f"Boot Debian {suite.release} (made from packages the first time, which takes minutes)"
    ):
        machine = Machine.boot(suite, name=NAME, flavour=flavour, image=NOTEBOOK, keep=True)
    try:
        with stages.stage("apt install hubagent"):
            _install(machine)
        with stages.stage("Wait for the login page through nginx"):
            machine.wait_until(lambda: _serves(machine), _SERVES_S, "the login page")
        with stages.stage("Wait for warm slots"):
            stand_in(machine)
            machine.wait_until(lambda: _is_warm(Hub(machine)), _WARM_S, "warm slots")
    except BaseException:
        LOG.write_text(machine.journal(lines=5000))
        print(f"\nThe machine's journal is in {LOG}; the machine is removed.", file=sys.stderr)
        machine.close()
        raise
    print(f"\nUp in {stages.elapsed_s:.0f} s.\n")
    print(machine.run(["hubagent", "first-login"], check=False).stdout.rstrip())
    return status()


def down() -> int:
    """Remove the machine and everything of it on this host."""
    print("The demonstration is gone." if _remove() else f"There is no demonstration in {paths.machines()}.")
    return 0


def status() -> int:
    """Print where everything is; 3 when nothing runs, as systemctl says it."""
    if not _running():
        print("The demonstration is not running. Start it with: make demo")
        return 3
    machine = Machine.attach(NAME)
    inside = f"python3 -m tests.machine.rig shell {NAME}"
    said = machine.run(["hubagent", "status"], check=False)
    print(
        f"""
  hub        https://{machine.address}/   (its certificate is self-signed)
             from elsewhere: ssh -L 8443:{machine.address}:443 THIS-HOST, then https://localhost:8443/
  settings   {inside} nano /etc/hubagent.yaml
  metrics    {inside} curl -s http://127.0.0.1:9811/metrics
  a shell    {inside}
  stop       make demo-down

hubagent status:

{(said.stdout or said.stderr).rstrip()}
"""
    )
    return 0


def _remove() -> bool:
    """Whether there was one. Nothing that somebody with another cache calls by the same name is touched."""
    if not (paths.machines() / NAME).exists():
        return False
    registry.remove(NAME)
    registry.sweep()
    return True


def _install(machine: Machine) -> None:
    machine.push(REPOSITORY, "/srv/hubagent")
    machine.run(["sh", "/srv/hubagent/add.sh"])
    machine.run(["apt-get", "update", "-q"], timeout_s=_INSTALL_S)
    machine.run(["apt", "install", "-y", "hubagent"], timeout_s=_INSTALL_S)


def _is_warm(hub: Hub) -> bool:
    pools = hub.status()["pools"]
    return bool(pools) and all(pool["ready"] >= pool["desired"] > 0 for pool in pools)


def _running() -> bool:
    record = registry.load(NAME)
    return record is not None and record.leader is not None and record.leader.alive()


def _outdated() -> bool:
    made = REPOSITORY / "hubagent.gpg"
    if not made.exists():
        return True
    since = made.stat().st_mtime
    return any(file.stat().st_mtime > since for name in SOURCES for file in _files(TOP / name))


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return [file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.parts]


def _build() -> None:
    with LOG.open("w") as log:
        built = subprocess.run(
            ["make", "-C", str(TOP), "deb", "repo"], stdout=log, stderr=log, timeout=_BUILD_S, check=False
        )
    if built.returncode != 0:
        raise RigError(f"`make deb repo` failed; the end of {LOG}:\n{LOG.read_text()[-3000:]}")


def _serves(machine: Machine) -> bool:
    context = ssl.create_default_context()
    context.check_hostname = False  # the certificate is self-signed, and made for the machine's own name
    context.verify_mode = ssl.CERT_NONE
    try:
        with urllib.request.urlopen(
            f"https://{machine.address}/hub/login", timeout=5, context=context
        ) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


if __name__ == "__main__":
    sys.exit(main())
