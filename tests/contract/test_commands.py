"""Every command on a machine whose files are hostile: no escape sequence of others reaches the terminal.

And what only reads a file imports nothing that drives a machine, which would take it a second of processor time.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hubagent.state.status_json import to_json
from tests.unit.web import samples

ROOT = Path(__file__).parents[2]
EVIL = "\x1b]0;evil\x07\x1b[31mred\x9b2J\u202eright\u2066\r"
"""A window's title, a colour, C1's way to clear the screen, text that runs backwards, and back to the line's begin."""

STEERS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
OWN = re.compile(r"\x1b\[(?:0|1|2|31|32|33)m")
"""hubagent's own colours."""

IN_PLACE = """
set -e
mount -t tmpfs tmpfs /run
mkdir -p "$1/new" "$1/work"
for folder in etc var usr/share; do
    mkdir -p "$1/new/$folder" "$1/work/$folder"
    mount -t overlay overlay -o "lowerdir=/$folder,upperdir=$1/new/$folder,workdir=$1/work/$folder" "/$folder"
done
mkdir -p /run/hubagent
[ ! -e "$1/status.json" ] || install -m 0600 "$1/status.json" /run/hubagent/status.json
shift
exec "$@"
"""


class Machine:
    """A folder with what the commands find: /etc/hubagent.yaml, the last status, the shipped templates."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        subprocess.run(
            ["mount", "-t", "tmpfs", "tmpfs", folder], check=True
        )  # an overlay's upper needs a plain one
        etc, share = folder / "new/etc", folder / "new/usr/share/hubagent"
        etc.mkdir(parents=True)
        share.mkdir(parents=True)
        subprocess.run(["cp", "-r", ROOT / "conf/templates", share], check=True)

    def configure(self, config: dict[str, object]) -> None:
        path = self.folder / "new/etc/hubagent.yaml"
        path.write_text(json.dumps(config))
        path.chmod(0o644)

    def run(self, *arguments: str, terminal: bool = False, **environment: str) -> str:
        """All that the command prints; on a terminal, or into a pipe."""
        return self.done(*arguments, terminal=terminal, **environment).stdout.decode(errors="surrogateescape")

    def done(
        self, *arguments: str, terminal: bool = False, **environment: str
    ) -> subprocess.CompletedProcess[bytes]:
        """With its standard error in its standard output."""
        command = [sys.executable, "-m", "hubagent", *arguments]
        inside = ["unshare", "--mount", "--net", "bash", "-c", IN_PLACE, "bash", str(self.folder), *command]
        if terminal:
            inside = ["script", "--quiet", "--return", "--command", _quoted(inside), "/dev/null"]
        return subprocess.run(
            inside,
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=120,
        )

    def close(self) -> None:
        subprocess.run(["umount", self.folder], check=True)


def _quoted(command: list[str]) -> str:
    return " ".join("'" + one.replace("'", "'\\''") + "'" for one in command)


def _hostile(value: Any) -> Any:
    """Every text of a status that is not one of a closed set."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: _hostile(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return dataclasses.replace(value, **fields)
    if isinstance(value, str):
        return value + EVIL
    return tuple(map(_hostile, value)) if isinstance(value, tuple) else value


COMMANDS = {
    "status": (),
    "doctor": (),
    "plan": (),
    "apply": (),
    "check": (),
    "check of a file": ("check", f"/srv/{EVIL}.yaml"),
    "rollback": ("rollback", "7"),
    "rollback to a word": ("rollback", EVIL),
    "first-login": ("first-login", EVIL),
    "homes": (),
    "homes keep": ("homes", "keep", EVIL),
    "backup": ("backup", f"/srv/{EVIL}/file"),
    "restore": ("restore", f"/srv/{EVIL}"),
    "an unknown command": (EVIL,),
    "an unknown option": ("status", f"--{EVIL}"),
}


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    machine = Machine(tmp_path_factory.mktemp("machine"))
    status = json.dumps(to_json(_hostile(samples.degraded())))
    (machine.folder / "status.json").write_text(status)
    yield machine
    machine.close()


@pytest.mark.parametrize("name", COMMANDS)
def test_nothing_foreign_steers_the_terminal(machine: Machine, name: str) -> None:
    machine.configure({"host": "hub.example.org"})
    _is_clean(machine.run(*(COMMANDS[name] or (name,))))


@pytest.mark.parametrize("name", ["check", "plan", "apply", "doctor"])
def test_nothing_in_the_configuration_does(machine: Machine, name: str) -> None:
    machine.configure({EVIL: 1, "host": EVIL, "tls": {"mode": EVIL}, "servers": {EVIL: {"title": EVIL}}})
    _is_clean(machine.run(name))


def _is_clean(printed: str) -> None:
    assert printed.strip()
    assert "Traceback" not in printed
    assert STEERS.findall(printed) == []


@pytest.mark.parametrize("name", ["status", "doctor"])
def test_on_a_terminal_there_are_no_sequences_but_hubagents_colours(machine: Machine, name: str) -> None:
    machine.configure({"host": "hub.example.org"})
    printed = machine.run(name, terminal=True)
    assert OWN.search(printed)
    assert STEERS.findall(OWN.sub("", printed).replace("\r\n", "\n")) == []


DRIVES_A_MACHINE = {
    "gi",
    "pydbus",
    "docker",
    "requests",
    "watchdog",
    "prometheus_client",
    "jinja2",
    "cryptography",
}


@pytest.mark.parametrize(
    ("command", "printed"),
    [
        (("--help",), "first-login"),
        (("apply", "--help"), "--allow-disruption"),
        (("--version",), "hubagent "),
        (("status",), "bind() to 0.0.0.0:443 failed"),
        (("status", "--json"), '"last_failure"'),
        (("check",), "valid"),
        (("first-login",), "no generation is in force yet"),
    ],
)
def test_a_command_that_only_reads_imports_nothing_that_drives(
    machine: Machine, command: tuple[str, ...], printed: str
) -> None:
    machine.configure({"tls": {"mode": "self-signed"}})
    answer = machine.run(*command, PYTHONPROFILEIMPORTTIME="1")
    imported = set(re.findall(r"^import time:.*\| +([a-z_]+)", answer, re.MULTILINE))
    assert printed in answer
    assert "hubagent" in imported
    assert imported & DRIVES_A_MACHINE == set()


FAULT = """
import {module} as module
def fail(*_, **__):
    raise RuntimeError({text!r})
module.{name} = fail
"""


def _stage(folder: Path, module: str, name: str) -> dict[str, str]:
    """The environment in which a function of hubagent's fails as nobody thought of."""
    text = f"{EVIL}\nand more"
    (folder / "sitecustomize.py").write_text(FAULT.format(module=module, name=name, text=text))
    return {"PYTHONPATH": f"{folder}:{ROOT}"}


def test_a_fault_of_its_own_is_one_line(machine: Machine, tmp_path: Path) -> None:
    machine.configure({"host": "hub.example.org"})
    staged = _stage(tmp_path, "hubagent.config.reading.loader", "load")
    done = machine.done("check", **staged)
    printed = done.stdout.decode()
    _is_clean(printed)
    assert done.returncode == os.EX_SOFTWARE
    assert re.fullmatch(
        r"hubagent: a fault of hubagent's own, .*: RuntimeError: .*and more .*--traceback.*\n", printed
    )
    done = machine.done("--traceback", "check", **staged)
    printed = done.stdout.decode()
    assert done.returncode == os.EX_SOFTWARE
    assert re.search(r'sitecustomize\.py", line \d+, in fail', printed)
    assert STEERS.findall(printed) == []


def test_a_fault_that_ends_the_agent_is_in_its_log_with_its_place(machine: Machine, tmp_path: Path) -> None:
    done = machine.done("run", **_stage(tmp_path, "hubagent.agent.agent", "Agent.run"))
    printed = done.stdout.decode()
    assert done.returncode == os.EX_SOFTWARE
    assert "CRITICAL hubagent.cli.agent_commands: a fault of hubagent's own" in printed
    assert re.search(r'sitecustomize\.py", line \d+, in fail', printed)
    assert STEERS.findall(printed) == []
