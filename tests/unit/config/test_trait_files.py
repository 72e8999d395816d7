"""Secrets of `hub.traits` come by file, and go to the hub apart from what others may read."""

from __future__ import annotations

from pathlib import PurePosixPath

from hubagent.render.hub_files import named_files, secret_files, services_with_tokens, without_secrets
from tests.unit.config.reading import faults, read

TEXT = """
hub:
  traits:
    JupyterHub:
      logo_file: /srv/logo.png
      services: [{name: grader, api_token_file: /etc/grader, url: "http://127.0.0.1:9"}, {name: plain, command: [a]}]
    GitHubOAuthenticator: {client_id: a, client_secret_file: /etc/github}
    CryptKeeper: {keys_file: /etc/keys}
    OwnAuthenticator: {secret_file: /etc/own}
"""


def test_a_file_is_a_secret_only_where_there_is_no_such_trait() -> None:
    """`logo_file` is a trait; the logo is no secret."""
    traits = read(TEXT).hub.traits
    assert [(one.cls, one.trait, str(one.path), one.is_list) for one in secret_files(traits)] == [
        ("GitHubOAuthenticator", "client_secret", "/etc/github", False),
        ("CryptKeeper", "keys", "/etc/keys", True),
        ("OwnAuthenticator", "secret", "/etc/own", False),
    ]
    left = without_secrets(traits)
    assert left["JupyterHub"] == {"logo_file": "/srv/logo.png"}
    assert left["GitHubOAuthenticator"] == {"client_id": "a"}
    assert {str(path) for path in named_files(traits)} == {
        *("/srv/logo.png", "/etc/grader", "/etc/github", "/etc/keys", "/etc/own")
    }


def test_tokens_of_services_are_read_where_they_are() -> None:
    asked: list[str] = []

    def content(path: PurePosixPath, key: str) -> str:
        asked.append(key)
        return f"what is in {path}"

    services = services_with_tokens(read(TEXT).hub.traits, content)
    assert services == [
        {"name": "grader", "api_token": "what is in /etc/grader", "url": "http://127.0.0.1:9"},
        {"name": "plain", "command": ["a"]},
    ]
    assert asked == ["hub.traits.JupyterHub.services[0].api_token_file"]
    assert services_with_tokens({"JupyterHub": {"services": [{"name": "a"}]}}, content) is None


def test_secrets_in_plain_text_are_refused_and_not_repeated() -> None:
    for text in (
        "hub: {traits: {CryptKeeper: {keys: [swordfish]}}}",
        "hub: {traits: {JupyterHub: {services: [{name: a, api_token: swordfish}]}}}",
        "hub: {traits: {GitHubOAuthenticator: {client_secret: swordfish}}}",
        "hub: {traits: {JupyterHub: {api_tokens: {swordfish: admin}}}}",
    ):
        (fault,) = faults(text)
        assert "swordfish" not in fault


def test_what_was_refused_although_it_works_is_taken() -> None:
    read(
        "hub: {traits: {JupyterHub: {load_roles: [{name: tutor, scopes: [list:users]}], load_groups: {a: {}}}}}"
    )
    read(
        "hub: {traits: {JupyterHub: {default_url: /hub/home, logo_file: /srv/logo.png, template_paths: [/srv/p]}}}"
    )
    read(
        "hub: {traits: {Spawner: {environment: {A: b}, group_overrides: {x: {groups: [a], spawner_override: {}}}}}}"
    )


def test_what_was_taken_without_effect_is_refused() -> None:
    for text in (
        "hub: {traits: {Spawner: {mem_guarantee: 1G}}}",
        "hub: {traits: {Spawner: {pre_spawn_hook: x}}}",
        "hub: {traits: {Spawner: {group_overrides: {x: {groups: [a], spawner_override: {mem_limit: 1G}}}}}}",
        "hub: {traits: {Spawner: {default_url: /tree}}}",
        "hub: {traits: {JupyterHub: {reset_db: true}}}",
        "hub: {traits: {JupyterHub: {port: 1}}}",
        "hub: {traits: {SystemUserSpawner: {run_as_root: true}}}",
    ):
        assert len(faults(text)) == 1, text
