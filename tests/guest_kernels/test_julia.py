"""A real Julia waits, is handed a command, and goes on as if it had been started with it."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from hubagent.guest.kernels.recipes import Recipe, recipe_for
from hubagent.guest.kernels.spare import Spare
from tests.guest_kernels.jupyter import server, until

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

    until(has_settled, "it blocks")
    before = stat.read_text().rpartition(")")[2].split()[11:15]
    end = time.monotonic() + 2.0
    until(lambda: time.monotonic() > end, "the window is over")
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
        until(lambda: running.pong()["kernels"].get("julia") == 1, "a Julia waits")
        (pid,) = running.spares()
        running.claim()
        (running.home / "course").mkdir()
        kernel = running.call("POST", "kernels", {"name": "julia-1.5", "path": "course/notebook.ipynb"})["id"]
        given = until(
            lambda: (running.home / "given").exists() and (running.home / "given").read_text(), "it runs"
        )
        assert given.splitlines()[0] == str(pid)
        assert json.loads(Path(given.splitlines()[1]).read_text())["key"]
        assert given.splitlines()[2] == str(running.home / "course")
        running.call("DELETE", f"kernels/{kernel}")
        until(lambda: pid not in running.children(), "it ends")
