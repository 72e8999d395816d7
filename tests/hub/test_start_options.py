"""Start options: what there is not is refused with 400, and what there is instead is named."""

from __future__ import annotations

from typing import Any

import pytest
from browser import Browser
from conftest import choose_first_password
from running import server
from scene import UNCLOSED, Scene

from tests.waiting import wait_until

pytestmark = UNCLOSED

AVAILABLE = "julia, r"


@pytest.fixture(scope="module")
def admin(stage: Scene) -> Browser:
    return choose_first_password(stage.hub)


@pytest.fixture
def scene(stage: Scene) -> Scene:
    stage.edit(julia=server("julia"), r=server("r", image="hubagent/julia"))
    stage.api("POST", "users/ada")
    return stage


def started(scene: Scene, user: str) -> str:
    """Which server runs; it is stopped."""
    container = scene.docker.named(f"jupyter-{user}")
    assert container is not None
    name: str = container.created["Labels"]["hubagent.server"]
    scene.stop(user)
    return name


WRONG: list[Any] = [
    {"profile": "gpu"},
    {"image": "hubagent/julia"},
    {"server": "julia", "profile": "gpu"},
    {"server": "python"},
    {"server": "Julia"},
    {"server": ""},
    {"server": 3},
    {"server": True},
    {"server": None},
    {"server": []},
    {"server": ["r"]},
    {"server": {}},
    {"server": "\ud800"},
    {"server": "r\0"},
    {"": "r"},
    {"\ud800": "r"},
]


@pytest.mark.parametrize("options", WRONG, ids=repr)
@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("path", ["server", "servers/named"])
def test_unknown_options(scene: Scene, options: dict[str, object], wrapped: bool, path: str) -> None:
    status, answer = scene.api("POST", f"users/ada/{path}", {"user_options": options} if wrapped else options)
    assert status == 400, answer
    assert AVAILABLE in answer["message"]
    assert not scene.left_of("ada")
    assert not scene.model("ada")


@pytest.mark.parametrize(
    "body", [[], ["r"], "r", "", 3, 0, True, False, {"user_options": "r"}, {"user_options": ["r"]}], ids=repr
)
def test_bodies_that_are_no_options(scene: Scene, body: object) -> None:
    for method, path in (
        ("POST", "server"),
        ("POST", "servers/named"),
        ("PUT", "servers/named"),
        ("PATCH", "server"),
    ):
        assert scene.api(method, f"users/ada/{path}", body)[0] == 400, (method, path)
    assert not scene.left_of("ada")


def test_beside_the_options(scene: Scene) -> None:
    """JupyterHub takes no options from a body with a display_name, and starts the default."""
    for body in ({"display_name": "x", "server": "r"}, {"user_options": {"server": "r"}, "profile": "gpu"}):
        status, answer = scene.api("POST", "users/ada/server", body)
        assert status == 400
        assert "beside user_options" in answer["message"]


def test_options_that_are_stored_for_later(scene: Scene) -> None:
    status, answer = scene.api("PUT", "users/ada/servers/kept", {"user_options": {"profile": "gpu"}})
    assert (status, AVAILABLE in answer["message"]) == (400, True)
    assert scene.api("PUT", "users/ada/servers/kept", {"user_options": {"server": "r"}})[0] == 201
    for body in (
        {"user_options": {"server": "gone"}},
        {"profile": "gpu"},
        {"name": None},
        {"name": 3},
        {"display_name": 3},
    ):
        assert scene.api("PATCH", "users/ada/servers/kept", body)[0] == 400, body
    assert scene.api("POST", "users/ada/servers/kept")[0] == 201
    container = scene.docker.named("jupyter-ada--kept")
    assert container is not None
    assert container.created["Labels"]["hubagent.server"] == "r"
    scene.stop("ada", name="kept")


@pytest.mark.parametrize("body", [None, {}, {"user_options": None}, {"user_options": {}}], ids=repr)
def test_no_options(scene: Scene, body: object) -> None:
    assert scene.api("POST", "users/plain")[0] in {201, 409}
    assert scene.api("POST", "users/plain/server", body)[0] == 201
    assert started(scene, "plain") == "julia"


def test_nobody_learns_the_servers_who_may_not_start_one(scene: Scene) -> None:
    import requests

    answer = requests.post(f"{scene.hub.url}/hub/api/users/ada/server", json={"profile": "gpu"}, timeout=60)
    assert answer.status_code == 403
    assert AVAILABLE not in answer.text


QUERIES = ["profile=gpu", "opt-profile=gpu", "opt-server=gone", "server=gone", "server=", "server=r&server=julia",
           "opt-server=r&profile=gpu", "server=r&opt-server=r", "opt-server=r&opt-profile=gpu"]  # fmt: skip


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("count", [1, 2])
def test_unknown_parameters_of_the_page(scene: Scene, admin: Browser, query: str, count: int) -> None:
    """With one server there is no form, and JupyterHub would start it."""
    if count == 1:
        scene.edit(r=server("r", image="hubagent/julia"))
    page = admin.open(f"/hub/spawn?{query}")
    assert page.status == 400
    assert "available: " in page.html
    assert not scene.left_of("admin")


@pytest.mark.parametrize(("query", "name"), [("opt-server=r", "r"), ("server=julia", "julia")])
def test_a_link_to_a_server(scene: Scene, admin: Browser, query: str, name: str) -> None:
    admin.open(f"/hub/spawn?{query}&next=%2Fhub%2Fhome&_xsrf=x&display_name=x")
    wait_until(lambda: scene.ready("admin"), "the server of the link")
    assert started(scene, "admin") == name


@pytest.mark.parametrize(
    "fields", [{"profile": "gpu"}, {"server": "gone"}, {"server": "r", "profile": "gpu"}]
)
def test_unknown_fields_of_the_form(scene: Scene, admin: Browser, fields: dict[str, str]) -> None:
    form = next(form for form in admin.open("/hub/spawn").forms if "server" in form.fields)
    form.fields.pop("server")
    page = admin.submit(form, **fields)
    assert page.status == 400
    assert AVAILABLE in page.html
    assert any("server" in form.fields for form in page.forms), "the form is there again"
    assert not scene.left_of("admin")


def test_remembered_options_that_are_gone_are_no_fault(scene: Scene) -> None:
    """Options that an older version stored, too."""
    assert scene.start("rememberer", {"server": "r"})[0] == 201
    assert started(scene, "rememberer") == "r"
    scene.edit(julia=server("julia"))
    assert scene.start("rememberer")[0] == 201
    assert started(scene, "rememberer") == "julia"
