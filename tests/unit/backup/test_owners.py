"""Whose a home is moves with it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hubagent.adapters.files.store import LocalFileStore
from hubagent.layout import LABEL_ACCOUNT, LABEL_USER
from hubagent.pool.owners import How, Owner, Owners
from tests.unit.backup.world import Machine

PATTERN = "jupyterhub-user-{username}"
CONFIG = "servers: {julia: {image: hubagent/julia}}\n"
ADA, EVE = "a" * 32, "e" * 32


@pytest.fixture(autouse=True)
def no_power_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here has to outlive one, and waiting for the disk is most of the time."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def owners(machine: Machine) -> Owners:
    return Owners(LocalFileStore(), machine.layout.home_owners)


def home(machine: Machine, volume: str, account: str, user: str, how: How = How.MADE, **more: str) -> Owner:
    label = account if how is How.MADE else ""
    machine.home(volume, user, {"note": f"{user}'s"})
    if label:
        machine.containers.volumes[volume][LABEL_ACCOUNT] = label
    owner = Owner(volume, PATTERN, account, user, 7.0, how, label=label, **more)
    owners(machine).write(owner)
    return owner


@pytest.fixture
def old(tmp_path: Path) -> Machine:
    machine = Machine(tmp_path / "old")
    machine.put("etc/hubagent.yaml", CONFIG)
    machine.database({"grace": "2026-01-01", "eve": "2026-01-01"})
    return machine


def test_homes_are_their_accounts_on_the_new_machine(old: Machine, tmp_path: Path) -> None:
    """Renamed, adopted, and asked for by somebody else as they were."""
    made = home(old, "jupyterhub-user-ada", ADA, "grace", wanted_by="b" * 32, wanted_user="ada")
    adopted = home(old, "jupyterhub-user-eve", EVE, "eve", How.ADOPTED)
    new = Machine(tmp_path / "new")
    new.restore(old.backup())
    assert owners(new).all() == (made, adopted)
    assert new.containers.volumes == {
        # The label of the user is no more than the user's name at the time of the backup.
        made.volume: {LABEL_USER: "grace", LABEL_ACCOUNT: ADA},
        adopted.volume: {LABEL_USER: "eve"},
    }
    assert new.layout.home_owners.stat().st_mode & 0o777 == 0o700


def test_what_was_known_of_other_homes_goes_with_them(old: Machine, tmp_path: Path) -> None:
    home(old, "jupyterhub-user-ada", ADA, "ada")
    used = Machine(tmp_path / "used")
    used.database({"ada": "2026-01-01"})
    home(used, "jupyterhub-user-ada", "9" * 32, "ada")
    home(used, "jupyterhub-user-zoe", "8" * 32, "zoe")
    used.restore(old.backup(), replace=True)
    assert [owner.account for owner in owners(used).all()] == [ADA]


def test_homes_that_stay_keep_their_owners(old: Machine) -> None:
    """A backup without homes: accounts that were made since are gone, and so is who might have their homes."""
    home(old, "jupyterhub-user-ada", ADA, "ada")
    backup = old.backup(homes=False)
    later = home(old, "jupyterhub-user-zoe", "8" * 32, "zoe")
    renamed = home(old, "jupyterhub-user-ada", ADA, "grace")
    old.restore(backup, replace=True)
    assert owners(old).all() == (renamed, later)


def test_a_backup_from_before_leaves_it_to_adoption(old: Machine, tmp_path: Path) -> None:
    old.home("jupyterhub-user-eve", "eve", {"note": "eve's"})
    new = Machine(tmp_path / "new")
    owners(new).write(Owner("jupyterhub-user-eve", PATTERN, "9" * 32, "eve", 7.0, How.MADE, label="9" * 32))
    new.restore(old.backup())
    assert owners(new).all() == ()
    assert new.containers.volumes == {"jupyterhub-user-eve": {LABEL_USER: "eve"}}


def test_a_damaged_file_is_no_reason_to_lose_a_home(old: Machine, tmp_path: Path) -> None:
    home(old, "jupyterhub-user-ada", ADA, "ada")
    for file in old.layout.home_owners.iterdir():
        file.write_bytes(b"{")
    new = Machine(tmp_path / "new")
    new.restore(old.backup())
    assert new.homes() == {"jupyterhub-user-ada": {"note": "ada's"}}
    assert owners(new).all() == ()
