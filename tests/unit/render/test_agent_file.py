"""An edit of what only the agent goes by is a generation of its own."""

from __future__ import annotations

import json

import pytest

from hubagent.render.generation import AGENT_FILE, agent_json
from hubagent.render.hub_files import servers_json
from tests.unit.config.reading import read

PLAIN = "servers: {a: {image: x/y}}"


@pytest.mark.parametrize(
    "edited",
    [
        "servers: {a: {image: x/y, build: {}}}",
        "servers: {a: {image: x/y, build: {apt: [fonts-dejavu]}}}",
        "servers: {a: {image: x/y, warm: {ready: 3}}}",
        "servers: {a: {image: x/y, warm: {kernels: {julia: 1}}}}",
        "servers: {a: {image: x/y, warm: {schedule: [{days: mon-fri, from: '08:45', to: '18:00', ready: 20}]}}}",
    ],
)
def test_it_changes_this_file_and_not_the_hubs(edited: str) -> None:
    before, after = read(PLAIN), read(edited)
    assert agent_json(before.servers) != agent_json(after.servers)
    assert servers_json(before.servers, landing="/lab") == servers_json(after.servers, landing="/lab")
    assert agent_json(read(edited).servers) == agent_json(after.servers)


def test_it_is_in_the_notation_of_the_configuration() -> None:
    """No name of a class, nor Python's way to write a value: another hubagent reads the same in it."""
    servers = read("servers: {a: {image: x/y, warm: {ready: 3, max_age: 5m}}}").servers
    entry = json.loads(agent_json(servers))["servers"]["a"]
    assert entry["build"] is None
    assert entry["warm"] == {
        "ready": 3,
        "max": 40,
        "pluto": True,
        "max_age": "5m",
        "schedule": [],
    }


def test_what_the_hub_reads_is_not_in_it() -> None:
    other = read("servers: {a: {image: x/z, memory: 1G, environment: {SECRET: hush}}}")
    assert agent_json(other.servers) == agent_json(read(PLAIN).servers)
    assert AGENT_FILE.startswith("agent/")
