"""What a person makes and installs, on a real machine: there after a stop and a start through the hub, and beside it what a
newer image brings."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.machine.client import Person
from tests.machine.hub import until
from tests.machine.test_pool import FILL_S, Lecture, lecture, nobody_is_left

__all__ = ["lecture", "nobody_is_left"]

SETTING = "/lab/api/settings/@jupyterlab/apputils-extension:themes"

# Run in a kernel: what a person does in an hour, by the places that the programs take by themselves.
_MAKE = """
import os, pathlib, subprocess
def run(*argv):
    subprocess.run(argv, check=True, capture_output=True)
home = pathlib.Path.home()
run('python', '-m', 'ipykernel', 'install', '--user', '--name', 'mine')
tool = home / '.local/bin/mytool'
tool.parent.mkdir(parents=True, exist_ok=True)
tool.write_text('#!/bin/sh\\necho from my tool\\n')
tool.chmod(0o755)
run('bash', '-ic', 'history -s remember-this-line; history -w')
(home / '.gitconfig').write_text('[user]\\nname = Ada\\n')
depot = pathlib.Path(os.environ['JULIA_DEPOT_PATH'].split(':')[0])
(depot / 'packages').mkdir(parents=True, exist_ok=True)
(depot / 'packages/marker').write_text('')
notebooks = pathlib.Path(os.environ['JULIA_PLUTO_NEW_NOTEBOOKS_DIR'])
notebooks.mkdir(exist_ok=True)
(notebooks / 'Cute discovery.jl').write_text('')
(pathlib.Path('/home/jovyan/.ssh') / 'known_hosts').write_text('made')
get_ipython().run_cell('a_line_to_remember = 1', store_history=True)
get_ipython().history_manager.writeout_cache()
print('all is made', flush=True)
"""
_FIND = """
import json, os, pathlib, shutil, subprocess
home = pathlib.Path.home()
said = lambda *argv: subprocess.run(argv, capture_output=True, text=True).stdout
depots = os.environ['JULIA_DEPOT_PATH'].split(':')
print('\\nfacts', json.dumps({
    'tool': said('mytool'),
    'kernel': (home / '.local/share/jupyter/kernels/mine/kernel.json').exists(),
    'bash': 'remember-this-line' in (home / '.bash_history').read_text(),
    'git': (home / '.gitconfig').read_text(),
    'julia': pathlib.Path(depots[0], 'packages/marker').exists(),
    'pluto': os.listdir(os.environ['JULIA_PLUTO_NEW_NOTEBOOKS_DIR']),
    'ssh': pathlib.Path('/home/jovyan/.ssh/known_hosts').read_text(),
    'ipython': [line for _, _, line in get_ipython().history_manager.search('a_line_to_remember*')],
    'newer image': os.path.exists('/home/jovyan/of-the-newer-image'),
    'last depot': depots[-1],
}), 'end of facts', flush=True)
"""
FOUND = {
    "kernel": True,
    "tool": "from my tool\n",
    "bash": True,
    "git": "[user]\nname = Ada\n",
    "julia": True,
    "pluto": ["Cute discovery.jl"],
    "ssh": "made",
    "ipython": ["a_line_to_remember = 1"],
    "newer image": False,
    "last depot": "",
}


def make(person: Person) -> None:
    with person.kernel() as kernel:
        kernel.execute(_MAKE)
        kernel.sees("all is made\n")
    saved = person.jupyter("PUT", SETTING, {"raw": '{"theme": "JupyterLab Dark"}'})
    assert saved.status_code == 204, saved.text


def find(person: Person) -> dict[str, Any]:
    with person.kernel() as kernel:
        kernel.execute(_FIND)
        kernel.sees(" end of facts\n")
        found = json.loads(kernel.output.partition("\nfacts ")[2].partition(" end of facts")[0])
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("how", ["warm", "cold"])
def test_what_a_person_makes_outlives_the_stop(lecture: Lecture, how: str) -> None:
    start = getattr(lecture, how)
    person = start(f"keeper-{how}")
    make(person)
    person.stop()

    person = start(f"keeper-{how}")
    assert find(person) == FOUND
    assert "Dark" in person.jupyter("GET", SETTING).json()["raw"]


def test_a_newer_image_is_seen_beside_it(lecture: Lecture) -> None:
    person = lecture.warm("olga")
    make(person)
    person.stop()
    old = lecture.docker("image", "inspect", "-f", "{{.Id}}", "hubagent/julia").strip()
    try:
        lecture.docker("run", "--name", "newer", "hubagent/julia", "touch", "/home/jovyan/of-the-newer-image")
        lecture.docker("commit", "--change", 'CMD ["jupyterhub-singleuser"]', "newer", "hubagent/julia")
        in_force(lecture, lecture.docker("image", "inspect", "-f", "{{.Id}}", "hubagent/julia").strip())
        person = lecture.warm("olga")
        assert find(person) == {**FOUND, "newer image": True}
        person.stop()
    finally:
        lecture.docker("rm", "newer")
        lecture.docker("tag", old, "hubagent/julia")
        in_force(lecture, old)


def in_force(lecture: Lecture, image: str) -> None:
    """Wait until servers start from it: it is proven first."""
    lecture.hub.apply()

    def waits() -> bool:
        slots = lecture.ready_slots()
        command = ["docker", "inspect", "-f", "{{.Image}}", *slots]
        found = lecture.hub.machine.run(command, check=False).stdout.split()  # one may just go
        return len(found) >= 2 and set(found) == {image}

    until(waits, 2 * FILL_S, f"slots of {image}")
