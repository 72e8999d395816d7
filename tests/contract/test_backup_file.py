"""The file of a backup on a real file system: whole under its name, or not there."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from hubagent.adapters.files.backup_file import Watched, new_file, old_file
from hubagent.errors import StorageError, UsageError


def test_it_gets_its_name_when_it_is_whole_and_is_roots_alone(tmp_path: Path) -> None:
    path, told = tmp_path / "hub.tar.gz", []
    with new_file(path, overwrite=False, told=told.append) as file:
        file.write(b"half")
        assert not path.exists()
        file.write(b" whole")
    assert path.read_bytes() == b"half whole"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert told == [4, 10]
    assert os.listdir(tmp_path) == ["hub.tar.gz"]


def test_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    path = tmp_path / "hub.tar.gz"
    path.write_bytes(b"older")
    with pytest.raises(UsageError, match="--overwrite"), new_file(path, overwrite=False):
        pass
    with new_file(path, overwrite=True) as file:
        file.write(b"newer")
    assert path.read_bytes() == b"newer"


def test_what_came_meanwhile_is_not_overwritten_either(tmp_path: Path) -> None:
    path = tmp_path / "hub.tar.gz"
    with pytest.raises(UsageError, match="is there already"), new_file(path, overwrite=False):
        path.write_bytes(b"theirs")
    assert path.read_bytes() == b"theirs"
    assert os.listdir(tmp_path) == ["hub.tar.gz"]


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "hub.tar.gz"
    path.write_bytes(b"older")
    with pytest.raises(KeyboardInterrupt), new_file(path, overwrite=True) as file:
        _write_half(file)
    assert path.read_bytes() == b"older"
    assert os.listdir(tmp_path) == ["hub.tar.gz"]


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="No such file"), new_file(tmp_path / "no/hub", overwrite=False):
        pass
    with pytest.raises(UsageError, match="is a folder"), new_file(tmp_path, overwrite=True):
        pass


def test_a_backup_is_read_more_than_once(tmp_path: Path) -> None:
    path = tmp_path / "hub.tar.gz"
    path.write_bytes(b"content")
    with old_file(path) as (file, size):
        assert [size, file.read(), file.seek(0), file.read(), file.count] == [7, b"content", 0, b"content", 7]
    with pytest.raises(UsageError, match="does not exist"), old_file(tmp_path / "absent"):
        pass
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="not a regular file"), old_file(tmp_path / "pipe"):
        pass


def _write_half(file: Watched) -> None:
    file.write(b"half")
    raise KeyboardInterrupt
