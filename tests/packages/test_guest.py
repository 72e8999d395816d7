"""What user containers see at /opt/hubagent comes whole in the agent's package."""

from __future__ import annotations

import re

from tests.packages.debs import ROOT, Deb

PROGRAM = "/usr/share/hubagent/guest"


def test_the_guests_program_is_whole(agent: Deb) -> None:
    here = {
        f"{PROGRAM}/{path.relative_to(ROOT)}"
        for package in ("codec", "guest", "wire")
        for path in (ROOT / "hubagent" / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.name != "start"
    }
    modules = ("__init__", "request_log")
    beside = {f"{PROGRAM}/start", *(f"{PROGRAM}/hubagent/{module}.py" for module in modules)}
    assert {path for path in agent.files() if path.startswith(f"{PROGRAM}/")} == here | beside


def test_any_user_may_read_and_nobody_change_it(agent: Deb) -> None:
    modes = {path: member.mode for path, member in agent.members.items() if path.startswith(PROGRAM)}
    assert modes[f"{PROGRAM}/start"] == 0o755
    assert {mode for path, mode in modes.items() if not agent.members[path].isdir()} == {0o644, 0o755}
    assert all(mode & 0o022 == 0 for mode in modes.values())


def test_it_needs_nothing_else_of_hubagent(agent: Deb) -> None:
    """Any other import would fail in a container."""
    for path in agent.files():
        if path.startswith(f"{PROGRAM}/") and path.endswith(".py"):
            for module in re.findall(r"^\s*(?:from|import) (hubagent[\w.]*)", agent.read(path), re.MULTILINE):
                assert re.fullmatch(r"hubagent(\.(codec|wire|guest|request_log)(\.\w+)*)?", module), (
                    path,
                    module,
                )
