"""Images that the agent builds on a real machine, from a local base: Debian 12 with Julia 1.5.3 of an older suite.

The tests go on from each other: one recipe after the other, while somebody works in a server of the first.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.machine import base_image
from tests.machine.client import Person
from tests.machine.fixtures import REPOSITORY
from tests.machine.hub import Hub, install
from tests.machine.rig import Machine

pytestmark = pytest.mark.slow

IMAGE = "hubagent/built"
BUILD_S = 900.0
RECIPES = "/usr/share/hubagent/image"

_CONFIG = """\
hub: {signup: open}
servers:
  julia:
    title: Julia
    image: hubagent/built
    build: %s
    memory: 1G
"""

# Exceptions through compiled code, tasks, and whose package depot comes first.
_JULIA = """
f(x) = x < 0 ? error("negative") : sqrt(x)
caught = try; f(-1.0); catch fault; fault.msg; end
index = try; [1, 2][7]; catch fault; typeof(fault); end
println(VERSION, " ", caught, " ", index, " ", fetch(@async sum(rand(200, 200)^2)) > 0)
println(join(DEPOT_PATH, " "))
"""


@dataclass
class Site:
    hub: Hub

    def ask_for(self, **build: Any) -> None:
        """Save a recipe; JSON is YAML."""
        recipe = {"base": base_image.NAME, "julia": "debian", "packages": [], **build}
        self.hub.edit(_CONFIG % json.dumps(recipe))

    def image(self) -> dict[str, Any]:
        (status,) = self.hub.status()["images"]
        assert isinstance(status, dict)
        return status

    def reach(self, state: str, *, other_than: str = "") -> dict[str, Any]:
        """Wait for the image to be in `state`, for today's file, and not to be the one with this id."""

        def reached() -> dict[str, Any] | None:
            images = self.hub.status()["images"]
            if not images or images[0]["image"] != IMAGE or images[0]["state"] != state:
                return None
            return images[0] if not other_than or self.id(IMAGE) != other_than else None

        self.hub.settled()
        return self.hub.machine.wait_until(reached, BUILD_S, f"the image to be {state}")

    def docker(self, *words: str) -> str:
        return self.hub.machine.run(["docker", *words], timeout_s=120.0).stdout

    def id(self, name: str) -> str:
        return self.docker("image", "inspect", "-f", "{{.Id}}", name).strip()

    def tags(self) -> set[str]:
        """Of all images under the name, but for what is in force."""
        listed = self.docker("images", "--format", "{{.Repository}}:{{.Tag}}", IMAGE).split()
        return set(listed) - {f"{IMAGE}:latest"}


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Machine.boot("bookworm") as machine:
        base_image.load(machine)
        yield Site(install(machine, REPOSITORY))


@pytest.fixture(scope="module")
def built(site: Site) -> Site:
    """The first recipe is in force."""
    site.ask_for()
    site.reach("present")
    return site


@pytest.fixture(scope="module")
def ada(built: Site) -> Iterator[Person]:
    """Works in a server of the first image."""
    person = Person(built.hub, "ada")
    person.sign_up()
    person.log_in()
    person.start()
    yield person
    person.close()


def test_a_recipe_becomes_a_proven_image(built: Site) -> None:
    status = built.image()
    assert (status["usable"], status["detail"]) == (True, "")
    assert status["build_s"] > 0
    assert "Step 1/" in built.hub.machine.read(status["log"])
    hexadecimal = built.id(IMAGE).removeprefix("sha256:")
    proof = json.loads(built.hub.machine.read(f"/var/lib/hubagent/images/{hexadecimal}.json"))
    assert proof["kernels"] == {"python3": "python"}
    assert "jupyterlab.labapp" in proof["modules"]
    assert built.docker("ps", "-aq", "--filter", "label=hubagent.proof") == ""
    assert built.hub.metric('hubagent_image_state{server="julia",state="present"}') == 1
    assert not [one for one in built.hub.settled()["problems"] if one["reason"] == "image"]


def test_its_julia_survives_exceptions(built: Site) -> None:
    said = built.docker("run", "--rm", "--network", "none", IMAGE, "julia", "-e", _JULIA).splitlines()
    assert said[0] == "1.5.3 negative BoundsError true"
    depots = said[1].split()
    assert depots[:2] == ["/home/jovyan/.julia", "/opt/julia"]
    assert len(depots) > 2  # Julia's own: its standard library's compiled files


def test_it_is_an_ordinary_users(built: Site) -> None:
    script = "id -u; id -un; pwd; find / -xdev -user 1000 -perm -2 -not -type l 2>/dev/null | head -3; git --version"
    said = built.docker("run", "--rm", IMAGE, "sh", "-c", script).splitlines()
    assert said[:3] == ["1000", "jovyan", "/home/jovyan/work"]
    assert said[3].startswith("git version")
    assert built.docker("run", "--rm", IMAGE, "sh", "-c", "find /home/jovyan -not -user jovyan") == ""


def test_users_get_jupyterlab_from_it(ada: Person) -> None:
    assert ada.open(f"{ada.home}/lab").status_code == 200
    assert list(ada.jupyter("GET", "/api/kernelspecs").json()["kernelspecs"]) == ["python3"]
    asked = ada.jupyter("GET", "/lab/api/settings/@jupyterlab/apputils-extension:notification").json()
    assert asked["schema"]["properties"]["fetchNews"]["default"] == "false", "nobody is asked about news"
    with ada.kernel() as kernel:
        kernel.execute(
            "import subprocess; print(subprocess.check_output(['julia', '-e', 'print(6 * 7)']).decode())"
        )
        kernel.sees("42\n")


def test_a_recipe_that_fails_harms_nobody(built: Site, ada: Person) -> None:
    before = built.id(IMAGE)
    built.ask_for(apt=["no-such-package-anywhere"])
    status = built.reach("failed")
    assert status["usable"]
    assert "Unable to locate package no-such-package-anywhere" in status["detail"]
    assert status["log"] in status["detail"]
    assert "Unable to locate package" in built.hub.machine.read(status["log"])
    shown = built.hub.machine.run(["hubagent", "status"], check=False).stdout
    assert "Unable to locate package" in " ".join(shown.split())
    assert "servers start from the existing image" in " ".join(shown.split())
    assert built.id(IMAGE) == before
    assert ada.answers()
    eve = Person(built.hub, "eve")
    eve.sign_up()
    eve.log_in()
    eve.start()
    assert eve.answers()
    eve.stop()
    eve.close()


def test_new_recipes_take_over_and_old_images_go_when_nobody_uses_them(built: Site, ada: Person) -> None:
    first = built.id(IMAGE)
    (first_tag,) = built.tags()
    made = [first]
    for sysimage in ("never", "always"):
        built.ask_for(sysimage=sysimage)
        built.reach("present", other_than=made[-1])
        made.append(built.id(IMAGE))
        assert ada.answers()  # from the first
    assert len(built.tags()) == 3

    # A new version of hubagent with another check at the end.
    check = f"{RECIPES}/scripts/check.py"
    built.hub.machine.run(["sh", "-c", 'echo "# one more" >>"$1"', "sh", check])
    built.hub.apply()
    built.reach("present", other_than=made[-1])
    made.append(built.id(IMAGE))
    assert len(set(made)) == 4
    assert first_tag in built.tags()
    assert ada.answers()

    ada.stop()
    built.hub.apply()
    built.hub.machine.wait_until(lambda: first_tag not in built.tags(), 60.0, "the first image to go")
    assert len(built.tags()) == 3
    kept = {one.removeprefix("sha256:") for one in made[1:]}
    built.hub.machine.wait_until(lambda: _proofs(built.hub) == kept, 60.0, "the first image's proof to go")


def _proofs(hub: Hub) -> set[str]:
    known = hub.machine.run(["ls", "/var/lib/hubagent/images"]).stdout.split()
    return {Path(name).stem for name in known if name.endswith(".json")} - {"rollouts"}
