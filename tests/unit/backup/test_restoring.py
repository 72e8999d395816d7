"""From one machine to another: what a restore brings, refuses, moves aside, and lives through."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hubagent.adapters.files.lock import InstanceLock
from hubagent.backup import archive
from hubagent.backup.entries import Entry, Kind
from hubagent.backup.manifest import Database, Manifest
from hubagent.errors import (
    BackupError,
    BusyError,
    ConfigError,
    ContainerError,
    HubagentError,
    StorageError,
    UnitError,
    UsageError,
)
from hubagent.layout import AGENT, HUB
from hubagent.ports import ActiveState, UnitVerb
from tests.unit.backup.world import SHIPPED, Machine
from tests.unit.pool.mortal import Killed, Life

CONFIG = """\
tls: {mode: files, certificate: /etc/ssl/hub.pem, key: /etc/ssl/hub.key}
hub:
  traits: {GitHubOAuthenticator: {client_secret_file: /etc/github-secret}}
servers: {julia: {image: hubagent/julia, volume: "home-{username}"}}
"""
HOMES = {"home-ada": {"a.ipynb": "{}", "deep/er/b": "b"}, "home-bob": {}, "home-eve": {"mine": "eve"}}


@pytest.fixture(autouse=True)
def no_power_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here has to outlive one, and waiting for the disk is most of the time."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def old(tmp_path: Path) -> Machine:
    """A hub that is in use; eve's volume is from before hubagent, and nobody can label it."""
    machine = Machine(tmp_path / "old")
    machine.put("etc/hubagent.yaml", CONFIG)
    machine.put("etc/ssl/hub.pem", "certificate")
    machine.put("etc/ssl/hub.key", "key")
    machine.put("etc/github-secret", "secret")
    machine.put("etc/default/hubagent", "HTTPS_PROXY=x")
    machine.put("var/lib/hubagent/tls/letsencrypt.crt", "from an authority")
    machine.put("var/lib/hubagent/letsencrypt.json", "when the last try was")
    account = "var/lib/hubagent/certbot/accounts/acme.example.org/directory/1f/private_key.json"
    machine.put(account, "key of the account")
    machine.put("var/lib/jupyterhub/one-time/bob", "one-time password")
    machine.database({"ada": "2026-01-01", "bob": None, "eve": "2026-01-01"})
    for name, files in HOMES.items():
        machine.home(name, None if name == "home-eve" else name.removeprefix("home-"), files)
    machine.home("somebody-elses", None, {"data": "x"})
    return machine


@pytest.fixture
def new(tmp_path: Path) -> Machine:
    """As the package leaves it: an admin who has not come yet."""
    return Machine(tmp_path / "new")


@pytest.fixture
def used(tmp_path: Path) -> Machine:
    """Another hub in use, with homes of the same name and of another."""
    machine = Machine(tmp_path / "used")
    machine.database({"zoe": "2026-01-01", "ada": "2026-01-01"})
    machine.home("home-ada", "ada", {"other": "ada's other"})
    machine.home("home-zoe", "zoe", {"thesis": "zoe's"})
    machine.put("etc/ssl/hub.key", "another key")
    machine.container("jupyter-zoe")
    return machine


def _is_like_old(machine: Machine) -> None:
    assert machine.text("etc/hubagent.yaml") == CONFIG
    assert machine.text("etc/ssl/hub.pem") == "certificate"
    assert machine.text("etc/ssl/hub.key") == "key"
    assert machine.text("etc/github-secret") == "secret"
    assert machine.text("etc/default/hubagent") == "HTTPS_PROXY=x"
    assert machine.text("var/lib/hubagent/tls/self-signed.key") == "key of old"
    assert machine.text("var/lib/hubagent/tls/letsencrypt.crt") == "from an authority"
    account = "var/lib/hubagent/certbot/accounts/acme.example.org/directory/1f/private_key.json"
    assert machine.text(account) == "key of the account"
    assert (machine.layout.root / account).stat().st_mode & 0o777 == 0o600
    assert not (machine.layout.root / "var/lib/hubagent/letsencrypt.json").exists()
    assert machine.text("var/lib/hubagent/secrets/proxy-token") == f"token of {machine.layout.root.name}"
    assert machine.text("var/lib/jupyterhub/cookie_secret") == "cookie of old"
    assert machine.text("var/lib/jupyterhub/one-time/bob") == "one-time password"
    assert machine.users() == ["ada", "admin", "bob", "eve"]
    assert machine.homes() == HOMES
    assert machine.containers.volumes["home-eve"] == {"hubagent.user": "eve"}
    assert machine.units.unit(AGENT).active is ActiveState.ACTIVE
    left = {str(path.relative_to(machine.layout.root)) for path in machine.layout.root.rglob("*")}
    assert not [path for path in left if "restor" in path], "nothing waits any more"


def _snapshot(machine: Machine) -> dict[str, tuple[int, bytes]]:
    return {
        str(path): (path.stat().st_mode, path.read_bytes() if path.is_file() else b"")
        for path in machine.layout.root.rglob("*")
    }


def test_an_empty_machine_becomes_the_old_one(old: Machine, new: Machine) -> None:
    restored = new.restore(old.backup())
    _is_like_old(new)
    assert restored.manifest == old.manifest
    assert (old.manifest.host, old.manifest.volumes) == ("old", ("home-ada", "home-bob", "home-eve"))
    assert new.units.verbs() == [("stop", AGENT), ("stop", HUB), ("start", AGENT)]
    assert "somebody-elses" not in new.containers.volumes
    assert new.text(f"var/lib/jupyterhub/{_only(new, 'replaced-*')}/cookie_secret") == "cookie of new"
    owners = {path.stat().st_uid for path in new.layout.hub_state.iterdir() if "replaced" not in path.name}
    assert owners == {1}, "the hub's user"


def test_a_backup_changes_nothing(old: Machine) -> None:
    before = _snapshot(old)
    old.backup()
    after = _snapshot(old)
    assert after == before
    assert old.units.verbs() == []


def test_a_restored_machine_gives_the_same_backup(old: Machine, new: Machine) -> None:
    first = old.backup()
    new.restore(first)
    new.clock.advance(5.0)
    new.backup()
    hashes = [{part.name: part.sha256 for part in one.manifest.parts} for one in (old, new)]
    homes = [{name: one for name, one in found.items() if name.startswith("volumes/")} for found in hashes]
    assert homes[0] == homes[1]


def test_homes_can_be_left_out_and_then_stay_as_they_are(old: Machine, new: Machine) -> None:
    new.home("home-ada", "ada", {"here": "already"})
    new.restore(old.backup(homes=False))
    assert new.homes() == {"home-ada": {"here": "already"}}
    assert new.users() == ["ada", "admin", "bob", "eve"]


def test_a_machine_in_use_is_left_alone(old: Machine, used: Machine) -> None:
    before = _snapshot(used)
    with pytest.raises(UsageError) as refused:
        used.restore(old.backup())
    assert "people in the hub's database: 2 (ada, zoe)" in str(refused.value)
    assert "homes with files: 2 (home-ada, home-zoe)" in str(refused.value)
    assert "files of the configuration: 1 (" in str(refused.value)
    assert _snapshot(used) == before
    assert used.units.verbs() == []


def test_what_is_replaced_is_moved_aside(old: Machine, used: Machine) -> None:
    restored = used.restore(old.backup(), replace=True)
    _is_like_old(used)
    _nothing_is_lost(used)
    assert used.containers.containers == {}, "servers of another hub's users"
    assert len([moved for moved in restored.moved_aside if "home" in moved]) == 2
    assert used.text(_only(used, "../../../etc/ssl/hub.key.replaced-*")) == "another key"


def _nothing_is_lost(machine: Machine) -> None:
    aside = [
        files
        for name, labels in machine.containers.volumes.items()
        if "hubagent.replaced" in labels and (files := machine.files(name))
    ]
    assert {"other": "ada's other"} in aside
    assert {"thesis": "zoe's"} in aside
    assert ["ada", "admin", "zoe"] in machine.old_users()


def _only(machine: Machine, pattern: str) -> str:
    [found] = machine.layout.hub_state.glob(pattern)
    return str(found.relative_to(machine.layout.hub_state)) if ".." not in pattern else str(found)


def test_a_restore_that_is_killed_anywhere_works_when_it_is_run_again(tmp_path: Path, old: Machine) -> None:
    backup = old.backup()
    whole = Machine(tmp_path / "whole")
    whole.restore(backup)
    assert whole.life.taken > 30
    for step in range(whole.life.taken):
        machine = Machine(tmp_path / f"killed-{step}")
        machine.life = Life(step)
        with pytest.raises(Killed):
            machine.restore(backup)
        machine.life = Life()
        machine.restore(backup)
        _is_like_old(machine)


def test_nothing_is_lost_wherever_a_restore_is_killed(tmp_path: Path, old: Machine) -> None:
    backup, step, ended = old.backup(), 0, False
    while not ended:
        machine = Machine(tmp_path / f"killed-{step}")
        machine.database({"zoe": "2026-01-01", "ada": "2026-01-01"})
        machine.home("home-ada", "ada", {"other": "ada's other"})
        machine.home("home-zoe", "zoe", {"thesis": "zoe's"})
        machine.container("jupyter-zoe")
        machine.life = Life(step)
        try:
            machine.restore(backup, replace=True)
            ended = True
        except Killed:
            machine.life = Life()
            machine.restore(backup, replace=True)
        _is_like_old(machine)
        _nothing_is_lost(machine)
        step += 1
    assert step > 35


def test_a_hub_that_ran_after_an_interrupted_restore_is_somebodys(tmp_path: Path, old: Machine) -> None:
    """As after a power cut: agent and hub have started by themselves."""
    backup, step = old.backup(), 0
    interrupted = []
    while not interrupted:
        machine = Machine(tmp_path / f"killed-{step}")
        machine.life, step = Life(step), step + 1
        with pytest.raises(Killed):
            machine.restore(backup)
        interrupted = [name for name, files in machine.homes().items() if files]
    machine.life = Life()
    machine.units.change(HUB, active=ActiveState.ACTIVE)
    machine.put("docker/home-ada/_data/since", "work since then")
    with pytest.raises(UsageError, match=r"homes with files: 1 \(home-ada\)"):
        machine.restore(backup)
    machine.restore(backup, replace=True)
    _is_like_old(machine)
    [aside] = [name for name in machine.containers.volumes if name.startswith("home-ada.replaced")]
    assert machine.files(aside)["since"] == "work since then"


def test_the_journal_of_another_backup_gives_no_leave(tmp_path: Path, old: Machine, used: Machine) -> None:
    used.put("var/lib/hubagent/restore.json", '{"backup": "0123", "done": ["hub"]}')
    with pytest.raises(UsageError):
        used.restore(old.backup())


def test_without_room_nothing_is_changed(old: Machine, used: Machine) -> None:
    before = _snapshot(used)

    @contextmanager
    def full(root: Path, *, owner: str | None = None) -> Iterator[object]:
        raise StorageError(f"{root}: No space left on device")
        yield

    used.trees.write = full  # type: ignore[method-assign]
    with pytest.raises(StorageError):
        used.restore(old.backup(), replace=True)
    assert _snapshot(used) == before
    assert used.units.verbs() == []


def test_what_fails_half_way_says_what_to_do(old: Machine, new: Machine) -> None:
    backup = old.backup()
    new.units.on(HUB, lambda verb: new.containers.fail("create_volume", "Docker has no room"))
    with pytest.raises(HubagentError, match=r"Docker has no room[.] .* run the same restore again"):
        new.restore(backup)
    assert new.units.verbs() == [("stop", AGENT), ("stop", HUB)]
    new.restore(backup)
    _is_like_old(new)


def test_a_damaged_backup_changes_nothing(old: Machine, new: Machine) -> None:
    backup, before = old.backup().getvalue(), _snapshot(new)
    for part in (backup[:-10], backup[: len(backup) // 2], backup[:1000] + b"xx" + backup[1002:], b""):
        with pytest.raises(BackupError):
            new.restore(io.BytesIO(part))
        with pytest.raises(BackupError):
            new.check(io.BytesIO(part))
    assert _snapshot(new) == before
    assert new.units.verbs() == []


def test_without_docker_nothing_is_changed(old: Machine, new: Machine) -> None:
    before = _snapshot(new)
    new.containers.stop_engine()
    for homes in (True, False):
        with pytest.raises(ContainerError):
            new.restore(old.backup(homes=homes))
    assert _snapshot(new) == before
    assert new.units.verbs() == []


def test_an_agent_that_does_not_stop_goes_on(old: Machine, new: Machine) -> None:
    new.units.hang(UnitVerb.STOP, HUB)
    with pytest.raises(UnitError):
        new.restore(old.backup())
    assert new.units.verbs() == [("stop", AGENT), ("stop", HUB), ("start", AGENT)]
    assert new.users() == ["admin"]
    new.restore(old.backup())
    _is_like_old(new)


def test_the_agent_goes_on_when_another_hubagent_is_at_work(old: Machine, new: Machine) -> None:
    path = new.layout.run / "lock"
    with InstanceLock(path), pytest.raises(BusyError):
        new.restoring(lock=InstanceLock(path)).restore(old.backup(), replace=False)
    assert new.units.verbs() == [("stop", AGENT), ("start", AGENT)]
    assert new.users() == ["admin"]


def test_a_masked_agent_is_not_started(old: Machine, new: Machine) -> None:
    new.units.mask(AGENT)
    new.restore(old.backup())
    assert ("start", AGENT) not in new.units.verbs()


def test_a_volume_elsewhere_is_said_to_be_left_out_and_not_replaced(old: Machine, used: Machine) -> None:
    backup = old.backup()
    old.containers.elsewhere.add("home-ada")
    old.backup()
    assert old.manifest.volumes == ("home-bob", "home-eve")
    assert [line for line in old.manifest.left_out if "home-ada of ada is stored elsewhere" in line]
    used.containers.elsewhere.add("home-ada")
    with pytest.raises(BackupError, match="home-ada is stored elsewhere"):
        used.restore(backup, replace=True)
    assert used.units.verbs() == []


def test_with_postgresql_the_database_is_said_to_be_left_out(old: Machine, new: Machine) -> None:
    old.put("etc/hubagent.yaml", "hub: {database: postgresql://hub@db.example.org/hub}\n")
    new.restore(old.backup())
    assert [line for line in new.restoring().check(old.backup()).left_out if "pg_dump" in line]
    assert not (new.layout.hub_state / "jupyterhub.sqlite").exists()
    assert "home-eve" not in old.manifest.volumes, "whose it is only the database says"


def test_of_a_file_with_mistakes_the_one_in_force_is_kept(old: Machine, new: Machine) -> None:
    old.put("var/lib/hubagent/generations/3/hubagent.yaml", CONFIG)
    os.symlink("generations/3", old.layout.current)
    old.put("etc/hubagent.yaml", "hub: {signup: maybe}\n")
    new.restore(old.backup())
    _is_like_old(new)
    assert [line for line in old.manifest.left_out if "has errors" in line]


def test_a_file_that_the_configuration_names_may_be_missing(old: Machine, new: Machine) -> None:
    (old.layout.root / "etc/github-secret").unlink()
    backup = old.backup()
    assert [line for line in old.manifest.left_out if "github-secret does not exist" in line]
    new.restore(backup)
    assert not (new.layout.root / "etc/github-secret").exists()


def test_a_backup_without_any_configuration_is_none(old: Machine) -> None:
    (old.layout.root / "etc/hubagent.yaml").unlink()
    with pytest.raises(ConfigError, match="does not exist"):
        old.backup()


def _made_up(config: str, **files: str) -> io.BytesIO:
    """A backup that is right in itself, whoever made it."""
    sink = io.BytesIO()
    writer = archive.Writer(sink)
    with writer.part("files") as part:
        for path, text in {"etc/hubagent.yaml": config, **files}.items():
            entry = Entry(tuple(path.split("/")), Kind.FILE, size=len(text))
            part.add(entry, io.BytesIO(text.encode()))
    writer.finish(Manifest("1.0", 1.0, "old", Database.SQLITE, True, writer.parts, {}, ()))
    return sink


def test_nobody_elses_files_are_restored(new: Machine) -> None:
    before = _snapshot(new)
    with pytest.raises(BackupError, match="etc/passwd, which its configuration does not name"):
        new.restore(_made_up(SHIPPED, **{"etc/passwd": "root::0:0::/:/bin/sh"}))
    assert _snapshot(new) == before


def test_a_configuration_of_another_time_is_refused_with_what_to_do(new: Machine) -> None:
    before = _snapshot(new)
    with pytest.raises(ConfigError, match="not one for this version") as refused:
        new.restore(_made_up("hug: {}\n"))
    assert "hug" in str(refused.value)
    assert _snapshot(new) == before
