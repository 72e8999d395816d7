"""A home belongs to an account, not to a name: whatever the hub's API and pages do with users and their names."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from browser import Browser
from conftest import choose_first_password
from docker_daemon import Volume
from jupyterhub import orm
from running import call, running_hub
from scene import TOKEN, UNCLOSED, Scene, staged
from sqlalchemy import select

from hubagent.hub.account_identity import identity
from hubagent.pool.owners import How, Owner
from hubagent.pool.volumes import FOREIGN
from tests.waiting import wait_until

PASSWORD = "a rather long password"

pytestmark = UNCLOSED


class Homes(Scene):
    """The scene, and whose homes are there."""

    def make(self, user: str) -> None:
        assert self.api("POST", f"users/{quote(user, safe='')}")[0] == 201

    def delete(self, user: str) -> None:
        assert self.api("DELETE", f"users/{quote(user, safe='')}")[0] == 204

    def rename(self, user: str, new: object) -> tuple[int, Any]:
        return self.api("PATCH", f"users/{quote(user, safe='')}", {"name": new})

    def stop(self, user: str, name: str = "") -> None:
        super().stop(user, name)
        wait_until(lambda: not self.left_of(user), f"the end of {user}'s server")

    def home(self, user: str) -> str:
        """The volume of a server that is started and stopped again."""
        container = self.container(user)
        answer = call(f"{self.hub.url}/user/{quote(user)}/api")[1]
        assert b"version" in answer, "it is where its user looks for it"
        mounts = container.created["HostConfig"]["Mounts"]
        (volume,) = [mount["Source"] for mount in mounts if mount["Type"] == "volume"]
        self.stop(user)
        return str(volume)

    def owner(self, volume: str) -> Owner:
        found = self.agent.owners.get(volume)
        assert found is not None
        return found

    def names(self) -> list[object]:
        """As the database has them."""
        with closing(sqlite3.connect(self.hub.folder / "state" / "jupyterhub.sqlite")) as database:
            return [name for (name,) in database.execute("select name from users order by id")]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Homes]:
    with staged(tmp_path_factory.mktemp("identity"), ask_email=False) as stage:
        yield Homes(stage.hub, stage.agent, stage.docker)


@pytest.fixture(scope="module")
def admin(scene: Homes) -> Browser:
    return choose_first_password(scene.hub)


def test_who_takes_a_deleted_users_name_does_not_get_the_home(scene: Homes) -> None:
    scene.make("ada")
    volume = scene.home("ada")
    first = scene.owner(volume)
    assert (first.user, first.how) == ("ada", How.MADE)
    scene.delete("ada")
    wait_until(lambda: scene.owner(volume).gone_s > 0, "the agent to hear that the account is gone")
    scene.make("ada")
    status, body = scene.start("ada")
    assert (status, body["message"]) == (409, FOREIGN)
    now = scene.owner(volume)
    assert now.account == first.account
    assert now.waits
    assert now.wanted_user == "ada"
    assert now.wanted_by not in ("", first.account)
    assert not scene.left_of("ada")
    scene.delete("ada")
    wait_until(lambda: not scene.owner(volume).waits, "nobody to wait any more")


def test_who_is_renamed_keeps_the_home_and_the_password(scene: Homes, admin: Browser) -> None:
    Browser(scene.hub.url).sign_up("grace", PASSWORD)
    admin.submit(admin.open("/hub/authorize").form("authorize/grace"))
    assert Browser(scene.hub.url).sign_in("grace", PASSWORD).path == "hub/home"
    volume = scene.home("grace")
    assert scene.rename("grace", "Hopper")[0] == 200
    assert scene.owner(volume).user == "hopper"
    assert scene.home("hopper") == volume
    renamed = Browser(scene.hub.url)
    assert renamed.sign_in("hopper", PASSWORD).path == "hub/home"
    stale = Browser(scene.hub.url)
    stale.sign_in("grace", PASSWORD)
    assert not stale.signed_in
    scene.make("grace")
    status, body = scene.start("grace")
    assert (status, body["message"]) == (409, FOREIGN), "the home is hopper's, whatever it is called"
    assert scene.home("hopper") == volume
    scene.delete("grace")
    scene.delete("hopper")


def test_a_home_from_before_is_the_present_owners(scene: Homes) -> None:
    """Also when the first that happens after an upgrade is that its owner is renamed."""
    scene.make("emmy")
    volume = "jupyterhub-user-emmy"
    scene.docker.volumes[volume] = Volume({"hubagent.user": "emmy"}, datetime.now(UTC) + timedelta(hours=1))
    assert scene.rename("emmy", "noether")[0] == 200
    assert scene.owner(volume).how is How.ADOPTED
    assert scene.home("noether") == volume
    scene.delete("noether")


def test_a_home_that_is_older_than_the_account_is_not(scene: Homes) -> None:
    volume = "jupyterhub-user-alan"
    scene.docker.volumes[volume] = Volume({"hubagent.user": "alan"}, datetime.now(UTC) - timedelta(hours=1))
    scene.make("alan")
    assert scene.start("alan")[0] == 409
    assert scene.owner(volume).account == ""
    scene.delete("alan")


def test_homes_from_before_are_told_apart_when_the_hub_starts(scene: Homes) -> None:
    scene.make("lise")
    volume = "jupyterhub-user-lise"
    scene.docker.volumes[volume] = Volume({"hubagent.user": "lise"}, datetime.now(UTC) + timedelta(hours=1))
    before = scene.api("GET", "users/lise")[1]["created"]
    scene.hub.restart_hub()
    wait_until(lambda: scene.agent.owners.get(volume) is not None, "the agent to hear of the users")
    assert scene.owner(volume).user == "lise"
    assert scene.api("GET", "users/lise")[1]["created"] == before
    assert scene.home("lise") == volume, "the account is the same one after the restart"
    scene.delete("lise")


def test_an_agent_that_was_taken_back_starts_servers_by_name(scene: Homes) -> None:
    scene.make("otto")
    volume = scene.home("otto")
    scene.agent.knows_no_accounts = True
    try:
        assert scene.home("otto") == volume
    finally:
        scene.agent.knows_no_accounts = False
    assert scene.home("otto") == volume
    scene.delete("otto")


NAMELESS = ["", " ", "\t\n", "\u00a0", "\u3000"]
NO_NAMES = [
    *NAMELESS,
    "a/b",
    "a\0b",
    "a\nb",
    ".",
    "..",
    "a b",
    "x" * 101,
    "x" * 256,
    "王" * 31,
    "a\u202eb",
    "-rf",
]


@pytest.mark.parametrize("name", [None, 7, True, [], {}, ["eve"], "a\ud800b", *NO_NAMES], ids=repr)
def test_nobody_is_renamed_to_what_is_no_name(scene: Homes, name: object) -> None:
    if "eve" not in scene.names():
        scene.make("eve")
    before = scene.names()
    status, body = scene.rename("eve", name)
    assert status == 400, body
    assert len(body["message"]) > 10
    assert scene.names() == before


def test_a_user_who_is_renamed_to_their_own_name_keeps_it(scene: Homes) -> None:
    """JupyterHub took it away."""
    scene.make("mary")
    for name in ("mary", "MARY", " mary", "\uff4dary"):
        status, body = scene.api("PATCH", "users/mary", {"name": name, "admin": False})
        assert (status, body.get("name")) == (200, "mary"), name
    assert None not in scene.names()
    scene.delete("mary")


@pytest.mark.parametrize("name", [name for name in NO_NAMES if name not in ("", ".", "..")], ids=repr)
def test_nobody_is_made_with_what_is_no_name(scene: Homes, name: str) -> None:
    before = scene.names()
    assert scene.api("POST", "users", {"usernames": [name]})[0] == 400
    if "/" not in name:
        assert scene.api("POST", f"users/{quote(name, safe='')}")[0] == 400
    assert scene.names() == before


def test_names_that_differ_only_in_spelling_are_one(scene: Homes) -> None:
    scene.make("zoë")
    for spelling in ("ZOË", "zoe\u0308", "Zoe\u0308"):
        assert scene.api("POST", f"users/{quote(spelling, safe='')}")[0] == 409, spelling
        assert scene.api("POST", "users", {"usernames": [spelling]})[0] == 409, spelling
        scene.make("other")
        assert scene.rename("other", spelling)[0] == 409, spelling
        scene.delete("other")
    assert scene.names().count("zoë") == 1
    scene.delete("zoë")


def test_who_may_not_be_renamed(scene: Homes, admin: Browser) -> None:
    scene.make("rosa")
    status, body = scene.rename("admin", "root")
    assert status == 409
    assert "hub.admins" in body["message"], "they would be made anew at the next start"
    assert scene.rename("rosa", "admin")[0] == 409
    Browser(scene.hub.url).sign_up("waits", PASSWORD)
    assert scene.rename("rosa", "waits")[0] == 409, "an account that waits has the name"
    assert scene.rename("nobody", "somebody")[0] == 404
    assert scene.start("rosa")[0] == 201
    status, body = scene.rename("rosa", "rosalind")
    assert status == 409
    assert "Stop it first" in body["message"]
    scene.stop("rosa")
    assert scene.rename("rosa", "rosalind")[0] == 200
    scene.delete("rosalind")


def test_an_account_that_is_discarded_takes_its_user_along(scene: Homes, admin: Browser) -> None:
    """Else whoever signs up under the name next would be the same user of the hub, with groups and home."""
    Browser(scene.hub.url).sign_up("ida", PASSWORD)
    admin.submit(admin.open("/hub/authorize").form("authorize/ida"))
    Browser(scene.hub.url).sign_in("ida", PASSWORD)
    volume = scene.home("ida")
    admin.submit(admin.open("/hub/withdraw/ida").form("withdraw/ida"))
    assert "known user" in admin.open("/hub/authorize").html
    page = admin.open("/hub/discard/ida")
    assert "a home stays on the server" in page.html
    assert admin.submit(page.form("discard/ida")).path == "hub/authorize"
    assert "ida" not in scene.names()
    wait_until(lambda: scene.owner(volume).gone_s > 0, "the agent to hear that the account is gone")
    Browser(scene.hub.url).sign_up("ida", PASSWORD)
    admin.submit(admin.open("/hub/authorize").form("authorize/ida"))
    Browser(scene.hub.url).sign_in("ida", PASSWORD)
    assert scene.start("ida")[0] == 409


def test_an_account_is_the_same_whatever_becomes_of_its_row(tmp_path: Path) -> None:
    """Read again, renamed, and copied into another database; another one of the same number is another account."""
    first, second = (f"sqlite:///{tmp_path / name}" for name in ("first.sqlite", "second.sqlite"))
    with closing(orm.new_session_factory(first)()) as session:
        ada, eve = orm.User(name="ada"), orm.User(name="eve")
        session.add_all([ada, eve])
        session.commit()
        made, number, others = identity(eve), eve.id, identity(ada)
        assert made != others
        assert abs(made.since_s - time.time()) < 60
        session.expire_all()
        eve.name = "mallory"
        session.commit()
        assert identity(eve) == made
        copied = session.execute(select(orm.User.__table__)).mappings().all()
    with closing(orm.new_session_factory(second)()) as session:
        session.execute(orm.User.__table__.insert(), [dict(row) for row in copied])
        session.commit()
        eve = session.scalars(select(orm.User).where(orm.User.name == "mallory")).one()
        assert identity(eve) == made
        session.delete(eve)
        session.commit()
        again = orm.User(name="mallory")
        session.add(again)
        session.commit()
        assert again.id == number, "SQLite gives it away again"
        assert identity(again) != made


def test_other_authenticators_do_the_same(tmp_path: Path) -> None:
    """Whatever signs people in; also without an agent to tell."""
    scopes = ["admin:users", "delete:users", "read:users"]
    traits = {
        "JupyterHub": {
            "services": [{"name": "tester", "api_token": TOKEN}],
            "load_roles": [{"name": "tester", "services": ["tester"], "scopes": scopes}],
        },
        "DummyAuthenticator": {"password": PASSWORD},
        "HubagentSpawner": {"agent_socket": str(tmp_path / "nobody.sock")},
    }
    with running_hub(tmp_path / "hub", authenticator="dummy", signup="open", traits=traits) as hub:

        def ask(method: str, path: str, body: object = None) -> tuple[int, Any]:
            content = None if body is None else json.dumps(body).encode()
            status, answer = call(
                f"{hub.url}/hub/api/{path}", method=method, token=TOKEN, body=content, timeout_s=60
            )
            return status, json.loads(answer or b"null")

        someone = Browser(hub.url)
        assert someone.sign_in("Ada Lovelace", PASSWORD).path == "hub/home"
        assert ask("PATCH", "users/ada%20lovelace", {"name": "ada lovelace"})[1]["name"] == "ada lovelace"
        for name in (*NAMELESS, "a\0b", "a\nb", "x" * 256, "a/b"):
            assert ask("PATCH", "users/ada%20lovelace", {"name": name})[0] == 400, name
            if name and "/" not in name:
                assert ask("POST", f"users/{quote(name, safe='')}")[0] == 400, name
        assert ask("POST", "users/ADA%20LOVELACE")[0] == 409
        assert ask("PATCH", "users/ada%20lovelace", {"name": "Countess"})[1]["name"] == "countess"
        assert ask("DELETE", "users/countess")[0] == 204
        assert "The agent does not take" not in hub.log, "it is waited for"
        hub.restart_hub()
        assert ask("GET", "users")[1] == [] or [user["name"] for user in ask("GET", "users")[1]] == ["admin"]
