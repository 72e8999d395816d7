"""Where a user's server finds and puts files: HOME is the kept folder, and the image's own things stay visible.

Only `home` outlives a container. What a person makes or installs goes below HOME almost everywhere, so HOME is that
folder, and what does not follow HOME, because the image sets a variable for it, is moved below it too. The image's own
files stay where they are and are found second, so that a newer image's are never hidden by what is kept.
"""

from __future__ import annotations

import glob
import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from typing import Final

from hubagent.guest import user_packages

RUNTIME: Final = "/tmp/jupyter-runtime"  # noqa: S108 - Jupyter makes it for this user alone
"""Connection files and the like: of one server, and not to be kept."""

R_LIBRARY: Final = "R/library"
"""Below HOME: R's packages of the user, by R's version."""

_STATE: Final = frozenset(
    {
        *("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"),
        *("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR"),
        *("IPYTHONDIR", "PYTHONUSERBASE", "MPLCONFIGDIR", "PIP_CACHE_DIR", "CONDA_PKGS_DIRS"),
        *("HISTFILE", "GNUPGHOME", "JULIA_HISTORY", "R_HISTFILE"),
    }
)
"""Moved though the image has something there: it is found second, or may be made anew."""

_OTHERS: Final = frozenset(
    {"HOME", "PATH", "PWD", "OLDPWD", "JULIA_DEPOT_PATH", "JULIA_PROJECT", "JULIA_LOAD_PATH"}
)


def variables(
    home: str, image_home: str, environment: Mapping[str, str], declared: Iterable[str] = ()
) -> dict[str, str]:
    """The variables of a server whose kept folder is `home`, as far as they differ from the image's `environment`.

    `image_home` is HOME as the image has it, and may be `home` itself. `declared` are the names of variables that the
    administrator has set: they win, and one who sets HOME is left alone with all of it. Reads the file system, for
    what the image has; `home` itself need not be there yet.
    """
    chosen = frozenset(declared)
    if "HOME" in chosen or not os.path.isabs(home):
        return {}
    image = _Image(home, image_home.rstrip("/") or "/", environment)
    found = {
        **image.moved(),
        **image.second_lookups(),
        **_julia(image),
        **_tools(image),
        "HOME": home,
        "PATH": _joined(f"{home}/.local/bin", *environment.get("PATH", os.defpath).split(os.pathsep)),
        "JUPYTER_RUNTIME_DIR": image.moved_to("JUPYTER_RUNTIME_DIR", RUNTIME, RUNTIME),
    }
    return {
        name: value for name, value in found.items() if name not in chosen and environment.get(name) != value
    }


class _Image:
    """What the image says, and where it belongs."""

    def __init__(self, home: str, image_home: str, environment: Mapping[str, str]) -> None:
        self.home = home
        self.image_home = image_home
        self.environment = environment
        self.is_apart = image_home not in {home, "/"}
        """Is the image's own HOME another folder? `/` is none: everything of the image lies below it."""

    def is_lost(self, path: str) -> bool:
        """Does it lie in the image's HOME, but not in the kept folder?"""
        return self.is_apart and _is_below(path, self.image_home) and not _is_within(path, self.home)

    def kept(self, path: str) -> str:
        """The same place below the kept folder."""
        return f"{self.home}/{os.path.relpath(path, self.image_home)}"

    def moved(self) -> dict[str, str]:
        """Variables that name a place in the image's HOME. Where the image has something there it is a program's
        (CONDA_DIR, NVM_DIR) and stays; where it has nothing, whatever is made there would be lost."""
        return {
            name: self.kept(value)
            for name, value in self.environment.items()
            if name not in _OTHERS and self.is_lost(value) and (name in _STATE or not _holds(value))
        }

    def moved_to(self, name: str, default: str, otherwise: str) -> str:
        """The image's value of a variable where that is not in its HOME."""
        value = self.environment.get(name, default)
        return otherwise if self.is_lost(value) else value

    def folder(self, name: str, below: str) -> tuple[str, str]:
        """A folder that a variable or else HOME says: in the kept folder, and the image's."""
        image = self.environment.get(name) or f"{self.image_home}/{below}"
        if self.environment.get(name) and not self.is_lost(image):
            return image, image
        return (self.kept(image) if self.is_apart else image), image

    def second_lookups(self) -> dict[str, str]:
        """Search paths by which the image's own files are found behind the user's."""
        if not self.is_apart:
            return {}
        config, data = self.folder("XDG_CONFIG_HOME", ".config"), self.folder("XDG_DATA_HOME", ".local/share")
        jupyter_data = (
            self.folder("JUPYTER_DATA_DIR", "")
            if self.environment.get("JUPYTER_DATA_DIR")
            else (f"{data[0]}/jupyter", f"{data[1]}/jupyter")
        )
        base = self.folder("PYTHONUSERBASE", ".local")
        packages = f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
        return {
            **self._behind("JUPYTER_PATH", jupyter_data),
            **self._behind("JUPYTER_CONFIG_PATH", self.folder("JUPYTER_CONFIG_DIR", ".jupyter")),
            **self._after("XDG_CONFIG_DIRS", config, "/etc/xdg"),
            **self._after("XDG_DATA_DIRS", data, "/usr/local/share:/usr/share"),
            # Not for an interpreter that has no packages of the user, as a virtual environment's.
            **(
                self._behind("PYTHONPATH", (f"{base[0]}/{packages}", f"{base[1]}/{packages}"))
                if user_packages.enabled()
                else {}
            ),
        }

    def _behind(self, name: str, folders: tuple[str, str]) -> dict[str, str]:
        """For a path that is searched before the user's own folder: that comes first here, too."""
        kept, image = folders
        if kept == image or not _holds(image):
            return {}
        return {name: _joined(*_parts(self.environment.get(name)), kept, image)}

    def _after(self, name: str, folders: tuple[str, str], default: str) -> dict[str, str]:
        """For a path that is searched after the user's own folder."""
        kept, image = folders
        if kept == image or not _holds(image):
            return {}
        return {name: _joined(image, *_parts(self.environment.get(name) or default))}


def _julia(image: _Image) -> dict[str, str]:
    """The user's depot is first: packages, environments, registries go there. An empty last entry stands for Julia's
    own depots; without it Julia 1.11 and later compile the standard library anew for each user."""
    said = image.environment.get("JULIA_DEPOT_PATH")
    own = f"{image.home}/.julia"
    depots = [one for one in (said or f"{image.image_home}/.julia").split(":") if one and one != own]
    found = {
        "JULIA_DEPOT_PATH": ":".join([own, *depots, ""]),
        "JULIA_PLUTO_NEW_NOTEBOOKS_DIR": image.moved_to(
            "JULIA_PLUTO_NEW_NOTEBOOKS_DIR",
            f"{image.home}/pluto_notebooks",
            f"{image.home}/pluto_notebooks",
        ),
    }
    behind = [os.path.dirname(one) for one in julia_environments(depots)]
    project = image.environment.get("JULIA_PROJECT", "")
    if os.path.isabs(project) and not _is_within(project, image.home):
        behind.insert(0, project)
        found["JULIA_PROJECT"] = ""  # as if it were not set: a package is added to the user's own environment
    if behind:
        path = (image.environment.get("JULIA_LOAD_PATH") or "@:@v#.#:@stdlib").split(":")
        at = next((index for index, one in enumerate(path) if one in {"@stdlib", ""}), len(path))
        missing = [one for one in dict.fromkeys(behind) if one not in path]
        found["JULIA_LOAD_PATH"] = ":".join([*path[:at], *missing, *path[at:]])
    if image.is_apart and _holds(f"{image.image_home}/.julia/juliaup"):
        found["JULIAUP_DEPOT_PATH"] = image.environment.get(
            "JULIAUP_DEPOT_PATH", f"{image.image_home}/.julia"
        )
    return found


def julia_environments(depots: Iterable[str]) -> list[str]:
    """The project files of the shared environments (`v1.12`) in these depots, the newest Julia's first."""
    found = [path for depot in depots for path in glob.glob(f"{depot}/environments/v*.*/*Project.toml")]
    return sorted(found, key=_version, reverse=True)


def _version(project: str) -> tuple[int, ...]:
    words = os.path.basename(os.path.dirname(project)).lstrip("v").split(".")
    return tuple(int(word) for word in words if word.isdecimal())


def _tools(image: _Image) -> dict[str, str]:
    """Tools that install beside themselves where the user may write, as in many images, and not below HOME."""
    path = image.environment.get("PATH", os.defpath)
    found = {}
    if image.environment.get("CONDA_DIR") or shutil.which("conda", path=path):
        mine = f"{image.home}/.conda/envs"
        found["CONDA_ENVS_DIRS"] = _joined(mine, *_parts(image.environment.get("CONDA_ENVS_DIRS")))
    if shutil.which("npm", path=path) and "NVM_DIR" not in image.environment:
        found["NPM_CONFIG_PREFIX"] = f"{image.home}/.local"  # nvm refuses to work with it
    if shutil.which("cargo", path=path):
        found["CARGO_INSTALL_ROOT"] = f"{image.home}/.local"
        if image.is_apart and _holds(f"{image.image_home}/.rustup"):
            found["RUSTUP_HOME"] = image.environment.get("RUSTUP_HOME", f"{image.image_home}/.rustup")
    if shutil.which("R", path=path):
        mine = f"{image.home}/{R_LIBRARY}/%v"  # R itself puts its version there
        found["R_LIBS_USER"] = _joined(mine, *_parts(image.environment.get("R_LIBS_USER")))
    return found


def _holds(path: str) -> bool:
    """Is there a file, or a folder that is not empty?"""
    try:
        with os.scandir(path) as entries:
            return next(entries, None) is not None
    except NotADirectoryError:
        return True
    except OSError:
        return False


def _parts(path: str | None) -> list[str]:
    return [part for part in (path or "").split(os.pathsep) if part]


def _joined(*parts: str) -> str:
    return os.pathsep.join(dict.fromkeys(part for part in parts if part))


def _is_below(path: str, folder: str) -> bool:
    return os.path.normpath(path).startswith(f"{folder}/") and os.pathsep not in path


def _is_within(path: str, folder: str) -> bool:
    return os.path.normpath(path) == folder or _is_below(path, folder)
