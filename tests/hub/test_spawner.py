"""Servers: what is asked of Docker, what users are told, and what never ends a running server."""

from __future__ import annotations

import io
import json
import os
import signal
import tarfile
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from conftest import choose_first_password
from docker_daemon import Container, DockerDaemon
from running import RunningHub, call, free_ports, server, wait_until

TOKEN = "tester-token-tester-token"


class Scene:
    """A hub with a Docker, and what a test does there."""

    def __init__(self, hub: RunningHub, docker: DockerDaemon) -> None:
        self.hub = hub
        self.docker = docker

    def api(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        status, answer = call(
            f"{self.hub.url}/hub/api/{path}",
            method=method,
            token=TOKEN,
            body=None if body is None else json.dumps(body).encode(),
            timeout_s=60,
        )
        return status, json.loads(answer or b"null")

    def start(self, user: str, options: object = None, name: str = "") -> tuple[int, Any]:
        self.api("POST", f"users/{quote(user)}")
        target = f"servers/{name}" if name else "server"
        return self.api("POST", f"users/{quote(user)}/{target}", options)

    def refusal(self, user: str, options: object = None) -> str:
        """The message of a start that fails."""
        status, body = self.start(user, options)
        assert status >= 400, (status, body)
        message: str = body["message"]
        return message

    def stop(self, user: str, name: str = "") -> None:
        target = f"servers/{name}" if name else "server"
        assert self.api("DELETE", f"users/{quote(user)}/{target}")[0] in {202, 204}

    def container(self, user: str, options: object = None) -> Container:
        """The container of a start that succeeds."""
        status, body = self.start(user, options)
        assert status == 201, body
        return next(
            item
            for item in self.docker.containers.values()
            if item.created["Labels"]["hubagent.user"] == user
        )

    def ready(self, user: str) -> bool:
        status, body = self.api("GET", f"users/{user}")
        assert status == 200
        return bool(body["servers"].get("", {}).get("ready"))

    def edit(self, **servers: dict[str, object]) -> None:
        """Write these servers, the first as the default, beneath the running hub."""
        self.hub.servers.update(servers=servers, default=next(iter(servers)))
        self.hub.write()

    def answers(self, user: str) -> bool:
        return call(f"{self.hub.url}/user/{user}/api")[0] == 200


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("docker")
    port = free_ports(1)[0]
    docker = DockerDaemon(folder, port)
    docker.images["fails"] = {"User": "1000:100", "Cmd": ["fail"]}
    docker.images["eats"] = {"User": "1000", "Cmd": ["eat"]}
    docker.images["root"] = {"User": "", "Cmd": ["serve"]}
    docker.images["stranger"] = {"User": "nobody-knows", "Cmd": ["serve"]}
    hub = RunningHub(folder / "hub")
    hub.environment["DOCKER_HOST"] = docker.url
    scopes = ["admin:users", "admin:servers", "servers", "read:users"]
    hub.settings["traits"] = {
        "JupyterHub": {
            "allow_named_servers": True,
            "services": [{"name": "tester", "api_token": TOKEN}],
            "load_roles": [{"name": "tester", "services": ["tester"], "scopes": scopes}],
        },
        "Spawner": {"port": port, "poll_interval": 1},
        "DockerSpawner": {"extra_host_config": {"shm_size": "256m"}},
    }
    try:
        docker.start()
        hub.start()
        yield Scene(hub, docker)
    finally:
        hub.stop()
        docker.close()


@pytest.fixture
def scene(stage: Scene) -> Scene:
    stage.edit(julia=server("julia"))
    return stage


def test_a_container_as_the_definition_says(scene: Scene, tmp_path) -> None:
    scene.edit(
        big=server(
            "big",
            image="hubagent/julia",
            memory_bytes=2 * 1024**3,
            cpus=1.5,
            processes=100,
            mounts=[{"source": str(tmp_path), "target": "/data/{x}", "read_only": True}],
            environment={"KEY": "{value}", "JUPYTERHUB_USER": "somebody else"},
            digest="d1",
        )
    )
    container = scene.container("alice@example.org")
    created, host = container.created, container.created["HostConfig"]
    assert container.name == "jupyter-alice-40example-2eorg"
    assert created["Image"] == "hubagent/julia"
    assert created["Labels"] == {
        "hubagent.server": "big",
        "hubagent.digest": "d1",
        "hubagent.user": "alice@example.org",
    }
    assert host["Memory"] == host["MemorySwap"] == 2 * 1024**3
    assert (host["CpuQuota"], host["CpuPeriod"]) == (150_000, 100_000)
    assert host["PidsLimit"] == 100
    assert host["CapDrop"] == ["ALL"]
    assert not host.get("CapAdd")
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert host["Init"] is True
    assert host["OomScoreAdj"] > 0
    assert host["LogConfig"]["Config"]["max-size"] == "10m"
    assert host["NetworkMode"] == "hubagent"
    assert host["ShmSize"] == 256 * 1024**2, "hub.traits adds to it"
    assert not host.get("Binds")
    assert not host.get("PortBindings")
    home, data = host["Mounts"]
    assert (home["Type"], home["Source"]) == ("volume", "jupyterhub-user-alice-40example-2eorg")
    assert home["Target"] == "/home/jovyan/work"
    assert (data["Type"], data["Source"], data["Target"], data["ReadOnly"]) == (
        "bind",
        str(tmp_path),
        "/data/{x}",
        True,
    )
    assert container.environment["KEY"] == "{value}"
    assert container.environment["JUPYTERHUB_USER"] == "alice@example.org"
    assert container.environment["JUPYTERHUB_ROOT_DIR"] == "/home/jovyan/work"
    assert container.environment["JUPYTERHUB_DEFAULT_URL"] == "/lab"
    assert container.environment["JUPYTERHUB_DISABLE_USER_CONFIG"] == "1"
    assert scene.answers("alice@example.org")
    scene.stop("alice@example.org")
    assert scene.docker.named(container.name) is None


def test_a_new_home_belongs_to_the_images_user_once(scene: Scene) -> None:
    first = scene.container("homeowner")
    [(path, content)] = first.archives
    assert path == "/home/jovyan"
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        [member] = archive.getmembers()
    assert (member.name, member.isdir(), member.uid, member.gid) == ("work", True, 1000, 100)
    scene.stop("homeowner")
    assert scene.container("homeowner").archives == [], "a home that was there is left alone"
    scene.stop("homeowner")


def test_an_image_that_starts_as_root_keeps_what_it_needs_to_become_the_user(scene: Scene) -> None:
    scene.edit(root=server("root", image="root"))
    container = scene.container("rooted")
    assert "SETUID" in container.created["HostConfig"]["CapAdd"]
    assert container.archives == []
    scene.stop("rooted")


def test_an_edit_counts_from_the_next_start(scene: Scene) -> None:
    scene.container("editor")
    scene.stop("editor")
    scene.edit(julia=server("julia", memory_bytes=1024**3, digest="new"))
    container = scene.container("editor")
    assert container.created["HostConfig"]["Memory"] == 1024**3
    assert container.created["Labels"]["hubagent.digest"] == "new"
    scene.stop("editor")


def test_several_servers_are_a_choice(scene: Scene) -> None:
    admin = choose_first_password(scene.hub)
    scene.edit(
        julia=server("julia", title="Julia & friends"),
        r=server("r", image="hubagent/julia", title="<b>R</b>"),
    )
    page = admin.open("/hub/spawn")
    assert page.html.count('type="radio"') == 2
    assert "Julia &amp; friends" in page.html
    assert "&lt;b&gt;R&lt;/b&gt;" in page.html
    assert "4 GiB memory" in " ".join(page.html.split())
    form = next(form for form in page.forms if "server" in form.fields)
    page = admin.submit(form, server="gone")
    assert page.status == 400
    assert "There is no server &#39;gone&#39; here; available: julia, r." in page.html
    admin.submit(form, server="r")
    wait_until(lambda: scene.ready("admin"), "the chosen server")
    container = scene.docker.named("jupyter-admin")
    assert container is not None
    assert container.created["Labels"]["hubagent.server"] == "r"
    scene.stop("admin")
    assert 'value="r"\n               checked' in admin.open("/hub/spawn").html, (
        "the last choice is remembered"
    )

    # The remembered one is gone: what is left starts, without a form.
    scene.edit(julia=server("julia"))
    page = admin.open("/hub/spawn")
    wait_until(lambda: scene.ready("admin"), "the only server")
    container = scene.docker.named("jupyter-admin")
    assert container is not None
    assert container.created["Labels"]["hubagent.server"] == "julia"
    scene.stop("admin")


def test_the_choice_by_api(scene: Scene) -> None:
    scene.edit(julia=server("julia"), r=server("r", image="hubagent/julia"))
    assert scene.container("chooser", {"server": "r"}).created["Labels"]["hubagent.server"] == "r"
    scene.stop("chooser")
    assert scene.refusal("chooser", {"server": "x"}) == "There is no server 'x' here; available: julia, r."
    assert "There is no server" in scene.refusal("chooser", {"server": ["r"]})
    assert "There is no server" in scene.refusal("chooser", {"server": {"a": 1}})


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (
            "absent:1",
            "Image absent:1 is not on this server; an administrator sees why with `hubagent status`.",
        ),
        ("fails", "The server ended while it started (exit status 3); the hub's log says more."),
        ("eats", "The server ran out of memory while it started."),
        ("stranger", "Image stranger runs as 'nobody-knows', whom its /etc/passwd does not know."),
    ],
)
def test_what_cannot_start_says_why_and_leaves_nothing(scene: Scene, image: str, message: str) -> None:
    scene.edit(bad=server("bad", image=image))
    user = f"unlucky.{image.partition(':')[0]}"
    assert scene.refusal(user) == message
    assert not any(item.name.startswith("jupyter-unlucky") for item in scene.docker.containers.values())
    if image == "fails":
        assert "the last words" in scene.hub.log
    scene.edit(julia=server("julia"))
    assert len(scene.container(user).archives) == (image in {"absent:1", "stranger"}), (
        "a home made in vain is made anew"
    )
    scene.stop(user)


def test_missing_folders_and_networks_are_named(scene: Scene) -> None:
    scene.edit(
        bad=server(
            "bad",
            image="hubagent/julia",
            mounts=[{"source": "/no/such/folder", "target": "/x", "read_only": True}],
        )
    )
    assert "The folder /no/such/folder belongs into this server" in scene.refusal("unlucky")
    scene.edit(julia=server("julia"))
    scene.hub.servers["network"] = "nowhere"
    scene.hub.write()
    assert "The container network nowhere is missing" in scene.refusal("unlucky")
    scene.hub.servers["network"] = "hubagent"
    (scene.hub.folder / "etc" / "servers.json").write_text("{")
    assert "The list of servers cannot be read" in scene.refusal("unlucky")
    assert scene.docker.named("jupyter-unlucky") is None


def test_a_leftover_of_the_same_name_is_replaced(scene: Scene) -> None:
    left = scene.container("lefty")
    scene.stop("lefty")
    scene.docker.containers[left.id] = left
    left.process = None
    assert scene.container("lefty").id != left.id
    scene.stop("lefty")


def test_users_and_named_servers_do_not_collide(scene: Scene) -> None:
    users = ["a-b", "a--b", "a.b", "жанна"]
    for user in users:
        scene.container(user)
    assert scene.start("a-b", name="b")[0] == 201
    containers = [item for item in scene.docker.containers.values() if item.running]
    assert len({item.name for item in containers}) == len(users) + 1
    homes = {item.created["HostConfig"]["Mounts"][0]["Source"] for item in containers}
    assert len(homes) == len(users)
    for user in users:
        scene.stop(user)
    scene.stop("a-b", name="b")


def test_a_server_that_ends_is_noticed_and_removed(scene: Scene) -> None:
    container = scene.container("ender")
    scene.docker.kill(container)
    wait_until(lambda: not scene.ready("ender"), "the end to be noticed")
    wait_until(lambda: scene.docker.named(container.name) is None, "the container to be removed")
    assert "jupyter-ender has ended: exit status" in scene.hub.log


@pytest.mark.parametrize("trouble", ["down", "failing"])
def test_a_docker_in_trouble_ends_no_server(scene: Scene, trouble: str) -> None:
    container = scene.container("worker")
    before = len(scene.hub.log)
    if trouble == "down":
        scene.docker.stop()
    else:
        scene.docker.fault = 500
    message = "Cannot ask Docker about jupyter-worker, which counts as running"
    wait_until(lambda: scene.hub.log[before:].count(message) >= 2, "two polls in vain")
    assert scene.ready("worker")
    assert "does not answer" in scene.refusal("newcomer") or trouble == "failing"

    scene.hub.restart_hub()
    wait_until(lambda: scene.ready("worker"), "the hub to know the server again")
    assert scene.answers("worker")
    assert container.running
    if trouble == "down":
        scene.docker.start()
    scene.docker.fault = None
    scene.stop("worker")
    assert scene.docker.named(container.name) is None


def test_servers_outlive_a_hub_restart_even_when_they_are_busy(scene: Scene) -> None:
    container = scene.container("busy")
    scene.docker.hold_file.touch()
    try:
        scene.hub.restart_hub()
        before = len(scene.docker.calls)
        asked = f"GET /containers/{container.name}/json"
        wait_until(lambda: scene.docker.calls[before:].count(asked) >= 3, "the hub to look again and again")
        assert not scene.ready("busy"), "it has not answered"
        assert container.running
    finally:
        scene.docker.hold_file.unlink()
    wait_until(lambda: scene.ready("busy"), "the server to be known again")
    assert scene.answers("busy")
    scene.stop("busy")


def test_a_start_that_the_hubs_end_breaks_off_is_found_again(scene: Scene) -> None:
    scene.api("POST", "users/cut")
    scene.docker.hold_file.touch()
    try:
        url = f"{scene.hub.url}/hub/api/users/cut/server"
        assert call(url, method="POST", token=TOKEN, timeout_s=3)[0] == 0, "it takes until the server answers"
        wait_until(
            lambda: (scene.docker.named("jupyter-cut") or Container("", "", "", {})).running, "a container"
        )
        os.kill(scene.hub.hub_pid, signal.SIGKILL)
    finally:
        scene.docker.hold_file.unlink()
    scene.hub.restart_hub()
    wait_until(lambda: scene.ready("cut"), "the server to be found")
    assert scene.answers("cut")
    scene.stop("cut")


def test_start_returns_when_the_server_answers(scene: Scene) -> None:
    """JupyterHub's own waiting begins at a server that is up, so it costs nothing."""
    scene.docker.hold_file.touch()
    thread = threading.Thread(target=scene.container, args=["slow"])
    try:
        scene.api("POST", "users/slow")
        thread.start()
        wait_until(lambda: scene.docker.named("jupyter-slow") is not None, "the container")
        assert not scene.ready("slow")
    finally:
        scene.docker.hold_file.unlink()
    thread.join()
    wait_until(lambda: scene.ready("slow"), "the answer to be noticed", timeout_s=5)
    scene.stop("slow")


def test_idle_servers_are_stopped_but_not_at_the_first_look_after_a_restart(scene: Scene) -> None:
    container = scene.container("idler")
    scene.hub.stop_hub()
    scene.hub.settings["stop_idle_after_s"] = 2
    before = len(scene.hub.log)
    scene.hub.start()
    wait_until(lambda: scene.docker.named(container.name) is None, "the idle server to be stopped")
    log = scene.hub.log[before:]
    stopped = log.index("Culling server idler")
    assert log[:stopped].count("GET /hub/api/ (idle-culler@") >= 2, "each look begins with that request"
    scene.hub.settings["stop_idle_after_s"] = 1800
    scene.hub.restart_hub()
