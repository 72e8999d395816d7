"""What a kept folder must hold so that programs find themselves at home in it: done when the folder is there.

Nothing that a user has is touched. Where the image has settings of its own in its HOME (a .bashrc, a .gitconfig), which
a program looks for in HOME alone, the user gets a short file that reads the image's; in it they may write their own.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from hubagent.guest import user_packages
from hubagent.guest.kept_folders import R_LIBRARY, julia_environments

_SHELL: Final = """\
# The settings that come with this server, read as they were written. Your own may follow here.
if [ -r '{image}/{name}' ]; then
    kept_home=$HOME
    HOME='{image}'
    . '{image}/{name}'
    HOME=$kept_home
    unset kept_home
fi
"""
_LOGIN: Final = f"""\
{_SHELL}PATH="$HOME/.local/bin:$PATH"
if [ -n "$BASH_VERSION" ] && [ -r "$HOME/.bashrc" ]; then
    . "$HOME/.bashrc"
fi
"""
_READING: Final = {
    ".bashrc": _SHELL,
    ".bash_profile": _LOGIN,
    ".bash_login": _LOGIN,
    ".profile": _LOGIN,
    ".zshrc": _SHELL,
    ".zprofile": _SHELL,
    ".gitconfig": "[include]\n\tpath = {image}/{name}\n",
    ".inputrc": "$include {image}/{name}\n",
    ".Rprofile": 'if (file.exists("{image}/{name}")) source("{image}/{name}")\n',
    ".vimrc": "silent! source {image}/{name}\n",
    ".tmux.conf": "source-file -q {image}/{name}\n",
}
"""Files that a program looks for in HOME alone, and what reads the image's own."""

_INSTEAD: Final = {
    ".bash_profile": (".bash_login", ".profile"),
    ".bash_login": (".bash_profile", ".profile"),
    ".profile": (".bash_profile", ".bash_login"),
    ".gitconfig": (".config/git/config",),
}
"""With one of these the user has decided: another one would come before it, or beside it."""

_BY_ACCOUNT: Final = (".ssh",)
_BY_ACCOUNT_IN_JAVA: Final = (".java", ".m2", ".ivy2", ".gradle")
"""Folders that a program looks for in the home of the account (passwd), whatever HOME says."""

_NEEDED: Final = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR")

ROOM_BYTES: Final = 256 * 1024
"""What a server writes while it starts, and a kernel's history."""

_PIP: Final = "# What users install goes to their own folder, which is kept.\n[install]\nuser = true\n"


def prepare_image() -> None:
    """Let pip install to the user's own folder where it could write to the interpreter's, which is not kept. Only this
    interpreter's pip reads this file: a virtual environment of the user's has another place for it."""
    place = sysconfig.get_path("purelib")
    if not user_packages.enabled() or not os.access(place, os.W_OK):
        return
    with contextlib.suppress(OSError):  # the image has settings of its own, or lets nobody write here
        _write(Path(sys.prefix, "pip.conf"), _PIP)


def furnish(home: Path, image_home: Path, environment: Mapping[str, str]) -> tuple[str, ...]:
    """Put into `home` what is missing there, with `environment` as the server will have it. Whatever goes wrong is
    said, one line each: a home may be full, or read-only, and its server starts nevertheless."""
    faults = []
    for step in (_settings, _links, _julia, _folders):
        try:
            step(home, image_home, environment)
        except OSError as error:
            faults.append(f"{error.filename or home}: {error.strerror}")
    return tuple(faults)


def elsewhere(home: Path) -> dict[str, str]:
    """The variables by which a server starts though its home is full or read-only: Jupyter ends where it cannot make
    its folders. Empty where there is room."""
    try:
        with tempfile.TemporaryFile(dir=home) as probe:
            os.posix_fallocate(probe.fileno(), 0, ROOM_BYTES)
    except OSError:
        folder = tempfile.mkdtemp(prefix="no-room-at-home-")
        return {name: f"{folder}/{name.lower()}" for name in _NEEDED}
    return {}


def _settings(home: Path, image_home: Path, environment: Mapping[str, str]) -> None:
    if home == image_home:
        return
    for name, text in _READING.items():
        others = (name, *_INSTEAD.get(name, ()))
        if (image_home / name).is_file() and not any(os.path.lexists(home / one) for one in others):
            _write(home / name, text.format(image=image_home, name=name))


def _links(home: Path, image_home: Path, environment: Mapping[str, str]) -> None:
    if home == image_home or not os.access(image_home, os.W_OK):
        return
    java = _BY_ACCOUNT_IN_JAVA if shutil.which("java", path=environment.get("PATH")) else ()
    for name in (*_BY_ACCOUNT, *java):
        kept, link = home / name, image_home / name
        if not os.path.lexists(link):
            kept.mkdir(mode=0o700, exist_ok=True)
            link.symlink_to(kept)


def _julia(home: Path, image_home: Path, environment: Mapping[str, str]) -> None:
    """Julia takes the first depot that has a shared environment, and of the start-up files only the first depot's."""
    own, *depots = environment.get("JULIA_DEPOT_PATH", "").split(":")
    depots = [depot for depot in depots if depot]
    if Path(own) != home / ".julia":
        return
    for project in julia_environments(depots):
        mine = Path(own, "environments", Path(project).parent.name)
        if not any((mine / name).exists() for name in ("JuliaProject.toml", "Project.toml")):
            _write(mine / "Project.toml", "")
    startup = Path(depots[0], "config/startup.jl") if depots else None
    if startup and startup.is_file():
        mine = Path(own, "config/startup.jl")
        if not os.path.lexists(mine):
            _write(mine, f'isfile("{startup}") && include("{startup}")\n')


def _folders(home: Path, image_home: Path, environment: Mapping[str, str]) -> None:
    """What R does not make by itself: a library that is not there is passed over."""
    if not environment.get("R_LIBS_USER", "").startswith(f"{home}/{R_LIBRARY}/"):
        return
    program = shutil.which("R", path=environment.get("PATH"))
    base = Path(os.path.realpath(program)).parents[1] / "library/base/DESCRIPTION" if program else None
    if base is None or not base.is_file():
        return
    for line in base.read_text(errors="replace").splitlines():
        if line.startswith("Version:"):
            version = ".".join(line.removeprefix("Version:").split(".")[:2]).strip()
            (home / R_LIBRARY / version).mkdir(parents=True, exist_ok=True)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError), path.open("x") as file:
        file.write(text)
