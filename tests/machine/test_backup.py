"""A hub leaves its machine: backed up while it is used, restored on an empty machine of another Debian release."""

from __future__ import annotations

import json
import re
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.machine.client import CERTIFICATE, Person
from tests.machine.course import Course, set_up
from tests.machine.hub import Hub, install, until
from tests.machine.rig import NOTEBOOK, Completed, Machine, Suite

REPOSITORY = Path("dist/repo")
BACKUP = "/root/hub.tar.gz"
ADA = "a@b.c"
SECRET = "/etc/github-secret"
RUN_S = 400.0

_CONFIG = """\
hub:
  signup: open
  ask_email: false
  traits: {GitHubOAuthenticator: {client_secret_file: /etc/github-secret}}
servers:
  julia: {image: hubagent/julia, memory: 512M, cpus: 1.5, processes: 200}
"""


def _hubagent(machine: Machine, *words: str) -> Completed:
    return machine.run(["hubagent", *words], check=False, timeout_s=RUN_S)


def _reached(hub: Hub) -> Hub:
    until(lambda: hub.get("/hub/signup")[0] == 200, 60.0, "the sign-up page")
    return hub


def _back_up(hub: Hub, copy: Path) -> dict[str, Any]:
    """While somebody works there; what was printed, and the certificate."""
    machine = hub.machine
    machine.write(SECRET, "of the course", mode=0o600)
    with set_up(Course, hub, _CONFIG, own="label=hubagent.user") as course:
        ada = course.person(ADA, running=True)
        _write(ada, "thesis.txt", "chapter 1\n")
        with ada.kernel() as kernel:
            kernel.tick()
            made = _hubagent(machine, "backup", "--json", BACKUP)
            assert made.rc == 0, made.stderr
            kernel.still_ticks("a backup")
        assert _hubagent(machine, "backup", BACKUP).rc == 2, "nothing is overwritten unasked"
        assert machine.run(["stat", "-c", "%a %U", BACKUP]).stdout.split() == ["600", "root"]
        machine.pull(BACKUP, copy)
    machine.run(["rm", SECRET, BACKUP])
    return {**json.loads(made.stdout), "certificate": machine.read(CERTIFICATE)}


def _write(person: Person, name: str, text: str) -> None:
    body = {"type": "file", "format": "text", "content": text}
    assert person.jupyter("PUT", f"/api/contents/{name}", body).ok


def _read(person: Person, name: str) -> str:
    answer = person.jupyter("GET", f"/api/contents/{name}")
    assert answer.status_code == 200, answer.text
    return str(answer.json()["content"])


@pytest.mark.slow
@pytest.mark.parametrize("hub", ["bookworm"], indirect=True)
def test_a_hub_moves_to_an_empty_machine(hub: Hub, pristine: Hub, tmp_path: Path) -> None:
    file = tmp_path / "hub.tar.gz"
    made = _back_up(pristine, file)
    assert made["manifest"]["database"] == "sqlite"
    assert ADA in made["manifest"]["users"].values()
    assert made["manifest"]["left_out"] == []
    with Machine.boot(Suite.TRIXIE, image=NOTEBOOK) as machine:
        new = install(machine, REPOSITORY)
        machine.push(file, BACKUP)
        _a_damaged_one_changes_nothing(new, file)
        restored = _hubagent(machine, "restore", BACKUP)
        assert restored.rc == 0, restored.stdout + restored.stderr
        assert ", from bookworm-" in restored.stdout
        assert new.config() == _CONFIG
        assert machine.read(SECRET) == "of the course"
        assert machine.read(CERTIFICATE) == made["certificate"]
        with closing(Person(_reached(new), ADA)) as ada:
            ada.log_in()
            ada.start()
            assert _read(ada, "thesis.txt") == "chapter 1\n"
            _write(ada, "thesis.txt", "chapter 2, written since\n")
            _in_use_it_is_only_replaced_when_asked_for(new, ada)


def _a_damaged_one_changes_nothing(hub: Hub, file: Path) -> None:
    machine, before = hub.machine, hub.main_pid("jupyterhub")
    machine.write("/root/cut.tar.gz", file.read_bytes()[:-100])
    refused = _hubagent(machine, "restore", "/root/cut.tar.gz")
    assert refused.rc == 1
    assert "incomplete" in refused.stderr
    checked = _hubagent(machine, "restore", "--check", BACKUP)
    assert checked.rc == 0, checked.stderr
    assert ": complete, from " in checked.stdout
    assert hub.main_pid("jupyterhub") == before
    assert hub.config() != _CONFIG


def _in_use_it_is_only_replaced_when_asked_for(hub: Hub, ada: Person) -> None:
    machine = hub.machine
    refused = _hubagent(machine, "restore", BACKUP)
    assert refused.rc == 2
    # With those that tests before have left on the first hub.
    assert re.search(rf"people in the hub's database: \d+ \({re.escape(ADA)}[,)]", refused.stderr), (
        refused.stderr
    )
    assert ada.answers()
    restored = _hubagent(machine, "restore", "--replace", "--json", BACKUP)
    assert restored.rc == 0, restored.stdout + restored.stderr
    printed = json.loads(restored.stdout)
    assert printed["status"]["problems"] == []
    # Others may have homes there, too: tests before have used the first hub.
    [volume] = [volume for volume, user in printed["manifest"]["users"].items() if user == ADA]
    [aside] = [
        moved.rpartition(" ")[2]
        for moved in printed["moved_aside"]
        if moved.startswith(f"the home {volume} to")
    ]
    assert _in_volume(machine, aside) == "chapter 2, written since\n"
    assert _in_volume(machine, volume) == "chapter 1\n"
    until(lambda: not ada.servers(), 60.0, "the hub to see that the server has ended")


def _in_volume(machine: Machine, volume: str) -> str:
    shown = machine.run(["docker", "volume", "inspect", "-f", "{{.Mountpoint}}", volume])
    return machine.read(f"{shown.stdout.strip()}/thesis.txt")
