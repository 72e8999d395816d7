"""`python -m hubagent.hub.check DIR` says what the hub would say, before it is restarted."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from running import RunningHub


def check(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hubagent.hub.check", str(folder)],
        env={"PATH": os.defpath, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def files(tmp_path: Path) -> RunningHub:
    return RunningHub(tmp_path / "hub")


def test_good_files(files: RunningHub) -> None:
    files.settings["traits"] = {
        "JupyterHub": {"allow_named_servers": True, "cookie_max_age_days": 1.5},
        "Spawner": {"environment": {"A": "b"}},
        "DockerSpawner": {"extra_host_config": {"shm_size": "1g"}},
        "GenericThing": {},
    }
    del files.settings["traits"]["GenericThing"]
    files.write()
    result = check(files.folder / "etc")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert sorted(path.name for path in (files.folder / "etc").iterdir()) == [
        "hub.json",
        "secrets.json",
        "servers.json",
    ]
    assert list((files.folder / "state").iterdir()) == []


@pytest.mark.parametrize("host", ["127.0.0.1:1", "no-such-host.invalid"])
def test_a_database_server_is_connected_to(files: RunningHub, host: str) -> None:
    files.settings["database"] = f"postgresql://hub@{host}/accounts"
    files.secrets["database_password"] = "the-password-of-the-database"
    files.write()
    result = check(files.folder / "etc")
    assert result.returncode == 1
    assert f"hub.database: no connection to postgresql+psycopg://hub:***@{host}/accounts; " in result.stderr
    assert "check hub.database, hub.database_password_file" in result.stderr
    assert result.stderr.count("\n") == 1
    assert "the-password" not in result.stderr


def test_secrets_come_from_the_credentials(files: RunningHub, tmp_path: Path) -> None:
    files.write()
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (files.folder / "etc" / "secrets.json").rename(credentials / "secrets.json")
    assert check(files.folder / "etc", CREDENTIALS_DIRECTORY=str(credentials)).returncode == 0
    assert "secrets.json: cannot be read" in check(files.folder / "etc").stderr


@pytest.mark.parametrize(
    ("changes", "secrets", "message"),
    [
        (
            {"traits": {"GitHubOauthenticator": {}}},
            {},
            "hub.traits.GitHubOauthenticator: no such class",
        ),
        (
            {"traits": {"JupyterHbu": {}}},
            {},
            "hub.traits.JupyterHbu: no such class; did you mean JupyterHub?",
        ),
        (
            {"traits": {"JupyterHub": {"logo_fiel": "/x"}}},
            {},
            "hub.traits.JupyterHub.logo_fiel: JupyterHub has no such setting; did you mean logo_file?",
        ),
        (
            {"traits": {"JupyterHub": {"allow_named_servers": "maybe"}}},
            {},
            "hub.traits.JupyterHub.allow_named_servers: this value is not accepted: true or false is expected",
        ),
        (
            {"traits": {"Authenticator": {"username_pattern": "("}}},
            {},
            "hub.traits.Authenticator.username_pattern: this value is not accepted",
        ),
        (
            {},
            {"traits": {"CryptKeeper": {"keys": ["canary"]}}},
            "hub.traits.CryptKeeper.keys: this value is not accepted",
        ),
        (
            {"traits": {"JupyterHub": {"db_url": "sqlite://"}}},
            {},
            "hub.traits.JupyterHub.db_url: cannot be set here: use hub.database",
        ),
        (
            {"traits": {"HubagentSpawner": {"volumes": {}}}},
            {},
            "hub.traits.HubagentSpawner.volumes: cannot be set here: use servers.NAME.volume and servers.NAME.mounts",
        ),
        ({"admins": ["a/b"]}, {}, "hub.admins: 'a/b': A user name has letters, digits and"),
        (
            {"authenticator": "githup"},
            {},
            "hub.authenticator: 'githup' is not installed; there are ",
        ),
        (
            {"authenticator": "no.such.Class"},
            {},
            "hub.authenticator: 'no.such.Class' cannot be imported",
        ),
        (
            {"authenticator": "pathlib.Path"},
            {},
            "hub.authenticator: 'pathlib.Path' is not a JupyterHub authenticator",
        ),
        (
            {"database": "postgresql://host/db"},
            {"database_password": "canary"},
            "hub.database: there is a password but no user",
        ),
    ],
)
def test_one_clear_line(
    files: RunningHub, changes: dict[str, Any], secrets: dict[str, Any], message: str
) -> None:
    files.settings.update(changes)
    files.secrets.update(secrets)
    files.write()
    result = check(files.folder / "etc")
    assert result.returncode == 1
    assert result.stderr.startswith(message)
    assert result.stderr.count("\n") == 1
    assert "canary" not in result.stderr


def test_servers_are_checked_too(files: RunningHub) -> None:
    files.servers["default"] = "r"
    files.write()
    assert "servers.json: default: is not an entry" in check(files.folder / "etc").stderr


def test_usage() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "hubagent.hub.check"], capture_output=True, text=True, timeout=60, check=False
    )
    assert (result.returncode, result.stderr) == (2, "usage: python -m hubagent.hub.check DIR\n")
