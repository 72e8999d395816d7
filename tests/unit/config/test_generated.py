"""The shipped schema and reference: up to date, and in agreement with the loader and the files it leads to."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from hubagent.config.kinds.composites import Named, Section
from hubagent.config.kinds.scalars import Key, Kind, keys_of
from hubagent.config.made.reference import reference_text
from hubagent.config.made.schema import json_schema, schema_text
from hubagent.config.model import Config, Start
from hubagent.ladder import Level
from hubagent.render.hub_files import hub_json, servers_json
from tests.unit.config.reading import faults, read

ROOT = Path(__file__).parents[3]
GUIDE = ROOT / "docs/guide.md"
MANUAL = ROOT / "packaging/man/hubagent.8.scd"


def validates(data: object) -> bool:
    return jsonschema.Draft7Validator(json_schema()).is_valid(data)


def test_the_shipped_schema_is_up_to_date() -> None:
    assert (ROOT / "conf/schema.json").read_text() == schema_text(), (
        "run: build/venv/bin/python -m hubagent.config.made.schema > conf/schema.json"
    )


def test_the_shipped_reference_is_up_to_date() -> None:
    assert (ROOT / "docs/reference.md").read_text() == reference_text(), (
        "run: build/venv/bin/python -m hubagent.config.made.reference > docs/reference.md"
    )


@pytest.mark.parametrize(
    ("module", "file"), [("schema", "conf/schema.json"), ("reference", "docs/reference.md")]
)
def test_the_commands_print_the_shipped_files(module: str, file: str) -> None:
    command = [sys.executable, "-m", f"hubagent.config.made.{module}"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=60).stdout
    assert printed == (ROOT / file).read_bytes()


def test_the_schema_is_one() -> None:
    jsonschema.Draft7Validator.check_schema(json.loads(schema_text()))


@pytest.mark.parametrize("file", ["conf/hubagent.yaml", "tests/unit/config/example.yaml"])
def test_the_schema_accepts_the_shipped_files(file: str) -> None:
    assert validates(yaml.safe_load((ROOT / file).read_text()))


@pytest.mark.parametrize(
    "text",
    [
        "servers: {j: }",
        "tls: ",
        "host: ",
        "servers: {j: {environment: , mounts: }}",
        "hub: {stop_idle_after: 0}",
        "servers: {j: {memory: 4294967296, cpus: 1.5, environment: {A: 1}, build: {julia: 1.12}}}",
    ],
)
def test_the_schema_accepts_what_the_loader_accepts(text: str) -> None:
    read(text)
    assert validates(yaml.safe_load(text))


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "hots: x",
        "host: 1",
        "host: A.example.org",
        "tls: {mode: file}",
        "tls: {mode: null}",
        "hub: {admins: eve}",
        "hub: {admins: []}",
        "hub: {admins: [1]}",
        "hub: {ask_email: 'yes'}",
        "hub: {ask_email: 1}",
        "hub: {passwords: {min_length: ten}}",
        "hub: {passwords: {min_length: 3}}",
        "hub: {stop_idle_after: 30}",
        "hub: {stop_idle_after: half an hour}",
        "hub: {traits: [a]}",
        "hub: {traits: {A: 1}}",
        "servers: {}",
        "servers: []",
        "servers: null",
        "servers: {A B: {}}",
        "servers: {j: {memory: 4GB}}",
        "servers: {j: {memory: 4}}",
        "servers: {j: {cpus: '2'}}",
        "servers: {j: {volume: home}}",
        "servers: {j: {mounts: [{from: /srv}]}}",
        "servers: {j: {mounts: [{from: srv, to: /x}]}}",
        "servers: {j: {environment: {A: true}}}",
        "servers: {j: {environment: {A-B: x}}}",
        "servers: {j: {networks: [nas.example.org]}}",
        "servers: {j: {networks: 10.1.2.0/24}}",
        "servers: {j: {build: null}}",
        "servers: {j: {warm: {schedule: [{days: someday, from: '08:00', to: '09:00', ready: 1}]}}}",
        "servers: {j: {warm: {kernels: {julia: many}}}}",
        "nginx: {max_body: 0}",
        "metrics: {listen: 9811}",
        "metrics: {users: {a: secret}}",
        "metrics: {tls: {certificate: /c}}",
        "apply: {window: early}",
        "apply: {drift: true}",
    ],
)
def test_schema_and_loader_refuse_the_same_types(text: str) -> None:
    assert faults(text)
    assert not validates(yaml.safe_load(text))


def _all_keys(kind: Kind, path: str = "") -> dict[str, Key]:
    found: dict[str, Key] = {}
    if isinstance(kind, Named):
        return _all_keys(kind.section, f"{path}NAME.")
    if isinstance(kind, Section):
        for name, known in keys_of(kind.cls).items():
            found[path + name] = known
            found |= _all_keys(known.kind, f"{path}{name}.")
    return found


def test_every_key_has_a_sentence() -> None:
    for path, known in _all_keys(Section(Config)).items():
        assert known.setting.doc.endswith("."), path


@pytest.mark.parametrize("level", Level)
def test_every_text_says_the_same_of_a_level(level: Level) -> None:
    """The reference is made from the ladder; the guide and the manual page are written by hand."""
    guide = re.search(rf"^\| {level.value} \| ([^|]*) \| ([^|]*) \|$", GUIDE.read_text(), re.MULTILINE)
    manual = re.search(rf"^\|  {level.value}\n:  (.*)\n:  (.*)$", MANUAL.read_text(), re.MULTILINE)
    assert guide is not None
    assert manual is not None
    for name, notice in (guide.groups(), manual.groups()):
        assert name.startswith(level.title)
        assert notice == level.notice


def _hub_files(config: Config) -> tuple[bytes, bytes]:
    hub = hub_json(
        config.hub,
        gateway="172.18.0.1",
        servers_file=Path("/s"),
        one_time_dir=Path("/o"),
        secrets_digest="0",
    )
    at_login = config.hub.start is Start.AT_LOGIN
    return hub, servers_json(config.servers, landing=config.hub.landing, start_at_login=at_login)


EDITS: dict[str, Any] = {
    "host": "hub.example.org",
    "tls": {"mode": "files", "certificate": "/c", "key": "/k"},
    "hub.admins": ["other"],
    "hub.authenticator": "pam",
    "hub.signup": "open",
    "hub.ask_email": False,
    "hub.passwords": {"min_length": 11},
    "hub.start": "at_login",
    "hub.landing": "/tree",
    "hub.stop_idle_after": "31m",
    "hub.keep_busy": "9h",
    "hub.database": "postgresql://u@h/d",
    "hub.traits": {"A": {"b": 1}},
    "servers": {"other": {"memory": "1G"}},
    "nginx.max_body": "1G",
    "nginx.websocket_drain": "1h",
    "metrics": {"listen": "127.0.0.1:9000"},
    "apply": {"drift": "warn"},
}


@pytest.mark.parametrize("path", EDITS)
def test_the_reference_tells_the_truth_about_hub_restarts(path: str) -> None:
    """hub.json is read when the hub starts, servers.json at the next start of a server."""
    keys = _all_keys(Section(Config))
    section, _, name = path.partition(".")
    said = keys[path].setting.interrupts
    level = keys[section].setting.interrupts if said is None else said
    edited = read(json.dumps({section: {name: EDITS[path]} if name else EDITS[path]}))
    hub_before, servers_before = _hub_files(Config())
    hub_after, servers_after = _hub_files(edited)
    assert (level is Level.HUB_RESTART) == (hub_before != hub_after)
    assert (level is Level.NEXT_SPAWN) == (servers_before != servers_after)
