"""Pluto beside a server: a real Julia runs hubagent's program with a stand-in for the package (packages/Pluto)."""

from __future__ import annotations

import datetime
import hashlib
import os
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import requests
import websocket

from hubagent import wire
from hubagent.guest import kept_folders, pluto, server_extensions
from hubagent.pool.spec import AI
from tests.guest_kernels.jupyter import Server, server, state
from tests.waiting import DEADLINE_S, wait_until

PACKAGES = Path(__file__).with_name("packages")
WINDOW_S = 1.0
NOTEBOOK_PROCESSES = "function create_workspaceprocess("
SCRATCH = "scratchspaces/c3e4b0f8-55cb-11ea-2926-15256bba5781"


@pytest.fixture
def image(julia: str, tmp_path: Path) -> dict[str, str]:
    """The environment of a server of an image with Pluto: the user's depot first, the image's own next."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "julia").symlink_to(julia)
    (tmp_path / "image-depot" / SCRATCH).mkdir(parents=True)
    said = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "JULIA_DEPOT_PATH": str(tmp_path / "image-depot"),
        "JULIA_LOAD_PATH": f"@:@stdlib:{PACKAGES}",
        "HUBAGENT_PLUTO_WORKER": digest_of_the_stand_in(),
        "HUBAGENT_PLUTO_REHEARSAL": "no",  # it costs each test seconds of processor time
        wire.KEEP_BUSY: "0",  # which no program of the user's may see
    }
    return {**said, **kept_folders.variables(str(tmp_path / "home"), str(tmp_path / "image-home"), said)}


def digest_of_the_stand_in() -> str:
    """Of the function that makes its notebook processes, as worker.jl has it."""
    source = (PACKAGES / "Pluto/src/Pluto.jl").read_text()
    lines = source[source.index(NOTEBOOK_PROCESSES) :].partition("\nend\n")[0].splitlines()
    text = "\n".join([*(line.strip() for line in lines if line.strip()), "end"])
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def warm(image: Mapping[str, str], tmp_path: Path) -> Iterator[Server]:
    """A claimed server beside which Pluto was running before."""
    user = {"OF_THE_USER": "ada"}
    with server(tmp_path, kernels={}, pluto=True, environment=user, image=image) as running:
        wait_until(lambda: running.pong()["pluto"], "Pluto listens")
        running.claim()
        yield running


def page(running: Server, path: str = "") -> dict[str, str]:
    """What the stand-in says of itself at /pluto/; empty while it is not up."""
    header = {"Authorization": f"token {running.token}"}
    answer = requests.get(f"http://127.0.0.1:{running.port}/pluto/{path}", headers=header, timeout=DEADLINE_S)
    lines = answer.text.splitlines() if answer.ok else []
    return {line.split(" ", 1)[0]: line.split(" ", 1)[1] for line in lines}


def test_runs_before_the_claim_and_is_the_users_after_it(warm: Server, tmp_path: Path) -> None:
    (pid,) = warm.children()
    said = wait_until(lambda: (one := page(warm)).get("user") == "ada" and one, "Pluto knows its user")
    assert said["pid"] == str(pid)
    assert said["path"] == "/"
    assert said["folder"] == str(warm.home)
    assert said["configuration"] == ""


def test_listens_on_loopback_with_the_secret_for_links_kept(warm: Server) -> None:
    said = page(warm)
    assert (said["host"], said["links"], said["access"], said["browser"]) == (
        "127.0.0.1",
        "true",
        "false",
        "false",
    )
    (pid,) = warm.children()
    assert listening_addresses(pid) == {"0100007F"}


def test_the_images_depot_is_first_while_pluto_is_loaded_alone(warm: Server, tmp_path: Path) -> None:
    said = wait_until(lambda: (one := page(warm)).get("user") == "ada" and one, "Pluto knows its user")
    user, image = str(tmp_path / "home/.julia"), str(tmp_path / "image-depot")
    loaded_with = said["loaded_with"].split(",")
    assert (loaded_with[0], loaded_with[2]) == (image, user)
    assert loaded_with[1].startswith("/tmp/"), "the one that is first while it waits"
    assert said["depots"].split(",")[:2] == [user, image]
    assert said["scratch"].startswith(image)


def test_a_browser_lands_there(image: Mapping[str, str], tmp_path: Path) -> None:
    word = {wire.LANDING: wire.PLUTO_PAGE, "OF_THE_USER": "ada"}
    with server(
        tmp_path, kernels={}, pluto=True, pages=["jupyterlab", "notebook_shim"], environment=word, image=image
    ) as running:
        wait_until(lambda: running.pong()["pluto"], "Pluto listens")
        running.claim()
        answer = requests.get(
            f"http://127.0.0.1:{running.port}/",
            headers={"Authorization": f"token {running.token}"},
            timeout=DEADLINE_S,
        )
        assert answer.url == f"http://127.0.0.1:{running.port}/pluto/"
        assert "user ada" in answer.text.splitlines()


def test_new_notebooks_are_kept(warm: Server) -> None:
    said = wait_until(lambda: (one := page(warm, "new")).get("user") == "ada" and one, "Pluto knows its user")
    assert said["made"] == f"{warm.home}/pluto_notebooks/Cute discovery.jl"
    assert (warm.home / "pluto_notebooks/Cute discovery.jl").exists()
    assert said["suggestion"] == f"{warm.home}/"


def test_an_image_without_a_place_for_plutos_own_things(image: dict[str, str], tmp_path: Path) -> None:
    """The home is not there while Pluto waits, and nobody may write where it will be."""
    nowhere = "/proc/nowhere"
    (tmp_path / "image-depot" / SCRATCH).rmdir()
    waiting = {
        **image,
        "JULIA_DEPOT_PATH": image["JULIA_DEPOT_PATH"].replace(str(tmp_path / "home"), nowhere),
    }
    user = {"OF_THE_USER": "ada", "JULIA_DEPOT_PATH": image["JULIA_DEPOT_PATH"]}
    with server(tmp_path, kernels={}, pluto=True, environment=user, image=waiting) as running:
        wait_until(lambda: running.pong()["pluto"], "Pluto listens")
        running.claim()
        said = wait_until(lambda: (one := page(running)).get("user") == "ada" and one, "Pluto knows its user")
        assert not said["scratch"].startswith(str(running.home))
        assert said["depots"].split(",")[0] == f"{running.home}/.julia"
        assert nowhere not in said["depots"]
        assert not (running.home / ".julia/scratchspaces").exists()


def test_a_notebook_process_waits_and_is_replaced(warm: Server) -> None:
    first = int(page(warm)["worker"])
    assert first == 1  # made before anybody asked
    assert int(page(warm)["worker"]) == 2


def test_a_notebook_was_opened_and_nothing_of_it_is_left(image: dict[str, str], tmp_path: Path) -> None:
    """The notebook process that waits is the next one."""
    rehearsing = {**image, "HUBAGENT_PLUTO_REHEARSAL": "yes"}
    with server(
        tmp_path, kernels={}, pluto=True, environment={"OF_THE_USER": "ada"}, image=rehearsing
    ) as running:
        pong = wait_until(lambda: (one := running.pong())["pluto"] and one, "Pluto listens")
        assert pong["detail"] == ""
        running.claim()
        said = wait_until(lambda: (one := page(running)).get("user") == "ada" and one, "it is the user's")
        assert (said["opened"], said["ended"], said["notebooks"]) == ("2", "1", "0")
        assert said["worker"] == "2", "after the one of the notebook; the new one had none"
        assert not list(tmp_path.rglob("rehearsal.jl"))
        assert said["depots"].split(",")[0] == f"{running.home}/.julia"


def test_a_notebook_process_that_waited_has_the_users_environment_alone(warm: Server) -> None:
    names = wait_until(
        lambda: (one := page(warm)).get("user") == "ada" and one["worker_has"].split(","), "its user is known"
    )
    assert "OF_THE_USER" in names
    assert wire.KEEP_BUSY not in names


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ("", "each notebook of this version of Pluto starts its process first (HUBAGENT_PLUTO_WORKER={})"),
        ("no", ""),
    ],
)
def test_where_none_waits_it_is_said_unless_it_is_meant(
    image: dict[str, str], tmp_path: Path, wish: str, said: str
) -> None:
    unknown = {**image, "HUBAGENT_PLUTO_WORKER": wish}
    with server(
        tmp_path, kernels={}, pluto=True, environment={"OF_THE_USER": "ada"}, image=unknown
    ) as running:
        pong = wait_until(lambda: (one := running.pong())["pluto"] and one, "Pluto listens")
        assert pong["detail"] == said.format(digest_of_the_stand_in())
        running.claim()
        found = wait_until(lambda: (one := page(running)).get("user") == "ada" and one, "it is the user's")
        assert found["worker"] == "1", "made when it was asked for"
        assert page(running)["worker"] == "2"


def test_a_pluto_that_cannot_open_a_notebook_waits_and_says_so(image: dict[str, str], tmp_path: Path) -> None:
    stand_in = tmp_path / "packages/Pluto/src/Pluto.jl"
    stand_in.parent.mkdir(parents=True)
    source = (PACKAGES / "Pluto/src/Pluto.jl").read_text()
    stand_in.write_text(source.replace("run_cell(cell) =", 'run_cell(cell) = error("no such registry") #'))
    broken = {
        **image,
        "HUBAGENT_PLUTO_REHEARSAL": "yes",
        "JULIA_LOAD_PATH": f"@:@stdlib:{tmp_path / 'packages'}",
    }
    with server(
        tmp_path, kernels={}, pluto=True, environment={"OF_THE_USER": "ada"}, image=broken
    ) as running:
        pong = wait_until(lambda: (one := running.pong())["pluto"] and one, "Pluto listens")
        assert pong["detail"].startswith("the first notebook of Pluto compiles what it needs: ")
        running.claim()
        found = wait_until(lambda: (one := page(running)).get("user") == "ada" and one, "it is the user's")
        assert found["notebooks"] == "0"


@pytest.mark.parametrize(("told", "offered"), [({}, "false"), ({AI: "yes"}, "true")])
def test_what_sends_code_elsewhere_is_offered_if_it_is_declared(
    image: dict[str, str], tmp_path: Path, told: dict[str, str], offered: str
) -> None:
    with server(tmp_path, kernels={}, pluto=True, environment={}, image={**image, **told}) as running:
        wait_until(lambda: running.pong()["pluto"], "Pluto listens")
        running.claim()
        assert page(running)["ai"] == offered


def test_needs_the_servers_own_authentication(warm: Server) -> None:
    answer = requests.get(f"http://127.0.0.1:{warm.port}/pluto/", timeout=DEADLINE_S, allow_redirects=False)
    assert answer.status_code in {302, 403}


def test_is_in_the_launcher(warm: Server) -> None:
    header = {"Authorization": f"token {warm.token}"}
    url = f"http://127.0.0.1:{warm.port}/server-proxy/servers-info"
    entries = requests.get(url, headers=header, timeout=DEADLINE_S).json()["server_processes"]
    assert [(one["name"], one["launcher_entry"]["title"]) for one in entries] == [("pluto", "Pluto")]
    icon = requests.get(
        f"http://127.0.0.1:{warm.port}{entries[0]['launcher_entry']['icon_url']}",
        headers=header,
        timeout=DEADLINE_S,
    )
    assert icon.headers["Content-Type"] == "image/svg+xml"


def test_its_websocket_goes_through(warm: Server) -> None:
    url = f"ws://127.0.0.1:{warm.port}/pluto/channels"
    header = {"Authorization": f"token {warm.token}"}
    connection = websocket.create_connection(url, header=header, timeout=DEADLINE_S)
    connection.send("a message")
    assert connection.recv() == "a message"
    connection.close()


def test_is_started_again_when_it_dies(warm: Server) -> None:
    (before,) = warm.children()
    os.kill(before, signal.SIGKILL)
    wait_until(
        lambda: page(warm).get("user") == "ada" and page(warm)["pid"] != str(before), "another one runs"
    )


def test_one_that_was_opened_is_started_again_as_long_as_it_takes(warm: Server) -> None:
    before = page(warm)["pid"]
    for _ in range(3):  # more often than it is tried for one that nobody opened
        os.kill(int(before), signal.SIGKILL)
        before = wait_until(
            lambda before=before: (one := page(warm).get("pid")) != before and one, "another runs"
        )


# What runs in it is activity of the server


@pytest.mark.parametrize("how", ["cold", "warm"])
def test_a_running_cell_is_activity_for_as_long_as_it_may_be(
    image: Mapping[str, str], tmp_path: Path, how: str
) -> None:
    offered = {server_extensions.PLUTO: "0"} if how == "cold" else {}
    environment = {**image, "OF_THE_USER": "ada", wire.KEEP_BUSY: "8", **offered}
    with server(tmp_path, kernels={}, pluto=how == "warm", environment=environment, image=image) as running:
        if how == "warm":
            wait_until(lambda: running.pong()["pluto"], "Pluto listens")
        running.claim()
        wait_until(lambda: page(running).get("user") == "ada", "Pluto knows its user")
        open_path(running, "run")
        begun = last_activity(running)
        wait_until(lambda: last_activity(running) > begun + datetime.timedelta(seconds=4), "it counts")
        wait_until(lambda: idle(running) > datetime.timedelta(seconds=2), "it has run for too long")
        open_path(running, "interrupt")
        open_path(running, "run")
        again = last_activity(running)
        wait_until(
            lambda: last_activity(running) > again + datetime.timedelta(seconds=4), "another one counts"
        )
        open_path(running, "interrupt")
        wait_until(lambda: idle(running) > datetime.timedelta(seconds=2), "nothing runs")


def open_path(running: Server, path: str) -> None:
    header = {"Authorization": f"token {running.token}"}
    url = f"http://127.0.0.1:{running.port}/pluto/{path}"
    requests.get(url, headers=header, timeout=DEADLINE_S).raise_for_status()


def last_activity(running: Server) -> datetime.datetime:
    return datetime.datetime.fromisoformat(
        running.call("GET", "status")["last_activity"].replace("Z", "+00:00")
    )


def idle(running: Server) -> datetime.timedelta:
    return datetime.datetime.now(datetime.UTC) - last_activity(running)


# What nobody opens


@pytest.fixture
def unused(image: Mapping[str, str], tmp_path: Path) -> Iterator[Server]:
    """A claimed server beside which Pluto was running, and is not opened for long enough."""
    user = {"OF_THE_USER": "ada"}
    with server(tmp_path, kernels={}, pluto=True, unused_s=0.0, environment=user, image=image) as running:
        wait_until(lambda: running.pong()["pluto"], "Pluto listens")
        running.claim()
        yield running


def test_one_that_nobody_opens_ends_and_is_started_when_it_is_opened(unused: Server) -> None:
    wait_until(lambda: not unused.children(), "it has ended")
    said = page(unused)
    assert (said["user"], said["folder"], said["host"]) == ("ada", str(unused.home), "127.0.0.1")
    (pid,) = unused.children()
    assert said["pid"] == str(pid)
    assert listening_addresses(pid) == {"0100007F"}
    assert page(unused)["pid"] == str(pid), "it is opened now, and stays"


def test_one_that_nobody_opened_ends_when_memory_is_short(warm: Server, tmp_path: Path) -> None:
    (before,) = warm.children()
    (tmp_path / "short").touch()
    wait_until(lambda: not warm.children(), "it has ended")
    assert page(warm)["pid"] != str(before)


def test_one_that_was_opened_stays_whatever_the_memory(warm: Server, tmp_path: Path) -> None:
    before = wait_until(lambda: page(warm).get("pid"), "it is opened")
    (tmp_path / "short").touch()
    end = time.monotonic() + WINDOW_S
    wait_until(lambda: time.monotonic() > end, "several looks are over")
    assert page(warm)["pid"] == before


def test_one_that_cannot_start_is_left_until_it_is_opened(image: Mapping[str, str], tmp_path: Path) -> None:
    broken = tmp_path / "broken/Pluto/src"
    broken.mkdir(parents=True)
    (broken / "Pluto.jl").write_text('error("no such library")')
    without = {**image, "JULIA_LOAD_PATH": f"@:@stdlib:{tmp_path / 'broken'}"}
    with server(tmp_path, kernels={}, pluto=True, image=without) as running:
        said = wait_until(
            lambda: (one := running.pong())["ready"] and "given up" in one["detail"] and one, "no more tries"
        )
        assert "Pluto ended with status 1" in said["detail"]
        running.claim()
        assert not running.children()


def test_ends_with_the_server(warm: Server) -> None:
    (pid,) = warm.children()
    warm.process.kill()
    warm.process.wait()
    wait_until(lambda: state(pid) in {"Z", ""}, "it ends by itself")


def test_a_cold_server_starts_it_when_it_is_first_opened(image: Mapping[str, str], tmp_path: Path) -> None:
    environment = {**image, "OF_THE_USER": "ada", server_extensions.PLUTO: "0"}
    with server(tmp_path, kernels={}, environment=environment, image=image) as running:
        running.claim()
        assert not running.children()
        said = page(running)
        assert (said["user"], said["links"], said["host"]) == ("ada", "true", "127.0.0.1")
        assert said["configuration"] == ""
        assert said["suggestion"] == f"{running.home}/"
        assert page(running, "new")["made"].startswith(f"{running.home}/pluto_notebooks/")


def test_the_version_is_that_of_the_image(image: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in image.items():
        monkeypatch.setenv(name, value)
    assert pluto.version() == "0.20.21"
    monkeypatch.setenv("JULIA_LOAD_PATH", "@stdlib")
    assert pluto.version() == ""


def test_an_image_without_pluto_says_so(image: Mapping[str, str], tmp_path: Path) -> None:
    without = {**image, "JULIA_LOAD_PATH": "@stdlib"}
    with server(tmp_path, kernels={}, pluto=True, image=without) as running:
        pong = wait_until(lambda: (said := running.pong())["ready"] and said, "it is as ready as it will be")
        assert (pong["pluto"], pong["detail"]) == (False, "this image's Julia has no Pluto")
        running.claim()
        assert page(running) == {}


def listening_addresses(pid: int) -> set[str]:
    """Local addresses (hexadecimal, proc(5)) that the process listens on."""
    sockets = {
        os.readlink(one)[8:-1] for one in Path(f"/proc/{pid}/fd").iterdir() if "socket:" in os.readlink(one)
    }
    rows = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
    ]
    return {row[1].split(":")[0] for row in rows if row[3] == "0A" and row[9] in sockets}
