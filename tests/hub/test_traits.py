"""`hubagent check` and the hub judge every trait of every class in the hub's package alike."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
import traitlets
from browser import Browser
from conftest import choose_first_password
from hypothesis import given
from hypothesis import strategies as st
from jupyterhub.app import JupyterHub
from running import ROOT, RunningHub, call
from traitlets.config import Config

from hubagent.hub.configuration import build_config
from hubagent.hub.reading import SettingsError
from hubagent.hub.settings import load_hub, load_secrets
from hubagent.hub.traits import merge_traits
from hubagent.traits import known, rules, verdict
from tests.waiting import wait_until

CATALOGUE = ROOT / "packaging" / "jupyterhub" / "catalogue.py"
MADE = runpy.run_path(str(CATALOGUE))
CLASSES: dict[str, Any] = MADE["classes"]()
SAMPLES: tuple[object, ...] = (
    True,
    3,
    2.5,
    "text",
    "3G",
    ["a"],
    [],
    {},
    {"a": "b"},
    None,
    [{"name": "a"}],
    "/",
)


def _all_traits() -> list[tuple[str, str]]:
    return [(name, trait) for name, cls in CLASSES.items() for trait in sorted(cls.class_traits(config=True))]


def _agents(cls: str, trait: str, value: object) -> str | None:
    """As hubagent.config.kinds.traits asks."""
    names = known.ancestry(cls)
    kinds = known.kinds(names, trait)
    return (
        verdict.of_class(cls)
        or verdict.of_trait(names, trait, kinds)
        or verdict.of_value(names, trait, kinds, value)
    )


def _hubs(cls: str, values: dict[str, Any]) -> dict[str, str]:
    """What the hub says of each trait that it refuses, with this class in use."""
    in_use = [CLASSES[cls]] if cls in CLASSES else []
    said = merge_traits(Config(), {cls: values}, classes=in_use, tolerant=True)
    whole = {reason.split(": ")[0].rpartition(".")[2]: reason for reason in said}
    return dict.fromkeys(values, whole[cls]) if cls in whole else whole


def test_the_catalogue_is_of_this_environment() -> None:
    """Make it anew with packaging/jupyterhub/catalogue.py when the locks change."""
    made = "".join(MADE["lines"]())
    assert (ROOT / "hubagent" / "traits" / "catalogue.py").read_text() == made


@pytest.mark.parametrize("cls", sorted(CLASSES))
def test_check_and_hub_say_the_same_of_every_trait(cls: str) -> None:
    """Whatever the value, what check refuses the hub refuses, for the same reason; and a value that surely fits is
    taken by both or refused by both."""
    traits = CLASSES[cls].class_traits(config=True)
    for value in SAMPLES:
        hubs = _hubs(cls, dict.fromkeys(traits, value))
        for trait in traits:
            agents = _agents(cls, trait, value)
            where = f"{cls}.{trait}: {value!r}: check: {agents}; hub: {hubs.get(trait)}"
            if agents is not None:
                assert trait in hubs, where
                assert "is not accepted" in hubs[trait] or agents in hubs[trait], where
    fitting = {trait: value for trait in traits for value in _default(CLASSES[cls], trait)}
    refused = {trait for trait, value in fitting.items() if _agents(cls, trait, value) is not None}
    assert set(_hubs(cls, fitting)) == refused


def _default(cls: Any, trait: str) -> Iterator[object]:
    """A value that is surely right: what the trait has without any setting, where a file can hold that."""
    found = cls.class_traits()[trait]
    value = found.default_value if trait != "logo_file" else __file__
    if isinstance(value, set | tuple):
        value = sorted(value) if isinstance(value, set) else list(value)
    if isinstance(value, bool | int | float | str | list | dict) and not isinstance(
        found, traitlets.Any | traitlets.Union
    ):
        yield value


def test_nothing_takes_a_text_where_code_is_wanted() -> None:
    """Traits of any type at all: each is known to take data, or refused."""
    data = {"otp_prompt", "allow_existing_invalid_named_servers"}
    for cls, trait in _all_traits():
        if type(CLASSES[cls].class_traits()[trait]) is traitlets.Any and trait not in data:
            assert _agents(cls, trait, "a text"), f"{cls}.{trait}"


def test_rules_name_what_there_is() -> None:
    """A reserved trait that JupyterHub has given up would be refused for nothing."""
    for cls, traits in rules.RESERVED.items():
        assert set(traits) <= set(CLASSES[cls].class_own_traits()), cls
    assert set(rules.OWN_CLASSES) <= set(CLASSES)
    code = {trait for cls, trait in _all_traits() if known.kinds([cls], trait) <= {"code", "null"}}
    assert set(rules.CODE) <= code
    assert {point.name for point in entry_points(group="jupyterhub.authenticators")} >= {
        name for name in known.AUTHENTICATORS if name != "native"
    }


@given(
    st.sampled_from(_all_traits()),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    ),
)
def test_what_check_refuses_the_hub_refuses(pair: tuple[str, str], value: object) -> None:
    if _agents(*pair, value) is not None:
        assert _hubs(pair[0], {pair[1]: value})


ROLES = [
    {"name": "tutor", "users": ["kim"], "scopes": ["admin:users", "list:users"]},
    {"name": "grader", "services": ["grader"], "scopes": ["list:users"]},
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made: Path = tmp_path_factory.mktemp("pages")
    made.chmod(0o755)
    (made / "error.html").write_text(
        '{% extends "page.html" %}{% block main %}<p id="theirs">Ours no more</p>{% endblock %}'
    )
    (made / "native-login.html").write_text("no form")
    (made / "home.html").write_text(
        '{% extends "page.html" %}{% block main %}<p id="theirs">Physics</p>{% endblock %}'
    )
    (made / "logo.png").write_bytes(b"\x89PNG of the institute")
    return made


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Iterator[RunningHub]:
    """A hub with what hub.traits may add."""
    traits = {
        "JupyterHub": {
            "template_paths": [str(folder)],
            "logo_file": str(folder / "logo.png"),
            "load_roles": ROLES,
            "load_groups": {"physics": {"users": ["kim"]}},
            "default_url": "/hub/token",
        },
        "Spawner": {
            "group_overrides": {"1": {"groups": ["physics"], "spawner_override": {"args": ["--debug"]}}}
        },
    }
    made = RunningHub(tmp_path_factory.mktemp("hub") / "hub")
    made.settings["traits"] = traits
    made.secrets["traits"] = {
        "JupyterHub": {"services": [{"name": "grader", "api_token": "token-of-the-grader-0123"}]},
        "CryptKeeper": {"keys": ["00" * 32]},
    }
    try:
        made.start()
        yield made
    finally:
        made.stop()


def test_pages_of_others_add_to_ours(extended: RunningHub) -> None:
    """Login works, though the folder has a page of the same name; other pages are theirs."""
    browser = choose_first_password(extended)
    assert browser.open("/hub/home").ids["theirs"] == "Physics"
    assert Browser(extended.url).open("/hub/login").form("login").fields


def test_the_logo_is_the_file(extended: RunningHub, folder: Path) -> None:
    assert call(f"{extended.url}/hub/logo") == (200, (folder / "logo.png").read_bytes())


def test_roles_groups_and_services_add_to_ours(extended: RunningHub) -> None:
    def asked(path: str, token: str) -> int:
        return call(f"{extended.url}/hub/api/{path}", token=token)[0]

    assert asked("users", "token-of-the-grader-0123") == 200
    assert asked("proxy", "token-of-the-grader-0123") == 403
    assert asked("proxy", extended.secrets["agent_token"]) == 200
    wait_until(lambda: "idle-culler" in extended.log, "the culler")
    assert asked("users/kim", "token-of-the-grader-0123") == 200


@pytest.mark.parametrize(
    ("cls", "trait", "value", "said"),
    [
        ("JupyterHub", "load_roles", [{"name": "admin", "users": ["eve"]}], "admin: use hub.admins"),
        ("JupyterHub", "load_roles", [{"name": "hubagent", "scopes": ["admin-ui"]}], "hubagent: the name is"),
        (
            "JupyterHub",
            "services",
            [{"name": "idle-culler", "command": ["true"]}],
            "idle-culler: the name is",
        ),
        ("JupyterHub", "services", ["grader"], "an entry is not a mapping with a name"),
        ("JupyterHub", "reset_db", True, "it would delete every account"),
        ("JupyterHub", "port", 80, "hubagent sets it"),
        ("JupyterHub", "show_config", True, "the hub would do that and end"),
        ("JupyterHub", "extra_handlers", [["/x", "y"]], "wants Python code"),
        ("JupyterHub", "logo_file", "/nowhere/logo.png", "/nowhere/logo.png cannot be read by the hub"),
        ("JupyterHub", "template_paths", ["/nowhere"], "/nowhere is not a folder that the hub can read"),
        (
            "Spawner",
            "pre_spawn_hook",
            "print('x')",
            "wants Python code, which cannot be written here: what servers",
        ),
        ("Spawner", "mem_guarantee", "1G", "use DockerSpawner.extra_host_config: {mem_reservation: 1G}"),
        ("HubagentSpawner", "default_url", "/tree", "use hub.landing"),
        ("Authenticator", "post_auth_hook", "module.hook", "wants Python code"),
        (
            "Spawner",
            "group_overrides",
            {"1": {"groups": ["a"], "spawner_override": {"mem_limit": "8G"}}},
            "mem_limit by group cannot be set here: use servers.NAME.memory; or write a servers entry for the group",
        ),
        (
            "Spawner",
            "group_overrides",
            {"1": {"groups": ["a"], "spawner_override": {"extra_host_config": {}}}},
            "extra_host_config is for all servers alike",
        ),
        (
            "Spawner",
            "group_overrides",
            {"1": {"spawner_override": {}}},
            "1 is not a mapping of groups and spawner",
        ),
        (
            "Spawner",
            "group_overrides",
            {"1": {"groups": ["a"], "spawner_override": {"memlimit": 1}}},
            "memlimit: spawners have no such setting",
        ),
        ("SwarmSpawner", "volume_driver", "x", "write it under DockerSpawner or Spawner"),
    ],
)
def test_refused_by_name_with_what_to_use(cls: str, trait: str, value: object, said: str) -> None:
    assert said in _hubs(cls, {trait: value})[trait]
    if "/nowhere" not in said:  # the agent sees other files than the hub
        assert said in str(_agents(cls, trait, value))


def test_what_an_earlier_hubagent_took_keeps_nobody_out(tmp_path: Path) -> None:
    """A file in force from before an upgrade: the hub starts without what it refuses, and says so."""
    hub = RunningHub(tmp_path / "hub")
    hub.settings["traits"] = {
        "Spawner": {"pre_spawn_hook": "print('x')", "mem_guarantee": "1G", "debug": True},
        "NoClass": {"a": 1},
        "JupyterHub": {"allow_named_servers": True, "logo_fiel": "/x"},
    }
    hub.write()
    etc = hub.folder / "etc"
    with pytest.raises(SettingsError, match="pre_spawn_hook"):
        build_config(load_hub(etc / "hub.json"), load_secrets(etc / "secrets.json"), hub.folder / "state")
    try:
        hub.start()
        choose_first_password(hub)
        notices = (hub.folder / "run" / "notice").read_text().splitlines()
    finally:
        hub.stop()
    assert [notice.split(": ")[0] for notice in notices] == [
        "hub.traits.Spawner.pre_spawn_hook",
        "hub.traits.Spawner.mem_guarantee",
        "hub.traits.NoClass",
        "hub.traits.JupyterHub.logo_fiel",
    ]
    assert all(notice.endswith("; it is left out") for notice in notices)


def test_classes_of_the_hub_are_all_known() -> None:
    assert {cls.__name__ for cls in JupyterHub().classes} <= set(known.classes())
