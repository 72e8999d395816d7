"""Servers: what the agent is asked for and asks of Docker, what users are told, and what never ends a running
server. The agent's part runs here, on a Docker that is scripted."""

from __future__ import annotations

import io
import json
import os
import signal
import tarfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from browser import Browser
from conftest import ADMIN_PASSWORD, choose_first_password
from docker_daemon import Container
from running import call, server
from scene import TOKEN, UNCLOSED, Scene, staged

from hubagent import wire
from tests.waiting import wait_until

pytestmark = UNCLOSED


@pytest.fixture(scope="module")
def admin(stage: Scene) -> Browser:
    return choose_first_password(stage.hub)


@pytest.fixture
def scene(stage: Scene) -> Scene:
    stage.edit(julia=server("julia"))
    return stage


def test_the_agent_hears_who_has_signed_in(scene: Scene, admin: Browser) -> None:
    """Not who was refused, nor who was only let in to choose a password."""
    heard = lambda: [account.user for account in scene.agent.expected]  # noqa: E731
    wait_until(lambda: heard() == ["admin"], "the agent to hear of the first time")
    someone = Browser(scene.hub.url)
    someone.sign_in("admin", "not the password")
    someone.sign_in("admin", ADMIN_PASSWORD)
    wait_until(lambda: heard() == ["admin", "admin"], "the agent to hear of the second time")


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
        )
    )
    container = scene.container("alice@example.org")
    created, host = container.created, container.created["HostConfig"]
    assert container.name == "jupyter-alice-40example-2eorg"
    assert created["Image"] == "hubagent/julia"
    labels = created["Labels"]
    assert (labels["hubagent.server"], labels["hubagent.user"]) == ("big", "alice@example.org")
    assert len(labels["hubagent.digest"]) == 64
    assert len(labels["hubagent.guest"]) == 12
    assert "hubagent.slot" not in labels
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
    home, data = container.mount("/home/jovyan/work"), container.mount("/data/{x}")
    assert (home["Type"], home["Source"]) == ("volume", "jupyterhub-user-alice-40example-2eorg")
    assert (data["Type"], data["Source"], data["ReadOnly"]) == ("bind", str(tmp_path), True)
    assert container.mount("/opt/hubagent")["ReadOnly"]
    assert not container.mount("/run/hubagent")["ReadOnly"]
    environment, command = container.became.environment, container.became.command
    assert environment["KEY"] == "{value}"
    assert environment["JUPYTERHUB_USER"] == "alice@example.org"
    assert environment["JUPYTERHUB_ROOT_DIR"] == "/home/jovyan/work"
    assert environment["JUPYTERHUB_DEFAULT_URL"] == "/lab"
    assert environment["JUPYTERHUB_DISABLE_USER_CONFIG"] == "1"
    assert command[0] == "jupyterhub-singleuser"
    assert environment["JUPYTERHUB_API_TOKEN"] not in json.dumps(created), "docker inspect shows no secret"
    assert scene.answers("alice@example.org")
    scene.stop("alice@example.org")
    assert scene.docker.named(container.name) is None


def test_a_new_home_belongs_to_the_images_user_once(scene: Scene) -> None:
    scene.container("homeowner")
    [(path, content)] = scene.given("homeowner")
    assert path == "/home/jovyan"
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        [member] = archive.getmembers()
    assert (member.name, member.isdir(), member.uid, member.gid) == ("work", True, 1000, 100)
    scene.stop("homeowner")
    scene.container("homeowner")
    assert len(scene.given("homeowner")) == 1, "a home that was there is left alone"
    scene.stop("homeowner")


def test_an_image_that_starts_as_root_keeps_what_it_needs_to_become_the_user(scene: Scene) -> None:
    scene.edit(root=server("root", image="root"))
    container = scene.container("rooted")
    assert "SETUID" in container.created["HostConfig"]["CapAdd"]
    assert scene.given("rooted") == []
    scene.stop("rooted")


def test_an_edit_counts_from_the_next_start(scene: Scene) -> None:
    before = scene.container("editor")
    scene.stop("editor")
    scene.edit(julia=server("julia", memory_bytes=1024**3))
    container = scene.container("editor")
    assert container.created["HostConfig"]["Memory"] == 1024**3
    digests = {one.created["Labels"]["hubagent.digest"] for one in (before, container)}
    assert len(digests) == 2
    scene.stop("editor")


def test_the_end_of_the_last_server_is_not_that_of_the_next(scene: Scene) -> None:
    """The hub asks now and then; the answer is on its way while its user stops the server and starts another."""
    scene.container("quick")
    first = scene.docker.named("jupyter-quick")
    assert first is not None
    with scene.agent.hold.at("after Inspect", only_first=True) as answered:
        scene.docker.kill(first)
        wait_until(lambda: answered.reached, "the answer that it has ended")
        scene.stop("quick")
        wait_until(lambda: not scene.model("quick"), "the end of the first")
        status, _ = scene.start("quick")
        assert status in {201, 202}
    wait_until(lambda: scene.ready("quick"), "the next one")
    with scene.agent.hold.at("before Inspect") as asked:
        wait_until(lambda: asked.reached, "the hub to ask about that one")
        assert scene.ready("quick")
    assert scene.runs("jupyter-quick")
    scene.stop("quick")


def test_several_servers_are_a_choice(scene: Scene, admin: Browser) -> None:
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
        ("stillborn", "The server ended while it started (exit status 3); hubagent's log says more."),
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
    scene.container(user)
    assert len(scene.given(user)) == 1, "a home made in vain is made anew, any other is left alone"
    scene.stop(user)


def test_missing_folders_and_networks_are_named(scene: Scene) -> None:
    scene.edit(
        bad=server(
            "bad",
            image="hubagent/julia",
            mounts=[{"source": "/no/such/folder", "target": "/x", "read_only": True}],
        )
    )
    assert "The folder /no/such/folder belongs in this server" in scene.refusal("unlucky")
    scene.edit(julia=server("julia"))
    scene.docker.networks.clear()
    assert "The container network hubagent is missing" in scene.refusal("unlucky")
    scene.docker.networks.add("hubagent")
    (scene.hub.folder / "etc" / "servers.json").write_text("{")
    assert "The list of servers cannot be read" in scene.refusal("unlucky")
    assert scene.docker.named("jupyter-unlucky") is None


def test_starts_that_fail_one_after_the_other_do_not_end_the_hub(tmp_path: Path) -> None:
    """A class on a busy machine. A hub with a limit ends two seconds after it, and everybody's pages with it: the
    second round would find nobody."""
    with staged(tmp_path, spawner={"start_timeout": 5}) as scene:
        choose_first_password(scene.hub)
        scene.docker.hold_file.touch()  # nothing that starts answers
        for _ in range(2):
            with ThreadPoolExecutor(6) as pool:
                answers = list(pool.map(scene.start, [f"pupil{number}" for number in range(6)]))
            assert {status for status, _ in answers} == {500}, answers
        scene.docker.hold_file.unlink()
        assert Browser(scene.hub.url).sign_in("admin", ADMIN_PASSWORD).path == "hub/home"
        scene.container("pupil0")
        assert scene.answers("pupil0")


def test_another_landing_page_counts_from_the_next_start_on(scene: Scene) -> None:
    for page in ("/lab", "/tree/start.ipynb"):
        scene.hub.servers["landing"] = page
        scene.hub.write()
        environment = scene.container("lander").became.environment
        assert environment["JUPYTERHUB_DEFAULT_URL"] == page
        scene.stop("lander")
    scene.hub.servers["landing"] = "/lab"


def test_a_word_for_the_landing_page_leaves_a_page_for_who_does_not_know_it(scene: Scene) -> None:
    """A slot that an older version has prepared; nor is an older word left when a path comes."""
    for landing, page, word in (("new-notebook", "/lab", "new-notebook"), ("/tree", "/tree", None)):
        scene.hub.servers["landing"] = landing
        scene.hub.write()
        environment = scene.container("lander").became.environment
        assert (environment["JUPYTERHUB_DEFAULT_URL"], environment.get(wire.LANDING)) == (page, word)
        scene.stop("lander")
    scene.hub.servers["landing"] = "/lab"


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
    homes = {item.mount("/home/jovyan/work")["Source"] for item in containers}
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


@pytest.mark.parametrize("trouble", ["down", "failing", "agent away"])
def test_a_docker_in_trouble_ends_no_server(scene: Scene, trouble: str) -> None:
    container = scene.container("worker")
    before = len(scene.hub.log)
    if trouble == "down":
        scene.docker.stop()
    elif trouble == "failing":
        scene.docker.fault = 500
    else:
        scene.agent.stop()
    message = "Cannot ask about jupyter-worker, which is treated as running"
    wait_until(lambda: scene.hub.log[before:].count(message) >= 2, "two polls in vain")
    assert scene.ready("worker")
    words = (
        "servers (hubagent) does not answer"
        if trouble == "agent away"
        else "service (Docker) does not answer"
    )
    assert words in scene.refusal("newcomer")

    scene.hub.restart_hub()
    wait_until(lambda: scene.ready("worker"), "the hub to know the server again")
    assert scene.answers("worker")
    assert container.running
    if trouble == "down":
        scene.docker.start()
    if trouble == "agent away":
        scene.agent.start()
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


def ask_and_go_away(scene: Scene, user: str) -> None:
    """Begin a start that stays pending: the server does not answer yet."""
    scene.api("POST", f"users/{user}")
    url = f"{scene.hub.url}/hub/api/users/{user}/server"
    assert call(url, method="POST", token=TOKEN, timeout_s=3)[0] == 0


def test_a_start_that_the_hubs_end_breaks_off_is_found_again(scene: Scene) -> None:
    scene.docker.hold_file.touch()
    try:
        ask_and_go_away(scene, "cut")
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


def test_a_warm_server_is_taken_and_keeps_its_name_over_a_hub_restart(scene: Scene) -> None:
    name = scene.agent.slots.make("julia")
    status, body = scene.start("warm")
    assert status == 201, body
    container = scene.docker.named(name)
    assert container is not None
    assert container.became.environment["JUPYTERHUB_USER"] == "warm"
    assert scene.docker.named("jupyter-warm") is None
    assert scene.answers("warm")
    assert "--" not in container.became.command[0]

    scene.hub.restart_hub()
    wait_until(lambda: scene.ready("warm"), "the hub to know the server again", timeout_s=180.0)
    assert scene.answers("warm")
    scene.stop("warm")
    wait_until(lambda: scene.docker.named(name) is None, "the slot to be removed")
    assert scene.agent.slots.gone_ones[-1] == container.id

    cold = scene.container("warm")
    assert cold.name == "jupyter-warm", "the next start begins anew"
    scene.stop("warm")


def test_a_warm_server_that_ends_is_noticed(scene: Scene) -> None:
    name = scene.agent.slots.make("julia")
    assert scene.start("warm-ender")[0] == 201
    container = scene.docker.named(name)
    assert container is not None
    scene.docker.kill(container)
    wait_until(lambda: not scene.ready("warm-ender"), "the end to be noticed")
    wait_until(lambda: scene.docker.named(name) is None, "the container to be removed")
    assert f"{name} has ended: exit status" in scene.hub.log


def test_a_hub_that_did_not_hear_the_slots_name_finds_the_server(scene: Scene) -> None:
    """Killed between the agent's answer and the end of the start: it knows the server's own name alone."""
    name = scene.agent.slots.make("julia")
    scene.docker.hold_file.touch()
    try:
        ask_and_go_away(scene, "deaf")
        wait_until(lambda: scene.agent.slots.is_taken("deaf"), "the claim")
        os.kill(scene.hub.hub_pid, signal.SIGKILL)
    finally:
        scene.docker.hold_file.unlink()
    scene.hub.restart_hub()
    wait_until(lambda: scene.ready("deaf"), "the server to be found")
    assert scene.answers("deaf")
    scene.stop("deaf")
    assert scene.docker.named(name) is None


def test_a_start_that_the_hub_broke_off_is_found_when_the_agent_is_back(scene: Scene) -> None:
    """Hub and agent go at once. The database has no address of the server, and the agent cannot say it yet."""
    scene.docker.hold_file.touch()
    try:
        ask_and_go_away(scene, "twice")
        wait_until(lambda: scene.docker.named("jupyter-twice") is not None, "the container")
        os.kill(scene.hub.hub_pid, signal.SIGKILL)
        scene.agent.stop()
    finally:
        scene.docker.hold_file.unlink()
    try:
        scene.hub.restart_hub()
        wait_until(
            lambda: "about jupyter-twice, which is treated as running" in scene.hub.log, "the first look"
        )
    finally:
        scene.agent.start()
    wait_until(lambda: scene.ready("twice"), "the server to be found")
    assert scene.answers("twice")
    scene.stop("twice")


def test_a_start_waits_for_an_agent_that_restarts(scene: Scene) -> None:
    scene.api("POST", "users/patient")
    scene.agent.stop()
    answers: list[int] = []
    thread = threading.Thread(target=lambda: answers.append(scene.start("patient")[0]))
    thread.start()
    wait_until(lambda: "No warm server for patient" in scene.hub.log, "the first question")
    scene.agent.start()
    thread.join()
    assert answers == [201]
    scene.stop("patient")


def test_a_start_that_is_being_cancelled_is_no_pending_start() -> None:
    """Whoever asks meanwhile is told that it stops, and begins nothing beside it."""
    from hubagent.hub.spawner import HubagentSpawner

    spawner = HubagentSpawner()
    spawner._spawn_pending = True
    assert spawner.pending == "spawn"
    spawner.interrupted = True
    assert spawner.pending == "stop"
    spawner._spawn_pending = False
    assert spawner.pending == "stop"


def test_nothing_in_the_hub_calls_docker(scene: Scene) -> None:
    from hubagent.hub.spawner import HubagentSpawner

    with pytest.raises(RuntimeError, match="the hub has no access to Docker, so it cannot create_container"):
        HubagentSpawner().docker("create_container", image="x")
