"""The hub as a service: what it loads, what it allows, what it survives."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Browser
from conftest import ADMIN_PASSWORD, choose_first_password
from running import RunningHub, call, running_hub

from hubagent.hub.configuration import SPAWN_BUCKETS, build_config
from hubagent.hub.database import database_url
from hubagent.hub.reading import SettingsError
from hubagent.hub.settings import load_hub, load_secrets
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    hub = RunningHub(tmp_path_factory.mktemp("hub"))
    hub.environment["JUPYTERHUB_SERVER_SPAWN_DURATION_SECONDS_BUCKETS"] = SPAWN_BUCKETS
    hub.settings["stop_idle_after_s"] = 90
    hub.settings["traits"] = {
        "JupyterHub": {
            "services": [{"name": "reader", "api_token": "reader-token-reader-token"}],
            "load_roles": [
                {"name": "reader", "services": ["reader"], "scopes": ["list:services", "list:users"]}
            ],
        }
    }
    hub.secrets["traits"] = {"JupyterHub": {"template_vars": {"announcement": "from a secret file"}}}
    try:
        hub.start()
        yield hub
    finally:
        hub.stop()


def test_the_marker_names_the_bytes(hub: RunningHub) -> None:
    content = (hub.folder / "etc" / "hub.json").read_bytes()
    assert (hub.folder / "run" / "loaded").read_text() == f"{hashlib.sha256(content).hexdigest()}\n"


def test_what_the_agent_may(hub: RunningHub) -> None:
    token = hub.secrets["agent_token"]
    metrics = call(f"{hub.url}/hub/metrics", token=token)
    assert metrics[0] == 200
    assert call(f"{hub.url}/hub/metrics")[0] == 403
    assert call(f"{hub.url}/hub/api/info", token=token)[0] == 200
    status, body = call(f"{hub.url}/hub/api/users", token=token)
    assert status == 200
    assert json.loads(body)[0]["name"] == "admin"
    for method, path in (("DELETE", "users/admin"), ("POST", "users/made"), ("POST", "users/admin/server")):
        assert call(f"{hub.url}/hub/api/{path}", method=method, token=token)[0] in {403, 404}


def test_spawn_buckets_begin_at_50_ms(hub: RunningHub) -> None:
    _, body = call(f"{hub.url}/hub/metrics", token=hub.secrets["agent_token"])
    buckets = [line for line in body.decode().splitlines() if "spawn_duration_seconds_bucket" in line]
    assert any('le="0.05"' in line for line in buckets)


def test_the_agent_restores_lost_routes(hub: RunningHub) -> None:
    routes = f"{hub.proxy_api_url}/api/routes"
    token = hub.secrets["proxy_token"]
    assert list(json.loads(call(routes, token=token)[1])) == ["/"]
    assert call(f"{routes}/", method="DELETE", token=token)[0] == 204
    assert json.loads(call(routes, token=token)[1]) == {}
    assert call(f"{hub.hub_url}/hub/api/proxy", method="POST", token=hub.secrets["agent_token"])[0] == 200
    assert list(json.loads(call(routes, token=token)[1])) == ["/"]


def test_idle_servers_are_stopped_by_a_service_of_its_own(hub: RunningHub) -> None:
    assert "--timeout=90 --cull-every=45" in hub.log
    wait_until(lambda: "(idle-culler@" in hub.log, "the culler's first look")
    assert "Cannot check" not in hub.log
    hub.settings["stop_idle_after_s"] = 0
    before = len(hub.log)
    hub.restart_hub()
    assert "idle_culler" not in hub.log[before:]


def test_traits_from_both_files_are_in_force(hub: RunningHub) -> None:
    assert "from a secret file" in Browser(hub.url).open("/hub/login").html
    token = "reader-token-reader-token"
    assert call(f"{hub.url}/hub/api/services", token=token)[0] == 200


def test_no_secret_is_logged_or_in_an_argv(hub: RunningHub) -> None:
    command = Path(f"/proc/{hub.hub_pid}/cmdline").read_text()
    for secret in (hub.secrets["proxy_token"], hub.secrets["agent_token"], "reader-token-reader-token"):
        assert secret not in hub.log
        assert secret not in command
        assert secret not in Path(f"/proc/{hub.hub_pid}/environ").read_text()


def test_sessions_and_accounts_outlive_a_restart_of_hub_and_proxy(hub: RunningHub) -> None:
    admin = choose_first_password(hub)
    hub.restart_hub()
    assert admin.signed_in
    hub.stop()
    hub.start()
    assert admin.signed_in
    assert Browser(hub.url).sign_in("admin", ADMIN_PASSWORD).path == "hub/home"
    assert stat.S_IMODE((hub.folder / "state" / "cookie_secret").stat().st_mode) == 0o600


def test_new_tokens_in_the_order_in_which_the_agent_gives_them(hub: RunningHub) -> None:
    """The proxy first: meanwhile the hub, with the old one, lives on and is refused."""
    routes, old = f"{hub.proxy_api_url}/api/routes", dict(hub.secrets)
    hub.secrets.update(proxy_token="1" * 64, agent_token="2" * 64)
    hub.restart_proxy()
    assert call(routes, token=old["proxy_token"])[0] == 403
    assert "hub" not in json.loads(call(routes, token=hub.secrets["proxy_token"])[1]).get("/", {})
    assert call(f"{hub.hub_url}/hub/api/proxy", method="POST", token=old["agent_token"])[0] >= 500
    assert call(f"{hub.hub_url}/hub/health")[0] == 200
    hub.restart_hub()
    assert call(f"{hub.hub_url}/hub/api/proxy", method="POST", token=old["agent_token"])[0] == 403
    assert call(f"{hub.hub_url}/hub/api/proxy", method="POST", token=hub.secrets["agent_token"])[0] == 200
    assert json.loads(call(routes, token=hub.secrets["proxy_token"])[1])["/"]["hub"] is True


def test_the_page_names_its_language(hub: RunningHub) -> None:
    assert 'lang="en"' in Browser(hub.url).open("/hub/login").html


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"signup": "maybe"}, "hub.json: signup: must be one of"),
        ({"authenticator": "githup"}, "hub.authenticator: 'githup' is not installed"),
    ],
)
def test_files_that_cannot_be_used_end_the_hub_with_one_line(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    hub = RunningHub(tmp_path / "hub")
    hub.settings.update(change)
    assert hub.start_hub().wait(60) == 1
    assert message in hub.log
    assert "Traceback" not in hub.log
    assert not (hub.folder / "run" / "loaded").exists()
    assert not (hub.folder / "state" / "jupyterhub.sqlite").exists()


@pytest.mark.parametrize("signup", ["open", "approval"])
def test_another_authenticator(tmp_path: Path, signup: str) -> None:
    with running_hub(tmp_path / "hub", authenticator="dummy", signup=signup) as hub:
        admin = Browser(hub.url)
        page = admin.open("/hub/login?next=/hub/home")
        assert 'href="/hub/signup"' not in page.html
        assert admin.submit(page.form("login"), username="admin", password="x" * 20).status == 200
        assert admin.signed_in
        assert 'href="/hub/authorize"' not in admin.open("/hub/home").html
        assert admin.open("/hub/authorize").status == 404

        student = Browser(hub.url)
        page = student.open("/hub/login?next=/hub/home")
        student.submit(page.form("login"), username="student", password="x" * 20)
        assert student.signed_in == (signup == "open")

        token = {"X-XSRFToken": admin.session.cookies.get("_xsrf", path="/hub/")}
        url = f"{hub.url}/hub/api/users/invited"
        assert admin.session.post(url, headers=token, timeout=60).status_code == 201
        invited = Browser(hub.url)
        page = invited.open("/hub/login?next=/hub/home")
        invited.submit(page.form("login"), username="invited", password="x" * 20)
        assert invited.signed_in


def test_database_urls() -> None:
    state = Path("/var/lib/jupyterhub")
    assert database_url("sqlite", None, state) == "sqlite:////var/lib/jupyterhub/jupyterhub.sqlite"
    assert database_url("postgresql://hub@db:5433/hub", "p@ss/w:rd", state) == (
        "postgresql+psycopg://hub:p%40ss%2Fw%3Ard@db:5433/hub"
    )
    assert database_url("postgresql:///hub", None, state) == "postgresql+psycopg:///hub"
    with pytest.raises(SettingsError, match="a password but no user"):
        database_url("postgresql://db/hub", "canary", state)
    assert os.environ.get("PGPASSWORD") is None


def test_what_an_administrator_says_of_connections_comes_before_the_hubs_own_limits(tmp_path: Path) -> None:
    hub = RunningHub(tmp_path / "hub")
    own = {"connect_args": {"keepalives_idle": 60, "sslmode": "require"}}
    hub.settings.update(
        database="postgresql://hub@db/hub?connect_timeout=3", traits={"JupyterHub": {"db_kwargs": own}}
    )
    hub.write()
    etc = hub.folder / "etc"
    config, left_out = build_config(
        load_hub(etc / "hub.json"), load_secrets(etc / "secrets.json"), hub.folder / "state"
    )
    assert left_out == ()
    arguments = config.JupyterHub.db_kwargs["connect_args"]
    assert {name: arguments.get(name) for name in ("connect_timeout", "keepalives_idle", "sslmode")} == {
        "connect_timeout": None,
        "keepalives_idle": 60,
        "sslmode": "require",
    }
    assert arguments["tcp_user_timeout"] > 0
