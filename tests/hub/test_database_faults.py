"""The hub's database fails while the hub runs: what people and programs meet, and that all works again afterwards, without
a restart, and nothing was lost."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from browser import Browser
from conftest import ADMIN_PASSWORD, choose_first_password
from postgres import PASSWORD, Postgres, running_postgres
from running import RunningHub, call, server
from scene import TOKEN, UNCLOSED, Scene, staged

from hubagent.hub.database_failure import MESSAGE
from tests.waiting import wait_until

pytestmark = UNCLOSED

USERS_PASSWORD = "a rather long password"


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as running:
        yield running


@pytest.fixture(scope="module")
def scene(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("docker")
    with staged(folder, database=postgres.new("hub"), database_password=PASSWORD, signup="open") as stage:
        yield stage


def problem(hub: RunningHub) -> str:
    """What the agent is told of the database."""
    url = f"{hub.hub_url}/hub/api/hubagent/health"
    status, body = call(url, token=hub.secrets["agent_token"], timeout_s=30.0)
    assert status == 200
    return str(json.loads(body)["database"])


def test_a_postgresql_that_is_stopped_is_said_and_its_return_is_enough(
    scene: Scene, postgres: Postgres
) -> None:
    hub, admin = scene.hub, choose_first_password(scene.hub)
    pid = hub.hub_pid
    postgres.stop()
    page = admin.open("/hub/home")
    assert (page.status, page.path) == (503, "hub/home"), "nobody is sent to sign in again"
    assert MESSAGE in page.html.replace("&#39;", "'")
    status, body = scene.api("GET", "users")
    assert (status, body["message"]) == (503, MESSAGE), "the token is not refused"
    someone = Browser(hub.url)
    assert someone.open("/hub/login").status == 200
    page = someone.sign_in("admin", ADMIN_PASSWORD)
    assert (page.status, page.alert) == (503, MESSAGE)
    assert "refused" in problem(hub)
    postgres.start()
    assert problem(hub) == ""
    assert admin.open("/hub/home").status == 200
    assert scene.api("GET", "users")[0] == 200
    assert someone.sign_in("admin", ADMIN_PASSWORD).path == "hub/home"
    assert hub.hub_pid == pid


def test_a_server_that_ends_meanwhile_is_noticed(scene: Scene, postgres: Postgres) -> None:
    container = scene.container("ender")
    postgres.stop()
    asked = len(scene.docker.calls)
    scene.docker.kill(container)
    look = f"GET /containers/{container.name}/json"
    wait_until(lambda: scene.docker.calls[asked:].count(look) >= 2, "the hub to look after it in vain")
    postgres.start()
    wait_until(lambda: not scene.model("ender"), "the hub to have written it down")
    assert not scene.left_of("ender")
    scene.container("ender")
    assert scene.answers("ender")
    scene.stop("ender")


@pytest.mark.parametrize("image", ["hubagent/julia", "fails"])
def test_a_start_that_is_pending_meanwhile_ends_when_it_is_back(
    scene: Scene, postgres: Postgres, image: str
) -> None:
    user = f"starter{image.partition('/')[0]}"
    scene.edit(julia=server("julia", image=image))
    scene.api("POST", f"users/{user}")
    url = f"{scene.hub.hub_url}/hub/api/users/{user}/server"
    with ThreadPoolExecutor(1) as pool:
        with scene.agent.hold.at("before Create") as hold:
            answer = pool.submit(call, url, method="POST", token=TOKEN, timeout_s=60)
            wait_until(lambda: hold.reached, "the start")
            postgres.stop()
        waits = f"does not accept the new state of jupyter-{user}"
        wait_until(lambda: waits in scene.hub.log, "the start to wait for the database")
        postgres.start()
    works = image != "fails"
    assert answer.result()[0] == (201 if works else 500)
    scene.edit(julia=server("julia"))
    if works:
        assert scene.answers(user)
        scene.stop(user)
    wait_until(lambda: not scene.model(user), "the hub to take it for stopped")
    assert not scene.left_of(user)
    scene.container(user)
    assert scene.answers(user)
    scene.stop(user)


def test_a_stop_that_is_under_way_meanwhile_ends_when_it_is_back(scene: Scene, postgres: Postgres) -> None:
    scene.container("stopper")
    url = f"{scene.hub.hub_url}/hub/api/users/stopper/server"
    with ThreadPoolExecutor(1) as pool:
        with scene.agent.hold.at("before Remove") as hold:
            answer = pool.submit(call, url, method="DELETE", token=TOKEN, timeout_s=60)
            wait_until(lambda: hold.reached, "the removal")
            postgres.stop()
        assert answer.result()[0] in {202, 503}, (
            "it has an answer, though nobody can read the name of who asked"
        )
    assert not scene.left_of("stopper")
    postgres.start()
    wait_until(lambda: not scene.model("stopper"), "the hub to take it for stopped")
    scene.container("stopper")
    assert scene.answers("stopper")
    scene.stop("stopper")


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[RunningHub]:
    """A hub whose state is on a file system of its own."""
    hub = RunningHub(tmp_path / "hub")
    hub.settings.update(signup="open", ask_email=False)
    state = hub.folder / "state"
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", state], check=True)
    try:
        hub.start()
        yield hub
    finally:
        hub.stop()
        subprocess.run(["umount", state], check=True)


def test_a_full_disk_is_said_and_room_is_enough(sqlite: RunningHub) -> None:
    admin, someone, pid = choose_first_password(sqlite), Browser(sqlite.url), sqlite.hub_pid
    filling = sqlite.folder / "state" / "filling"
    with pytest.raises(OSError, match="No space left"):
        filling.write_bytes(bytes(8 * 1024**2))
    page = someone.sign_up("newcomer", USERS_PASSWORD)
    assert (page.status, page.path) == (503, "hub/signup")
    assert MESSAGE in page.html
    assert "full" in problem(sqlite)
    assert admin.open("/hub/home").status == 200, "what only reads works"
    filling.unlink()
    assert problem(sqlite) == ""
    assert someone.sign_up("newcomer", USERS_PASSWORD).status == 200
    assert someone.sign_in("newcomer", USERS_PASSWORD).path == "hub/home"
    assert sqlite.hub_pid == pid


@pytest.fixture
def on_disk(tmp_path: Path) -> Iterator[RunningHub]:
    """A hub whose state is on an ext4 of its own, mounted as Debian mounts it."""
    hub, image = RunningHub(tmp_path / "hub"), tmp_path / "disk"
    hub.settings.update(signup="open", ask_email=False)
    state = hub.folder / "state"
    image.touch()
    os.truncate(image, 64 * 1024**2)
    subprocess.run(["mkfs.ext4", "-q", image], check=True)
    subprocess.run(["mount", "-o", "loop,errors=remount-ro", image, state], check=True)
    try:
        hub.start()
        yield hub
    finally:
        hub.stop()
        subprocess.run(["umount", state], check=True)


def _refuses(hub: RunningHub) -> str:
    """What is said of a database that can be read and not written."""
    page = Browser(hub.url).sign_up("newcomer", USERS_PASSWORD)
    assert (page.status, page.path) == (503, "hub/signup")
    assert MESSAGE in page.html
    return problem(hub)


def test_a_file_that_somebody_froze_is_said_and_its_release_is_enough(on_disk: RunningHub) -> None:
    admin, pid = choose_first_password(on_disk), on_disk.hub_pid
    files = sorted((on_disk.folder / "state").glob("jupyterhub.sqlite*"))
    assert [path.suffix for path in files] == [".sqlite", ".sqlite-shm", ".sqlite-wal"]
    subprocess.run(["chattr", "+i", *files], check=True)
    try:
        said = _refuses(on_disk)
        assert "readonly" in said or "unable to open" in said, said
        assert admin.open("/hub/home").status == 200, "what only reads works"
    finally:
        subprocess.run(["chattr", "-i", *files], check=True)
    assert problem(on_disk) == ""
    assert Browser(on_disk.url).sign_up("newcomer", USERS_PASSWORD).status == 200
    assert on_disk.hub_pid == pid


def test_a_disk_that_the_kernel_made_read_only_is_said(on_disk: RunningHub) -> None:
    """As it does with one that has an error: nobody can remount one read-only while a file is open for writing."""
    admin = choose_first_password(on_disk)
    device = os.stat(on_disk.folder / "state").st_dev
    name = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}").resolve().name
    Path(f"/sys/fs/ext4/{name}/trigger_fs_error").write_text("staged")
    said = _refuses(on_disk)
    assert "readonly" in said or "unable to open" in said, said
    assert admin.open("/hub/home").status == 200, "what only reads works"
