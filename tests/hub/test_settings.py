"""hub.json, secrets.json and servers.json: read whole, or refused with file and key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from running import RunningHub, server

from hubagent.hub.reading import SettingsError
from hubagent.hub.servers import load_servers
from hubagent.hub.settings import Places, load_hub, load_secrets
from hubagent.hub_documents import Signup


@pytest.fixture
def files(tmp_path: Path) -> RunningHub:
    """The agent's files, never started."""
    return RunningHub(tmp_path / "hub")


def change(data: dict[str, Any], path: str, value: object) -> None:
    *parents, key = path.split(".")
    for parent in parents:
        data = data[parent]
    if value is ...:
        del data[key]
    else:
        data[key] = value


def test_everything_is_read(files: RunningHub) -> None:
    files.settings.update(signup="closed", traits={"JupyterHub": {"logo_file": "/x"}}, stop_idle_after_s=90)
    files.write()
    path = files.folder / "etc" / "hub.json"
    settings = load_hub(path)
    assert settings.signup is Signup.CLOSED
    assert settings.admins == ("admin",)
    assert settings.stop_idle_after_s == 90.0
    assert settings.traits == {"JupyterHub": {"logo_file": "/x"}}
    assert settings.passwords.max_failed_logins == 10


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("version", 2, "version: is 2, this hubagent reads 1"),
        ("admins", "admin", "admins: must be a list, is text"),
        ("signup", "maybe", "signup: must be one of approval, open, closed"),
        ("ask_email", "yes", "ask_email: must be true or false, is text"),
        ("hub_bind_url", "127.0.0.1:8081", "hub_bind_url: must be like http"),
        ("proxy_url", "http://127.0.0.1:x", "proxy_url: must be like http"),
        ("passwords.min_length", 0, "passwords.min_length: must be at least 1"),
        ("passwords.min_length", 73, "passwords.min_length: must be at most 72"),
        ("passwords.lockout_s", -1, "passwords.lockout_s: must be at least 0"),
        ("passwords.min_length", True, "passwords.min_length: must be a whole number"),
        ("stop_idle_after_s", ..., "stop_idle_after_s: missing"),
        ("database", "mysql://u@h/d", "database: must be sqlite, or like postgresql://"),
        ("database", "postgresql://u:pw@h/d", "database: holds a password"),
        ("one_time_dir", "one-time", "one_time_dir: must be an absolute path"),
        ("traits", {"JupyterHub": 1}, "traits.JupyterHub: must be an object"),
        ("new_key", 1, "new_key: unknown key"),
        ("passwords.new_key", 1, "passwords.new_key: unknown key"),
    ],
)
def test_faults_name_file_and_key(files: RunningHub, path: str, value: object, message: str) -> None:
    change(files.settings, path, value)
    files.write()
    with pytest.raises(SettingsError) as error:
        load_hub(files.folder / "etc" / "hub.json")
    assert str(error.value).startswith(f"{files.folder}/etc/hub.json: {message}")


def test_no_message_and_no_repr_shows_a_secret(files: RunningHub) -> None:
    files.secrets.update(database_password="canary-1", traits={"X": {"client_secret": "canary-2"}})
    files.write()
    path = files.folder / "etc" / "secrets.json"
    secrets = load_secrets(path)
    for secret in ("canary-1", "canary-2", files.secrets["proxy_token"], files.secrets["agent_token"]):
        assert secret not in repr(secrets)
    files.secrets["proxy_token"] = "short canary-3"
    files.write()
    with pytest.raises(SettingsError) as error:
        load_secrets(path)
    assert "proxy_token: must be at least 16" in str(error.value)
    assert "canary-3" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        (b"[1]", "must be an object, is a list"),
        (b"[" * 100_000, "not JSON"),
        (b" " * (4 * 1024 * 1024 + 1), "larger than"),
    ],
)
def test_whatever_is_not_an_object_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "hub.json"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=message):
        load_hub(path)


def test_absent_and_unreadable_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"hub\.json: cannot be read: No such file"):
        load_hub(tmp_path / "hub.json")
    with pytest.raises(SettingsError, match="cannot be read: Is a directory"):
        load_hub(tmp_path)


def test_places_come_from_systemd(tmp_path: Path) -> None:
    places = Places.from_environment({"CREDENTIALS_DIRECTORY": "/run/credentials/jupyterhub.service"})
    assert places.hub_json == Path("/var/lib/hubagent/current/hub/hub.json")
    assert places.secrets_json == Path("/run/credentials/jupyterhub.service/secrets.json")
    assert places.state == Path("/var/lib/jupyterhub")
    assert places.runtime is None
    with pytest.raises(SettingsError, match="CREDENTIALS_DIRECTORY is not set"):
        Places.from_environment({})


def test_servers_are_read(files: RunningHub) -> None:
    files.servers["servers"]["big"] = server(
        "big", mounts=[{"source": "/srv/a", "target": "/b", "read_only": True}], environment={"K": "{V}"}
    )
    files.write()
    servers = load_servers(files.folder / "etc" / "servers.json")
    assert list(servers.servers) == ["julia", "big"]
    assert servers.servers["big"].mounts[0].read_only
    assert servers.servers["big"].environment == {"K": "{V}"}


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("default", "r", "default: is not an entry of servers: 'r'"),
        (
            "landing",
            "lab",
            "landing: must be a path from the root, or one of new-notebook, last-notebook, pluto; is 'lab'",
        ),
        ("servers", {}, "default: is not an entry"),
        ("servers.julia.volume", "home", r"servers.julia.volume: must hold \{username\}"),
        ("servers.julia.volume", "{username}{x}", "servers.julia.volume: must hold"),
        ("servers.julia.home", "work", "servers.julia.home: must be an absolute path"),
        ("servers.julia.home", "/home/../etc", "servers.julia.home: must be an absolute path"),
        ("servers.julia.memory_bytes", 1, "servers.julia.memory_bytes: must be at least"),
        ("servers.julia.cpus", 0, "servers.julia.cpus: must be at least"),
        ("servers.julia.mounts", [1], r"servers.julia.mounts\[0\]: must be an object, is a number"),
        ("servers.julia.mounts", [{}], r"servers.julia.mounts\[0\].source: missing"),
        ("servers.julia.environment", {"K": 1}, "servers.julia.environment.K: must be text"),
        ("servers.julia.gpu", 1, "servers.julia.gpu: unknown key"),
    ],
)
def test_faults_of_servers(files: RunningHub, path: str, value: object, message: str) -> None:
    change(files.servers, path, value)
    files.write()
    with pytest.raises(SettingsError, match=message):
        load_servers(files.folder / "etc" / "servers.json")
