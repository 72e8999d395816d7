"""Files that hubagent wrote, and that a disk, another version or a person changed: rebuilt, never a crash."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hubagent.converge.requests import Requests
from hubagent.errors import StorageError, TemporaryError
from hubagent.layout import HUB
from hubagent.render import manifest
from hubagent.state.status import Result
from hubagent.state.status_json import last_status
from tests.fakes import Survivors
from tests.faults.test_crashes import EDIT
from tests.faults.whole import CHANGING, assert_at_rest, assert_runs_what_is_in_force, in_force
from tests.unit.converge.world import CONFIG, World
from tests.unit.converge.worlds import wished

STATE = Path("/var/lib/hubagent")
CURRENT = "generations/2"

NONSENSE = {
    "empty": b"",
    "zeros": bytes(200),
    "no text": b"\xff\xfe\x80",
    "cut off": b'{"version": 1, "origin": ',
    "a list": b"[1, 2]",
    "null": b"null",
    "deep": b"[" * 100_000,
    "other types": b'{"version": [], "origin": "1", "target": {}, "source_sha256": 3, "attempt": "x", "files": 3,'
    b' "markers": [], "digest": null, "at_s": "never", "reason": [], "host": 1, "port": []}',
    "from the future": b'{"version": 99, "origin": 1, "target": 2, "format": 99}',
}
KEPT = (
    "switch.json",
    "quarantine.json",
    f"{CURRENT}/manifest.json",
    f"{CURRENT}/hubagent.yaml",
    f"{CURRENT}/nginx/hubagent.conf",
    f"{CURRENT}/hub/secrets.json",
    f"{CURRENT}/proxy/token",
    "generations/1/manifest.json",
    "secrets/proxy-token",
    "secrets/agent-token",
)


@pytest.fixture
def world() -> World:
    world = World()
    assert world.reconcile().result is Result.OK
    world.edit(EDIT)
    assert world.reconcile().result is Result.OK
    assert in_force(world) == 2
    return world


def _restarts(world: World, since: int) -> list[tuple[str, str]]:
    return [call for call in world.units.journal[since:] if call[0] in CHANGING and "test@" not in call[1]]


@pytest.mark.parametrize("content", NONSENSE.values(), ids=NONSENSE.keys())
@pytest.mark.parametrize("name", KEPT)
def test_a_damaged_file_of_ours_is_rebuilt_and_interrupts_nobody(
    world: World, name: str, content: bytes
) -> None:
    world.files.write(STATE / name, content, mode=0o600)
    before = len(world.units.journal)
    world.reboot_agent()
    assert world.reconcile().result in (Result.OK, Result.NOOP)
    assert_runs_what_is_in_force(world)
    assert world.current("hubagent.yaml") == EDIT.encode()
    assert_at_rest(world)
    assert _restarts(world, before) == []


@pytest.mark.parametrize("name", [name for name in KEPT if not name.startswith("generations/1")])
def test_a_file_of_ours_that_is_gone_is_made_anew(world: World, name: str) -> None:
    world.files.remove(STATE / name)
    before = len(world.units.journal)
    world.reboot_agent()
    assert world.reconcile().result in (Result.OK, Result.NOOP)
    assert_runs_what_is_in_force(world)
    assert_at_rest(world)
    assert _restarts(world, before) == []


@pytest.mark.parametrize("bit", [0, 3, 7])
@pytest.mark.parametrize("name", ["switch.json", f"{CURRENT}/manifest.json", f"{CURRENT}/hub/hub.json"])
def test_a_bit_that_flipped_is_found(world: World, name: str, bit: int) -> None:
    """Wherever: the bytes are spread over the file."""
    if name == "switch.json":
        switch = {"origin": 1, "target": 2, "source_sha256": "0" * 64, "attempt": 1}
        world.files.write(STATE / name, json.dumps(switch).encode(), mode=0o600)
    state = world.files.read(STATE / name, max_bytes=2**20)
    assert state is not None
    for at in range(0, len(state.content), max(1, len(state.content) // 10)):
        flipped = bytearray(state.content)
        flipped[at] ^= 1 << bit
        world.files.write(STATE / name, bytes(flipped), mode=state.mode)
        world.reboot_agent()
        assert world.reconcile().result in (Result.OK, Result.NOOP)
        assert_runs_what_is_in_force(world)
        assert_at_rest(world)


def test_a_manifest_knows_when_it_was_changed() -> None:
    written = manifest.dump(wished())
    value = json.loads(written)
    assert manifest.expected(written)[0] == wished().digest
    with pytest.raises(StorageError, match="damaged"):
        manifest.expected(json.dumps({**value, "gateway": "10.0.0.1"}).encode())
    del value["sha256"]  # as the first versions wrote it
    assert manifest.expected(json.dumps(value).encode())[0] == wished().digest


def test_a_generation_of_a_later_version_is_refused_in_words(world: World) -> None:
    """After a downgrade: it is neither used nor a place to go back to."""
    path = STATE / "generations/1/manifest.json"
    world.files.write(path, json.dumps({"version": 2, "digest": "0", "files": []}).encode(), mode=0o600)
    world.reboot_agent()
    outcome = world.reconcile(rollback_to=1)
    assert outcome.result is Result.FAILED
    assert "version: is 2, this hubagent reads 1" in str(outcome.failure)
    assert in_force(world) == 2


def test_a_journal_of_generations_that_are_gone_changes_nothing(world: World) -> None:
    switch = {"origin": 7, "target": 8, "source_sha256": "0" * 64, "attempt": 1}
    world.files.write(STATE / "switch.json", json.dumps(switch).encode(), mode=0o600)
    world.reboot_agent()
    assert world.reconcile().result in (Result.OK, Result.NOOP)
    assert_at_rest(world)
    assert in_force(world) == 2


def test_an_interrupted_switch_whose_target_was_removed_is_closed(world: World) -> None:
    switch = {"origin": 2, "target": 8, "source_sha256": "0" * 64, "attempt": 1}
    world.files.write(STATE / "switch.json", json.dumps(switch).encode(), mode=0o600)
    world.reboot_agent()
    assert world.reconcile().result in (Result.OK, Result.NOOP)
    assert world.generations.interrupted() is None
    assert in_force(world) == 2


@pytest.mark.parametrize("file", ["hots: x\n", ""])
def test_with_a_bad_file_too_the_services_go_on(world: World, file: str) -> None:
    """The generation in force is damaged and today's file is wrong: nothing to do but to say both."""
    world.files.write(STATE / CURRENT / "manifest.json", b"{", mode=0o600)
    world.edit(file)
    before = len(world.units.journal)
    world.reboot_agent()
    outcome = world.reconcile()
    assert outcome.result is Result.REJECTED
    assert "damaged" in str(outcome.problems)
    assert outcome.prepared is not None
    assert str(world.layout.config) in str(outcome.prepared.intent.errors)
    assert _restarts(world, before) == []
    world.edit(CONFIG)
    assert world.reconcile().result is Result.OK
    assert_runs_what_is_in_force(world)


def test_whole_folders_that_are_gone_are_made_anew(world: World) -> None:
    """Somebody removed all generations under the running services."""
    world.files.remove(STATE / "generations")
    world.reboot_agent()
    for _ in range(2):
        world.reconcile()
    assert_runs_what_is_in_force(world)
    assert_at_rest(world)


@pytest.mark.parametrize("content", NONSENSE.values(), ids=NONSENSE.keys())
def test_orders_that_nobody_understands_are_dropped(world: World, content: bytes) -> None:
    folder = Path("/run/hubagent/requests")
    requests = Requests(world.files, world.layout)
    assert requests.waiting() == ()
    world.files.write(folder / "1.order.json", content, mode=0o600)
    assert requests.waiting() == ()
    assert world.files.list_dir(folder) == ()


@pytest.mark.parametrize("name", ["zeros", "no text", "cut off", "a list", "null", "deep"])
def test_a_docker_configuration_that_is_no_object_is_left_to_its_owner(world: World, name: str) -> None:
    world.files.write(world.layout.docker_config, NONSENSE[name], mode=0o644)
    assert world.reconcile().result is Result.NOOP
    state = world.files.read(world.layout.docker_config, max_bytes=2**20)
    assert state is not None
    assert state.content == NONSENSE[name]


@pytest.mark.parametrize("content", NONSENSE.values(), ids=NONSENSE.keys())
def test_a_status_that_cannot_be_read_is_said_so(world: World, content: bytes) -> None:
    """By `hubagent status`, in one line."""
    world.files.write(world.layout.run / "status.json", content, mode=0o600)
    with pytest.raises(TemporaryError, match=r"status\.json"):
        last_status(world.files, world.layout)


def test_a_password_file_that_is_no_text_is_named(world: World) -> None:
    path = "/etc/hubagent/password"
    world.files.put(path, b"gr\xfc\xdfe", mode=0o600)
    world.edit(
        CONFIG + f"hub: {{database: 'postgresql://hub@localhost/hub', database_password_file: {path}}}\n"
    )
    outcome = world.reconcile()
    assert outcome.result is Result.REJECTED
    assert f"hub.database_password_file: {path} is not text" in str(outcome.problems)
    assert world.units.verbs(HUB)[-1][0] != "stop"


def test_a_damaged_generation_is_never_gone_back_to(world: World) -> None:
    """What replaces it stays in force although it does not work yet: it is the better of the two."""
    world.files.write(STATE / CURRENT / "hub/hub.json", b"{}", mode=0o640)
    world.lose_power(Survivors.NOTHING)
    world.nginx_loads = False
    world.reboot_agent()
    assert world.reconcile().result is Result.FAILED
    assert in_force(world) == 3
    world.files.remove(world.layout.config)
    world.reconcile()
    assert in_force(world) == 3
    world.nginx_loads = True
    world.edit(EDIT)
    assert world.reconcile().result is Result.OK
    assert_runs_what_is_in_force(world)
