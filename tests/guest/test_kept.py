"""What a person makes or installs is there after a stop and a start, and what the image brings is seen beside it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import requests
import websocket

from hubagent import wire
from hubagent.guest.own_packages import NOTE
from tests.guest.conftest import SERVER, Running, answers, free_port
from tests.guest.container import DEADLINE_S, HOME, IMAGE, USER, VENV, WORK, Container, terminate
from tests.guest.handmade import handmade
from tests.guest.hub import USER_TOKEN, Hub
from tests.waiting import wait_until

PYTHON = next((VENV / "lib").glob("python3*")).name
PIP = f"{VENV}/bin/python -m pip --disable-pip-version-check"
SITE = f".local/lib/{PYTHON}/site-packages"
STARTS_S = 300.0
"""One that ends at first starts twice, one after the other, and this machine may be busy."""

HEADERS = {"Authorization": f"token {USER_TOKEN}"}
ANYHOW = pytest.mark.parametrize("how", ["cold", "warm"])


class Person:
    """Starts servers one after the other with the same kept folder."""

    def __init__(self, new: Callable[..., Container], hub: Hub, proof: wire.Proof, home: Path) -> None:
        self._new = new
        self._hub = hub
        self._proof = proof
        self.home = home

    def start(
        self,
        how: str,
        image: Path,
        *,
        environment: Mapping[str, str] | None = None,
        declared: Mapping[str, str] | None = None,
        network: bool = False,
    ) -> Running:
        """`declared`: by the configuration, which the container has from its beginning, too."""
        container = self._new(image=image, home=self.home, own_packages=True, network=network)
        port = free_port()
        container.start(
            wire.GuestSettings(
                mode=how,
                modules=self._proof.modules if how == "warm" else (),
                home=WORK,
                declared=tuple(declared or {}),
            ),
            {**IMAGE, **(environment or {}), **(declared or {})},
        )
        assert container.ask(wire.Ping()) == wire.Pong(True, "", {}, False)
        if how == "warm":
            container.attach()
        own = {"JUPYTERHUB_DISABLE_USER_CONFIG": "0", "JUPYTERHUB_ROOT_DIR": WORK}
        given = {**self._hub.environment(port), **own, **(declared or {})}
        assert container.become(given, SERVER, home=WORK) == wire.Done(), container.output
        try:
            wait_until(lambda: answers(port), "the server listens", timeout_s=STARTS_S)
        except AssertionError as error:
            raise AssertionError(container.output) from error
        return Running(how, container, port, self._hub)


@pytest.fixture
def person(new: Callable[..., Container], hub: Hub, proof: wire.Proof, tmp_path: Path) -> Person:
    home = tmp_path / "kept"
    home.mkdir()
    subprocess.run(["chown", f"{USER}:{USER}", home], check=True)
    return Person(new, hub, proof, home)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """What an image has in its HOME."""
    folder = tmp_path / "image-home"
    for name, text in {
        ".bashrc": 'IMAGE_SAYS="at home in $HOME"\n',
        ".profile": 'if [ -f "$HOME/.bashrc" ]; then . "$HOME/.bashrc"; fi\n',
        ".gitconfig": "[user]\n\tname = of the image\n",
        ".jupyter/jupyter_server_config.json": '{"ContentsManager": {"untitled_notebook": "OfTheImage"}}',
        ".local/share/jupyter/kernels/image-kernel/kernel.json": json.dumps(
            {
                "argv": ["python", "-m", "ipykernel_launcher", "-f", "{connection_file}"],
                "display_name": "Image",
            }
        ),
        f"{SITE}/of_the_image.py": "",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def ask(server: Running, method: str, path: str, body: object = None) -> Any:
    answer = requests.request(
        method, f"{server.url}api/{path}", headers=HEADERS, json=body, timeout=DEADLINE_S
    )
    answer.raise_for_status()
    return answer.json() if answer.content else None


def in_terminal(server: Running, command: str) -> str:
    """What a command says in a terminal of the lab."""
    name = ask(server, "POST", "terminals")["name"]
    url = f"{server.url.replace('http', 'ws', 1)}terminals/websocket/{name}"
    channel = websocket.create_connection(
        url, header=[f"{key}: {value}" for key, value in HEADERS.items()], timeout=DEADLINE_S
    )
    channel.send(
        json.dumps(["stdin", f"{{ {command}; }} >/tmp/said-{server.port} 2>&1; echo do''ne; history -a\r"])
    )
    seen = ""
    while "done" not in seen:
        kind, *words = json.loads(channel.recv())
        seen += words[0] if kind == "stdout" else ""
    channel.close()
    ask(server, "DELETE", f"terminals/{name}")
    return Path(f"/tmp/said-{server.port}").read_text()


def environment(server: Running) -> dict[str, str]:
    """As a program of the user's has it."""
    pairs = in_terminal(server, "env -0 | tr '\\n\\0' ' \\n'").splitlines()
    return {name: value for name, _, value in (pair.partition("=") for pair in pairs)}


@ANYHOW
def test_what_a_person_makes_is_there_after_a_stop_and_a_start(person: Person, image: Path, how: str) -> None:
    first = person.start(how, image)
    handmade(person.home)
    said = in_terminal(first, f"{PIP} install --user --no-index ./handmade-1.0-py3-none-any.whl")
    assert "Successfully installed" in said, said
    in_terminal(
        first,
        "git config --global user.email ada@example.org; echo alias mine=true >>~/.bashrc; mkdir -p ~/.ssh",
    )
    in_terminal(first, "echo made >~/.ssh/known_hosts; echo remember-this-line")
    setting = f"{first.url}lab/api/settings/@jupyterlab/apputils-extension:themes"
    saved = requests.put(
        setting, headers=HEADERS, json={"raw": '{"theme": "JupyterLab Dark"}'}, timeout=DEADLINE_S
    )
    assert saved.ok, saved.text
    first.container.end()

    second = person.start(how, image)
    assert in_terminal(second, "handmade") == "made by hand\n"
    assert (
        in_terminal(second, "git config user.email; git config user.name")
        == "ada@example.org\nof the image\n"
    )
    assert in_terminal(second, "alias mine") == "alias mine='true'\n"
    assert "remember-this-line" in in_terminal(second, "cat ~/.bash_history")
    assert (
        in_terminal(second, "cat /home/jovyan/.ssh/known_hosts") == "made\n"
    )  # where ssh looks: the account's home
    setting = f"{second.url}lab/api/settings/@jupyterlab/apputils-extension:themes"
    assert "Dark" in requests.get(setting, headers=HEADERS, timeout=DEADLINE_S).json()["raw"]


@ANYHOW
def test_the_images_own_things_are_seen_and_a_newer_images_too(person: Person, image: Path, how: str) -> None:
    first = person.start(how, image)
    assert "image-kernel" in ask(first, "GET", "kernelspecs")["kernelspecs"]
    assert ask(first, "POST", "contents", {"type": "notebook"})["name"] == "OfTheImage.ipynb"
    assert in_terminal(first, 'echo "$IMAGE_SAYS, $HOME"') == f"at home in {HOME}, {WORK}\n"
    assert in_terminal(first, f"cd / && {IMAGE['PATH'].split(':')[0]}/python -c 'import of_the_image'") == ""
    first.container.end()

    (image / ".bashrc").write_text("IMAGE_SAYS=newer\n")
    (image / "new-material.txt").write_text("new\n")
    (image / ".local/share/jupyter/kernels/image-kernel").rename(
        image / ".local/share/jupyter/kernels/newer-kernel"
    )
    second = person.start(how, image)
    kernels = ask(second, "GET", "kernelspecs")["kernelspecs"].keys()
    assert "newer-kernel" in kernels
    assert "image-kernel" not in kernels
    assert in_terminal(second, f'echo "$IMAGE_SAYS"; cat {HOME}/new-material.txt') == "newer\nnew\n"


def test_warm_and_cold_have_the_same_variables(person: Person, image: Path) -> None:
    seen = []
    for how in ("cold", "warm"):
        server = person.start(how, image)
        found = environment(server)
        for name in ("JUPYTERHUB_SERVICE_URL", "JUPYTER_SERVER_URL", "JPY_PARENT_PID", "SHLVL", "_"):
            found.pop(name, None)
        seen.append(found)
        server.container.end()
    assert seen[0] == seen[1]
    assert seen[0]["HOME"] == WORK
    assert seen[0]["JULIA_DEPOT_PATH"] == f"{WORK}/.julia:{HOME}/.julia:"
    assert seen[0]["JULIA_PLUTO_NEW_NOTEBOOKS_DIR"] == f"{WORK}/pluto_notebooks"


@ANYHOW
def test_what_the_configuration_sets_wins(person: Person, image: Path, how: str) -> None:
    declared = {
        "JULIA_DEPOT_PATH": "/srv/depot",
        "XDG_CACHE_HOME": f"{HOME}/.cache",
        "PYTHONPATH": "/srv/course",
    }
    server = person.start(how, image, declared=declared)
    found = environment(server)
    assert {name: found[name] for name in declared} == declared
    assert found["HOME"] == WORK
    assert "anew" not in server.container.output


@ANYHOW
def test_a_configuration_that_sets_home_is_left_alone(person: Person, image: Path, how: str) -> None:
    server = person.start(how, image, declared={"HOME": HOME})
    found = environment(server)
    assert found["HOME"] == HOME
    assert "JULIA_DEPOT_PATH" not in found


@ANYHOW
def test_waiting_leaves_nothing_in_the_home(person: Person, image: Path, how: str) -> None:
    server = person.start(how, image)
    made = {path.name for path in person.home.iterdir()}
    server.container.end()
    java = {".java", ".m2", ".ivy2", ".gradle"}  # where there is one
    assert made - java <= {
        ".bashrc",
        ".profile",
        ".gitconfig",
        ".ssh",
        ".jupyter",
        ".local",
        ".cache",
        ".ipython",
    }
    assert not any((server.container.folder / "image/work").iterdir())


BROKEN = {
    "a module of the server": {
        f"{SITE}/webcolors/__init__.py": "raise RuntimeError('incompatible')\n",
        f"{SITE}/zz.pth": "import webcolors\n",
    },
    "a package that the server imports": {
        f"{SITE}/my_extension.py": "import sys; sys.exit(3)\n",
        ".local/etc/jupyter/jupyter_server_config.d/mine.json": '{"ServerApp": {"jpserver_extensions": {"my_extension": true}}}',
    },
    "a usercustomize": {f"{SITE}/usercustomize.py": "raise SystemExit('broken')\n"},
    "a line in a .pth": {f"{SITE}/broken.pth": "import sys; sys.exit('broken')\n"},
    "settings": {".jupyter/jupyter_server_config.py": "raise SystemExit('broken')\n"},
    "settings that nobody can read": {".jupyter/jupyter_server_config.json": "{"},
}


@pytest.mark.parametrize("how", ["warm", pytest.param("cold", marks=pytest.mark.slow)])
@pytest.mark.parametrize("what", sorted(BROKEN))
def test_a_person_is_not_locked_out_by_what_they_have_installed(
    person: Person, image: Path, how: str, what: str
) -> None:
    for name, text in BROKEN[what].items():
        (person.home / name).parent.mkdir(parents=True, exist_ok=True)
        (person.home / name).write_text(text)
    (person.home / SITE).mkdir(parents=True, exist_ok=True)
    (person.home / SITE / "harmless.py").write_text("")
    subprocess.run(["chown", "-R", f"{USER}:{USER}", person.home], check=True)
    server = person.start(how, image)
    assert ask(server, "GET", "contents")["type"] == "directory"
    if "once more without" in server.container.output:
        assert NOTE in [one["name"] for one in ask(server, "GET", "contents?content=1")["content"]]
        found = environment(server)
        assert not {"PYTHONNOUSERSITE", "HUBAGENT_LEFT_OUT"} & found.keys()  # to repair it
    server.container.end()

    for name in BROKEN[what]:
        (person.home / name).unlink()
    again = person.start(how, image)
    assert "once more without" not in again.container.output
    assert not (person.home / NOTE).exists()


@ANYHOW
@pytest.mark.parametrize("fault", ["full", "read-only"])
def test_a_home_that_takes_nothing_has_a_server(person: Person, image: Path, how: str, fault: str) -> None:
    """So that its owner can make room, above all."""
    home = str(person.home)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size=64k,uid={USER}", "none", home], check=True)
    try:
        filler = person.home / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        os.chown(filler, USER, USER)
        if fault == "read-only":
            subprocess.run(["mount", "-o", "remount,ro", home], check=True)
        server = person.start(how, image)
        assert ask(server, "POST", "kernels", {"name": "python3"})["id"]
        if fault == "full":
            ask(server, "DELETE", "contents/filler")
        assert "is full or cannot be written" in server.container.output
        server.container.end()
    finally:
        wait_until(
            lambda: subprocess.run(["umount", home], check=False).returncode == 0, "an end of the home's use"
        )


def test_a_server_with_packages_of_its_users_ends_when_it_is_told(person: Person, image: Path) -> None:
    """It has another process before it, which waits whether it gets ready."""
    (person.home / SITE).mkdir(parents=True)
    (person.home / SITE / "harmless.py").write_text("")
    subprocess.run(["chown", "-R", f"{USER}:{USER}", person.home], check=True)
    server = person.start("cold", image)
    ask(server, "GET", "contents")
    terminate(server.container.pid)
    assert server.container.wait() == 0
    assert "once more without" not in server.container.output


@ANYHOW
@pytest.mark.parametrize("network", [False, True])
def test_databases_are_not_on_a_network(person: Person, image: Path, how: str, network: bool) -> None:
    others = set(Path("/tmp").glob("jupyter-databases-*"))
    server = person.start(how, image, network=network)
    ask(server, "POST", "contents", {"type": "notebook"})
    kernel = ask(server, "POST", "kernels", {"name": "python3"})["id"]
    names = {"nbsignatures.db", "history.sqlite"} if not network else {"signatures.db", "history.sqlite"}

    def made() -> set[str]:
        folders = set(Path("/tmp").glob("jupyter-databases-*")) - others if network else {person.home}
        return {
            path.name for folder in folders for path in folder.rglob("*") if path.suffix in {".db", ".sqlite"}
        }

    wait_until(lambda: names <= made(), "the databases are made")
    ask(server, "DELETE", f"kernels/{kernel}")
    server.container.end()
    in_home = [path for path in person.home.rglob("*") if path.suffix in {".db", ".sqlite"}]
    assert bool(in_home) != network
