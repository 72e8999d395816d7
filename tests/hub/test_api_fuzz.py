"""No answer 5xx is ours: schemathesis asks the hub's API, through nginx and the proxy, for all that its description
allows and does not allow."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pytest
from described_api import JUPYTERHUBS, KNOWN, METHODS, NOT_ASKED, OURS
from jupyterhub import apihandlers
from running import ROOT, RunningHub, call
from tester import TOKEN, faults, running

from tests.nginx.front import Front, front_in_own_folder, make_pair, site_in
from tests.nginx.tools import DEBIAN_NGINX, environment

STARTS: Final = re.compile(r"/users/[^/]*/servers?(/[^/]*)?")
"""Answered with 503: no agent is here."""

SETTINGS: Final = """
[phases.coverage]
unexpected-methods = []

[[operations]]  # JupyterHub's alone: asked by chance, not for every border of every value
include-path-regex = "share|/oauth2/|/authorizations/"
phases.coverage.enabled = false
"""


@dataclass(frozen=True)
class Door:
    """A hub with nginx before it."""

    hub: RunningHub
    front: Front
    url: str


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    pair = make_pair(tmp_path_factory.mktemp("certificate"))
    with (
        running(tmp_path_factory.mktemp("hub") / "hub", "tests.hub.described_api") as hub,
        front_in_own_folder(DEBIAN_NGINX) as front,
    ):
        site = site_in(front, pair, int(hub.url.rpartition(":")[2]))
        site = front.start(replace(site, host=None, self_signed=True))
        yield Door(hub, front, f"https://127.0.0.1:{site.https_port}/hub/api")


def fill(hub: RunningHub) -> str:
    """Make the users and groups that the description knows; a token of a user who is no admin."""

    def ask(path: str, body: object = None) -> bytes:
        return call(
            f"{hub.url}/hub/api/{path}",
            method="POST",
            token=TOKEN,
            body=json.dumps(body).encode(),
            timeout_s=60,
        )[1]

    for name in KNOWN["user_name"]:
        ask(f"users/{name}")
    for name in KNOWN["group_name"]:
        ask(f"groups/{name}", {})
    token: str = json.loads(ask("users/ada/tokens", {}))["token"]
    return token


def fuzz(door: Door, folder: Path, token: str, *, phases: str, examples: int) -> str:
    """What schemathesis says, which has a command for each kind of answer 5xx."""
    (folder / "schemathesis.toml").write_text(SETTINGS)
    st = environment(Path(__file__).with_name("fuzzer-requirements.txt"), ROOT / "build/fuzzer") / "bin/st"
    run = subprocess.run(
        [st, "run", door.hub.folder / "openapi.json", f"--url={door.url}", "--tls-verify=false",
         "--checks=not_a_server_error", "--continue-on-failure", "--generation-deterministic", "--no-shrink",
         "--suppress-health-check=all", "--warnings=off", f"--phases={phases}", f"--max-examples={examples}",
         f"--header=Authorization:token {token}"],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode in {0, 1}, run.stdout[-3000:] + run.stderr[-3000:]
    return run.stdout


def operations(door: Door) -> dict[str, dict[str, Any]]:
    described: dict[str, dict[str, Any]] = json.loads((door.hub.folder / "openapi.json").read_text())["paths"]
    return described


def may_fail(paths: Mapping[str, Mapping[str, Any]], method: str, path: str, status: str) -> bool:
    """A start while no agent is here, and JupyterHub's own code where it is given what it does not expect: an answer 500,
    and a traceback without a line of ours, which is looked for apart from this."""
    path = path.partition("?")[0].removeprefix("/hub/api")
    if (method, status) == ("POST", "503"):
        return STARTS.fullmatch(path) is not None
    served = [
        operation[method.lower()]["tags"]
        for template, operation in paths.items()
        if method.lower() in operation and re.fullmatch(re.sub(r"\{\w+\}", "[^/]*", template), path)
    ]
    return status == "500" and bool(served) and [OURS] not in served


@pytest.mark.parametrize(
    ("who", "phases", "examples"),
    [("nobody", "fuzzing", 1), ("user", "fuzzing", 3), ("admin", "coverage,fuzzing", 4)],
)
def test_no_answer_is_a_failure_of_ours(
    door: Door, tmp_path: Path, who: str, phases: str, examples: int
) -> None:
    begun, pid, before = len(door.hub.log), door.hub.hub_pid, len(door.front.access_log.read_text())
    token = {"nobody": "x", "user": fill(door.hub), "admin": TOKEN}[who]
    said = fuzz(door, tmp_path, token, phases=phases, examples=examples)
    log = door.front.access_log.read_text()[before:]
    answers = re.findall(r'"([A-Z]+) (\S+) HTTP/1.1" (\d+) ', log)
    paths = operations(door)
    failed = [answer for answer in answers if answer[2] >= "500" and not may_fail(paths, *answer)]
    assert not failed, said
    assert not faults(door.hub.log[begun:])
    assert (door.hub.hub_pid, call(f"{door.hub.url}/hub/health")[0]) == (pid, 200)
    if who == "admin":
        assert {method.lower() for method, _, status in answers if status < "300"} == {*METHODS}


def test_every_route_is_described(door: Door) -> None:
    """The description is made from what serves; this is what JupyterHub says that it serves."""
    described = operations(door)
    paths = {
        re.sub(r"\{\w+\}", "x", f"/api{path}") for path in (*described, *(path for _, path in NOT_ASKED))
    }
    for expression, *_ in apihandlers.default_handlers:
        assert any(re.fullmatch(expression, path) for path in paths), expression
    tags = [operation["tags"] for methods in described.values() for operation in methods.values()]
    assert {*map(tuple, tags)} == {(OURS,), (JUPYTERHUBS,)}
