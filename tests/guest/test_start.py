"""Which interpreter `start` takes, by the forms that scripts have."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.guest.container import ROOT

START = ROOT / "hubagent/guest/start"


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A folder of programs, one for each kind of Python: it says its name and arguments."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("python3", "python3.99", "python"):
        program(folder / name, f'#!/bin/sh\necho "{name} $*"\n')
    return folder


def program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def started(image: Path, script: str | None) -> subprocess.CompletedProcess[str]:
    if script is not None:
        program(image / "jupyterhub-singleuser", script)
    return subprocess.run(
        ["/bin/sh", START], env={"PATH": f"{image}:/usr/bin:/bin"}, capture_output=True, text=True, timeout=30
    )


@pytest.mark.parametrize(
    ("script", "interpreter"),
    [
        ("#!{bin}/python3.99\nimport re\n", "python3.99"),
        ("#! {bin}/python3.99 -sP\n", "python3.99 -sP"),
        ("#!/usr/bin/env python\n", "python"),
        ("#!/usr/bin/env -S python3.99 -s\n", "python3.99 -s"),
        ("#!/bin/sh\n'''exec' \"{bin}/python3.99\" \"$0\" \"$@\"\n' '''\nimport re\n", "python3.99"),
        ("#!/bin/sh\n'''exec' {bin}/python3.99 \"$0\" \"$@\"\n' '''\n", "python3.99"),
        ('#!/bin/bash\nset -e\nexec {bin}/python3.99 -m jupyterhub.singleuser "$@"\n', "python3.99"),
        ("#!/bin/sh\necho nothing known\n", "python3"),
        ("#!{bin}/python2.7\n", "python3"),
        ("\x7fELF and so on\n", "python3"),
        ("", "python3"),
        (None, "python3"),
    ],
)
def test_interpreters(image: Path, script: str | None, interpreter: str) -> None:
    done = started(image, script and script.format(bin=image))
    assert done.stdout == f"{interpreter} {START.parent}/hubagent/guest\n", done.stderr


def test_no_python(tmp_path: Path) -> None:
    done = subprocess.run(["/bin/sh", START], env={"PATH": str(tmp_path)}, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("hubagent: this image has neither")
    assert done.stderr.count("\n") == 1
