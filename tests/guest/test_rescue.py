"""What is copied out of a server of before, whose users have things beside the kept folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hubagent.guest import rescue


@pytest.fixture
def jovyan(tmp_path: Path) -> Path:
    """An image's HOME, with a folder for what is kept: another file system there, as in a container."""
    folder = tmp_path / "jovyan"
    (folder / "work").mkdir(parents=True)
    (folder / ".bashrc").write_text("of the image\n")
    (tmp_path / "settings.json").write_text("{}")
    until_younger(tmp_path / "settings.json")
    return folder


def until_younger(path: Path) -> None:
    """Until a new file is younger, by the file system's own clock."""
    probe = path.with_name("probe")
    while not probe.exists() or probe.stat().st_ctime <= path.stat().st_ctime:
        probe.write_text("")


def run(jovyan: Path) -> subprocess.CompletedProcess[str]:
    code = f"import runpy; main = runpy.run_path({rescue.__file__!r})['main']; raise SystemExit(main(*__import__('sys').argv[1:]))"
    return subprocess.run(
        [sys.executable, "-I", "-c", code, jovyan / "work", jovyan.parent / "settings.json"],
        env={"HOME": str(jovyan)},
        capture_output=True,
        text=True,
    )


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_what_was_made_is_kept_and_nothing_is_overwritten(jovyan: Path) -> None:
    put(jovyan / ".julia/pluto_notebooks/Cute discovery.jl", "an hour's work")
    put(jovyan / ".local/lib/python3.11/site-packages/mine.py", "mine")
    put(jovyan / ".gitconfig", "of the container")
    put(jovyan / "work/.gitconfig", "kept")
    put(jovyan / ".cache/pip/wheel", "made anew")
    (jovyan / "link").symlink_to("nowhere")
    os.mkfifo(jovyan / "fifo")
    done = run(jovyan)
    assert done.returncode == 0, done.stderr
    work = jovyan / "work"
    assert (work / ".julia/pluto_notebooks/Cute discovery.jl").read_text() == "an hour's work"
    assert (work / ".local/lib/python3.11/site-packages/mine.py").read_text() == "mine"
    assert (work / ".gitconfig").read_text() == "kept"
    assert os.readlink(work / "link") == "nowhere"
    assert sorted(path.name for path in work.iterdir()) == [".gitconfig", ".julia", ".local", "link"]
    again = run(jovyan)
    assert again.stdout.startswith("0 files were copied")


def test_no_more_than_there_is_room_for(jovyan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        put(jovyan / f"data{number}", "x" * 100)
        until_younger(jovyan / f"data{number}")
    monkeypatch.setenv("HOME", str(jovyan))
    monkeypatch.setattr(rescue, "LIMIT_BYTES", 250)
    assert rescue.main(str(jovyan / "work"), str(jovyan.parent / "settings.json")) == 1
    assert {path.name for path in (jovyan / "work").iterdir()} == {"data3", "data2", "probe"}


def test_a_file_that_cannot_be_read_or_written_costs_no_other(jovyan: Path) -> None:
    put(jovyan / "aa/file", "")
    put(jovyan / "bb/file", "")
    put(jovyan / "work/aa", "a file where a folder would be")
    done = run(jovyan)
    assert done.returncode == 1
    assert "aa/file" in done.stdout
    assert (jovyan / "work/bb/file").exists()
