"""Which notebook is opened: that none is left lying about, and that none of the user's is taken for an empty one."""

from __future__ import annotations

import datetime
import json
import os
from pathlib import Path
from typing import Any

import pytest

from hubagent.guest import notebooks
from hubagent.guest.notebooks import Kernel

TODAY = datetime.date(2026, 12, 1)
TOMORROW = datetime.date(2026, 12, 2)
JULIA = Kernel("julia-1.12", "Julia 1.12", "julia")
PYTHON = Kernel("python3", "Python 3", "python")


def new(
    home: Path, day: datetime.date = TODAY, kernel: Kernel | None = JULIA, in_use: tuple[str, ...] = ()
) -> str:
    return notebooks.new(home, kernel, in_use, day)


def change(file: Path, **changes: object) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def cell(source: object = "", **more: object) -> dict[str, object]:
    return {
        "cell_type": "code",
        "metadata": {},
        "execution_count": None,
        "outputs": [],
        "source": source,
        **more,
    }


def test_whoever_begins_ten_times_has_one_notebook(tmp_path: Path) -> None:
    assert {new(tmp_path) for _ in range(10)} == {"notebook-2026-12-01.ipynb"}
    assert os.listdir(tmp_path) == ["notebook-2026-12-01.ipynb"]
    made: dict[str, Any] = json.loads((tmp_path / "notebook-2026-12-01.ipynb").read_text())
    assert made["metadata"]["kernelspec"]["name"] == "julia-1.12"
    assert [one["source"] for one in made["cells"]] == [[]]


@pytest.mark.parametrize(
    "changes",
    [
        {"cells": [cell("x = 1")]},
        {"cells": [cell(["\n", "x"])]},
        {"cells": [cell(outputs=[{"output_type": "stream"}])]},
        {"cells": [cell(attachments={"a.png": {}})]},
        {"cells": ["strange"]},
        {"cells": None},
        {"metadata": {"title": "mine"}},
    ],
)
def test_one_that_somebody_has_written_in_is_theirs(tmp_path: Path, changes: dict[str, object]) -> None:
    first = tmp_path / new(tmp_path)
    change(first, **changes)
    before = first.read_bytes()
    assert new(tmp_path) == new(tmp_path) == "notebook-2026-12-01-2.ipynb"
    assert new(tmp_path, TOMORROW) == "notebook-2026-12-02.ipynb"
    assert first.read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == ["notebook-2026-12-01.ipynb", "notebook-2026-12-02.ipynb"]


def test_what_jupyterlab_saves_unasked_is_empty_still(tmp_path: Path) -> None:
    made = tmp_path / new(tmp_path)
    change(
        made, cells=[cell("\n"), cell([])], metadata={"kernelspec": {}, "language_info": {"name": "julia"}}
    )
    assert new(tmp_path) == made.name


def test_an_empty_one_of_another_day_gets_the_name_of_this(tmp_path: Path) -> None:
    new(tmp_path)
    assert new(tmp_path, TOMORROW) == "notebook-2026-12-02.ipynb"
    assert os.listdir(tmp_path) == ["notebook-2026-12-02.ipynb"]


def test_it_takes_no_name_that_is_there(tmp_path: Path) -> None:
    new(tmp_path)
    (tmp_path / "notebook-2026-12-02.ipynb").write_text("mine")
    assert new(tmp_path, TOMORROW) == "notebook-2026-12-02-2.ipynb"
    assert (tmp_path / "notebook-2026-12-02.ipynb").read_text() == "mine"


def test_one_that_a_kernel_runs_for_stays_as_it_is(tmp_path: Path) -> None:
    made = tmp_path / new(tmp_path)
    before = made.stat()
    assert new(tmp_path, TOMORROW, PYTHON, in_use=(made.name,)) == made.name
    assert (made.stat().st_ino, made.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_an_empty_one_gets_the_kernel_that_waits_now(tmp_path: Path) -> None:
    made = tmp_path / new(tmp_path)
    assert new(tmp_path, kernel=PYTHON) == made.name
    assert notebooks.kernel_wanted(made) == "python3"
    assert new(tmp_path, kernel=None) == made.name
    assert notebooks.kernel_wanted(made) is None
    assert os.listdir(tmp_path) == [made.name]


@pytest.mark.parametrize("name", ["Untitled.ipynb", "notebook.ipynb", "notebook-2026-12-01 copy.ipynb"])
def test_nobody_elses_is_taken(tmp_path: Path, name: str) -> None:
    (tmp_path / new(tmp_path)).rename(tmp_path / name)
    assert new(tmp_path) == "notebook-2026-12-01.ipynb"
    assert len(os.listdir(tmp_path)) == 2


def test_no_link_is_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    home = tmp_path / "home"
    home.mkdir()
    target = elsewhere / new(elsewhere)
    (home / "notebook-2026-11-30.ipynb").symlink_to(target)
    assert new(home, kernel=PYTHON) == "notebook-2026-12-01.ipynb"
    assert notebooks.kernel_wanted(target) == "julia-1.12"


def at(home: Path, path: str, changed_s: int, content: str = "{}") -> None:
    file = home / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)
    os.utime(file, (changed_s, changed_s))


def test_the_last_one_is_the_one_that_was_changed_last(tmp_path: Path) -> None:
    assert notebooks.last(tmp_path) is None
    at(tmp_path, "a.ipynb", 100)
    at(tmp_path, "week 2/über.ipynb", 300)
    at(tmp_path, "week 2/deeper/c.ipynb", 200)
    at(tmp_path, "notes.txt", 900)
    at(tmp_path, "empty.ipynb", 900, "")
    at(tmp_path, ".hidden.ipynb", 900)
    at(tmp_path, "week 2/.ipynb_checkpoints/über-checkpoint.ipynb", 900)
    at(tmp_path, "env/lib/python3.13/site-packages/x/test.ipynb", 900)
    (tmp_path / "link.ipynb").symlink_to(tmp_path / "notes.txt")
    (tmp_path / "round").symlink_to(tmp_path)
    (tmp_path / "folder.ipynb").mkdir()
    assert notebooks.last(tmp_path) == "week 2/über.ipynb"
    os.utime(tmp_path / "a.ipynb", (400, 400))
    assert notebooks.last(tmp_path) == "a.ipynb"


def test_the_search_ends_in_a_home_that_has_none(tmp_path: Path) -> None:
    at(tmp_path, "a.ipynb", 100)
    for number in range(20):
        at(tmp_path, f"data/{number}", 100)
    at(tmp_path, "data/below/late.ipynb", 900)
    assert notebooks.last(tmp_path) == "data/below/late.ipynb"
    assert notebooks.last(tmp_path, entries=10) == "a.ipynb"
    assert notebooks.last(tmp_path, look_s=0) is None


@pytest.mark.parametrize(
    "text", ["", "[]", '{"metadata": []}', '{"metadata": {"kernelspec": 1}}', "[" * 100_000, "\0"]
)
def test_a_notebook_may_say_anything(tmp_path: Path, text: str) -> None:
    (tmp_path / "notebook-2026-12-01.ipynb").write_text(text)
    assert notebooks.kernel_wanted(tmp_path / "notebook-2026-12-01.ipynb") is None
    assert new(tmp_path) == "notebook-2026-12-01-2.ipynb"
