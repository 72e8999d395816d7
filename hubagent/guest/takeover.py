"""From a launcher that is nobody's to this user's: environment, home, and all that Python reads at its start."""

from __future__ import annotations

import importlib
import locale
import os
import shutil
import signal
import site
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NoReturn

from hubagent import wire
from hubagent.guest import user_packages

_LOCALE: Final = ("LANG", "LC_ALL", "LC_CTYPE")

_COERCED: Final = ("C.UTF-8", "C.utf8", "UTF-8")

_AT_START: Final = ("PYTHON", "LD_", "MALLOC_", "GLIBC_")
"""Beginnings of variables that take effect at the start of a process alone."""

NOT_FOUND: Final = 127
NOT_EXECUTABLE: Final = 126
"""Exit statuses as of a shell."""


def changed(environment: Mapping[str, str]) -> frozenset[str]:
    """The names of the variables that have other values here, or none."""
    return frozenset(name for name, value in environment.items() if os.environ.get(name) != value)


def enter(message: wire.Become) -> str:
    """Go to the home and take the environment; why the home is not the one that is meant, or empty."""
    try:
        os.chdir(message.home)
        facts = os.stat(".")
    except OSError as error:
        return f"{message.home}: {error.strerror}"
    if (message.device, message.inode) not in {(0, 0), (facts.st_dev, facts.st_ino)}:
        return f"{message.home}: another folder than the one that was attached"
    if not message.environment.keys().isdisjoint(_LOCALE):
        forget_coerced_locale()
    os.environ.update(message.environment)
    return ""


def why_not_here(changed: frozenset[str], reads: frozenset[str], modules_before: frozenset[str]) -> str:
    """Why this process would be another server than a fresh one; empty when it would be the same."""
    late = sorted(name for name in changed if name.startswith(_AT_START))
    if late:
        return f"{', '.join(late)} must be set when Python starts"
    read = sorted(changed & reads)
    if read:
        return f"{', '.join(read)} was read while modules were imported ahead"
    if changed.intersection(_LOCALE):
        encoding = locale.nl_langinfo(locale.CODESET)
        try:
            locale.setlocale(locale.LC_CTYPE, "")
        except locale.Error:
            return "the locale is not in this image"
        if locale.nl_langinfo(locale.CODESET) != encoding:
            return "the locale has another encoding"
    shadowed = _shadowed(modules_before)
    return f"{shadowed} is the user's own package" if shadowed else ""


def refresh() -> None:
    """Read anew what Python reads at its start and a home may change: time zone, the user's packages."""
    time.tzset()
    importlib.invalidate_caches()
    if site.ENABLE_USER_SITE and user_packages.folder().is_dir():
        _add_user_site(str(user_packages.folder()))
        site.execusercustomize()


def execute(program: str, command: tuple[str, ...]) -> NoReturn:
    """Replace this process by `program`, a path, with nothing of it left but the environment. Raises OSError."""
    forget_coerced_locale()
    sys.stdout.flush()
    sys.stderr.flush()
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGTERM, signal.SIGINT):
        signal.signal(
            number, signal.SIG_DFL
        )  # Python ignores the first two, which a new program would inherit
    os.execv(program, command)  # noqa: S606 - what the user's server is


def found(program: str, home: str) -> str | None:
    """The path of a program by the environment in force; never one that the user has installed in `home`: a server that
    they have replaced by a broken one would keep them out for ever."""
    path = os.environ.get("PATH", os.defpath)
    theirs = f"{home}/.local/"
    folders = [one for one in path.split(os.pathsep) if not one.startswith(theirs)]
    return shutil.which(program, path=os.pathsep.join(folders))


def _add_user_site(folder: str) -> None:
    """As at a start: the user's packages, and what their .pth files name, stand before the system's."""
    if folder in sys.path:
        return
    shared = set(site.getsitepackages())
    if sys.prefix != sys.base_prefix:  # a virtual environment's own packages stand before the user's
        shared -= set(site.getsitepackages([sys.prefix]))
    first = next((index for index, entry in enumerate(sys.path) if entry in shared), len(sys.path))
    after = sys.path[first:]
    del sys.path[first:]
    site.addsitedir(folder)
    sys.path.extend(entry for entry in after if entry not in sys.path)


def _shadowed(modules: frozenset[str]) -> str:
    """A package of the user's that would have been imported instead of one that is imported already."""
    if (
        not site.ENABLE_USER_SITE
        or not user_packages.folder().is_dir()
        or str(user_packages.folder()) in sys.path
    ):
        return ""
    names = {entry.name.partition(".")[0] for entry in user_packages.folder().iterdir()}
    return min(names & {name.partition(".")[0] for name in modules}, default="")


def forget_coerced_locale() -> None:
    """Python sets LC_CTYPE for itself when it finds no locale (PEP 538); with another one it would not."""
    begun_with = Path("/proc/self/environ").read_bytes().split(b"\0")
    coerced = f"LC_CTYPE={os.environ.get('LC_CTYPE', '')}".encode()
    if os.environ.get("LC_CTYPE") in _COERCED and coerced not in begun_with:
        del os.environ["LC_CTYPE"]
