"""A kernel behaves the same whether it waited or was started when asked for."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
import requests

from tests.guest_kernels.jupyter import Kernel, Reply, Server
from tests.waiting import wait_until


def test_executes(kernel: Kernel) -> None:
    reply = kernel.run("print('to stdout'); import sys; print('to stderr', file=sys.stderr); sum(range(10))")
    assert (reply.status, reply.result) == ("ok", "45")
    assert (reply.stdout, reply.stderr) == ("to stdout\n", "to stderr\n")


def test_shows_what_commands_print(kernel: Kernel) -> None:
    assert kernel.run("!echo from a shell").stdout.strip() == "from a shell"
    kernel.begin("__import__('os').system('echo to the descriptor')")
    wait_until(
        lambda: "to the descriptor" in str(kernel.receive()["content"].get("text")), "the output of a child"
    )


def test_reports_errors(kernel: Kernel) -> None:
    reply = kernel.run("1 / 0")
    assert (reply.status, reply.error) == ("error", "ZeroDivisionError")


def test_has_the_users_environment_and_nothing_else(kernel: Kernel, jupyter: Server) -> None:
    found = kernel.value("dict(__import__('os').environ)")
    assert found["OF_THE_USER"] == "a value\nof two lines"
    assert found["OF_THE_IMAGE"] == "before"
    assert found["JPY_PARENT_PID"] == str(jupyter.process.pid)
    assert not [name for name in found if name.startswith("HUBAGENT") or "PROVISIONER" in name]


def test_the_same_environment_reaches_programs(kernel: Kernel) -> None:
    said = kernel.run("!env").stdout
    assert "JUPYTERHUB_API_TOKEN=secret-token" in said
    assert "HUBAGENT" not in said


def test_starts_in_the_notebooks_folder(jupyter: Server) -> None:
    jupyter.spares()
    (jupyter.home / "course/week one").mkdir(parents=True, exist_ok=True)
    (jupyter.home / "course/week one/beside.py").write_text("found = 'beside the notebook'\n")
    kernel = jupyter.start(path="course/week one/notebook.ipynb")
    assert kernel.waited == bool(jupyter.wanted)
    assert kernel.value("__import__('os').getcwd()") == str(jupyter.home / "course/week one")
    assert kernel.value("__import__('beside').found") == "beside the notebook"
    kernel.shut_down()


def test_looks_for_modules_where_any_kernel_does(kernel: Kernel) -> None:
    path = kernel.value("__import__('sys').path")
    assert "" in path
    assert kernel.value("__import__('importlib.util', fromlist=['util']).find_spec('hubagent')") is None
    argv = kernel.value("__import__('sys').argv")
    assert argv[0].endswith("ipykernel_launcher.py")
    assert argv[1] == "-f"


def test_has_the_servers_mask_limits_and_priority(kernel: Kernel, jupyter: Server) -> None:
    def facts(pid: int) -> list[str]:
        status = Path(f"/proc/{pid}/status").read_text().splitlines()
        keep = ("Umask", "Uid", "Gid", "Groups", "SigBlk", "NoNewPrivs", "CapEff")
        return [line for line in status if line.startswith(keep)]

    assert facts(kernel.pid) == facts(jupyter.process.pid)
    threads = os.listdir(f"/proc/{kernel.pid}/task")
    assert {os.getpriority(os.PRIO_PROCESS, int(thread)) for thread in threads} == {0}
    assert os.getsid(kernel.pid) == kernel.pid
    assert (
        Path(f"/proc/{kernel.pid}/limits").read_text()
        == Path(f"/proc/{jupyter.process.pid}/limits").read_text()
    )


def test_holds_no_file_of_the_handing_over(kernel: Kernel) -> None:
    assert kernel.value("__import__('os').read(0, 1).decode()") == ""
    names = kernel.value("[__import__('os').readlink(f'/proc/self/fd/{n}') for n in (0, 1, 2)]")
    assert names[0].startswith("pipe:")


def _interrupted(kernel: Kernel, begun: str) -> Reply:
    """The end of what was begun, interrupted once it has printed something."""
    interrupted = False

    def interrupt_once(reply: Reply) -> None:
        nonlocal interrupted
        if reply.stdout and not interrupted:
            interrupted = True
            kernel.interrupt()

    return kernel.finish(begun, seen=interrupt_once)


def test_is_interrupted(kernel: Kernel) -> None:
    begun = kernel.begin("print('begun', flush=True)\nwhile True: pass")
    assert _interrupted(kernel, begun).error == "KeyboardInterrupt"
    assert kernel.run("1 + 1").result == "2"


def test_interrupts_reach_the_programs_it_started(kernel: Kernel) -> None:
    begun = kernel.begin("print('begun', flush=True)\n__import__('subprocess').run(['sleep', '600'])")
    assert _interrupted(kernel, begun).error == "KeyboardInterrupt"


def test_asks_for_input(kernel: Kernel) -> None:
    begun = kernel.begin("name = input('who? ')\nname.upper()", stdin=True)
    assert kernel.finish(begun, answer="ada").result == "'ADA'"


def test_restarts_with_nothing_left(kernel: Kernel, jupyter: Server) -> None:
    kernel.run("left = 1")
    before = kernel.pid
    jupyter.spares()
    kernel.restart()
    assert kernel.run("left").error == "NameError"
    assert kernel.pid != before
    assert kernel.waited == bool(jupyter.wanted)
    assert kernel.value("__import__('os').environ['OF_THE_USER']") == "a value\nof two lines"


def test_is_started_again_when_it_dies(kernel: Kernel, jupyter: Server) -> None:
    before = kernel.pid
    os.kill(before, signal.SIGKILL)

    wait_until(
        lambda: kernel.receive()["content"].get("execution_state") == "restarting", "the restarter sees it"
    )
    wait_until(
        lambda: jupyter.call("GET", f"kernels/{kernel.id}")["execution_state"] != "restarting",
        "it runs again",
    )
    kernel.reconnect()
    assert kernel.pid != before


def test_shuts_down(jupyter: Server) -> None:
    jupyter.spares()
    kernel = jupyter.start()
    pid = kernel.pid
    kernel.shut_down()
    wait_until(lambda: pid not in jupyter.children(), "the process ends")
    with pytest.raises(requests.HTTPError):
        jupyter.call("GET", f"kernels/{kernel.id}")


def test_two_at_once_are_apart(jupyter: Server) -> None:
    jupyter.spares()
    first, second = jupyter.start(), jupyter.start()
    first.run("whose = 'first'")
    assert second.run("whose").error == "NameError"
    assert first.pid != second.pid
    assert [first.waited, second.waited] == [bool(jupyter.wanted)] * 2
    first.shut_down()
    second.shut_down()


def test_finds_the_users_own_packages(jupyter: Server, user_site: Path) -> None:
    jupyter.spares()
    (user_site / "of_the_user.py").write_text("version = 'own'\n")
    kernel = jupyter.start("general")
    try:
        assert kernel.waited == bool(jupyter.wanted)
        assert kernel.value("__import__('of_the_user').version") == "own"
        assert [one for one in kernel.value("__import__('sys').path") if one] == fresh_path(kernel, jupyter)
    finally:
        (user_site / "of_the_user.py").unlink()
        kernel.shut_down()


def fresh_path(kernel: Kernel, jupyter: Server) -> list[str]:
    """sys.path of the kernel's interpreter when it starts in this home."""
    program = kernel.value("__import__('sys').executable")
    code = "import json, sys; print(json.dumps(sys.path))"
    environment = {"HOME": str(jupyter.home), "PATH": os.environ["PATH"]}
    said = subprocess.run([program, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return [one for one in json.loads(said.stdout) if one]


def test_the_users_own_version_of_a_kernels_package_wins(jupyter: Server, user_site: Path) -> None:
    jupyter.spares()
    own = jupyter.home / "own"
    own.mkdir(exist_ok=True)
    (own / "psutil.py").write_text("__version__ = 'own'\nclass Process: pass\n")
    (user_site / "own.pth").write_text(f"import sys; sys.path.insert(0, {str(own)!r})\n")
    kernel = jupyter.start("general")
    try:
        assert kernel.value("__import__('psutil').__version__") == "own"
        assert not kernel.waited
    finally:
        (user_site / "own.pth").unlink()
        kernel.shut_down()
    jupyter.spares()
    # The next one was begun while the package was there, and is not as others are.
    jupyter.start("general").shut_down()


def test_has_the_kernelspecs_environment(jupyter: Server) -> None:
    jupyter.spares()
    kernel = jupyter.start("general")
    assert kernel.waited == bool(jupyter.wanted)
    assert kernel.value("__import__('os').environ['OF_THE_KERNEL']") == f"{jupyter.home}/x"
    kernel.shut_down()


def test_loads_the_users_startup_files(jupyter: Server) -> None:
    startup = jupyter.home / ".ipython/profile_default/startup"
    startup.mkdir(parents=True, exist_ok=True)
    (startup / "00-own.py").write_text("from_startup = 'ran'\n")
    jupyter.spares()
    kernel = jupyter.start()
    try:
        assert kernel.run("from_startup").result == "'ran'"
    finally:
        (startup / "00-own.py").unlink()
        kernel.shut_down()


def test_has_what_its_own_imports_set(kernel: Kernel) -> None:
    """debugpy turns off a part of itself by a variable, which the user's environment must not take away."""
    assert kernel.value("__import__('os').environ.get('PYDEVD_USE_FRAME_EVAL')") == "NO"
