"""Man pages and completion say what the program does."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.packages.debs import ROOT


def _help(*command: str) -> str:
    return subprocess.check_output(
        [sys.executable, "-m", "hubagent", *command, "--help"], cwd=ROOT, text=True
    )


def _commands() -> list[str]:
    return re.findall(r"^    ([a-z][a-z-]*)(?:  |\n)", _help(), re.MULTILINE)


def _options(command: str) -> set[str]:
    return set(re.findall(r"--[a-z-]+", _help(command))) - {"--help"}


def test_man_page_describes_every_command_and_option() -> None:
    page = (ROOT / "packaging/man/hubagent.8.scd").read_text()
    commands = _commands()
    assert len(commands) == 11
    for command in commands:
        entry = re.search(rf"^\*{command}\*(.*)\n", page, re.MULTILINE)
        assert entry, command
        assert set(re.findall(r"\[\*(--[a-z-]+)\*\]", entry[1])) == _options(command), command


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (["hubagent", ""], None),
        (["hubagent", "ro"], {"rollback"}),
        (["hubagent", "apply", "--a"], {"--allow-disruption"}),
        (["hubagent", "status", "--j"], {"--json"}),
    ],
)
def test_completion_offers_what_the_program_takes(typed: list[str], offered: set[str] | None) -> None:
    script = (
        f'source {ROOT}/packaging/hubagent/bash-completion; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1));'
        ' _hubagent; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    answer = set(subprocess.check_output(["bash", "-c", script, "bash", *typed], text=True).split())
    assert answer == (offered or {*_commands(), "--help", "--version", "--traceback"})


@pytest.mark.parametrize(
    "command",
    [
        "run",
        "check",
        "plan",
        "apply",
        "status",
        "first-login",
        "rollback",
        "doctor",
        "homes",
        "backup",
        "restore",
    ],
)
def test_completion_knows_the_options_of(command: str) -> None:
    script = (
        f"source {ROOT}/packaging/hubagent/bash-completion; COMP_WORDS=(hubagent {command} --); COMP_CWORD=2;"
        ' compopt() { :; }; _hubagent; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    answer = set(subprocess.check_output(["bash", "-c", script], text=True, cwd="/").split())
    assert answer == _options(command) | {"--help"}


def _keys(schema: dict[str, Any], node: dict[str, Any], path: str) -> Iterator[str]:
    if "$ref" in node:
        name = node["$ref"].rpartition("/")[2]
        yield from _keys(schema, schema.get("$defs", schema.get("definitions", {}))[name], path)
    for alternative in (*node.get("anyOf", ()), *node.get("oneOf", ())):
        yield from _keys(schema, alternative, path)
    for key, child in node.get("properties", {}).items():
        yield f"{path}{key}"
        yield from _keys(schema, child, f"{path}{key}.")
    if isinstance(node.get("additionalProperties"), dict):
        yield from _keys(schema, node["additionalProperties"], f"{path}NAME.")


def test_man_page_describes_every_key() -> None:
    page = (ROOT / "packaging/man/hubagent.yaml.5.scd").read_text().replace("*_NAME_*", "NAME")
    described = set(re.findall(r"\*([a-zA-Z_.]+)\*", page))
    schema = json.loads((ROOT / "conf/schema.json").read_text())
    keys = set(_keys(schema, schema, ""))
    assert len(keys) > 40
    leaves = {key for key in keys if not any(other.startswith(f"{key}.") for other in keys)}
    missing = {key for key in leaves if key not in described}
    assert not missing
