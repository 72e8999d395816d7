"""What our programs log, in a real journal: `journalctl -p warning` shows warnings and errors, and nothing else."""

from __future__ import annotations

import configparser
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.small_systemd import JOURNAL, SmallSystemd
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]

AGENT = """
import logging
from hubagent.adapters.machine.log import JournalLog

log = logging.getLogger("hubagent.test")
logging.getLogger().setLevel(logging.DEBUG)
with JournalLog():
    log.debug("a detail")
    log.info("all is well")
    log.info("a foreign text\\0<0>with a line\\n<1>that would be an alert")
    log.info("long: %s", "x" * 60_000)
    log.warning("look at this\\n  and this")
    try:
        raise ValueError("of two\\nlines")
    except ValueError:
        log.exception("it failed")
raise SystemExit("an end without a log")
"""
HELPER = """
import logging
from hubagent.helper import main as homes_helper

homes_helper.start_log()
logging.info("attached")
logging.warning("not attached")
"""
FIREWALL = """
import sys

sys.exit("nft: no such table")
"""
PROXY = """
print("12:00:00.000 [ConfigProxy] warn: a route is gone")
"""
PROGRAMS = {
    "hubagent": AGENT,
    "hubagent-homes": HELPER,
    "hubagent-firewall": FIREWALL,
    "hubagent-firewall-watch": FIREWALL,
    "configurable-http-proxy": PROXY,
}


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallSystemd]:
    """Each program has run once, with the log settings of the unit that is shipped for it."""
    folder = tmp_path_factory.mktemp("programs")
    units = dict(JOURNAL)
    for name, program in PROGRAMS.items():
        (folder / f"program-{name}.py").write_text(program)
        units[f"{name}.service"] = f"""
            [Unit]
            DefaultDependencies=no
            After=systemd-journald.service
            Requires=systemd-journald.service
            [Service]
            Type=oneshot
            ExecStart=-{sys.executable} {folder}/program-{name}.py
            Environment=PYTHONPATH={ROOT}
            SyslogIdentifier={name}
            SyslogLevel={_shipped(name)}
        """
    system = SmallSystemd(units)
    try:
        for name in PROGRAMS:
            system.systemctl("start", f"{name}.service")
        yield system
    finally:
        system.close()


def _shipped(name: str) -> str:
    unit = configparser.RawConfigParser(strict=False)
    unit.read(ROOT / f"units/{name}.service")
    return unit["Service"]["SyslogLevel"]


def _lines(journal: SmallSystemd, name: str, *arguments: str) -> list[tuple[int, str]]:
    """Priority and text of what the program itself has said."""
    chosen = ["--output=json", "--all", f"--unit={name}.service", f"--identifier={name}", *arguments]
    entries = [json.loads(line) for line in journal.journal(*chosen).splitlines()]
    return [(int(entry["PRIORITY"]), entry["MESSAGE"]) for entry in entries]


def _lines_of(first: str, last: str, lines: list[tuple[int, str]]) -> list[str]:
    texts = [text for _, text in lines]
    return texts[texts.index(first) : texts.index(last) + 1]


def test_every_line_of_the_agent_has_its_priority(journal: SmallSystemd) -> None:
    wait_until(lambda: any("an end" in text for _, text in _lines(journal, "hubagent")), 10.0)
    lines = _lines(journal, "hubagent")
    assert (7, "DEBUG hubagent.test: a detail") in lines
    assert (6, "INFO hubagent.test: all is well") in lines
    bad = [text for priority, text in lines if priority <= 4]
    assert bad == _lines_of("WARNING hubagent.test: look at this", "an end without a log", lines)


def test_a_line_too_long_for_the_journal_keeps_its_priority(journal: SmallSystemd) -> None:
    assert sum(text.count("x") for priority, text in _lines(journal, "hubagent") if priority == 6) >= 60_000


def test_nobody_gives_a_line_another_priority(journal: SmallSystemd) -> None:
    foreign = [line for line in _lines(journal, "hubagent") if "foreign" in line[1] or "alert" in line[1]]
    assert foreign == [
        (6, "INFO hubagent.test: a foreign text\\x00<0>with a line"),
        (6, "<1>that would be an alert"),
    ]


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("hubagent-homes", [(4, "not attached")]),
        ("hubagent-firewall", [(3, "nft: no such table")]),
        ("hubagent-firewall-watch", [(3, "nft: no such table")]),
        ("configurable-http-proxy", [(4, "12:00:00.000 [ConfigProxy] warn: a route is gone")]),
    ],
)
def test_warnings_and_errors_alone_are_found(
    journal: SmallSystemd, name: str, lines: list[tuple[int, str]]
) -> None:
    wait_until(lambda: _lines(journal, name, "--priority=warning") == lines, 10.0)
