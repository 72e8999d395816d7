"""`python -m tests.machine.rig`: look at machines and clean up after killed tests."""

from __future__ import annotations

import argparse
import subprocess
import sys

from . import caches, host, registry
from .errors import RigError
from .images import NOTEBOOK
from .machine import Machine
from .root_filesystems import Suite


def main() -> int:
    """Run one command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.machine.rig", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("check", help="is this host fit to boot machines")
    commands.add_parser("list", help="the machines there are")
    prepare = commands.add_parser("prepare", help="fill the caches: roots and the user image")
    prepare.add_argument("suite", nargs="*", choices=[suite.value for suite in Suite])
    clean = commands.add_parser(
        "clean", help="remove what ended owners left, old caches, and the machines named"
    )
    clean.add_argument("name", nargs="*")
    clean.add_argument("--all", action="store_true", help="every machine of this cache, running or not")
    shell = commands.add_parser("shell", help="a shell, or one command, in a running machine")
    shell.add_argument("name")
    shell.add_argument("argv", nargs=argparse.REMAINDER)
    chosen = parser.parse_args()
    try:
        host.require()
        return _COMMANDS[chosen.command](chosen)
    except RigError as error:
        print(error, file=sys.stderr)
        return 1


def _check(_: argparse.Namespace) -> int:
    print("this host can boot test machines")
    return 0


def _list(_: argparse.Namespace) -> int:
    for record in registry.records():
        state = (
            "left over"
            if record.left_over
            else "running"
            if record.leader and record.leader.alive()
            else "off"
        )
        print(
            f"{record.name}\t{record.suite}\t{state}\towner {record.owner.pid}{', kept' if record.keep else ''}"
        )
    return 0


def _prepare(chosen: argparse.Namespace) -> int:
    for suite in chosen.suite or [suite.value for suite in Suite]:
        print(f"{suite}: root file system and user image …", flush=True)
        with Machine.boot(suite, image=NOTEBOOK) as machine:
            print(
                f"{suite}: {machine.run(['docker', 'images', '--quiet', NOTEBOOK.name]).stdout.strip()} is ready"
            )
    return 0


def _clean(chosen: argparse.Namespace) -> int:
    removed = registry.sweep()
    for name in [record.name for record in registry.records()] if chosen.all else chosen.name:
        registry.remove(name)
        removed.append(name)
    removed += [path.name for path in caches.prune()]
    print(f"removed: {' '.join(removed) or 'nothing'}")
    return 0


def _shell(chosen: argparse.Namespace) -> int:
    machine = Machine.attach(chosen.name)
    return subprocess.run(machine.command(chosen.argv or ["bash", "-l"]), check=False).returncode


_COMMANDS = {"check": _check, "list": _list, "prepare": _prepare, "clean": _clean, "shell": _shell}

if __name__ == "__main__":
    sys.exit(main())
