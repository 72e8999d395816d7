"""Which variables a server has, by what its image says and has."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from hubagent.guest import kept_files, kept_folders
from tests.guest.container import ROOT
from tests.guest.handmade import handmade


@pytest.fixture
def image_home(tmp_path: Path) -> Path:
    folder = tmp_path / "jovyan"
    (folder / "work").mkdir(parents=True)
    return folder


def put(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def program(folder: Path, name: str) -> Path:
    path = put(folder / name, "#!/bin/sh\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def of(
    image_home: Path, home: Path | None = None, declared: tuple[str, ...] = (), **said: str
) -> dict[str, str]:
    """The server's whole environment, for an image with these variables."""
    image = {"PATH": "/image/bin", "HOME": str(image_home), **said}
    kept = str(home or image_home / "work")
    return {**image, **kept_folders.variables(kept, str(image_home), image, declared)}


def test_an_image_that_says_nothing(image_home: Path) -> None:
    home = f"{image_home}/work"
    assert of(image_home) == {
        "HOME": home,
        "PATH": f"{home}/.local/bin:/image/bin",
        "JUPYTER_RUNTIME_DIR": kept_folders.RUNTIME,
        "JULIA_DEPOT_PATH": f"{home}/.julia:{image_home}/.julia:",
        "JULIA_PLUTO_NEW_NOTEBOOKS_DIR": f"{home}/pluto_notebooks",
    }


def test_a_home_that_is_the_images_own(image_home: Path) -> None:
    put(image_home / ".local/share/jupyter/kernels/one/kernel.json")
    said = {"JULIA_DEPOT_PATH": "/opt/julia", "XDG_CACHE_HOME": f"{image_home}/.cache"}
    assert of(image_home, image_home, **said) == {
        "HOME": str(image_home),
        "PATH": f"{image_home}/.local/bin:/image/bin",
        "JUPYTER_RUNTIME_DIR": kept_folders.RUNTIME,
        "JULIA_DEPOT_PATH": f"{image_home}/.julia:/opt/julia:",
        "JULIA_PLUTO_NEW_NOTEBOOKS_DIR": f"{image_home}/pluto_notebooks",
        "XDG_CACHE_HOME": f"{image_home}/.cache",
    }


def test_twice_is_once(image_home: Path) -> None:
    put(image_home / ".local/share/jupyter/kernels/one/kernel.json")
    first = of(image_home, JULIA_DEPOT_PATH="/opt/julia", XDG_CACHE_HOME=f"{image_home}/.cache")
    assert kept_folders.variables(first["HOME"], first["HOME"], first) == {}


@pytest.mark.parametrize(
    "said",
    [
        "{own}:/opt/julia",
        "{own}:/opt/julia:",
        "/opt/julia",
        "/opt/julia:",
        ":/opt/julia",
        "{own}::/opt/julia",
    ],
)
def test_the_users_depot_is_first_and_julias_last(image_home: Path, said: str) -> None:
    """With an empty last entry, once, whatever the image says."""
    home = image_home / "work"
    found = of(image_home, JULIA_DEPOT_PATH=said.format(own=home / ".julia"))["JULIA_DEPOT_PATH"]
    assert found == f"{home}/.julia:/opt/julia:"


@pytest.mark.parametrize(
    "name", ["XDG_CACHE_HOME", "XDG_STATE_HOME", "IPYTHONDIR", "PIP_CACHE_DIR", "HF_HOME", "SOME_DIR"]
)
def test_what_an_image_puts_into_its_home_is_moved(image_home: Path, name: str) -> None:
    assert of(image_home, **{name: f"{image_home}/.some/place"})[name] == f"{image_home}/work/.some/place"


@pytest.mark.parametrize("name", ["CONDA_DIR", "NVM_DIR", "JAVA_HOME"])
def test_what_an_image_has_in_its_home_stays(image_home: Path, name: str) -> None:
    put(image_home / "program/bin/it")
    assert of(image_home, **{name: f"{image_home}/program"})[name] == f"{image_home}/program"


@pytest.mark.parametrize("value", ["/opt/cache", "relative", "", "{home}/mine", "{image}-other/x"])
def test_what_lies_elsewhere_stays(image_home: Path, value: str) -> None:
    said = value.format(home=image_home / "work", image=image_home)
    assert of(image_home, SOME_DIR=said)["SOME_DIR"] == said


def test_the_images_own_files_are_found_second(image_home: Path) -> None:
    home = image_home / "work"
    put(image_home / ".local/share/jupyter/kernels/one/kernel.json")
    put(image_home / ".jupyter/jupyter_server_config.py")
    put(image_home / ".config/pip/pip.conf")
    found = of(image_home, JUPYTER_PATH="/opt/jupyter")
    assert (
        found["JUPYTER_PATH"] == f"/opt/jupyter:{home}/.local/share/jupyter:{image_home}/.local/share/jupyter"
    )
    assert found["JUPYTER_CONFIG_PATH"] == f"{home}/.jupyter:{image_home}/.jupyter"
    assert found["XDG_CONFIG_DIRS"] == f"{image_home}/.config:/etc/xdg"
    assert found["XDG_DATA_DIRS"] == f"{image_home}/.local/share:/usr/local/share:/usr/share"


def test_by_a_variable_that_the_image_sets(image_home: Path) -> None:
    home = image_home / "work"
    put(image_home / "jupyter-data/kernels/one/kernel.json")
    found = of(image_home, JUPYTER_DATA_DIR=f"{image_home}/jupyter-data")
    assert found["JUPYTER_DATA_DIR"] == f"{home}/jupyter-data"
    assert found["JUPYTER_PATH"] == f"{home}/jupyter-data:{image_home}/jupyter-data"


def test_an_image_whose_home_is_the_root_of_all(tmp_path: Path) -> None:
    """A number without an account: nothing of the image is its HOME's."""
    found = of(Path("/"), tmp_path, SOME_DIR="/opt/some")
    assert found["SOME_DIR"] == "/opt/some"
    assert found["HOME"] == str(tmp_path)
    assert "JUPYTER_PATH" not in found


def test_what_the_administrator_declares_wins(image_home: Path) -> None:
    said = {"JULIA_DEPOT_PATH": "/srv/depot", "PATH": "/srv/bin", "XDG_CACHE_HOME": f"{image_home}/.cache"}
    found = of(image_home, declared=tuple(said), **said)
    assert {name: found[name] for name in said} == said
    assert found["HOME"] == f"{image_home}/work"
    assert kept_folders.variables("/kept", "/home/x", {"HOME": "/home/x"}, ["HOME"]) == {}


def test_an_environment_that_julia_would_take_by_itself(tmp_path: Path, image_home: Path) -> None:
    """As in docker-stacks: one depot for all. The user's own comes first, and the image's can be loaded."""
    depot, home = tmp_path / "opt/julia", image_home / "work"
    for version in ("v1.9", "v1.10"):
        put(depot / "environments" / version / "Project.toml")
    found = of(image_home, JULIA_DEPOT_PATH=str(depot))
    environments = f"{depot}/environments/v1.10:{depot}/environments/v1.9"
    assert found["JULIA_LOAD_PATH"] == f"@:@v#.#:{environments}:@stdlib"
    assert kept_files.furnish(home, image_home, found) == ()
    assert (home / ".julia/environments/v1.10/Project.toml").read_text() == ""


def test_a_project_that_the_image_names(image_home: Path) -> None:
    found = of(image_home, JULIA_PROJECT="/opt/course", JULIA_LOAD_PATH="@:@v#.#:")
    assert found["JULIA_PROJECT"] == ""
    assert found["JULIA_LOAD_PATH"] == "@:@v#.#:/opt/course:"


def test_tools_that_install_beside_themselves(tmp_path: Path, image_home: Path) -> None:
    home, bin_ = image_home / "work", tmp_path / "bin"
    for name in ("conda", "npm", "cargo", "R"):
        program(bin_, name)
    put(image_home / ".rustup/settings.toml")
    found = of(image_home, PATH=f"{bin_}:/image/bin", R_LIBS_USER="/usr/local/spark/R/lib")
    assert found["CONDA_ENVS_DIRS"] == f"{home}/.conda/envs"
    assert found["NPM_CONFIG_PREFIX"] == f"{home}/.local"
    assert found["CARGO_INSTALL_ROOT"] == f"{home}/.local"
    assert found["RUSTUP_HOME"] == f"{image_home}/.rustup"
    assert found["R_LIBS_USER"] == f"{home}/R/library/%v:/usr/local/spark/R/lib"


def test_rs_library_is_made_for_its_version(tmp_path: Path, image_home: Path) -> None:
    program(tmp_path / "lib/R/bin", "R")
    put(tmp_path / "lib/R/library/base/DESCRIPTION", "Package: base\nVersion: 4.3.1\n")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/R").symlink_to("../lib/R/bin/R")
    environment = of(image_home, PATH=f"{tmp_path}/bin")
    assert kept_files.furnish(image_home / "work", image_home, environment) == ()
    assert (image_home / "work/R/library/4.3").is_dir()


def test_pip_installs_where_it_is_kept(tmp_path: Path) -> None:
    """Though it could write to the interpreter's own folder; with nothing to say in an environment of the user's own."""
    home, image = tmp_path / "home", tmp_path / "image"
    prepare = "from hubagent.guest import kept_files; kept_files.prepare_image()"
    environment = {
        "HOME": str(home),
        "PYTHONPATH": str(ROOT),
        "PIP_NO_INDEX": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    subprocess.run(["/usr/bin/python3", "-m", "venv", "--system-site-packages", image], check=True)
    subprocess.run([image / "bin/python", "-c", prepare], env=environment, check=True)
    del environment["PYTHONPATH"]
    wheel = handmade(tmp_path)
    for python in (image / "bin/python", home / "own/bin/python"):
        if not python.exists():
            subprocess.run(["/usr/bin/python3", "-m", "venv", home / "own"], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", wheel], env=environment, check=True)
    assert list(home.glob(".local/lib/python3*/site-packages/handmade.py"))
    assert not list(image.glob("lib/python3*/site-packages/handmade.py"))
    assert list(home.glob("own/lib/python3*/site-packages/handmade.py"))


def test_nothing_that_is_there_is_touched(image_home: Path) -> None:
    home = image_home / "work"
    for name in (".bashrc", ".profile", ".gitconfig", ".ssh/config"):
        put(image_home / name, "of the image\n")
    put(home / ".bashrc", "mine\n")
    put(home / ".bash_profile", "mine\n")
    put(home / ".config/git/config", "mine\n")
    assert kept_files.furnish(home, image_home, of(image_home)) == ()
    assert sorted(path.name for path in home.iterdir()) == [".bash_profile", ".bashrc", ".config"]
    assert (home / ".bashrc").read_text() == "mine\n"
    assert not (image_home / ".ssh").is_symlink()


def test_twice_changes_nothing(image_home: Path) -> None:
    home = image_home / "work"
    put(image_home / ".bashrc", "of the image\n")
    assert kept_files.furnish(home, image_home, of(image_home)) == ()
    before = {path: path.lstat().st_mtime_ns for path in home.rglob("*")}
    assert kept_files.furnish(home, image_home, of(image_home)) == ()
    assert {path: path.lstat().st_mtime_ns for path in home.rglob("*")} == before
    assert os.readlink(image_home / ".ssh") == str(home / ".ssh")
    assert stat.S_IMODE((home / ".ssh").stat().st_mode) == 0o700


def test_a_home_that_takes_nothing_is_said(image_home: Path) -> None:
    put(image_home / ".bashrc", "of the image\n")
    (line, *_) = kept_files.furnish(Path("/proc/nowhere"), image_home, of(image_home))
    assert "/proc/nowhere" in line
