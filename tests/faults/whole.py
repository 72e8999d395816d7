"""Is the machine of one generation, or a mix of two?"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from hubagent.converge.observe import UNITS
from hubagent.ports import ActiveState
from hubagent.state.model import Component
from hubagent.state.status import Result
from tests.unit.converge.world import World

CHANGING = ("start", "stop", "restart", "reload")

_LOADED = {
    Component.HUB: ("jupyterhub", "hub/hub.json"),
    Component.PROXY: ("configurable-http-proxy", "proxy/proxy.env"),
    Component.FIREWALL: ("hubagent-firewall", "firewall/hubagent.nft"),
}


def in_force(world: World) -> int | None:
    """The number of the generation that `current` points at, which must be as it was written, every byte."""
    target = world.files.read_link(world.layout.current)
    if target is None:
        return None
    written = json.loads(world.current("manifest.json"))
    assert written["files"]
    for file in written["files"]:
        assert hashlib.sha256(world.current(file["path"])).hexdigest() == file["sha256"], file["path"]
        assert world.files.mode(world.layout.current / file["path"]) == file["mode"], file["path"]
    assert hashlib.sha256(world.current("hubagent.yaml")).hexdigest() == written["source_sha256"]
    return int(Path(target).name)


def assert_runs_what_is_in_force(world: World) -> None:
    """Every service is up and has loaded exactly what `current` points at."""
    assert in_force(world) is not None
    assert world.served == world.current("nginx/hubagent.conf").decode()
    for component, (folder, path) in _LOADED.items():
        state = world.files.read(Path(f"/run/{folder}/loaded"), max_bytes=2**16)
        assert state is not None, component
        loaded = state.content.decode().splitlines()[0]
        assert loaded == hashlib.sha256(world.current(path)).hexdigest(), component
    assert world.routes == {"/": {"hub": True}}
    secrets = json.loads(world.current("hub/secrets.json"))
    assert (
        world.current("proxy/token").decode()
        == world.proxy_token
        == world.hub_token
        == secrets["proxy_token"]
    )
    assert world.agent_token == secrets["agent_token"]
    assert world.served_metrics is not None
    assert world.served_metrics.listen.port == json.loads(world.current("manifest.json"))["metrics"]["port"]
    for component, name in UNITS.items():
        assert world.units.unit(name).active is ActiveState.ACTIVE, component


def assert_at_rest(world: World, *results: Result) -> None:
    """Another check finds nothing to do, and does nothing."""
    before = len(world.units.journal)
    outcome = world.reconcile()
    assert outcome.result in (results or (Result.NOOP,)), outcome
    assert world.taken == []
    assert [call for call in world.units.journal[before:] if call[0] in CHANGING] == []
