"""A real Julia waits, is handed a command, and goes on as if it had been started with it."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from hubagent.guest import kept_files, kept_folders
from hubagent.guest.kernels.recipes import Recipe, recipe_for
from hubagent.guest.kernels.spare import Spare
from tests.guest_kernels.jupyter import server
from tests.waiting import wait_until

PROGRAM = """
println("arguments ", join(ARGS, ","))
println("folder ", pwd())
println("program ", abspath(PROGRAM_FILE))
println("project ", Base.active_project())
println("depots ", join(DEPOT_PATH, ","))
println("load ", join(LOAD_PATH, ","))
println("variable ", get(ENV, "OF_THE_USER", ""), " ", get(ENV, "OF_THE_IMAGE", ""))
println("names ", join(sort(setdiff(collect(keys(ENV)), ["PWD", "LD_LIBRARY_PATH"])), ",")) # of the script that starts julia
println("startup ", isdefined(Main, :from_startup))
println("options ", isinteractive(), Base.JLOptions().startupfile)
println("caught ", try; error("thrown"); catch error; error.msg; end)
println("input ", repr(read(stdin, String)))
exit(7)
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    project = tmp_path / "home/project/below"
    project.mkdir(parents=True)
    (project.parent / "Project.toml").write_text("")
    startup = tmp_path / "home/.julia/config/startup.jl"
    startup.parent.mkdir(parents=True)
    startup.write_text("from_startup = true\n")
    path = tmp_path / "kernel.jl"
    path.write_text(PROGRAM)
    return path


def environment(home: Path) -> dict[str, str]:
    return {
        "HOME": str(home),
        "PATH": os.environ["PATH"],
        "OF_THE_USER": "a = b\nc",
        "JPY_PARENT_PID": str(os.getpid()),
    }


def facts(said: str) -> dict[str, str]:
    return dict(line.split(" ", 1) for line in said.replace("b\nc", "b c").splitlines())


def spare(recipe: Recipe, base: Mapping[str, str], scratch: Path) -> Spare:
    made = Spare(recipe, base, str(scratch))
    assert made.wait_warm()
    return made


@pytest.mark.parametrize(
    "options", [["--project=@."], ["--project=@.", "--startup-file=no"], ["-i", "--color=yes"]]
)
def test_is_as_if_it_had_just_been_started(
    julia: str, program: Path, tmp_path: Path, options: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    words = (julia, *options, str(program), "{connection_file}")
    command = [word.replace("{connection_file}", "/tmp/connection.json") for word in words]
    folder = tmp_path / "home/project/below"
    wanted = environment(tmp_path / "home")

    ordinary = subprocess.run(
        command, cwd=folder, env=wanted, stdin=subprocess.PIPE, capture_output=True, text=True
    )
    base = {"HOME": "/nonexistent", "PATH": os.environ["PATH"], "OF_THE_IMAGE": "gone with the claim"}
    waiting = spare(recipe_for(words, {}), base, tmp_path / "scratch")
    capfd.readouterr()
    assert waiting.recipe.fits(command, waiting.environment, wanted)
    assert waiting.hand_over(command, str(folder), wanted)
    status = waiting.process.wait(60)

    assert facts(capfd.readouterr().out) == facts(ordinary.stdout)
    assert (status, ordinary.returncode) == (7, 7)


def test_runs_an_expression(julia: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    words = (julia, "-e", "println(ARGS, PROGRAM_FILE, 6 * 7)", "{connection_file}")
    waiting = spare(recipe_for(words, {}), os.environ, tmp_path / "scratch")
    command = [*words[:-1], "file.json"]
    assert waiting.hand_over(command, "/", os.environ)
    assert waiting.process.wait(60) == 0
    assert capfd.readouterr().out == '["file.json"]42\n'


def test_waits_without_using_the_processor(julia: str, program: Path, tmp_path: Path) -> None:
    waiting = spare(
        recipe_for((julia, str(program), "{connection_file}"), {}), os.environ, tmp_path / "scratch"
    )
    stat = Path(f"/proc/{waiting.process.pid}/stat")
    seen: list[str] = []

    def has_settled() -> bool:
        seen.append(stat.read_text().rpartition(")")[2].split()[11])
        return len(seen) > 1 and seen[-1] == seen[-2]

    wait_until(has_settled, "it blocks")
    before = stat.read_text().rpartition(")")[2].split()[11:15]
    end = time.monotonic() + 2.0
    wait_until(lambda: time.monotonic() > end, "the window is over")
    assert stat.read_text().rpartition(")")[2].split()[11:15] == before
    waiting.end()


def test_ends_when_nobody_can_hand_over_any_more(julia: str, program: Path, tmp_path: Path) -> None:
    waiting = spare(
        recipe_for((julia, str(program), "{connection_file}"), {}), os.environ, tmp_path / "scratch"
    )
    assert waiting.process.stdin
    waiting.process.stdin.close()
    assert waiting.process.wait(60) == 0


def test_a_package_that_is_not_there_is_a_failure_to_warm(julia: str, tmp_path: Path) -> None:
    words = (julia, "-i", "-e", "import IJulia; IJulia.run_kernel()", "{connection_file}")
    assert not Spare(recipe_for(words, {}), os.environ, str(tmp_path / "scratch")).wait_warm()


def test_the_variables_that_julia_reads_at_its_start_must_be_the_same(julia: str) -> None:
    recipe = recipe_for((julia, "kernel.jl", "{connection_file}"), {})
    command = (julia, "kernel.jl", "file")
    assert recipe.fits(command, {"A": "1"}, {"A": "2", "JULIA_DEPOT_PATH": "/other"})
    assert not recipe.fits(command, {}, {"JULIA_NUM_THREADS": "4"})
    assert not recipe.fits((julia, "-O0", *command[1:]), {}, {})


def test_a_server_hands_over_a_waiting_julia(julia: str, tmp_path: Path) -> None:
    """Without IJulia there is no Julia kernel to talk to: the handed-over process writes down what it was given."""
    (tmp_path / "kernel.jl").write_text(
        'write(joinpath(ENV["HOME"], "given"), join([getpid(), ARGS[1], pwd()], "\\n")); sleep(600)\n'
    )
    spec = tmp_path / "image/kernels/julia-1.5"
    spec.mkdir(parents=True)
    argv = [julia, "--project=@.", str(tmp_path / "kernel.jl"), "{connection_file}"]
    (spec / "kernel.json").write_text(
        json.dumps({"argv": argv, "display_name": "Julia", "language": "julia"})
    )
    with server(tmp_path, kernels={"julia": 1}, image={"JUPYTER_PATH": str(tmp_path / "image")}) as running:
        wait_until(lambda: running.pong()["kernels"].get("julia") == 1, "a Julia waits")
        (pid,) = running.spares()
        running.claim()
        (running.home / "course").mkdir()
        kernel = running.call("POST", "kernels", {"name": "julia-1.5", "path": "course/notebook.ipynb"})["id"]
        given = wait_until(
            lambda: (running.home / "given").exists() and (running.home / "given").read_text(), "it runs"
        )
        assert given.splitlines()[0] == str(pid)
        assert json.loads(Path(given.splitlines()[1]).read_text())["key"]
        assert given.splitlines()[2] == str(running.home / "course")
        running.call("DELETE", f"kernels/{kernel}")
        wait_until(lambda: pid not in running.children(), "it ends")


def package(folder: Path, name: str, uuid: str) -> Path:
    (folder / "src").mkdir(parents=True)
    (folder / "Project.toml").write_text(f'name = "{name}"\nuuid = "{uuid}"\nversion = "1.0.0"\n')
    (folder / "src" / f"{name}.jl").write_text(f"__precompile__(false)\nmodule {name}\nend\n")
    return folder


REGISTRY = 'name = "Empty"\nuuid = "99999999-9999-9999-9999-999999999999"\nrepo = "https://example.org"\n[packages]\n'
DEVELOP = """
using Pkg
Pkg.develop(path = ENV["PACKAGE"])
"""
SEEN = """
println("project ", Base.active_project())
println("startup ", isdefined(Main, :of_the_image))
import FromImage, Mine
"""


@pytest.mark.parametrize("how", ["ordinary", "waiting"])
@pytest.mark.parametrize("project", [None, "", "of the image"])
def test_packages_are_kept_and_the_images_are_found(
    julia: str, tmp_path: Path, how: str, project: str | None, capfd: pytest.CaptureFixture[str]
) -> None:
    """With an image that has one depot for all, and in it the environment that Julia takes by itself, or one of its own
    that it names."""
    home, depot = tmp_path / "home", tmp_path / "opt/julia"
    home.mkdir()
    theirs = package(tmp_path / "opt/FromImage", "FromImage", "11111111-1111-1111-1111-111111111111")
    mine = package(home / "Mine", "Mine", "22222222-2222-2222-2222-222222222222")
    (depot / "config").mkdir(parents=True)
    (depot / "config/startup.jl").write_text("of_the_image = true\n")
    (depot / "registries/Empty").mkdir(parents=True)
    (depot / "registries/Empty/Registry.toml").write_text(REGISTRY)
    image = {"PATH": os.environ["PATH"], "HOME": str(tmp_path / "image-home"), "JULIA_DEPOT_PATH": str(depot)}
    if project is not None:
        image["JULIA_PROJECT"] = project and str(tmp_path / "opt/project")
    subprocess.run(
        [julia, "-e", DEVELOP], env={**image, "PACKAGE": str(theirs)}, check=True, capture_output=True
    )

    user = {**image, **kept_folders.variables(str(home), image["HOME"], image)}
    assert kept_files.furnish(home, Path(image["HOME"]), user) == ()
    subprocess.run(
        [julia, "-e", DEVELOP], env={**user, "PACKAGE": str(mine)}, check=True, capture_output=True
    )
    libraries = Path(julia).parent / f"root/usr/lib/{platform.machine()}-linux-gnu"
    user["LD_LIBRARY_PATH"] = f"{libraries}:{libraries}/julia"  # a waiting one forgets those of its own start
    words = (julia, "-e", SEEN, "{connection_file}")
    if how == "ordinary":
        said = subprocess.run(
            [*words[:-1], "file"], env=user, check=True, capture_output=True, text=True
        ).stdout
    else:
        waiting = spare(recipe_for(words, {}), user, tmp_path / "scratch")
        assert waiting.hand_over([*words[:-1], "file"], str(home), user)
        assert waiting.process.wait(120) == 0
        said = capfd.readouterr().out
    assert f"project {home}/.julia/environments/v1.5/Project.toml" in said
    assert "startup true" in said


def test_an_image_that_says_nothing_of_depots(julia: str, tmp_path: Path) -> None:
    """The user's is still searched while a kernel waits, for an IJulia that is there."""
    package(tmp_path / ".julia/packages/IJulia", "IJulia", "33333333-3333-3333-3333-333333333333")
    base = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    (tmp_path / ".julia/registries/Empty").mkdir(parents=True)
    (tmp_path / ".julia/registries/Empty/Registry.toml").write_text(REGISTRY)
    develop = {**base, "PACKAGE": str(tmp_path / ".julia/packages/IJulia")}
    subprocess.run([julia, "-e", DEVELOP], env=develop, check=True, capture_output=True)
    words = (julia, "-i", "-e", "import IJulia; exit()", "{connection_file}")
    waiting = spare(recipe_for(words, {}), base, tmp_path / "scratch")
    environment = Path(f"/proc/{waiting.process.pid}/environ").read_bytes().split(b"\0")
    waiting.end()
    assert f"JULIA_DEPOT_PATH={tmp_path}/scratch:{tmp_path}/.julia:".encode() in environment
