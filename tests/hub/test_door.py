"""The door of a real hub, as the agent knocks and signs in; the fake hub's pages are held to it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import pytest
from conftest import choose_first_password
from running import RunningHub, call, running_hub

from hubagent.adapters.net.probe import SocketHttpProbe
from hubagent.converge.door import HOME, LOGIN, Door, Visit, fault
from hubagent.ports import CertificateFacts
from hubagent.render.generation import HUB_FILE, HUB_SECRETS_FILE, Desired, ManagedFile
from tests.fakes.http import FakeHttpProbe
from tests.fakes.hub_pages import FakeHubPages

TOKEN = "a" * 64


def _generation(settings: dict[str, object], token: str) -> Desired:
    """As much of one as the door needs."""
    contents = {HUB_FILE: settings, HUB_SECRETS_FILE: {"agent_token": token}}
    return Desired(
        source=b"",
        files=tuple(
            ManagedFile(PurePosixPath(path), json.dumps(value).encode()) for path, value in contents.items()
        ),
        markers={},
        gateway="127.0.0.1",
        certificate=CertificateFacts("", 0.0, 0.0, ()),
        self_signed=True,
    )


class Way:
    """A door, the generation behind it, and a browser that comes by the proxy."""

    def __init__(self, door: Door, desired: Desired, visit: Callable[[], Visit]) -> None:
        self.door = door
        self.desired = desired
        self.visit = visit

    @classmethod
    def real(cls, hub: RunningHub) -> Way:
        probe = SocketHttpProbe()
        door = Door(probe, hub_port=urlsplit(hub.hub_url).port or 0)
        desired = _generation(hub.settings, hub.secrets["agent_token"])
        return cls(door, desired, lambda: Visit(probe, hub.url))

    @classmethod
    def fake(cls) -> tuple[Way, FakeHubPages]:
        probe = FakeHttpProbe()
        pages = FakeHubPages(
            probe,
            back="http://127.0.0.1:8081",
            fronts=("http://hub",),
            token=lambda: TOKEN,
            is_open=lambda _front: True,
            certificate=lambda: "",
        )
        desired = _generation({"authenticator": "native"}, TOKEN)
        return cls(Door(probe), desired, lambda: Visit(probe, "http://hub")), pages


@pytest.fixture(scope="module")
def real(hub: RunningHub) -> Way:
    return Way.real(hub)


@pytest.fixture(params=["real", "fake"])
def way(request: pytest.FixtureRequest) -> Way:
    return request.getfixturevalue("real") if request.param == "real" else Way.fake()[0]


def test_people_can_come_in(way: Way) -> None:
    assert way.door.login_page(way.desired, way.visit()) == ""
    assert way.door.login_page(way.desired, way.door.back(way.desired)) == ""
    assert way.door.sign_in(way.desired, way.visit()) == ""
    health = way.door.health(way.desired)
    assert health is not None
    assert (health.database, health.error) == ("", "")
    assert way.door.token_works(way.desired) == 200


def test_a_wrong_password_and_a_missing_form_token_are_refused(way: Way) -> None:
    visit = way.visit()
    visit.get(f"{LOGIN}?from=hubagent")
    fields = {"_xsrf": "forged", "username": "hubagent probe", "password": "x"}
    assert visit.post(f"{LOGIN}?from=hubagent", fields).status == 403


def test_nobody_who_is_not_signed_in_sees_a_home(way: Way) -> None:
    """A redirect to the login page, which the browser follows on the site."""
    answer = way.visit().get(f"{HOME}?from=hubagent")
    assert b'name="password"' in answer.body or answer.status == 404


def test_the_probe_is_ended_by_whoever_began_it(hub: RunningHub, real: Way) -> None:
    assert real.door.sign_in(real.desired, real.visit()) == ""
    with closing(sqlite3.connect(hub.folder / "state" / "jupyterhub.sqlite")) as database:
        assert [name for (name,) in database.execute("select name from users")] == ["admin"]
    shown = [line for line in hub.log.splitlines() if "from=hubagent" in line or "/api/hubagent/" in line]
    assert [line for line in shown if " 403 " not in line] == []


def test_another_program_and_another_status_are_told_apart(way: Way) -> None:
    answer = way.visit().get(f"{LOGIN}?from=hubagent")
    assert fault(answer, way.desired) == ""


@pytest.fixture
def spoiled(tmp_path: Path) -> Iterator[RunningHub]:
    """Its own templates before ours: a settings file that JupyterHub accepts, and a page that nobody can open."""
    templates = tmp_path / "templates"
    templates.mkdir()
    (templates / "login.html").write_text("{{ nothing | no_such_filter }}")
    (templates / "native-login.html").write_text("{{ nothing | no_such_filter }}")
    config = tmp_path / "config.py"
    config.write_text(
        "from hubagent.hub.loader import load\n"
        "load(get_config())\n"
        f"get_config().JupyterHub.template_paths.insert(0, {str(templates)!r})\n"
    )
    hub = RunningHub(tmp_path / "hub", config=config)
    try:
        hub.start()
        yield hub
    finally:
        hub.stop()


def test_a_login_page_that_cannot_be_rendered_is_told_with_the_hubs_own_error(spoiled: RunningHub) -> None:
    """Its health was fine all the time."""
    way = Way.real(spoiled)
    assert call(f"{spoiled.hub_url}/hub/api/health")[0] == 200
    assert way.door.login_page(way.desired, way.visit()) == "the login page answers 500"
    health = way.door.health(way.desired)
    assert health is not None
    assert "no_such_filter" in health.error


REFUSING = """
from hubagent.hub.authenticator import HubagentAuthenticator
from hubagent.hub.loader import load

async def refresh_user(self, user, handler=None):
    raise LookupError("no directory at ldap.example.org")

HubagentAuthenticator.refresh_user = refresh_user
load(get_config())
"""


def test_an_error_that_the_hub_only_logs_is_told(tmp_path: Path) -> None:
    """Whoever has a session is sent to sign in again, and no page says why."""
    with running_hub(tmp_path / "hub") as hub:
        admin = choose_first_password(hub)
        hub.config = tmp_path / "config.py"
        hub.config.write_text(REFUSING)
        hub.restart_hub()
        assert admin.open("/hub/home").path.startswith("hub/login")
        way = Way.real(hub)
        health = way.door.health(way.desired)
        assert health is not None
        assert health.error == "LookupError: no directory at ldap.example.org"


def test_a_home_that_cannot_be_shown_is_found_by_signing_in(tmp_path: Path) -> None:
    with running_hub(tmp_path / "hub") as hub:
        way = Way.real(hub)
        assert way.door.sign_in(way.desired, way.visit()) == ""
        with closing(sqlite3.connect(hub.folder / "state" / "jupyterhub.sqlite")) as database:
            database.execute("drop table user_role_map")
        assert way.door.login_page(way.desired, way.visit()) == ""
        assert way.door.sign_in(way.desired, way.visit()) == "signing in answers 503"
        assert way.door.token_works(way.desired) >= 200


@pytest.mark.parametrize("auto_login", [False, True])
def test_a_providers_login_page_is_asked_for_and_the_provider_is_not(
    tmp_path: Path, *, auto_login: bool
) -> None:
    """With auto_login, /hub/login leads to the provider at once: the hub is asked for its own part of that way."""
    traits = {
        "GitHubOAuthenticator": {
            "client_id": "id",
            "client_secret": "secret",
            "oauth_callback_url": "https://hub.example.org/hub/oauth_callback",
            "auto_login": auto_login,
        }
    }
    with running_hub(tmp_path / "hub", authenticator="github", traits=traits) as hub:
        way = Way.real(hub)
        assert way.door.login_page(way.desired, way.visit()) == ""
        assert way.door.sign_in(way.desired, way.visit()) == ""
        page = way.visit().get(f"{LOGIN}?from=hubagent")
        assert page.header("location").startswith("https://github.com/") == auto_login, "and there it ends"


def test_the_login_page_of_an_authenticator_with_a_form(tmp_path: Path) -> None:
    with running_hub(tmp_path / "hub", authenticator="dummy") as hub:
        way = Way.real(hub)
        assert way.door.login_page(way.desired, way.visit()) == ""
        assert way.door.sign_in(way.desired, way.visit()) == ""
