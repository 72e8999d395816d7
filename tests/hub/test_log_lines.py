"""The hub's log has priorities where the journal reads it: of JupyterHub, of our code and of the hub's services."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from running import RunningHub

from hubagent.hub.application import HubagentHub
from tests.waiting import wait_until

MARKED = re.compile(r"<([0-7])>(.*)")


def _reads_as_the_journal(hub: RunningHub) -> None:
    """What systemd tells a service whose output goes to the journal; here it is the file of the log."""
    log = hub.folder / "hub.log"
    log.touch()
    hub.environment["JOURNAL_STREAM"] = f"{log.stat().st_dev}:{log.stat().st_ino}"


@pytest.fixture(scope="module")
def journaled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    hub = RunningHub(tmp_path_factory.mktemp("journaled"))
    _reads_as_the_journal(hub)
    try:
        hub.start()
        yield hub
    finally:
        hub.stop()


def _lines(hub: RunningHub) -> list[tuple[int, str]]:
    """Priority and text; -1 for a line without one."""
    found = [(line, MARKED.fullmatch(line)) for line in hub.log.splitlines()]
    return [(int(match[1]), match[2]) if match else (-1, line) for line, match in found]


def test_every_line_has_the_priority_of_its_level(journaled: RunningHub) -> None:
    requests.get(
        f"{journaled.url}/hub/api/users",
        params={"offset": "9" * 30},
        headers={"Authorization": f"token {journaled.secrets['agent_token']}"},
        timeout=60,
    )
    wait_until(lambda: " 500 GET /hub/api/users" in journaled.log, "the line of a request that fails")
    lines = _lines(journaled)
    assert {text for priority, text in lines if priority < 0} == set()
    levels = {"I": 6, "W": 4, "E": 3, "C": 2}
    last = ""
    for priority, text in lines:
        begins = re.match(r"\[([IWEC]) ", text)
        last = begins[1] if begins else last
        assert priority == levels[last], text
    assert any(priority == 3 and "OverflowError" in text for priority, text in lines), (
        "a traceback's last line"
    )


def test_a_service_of_the_hub_has_them_too(journaled: RunningHub) -> None:
    """The culler warns that it comes too late for what it looks for; here nothing is."""
    wait_until(lambda: any(" Culler " in text for _, text in _lines(journaled)), "a line of the culler")
    assert {(p, t[:3]) for p, t in _lines(journaled) if " Culler " in t} <= {(6, "[I "), (4, "[W ")}


def test_the_last_words_of_a_hub_that_cannot_start(tmp_path: Path) -> None:
    hub = RunningHub(tmp_path / "hub")
    _reads_as_the_journal(hub)
    hub.settings["version"] = 99
    assert hub.start_hub().wait(timeout=60) == 1
    priority, text = _lines(hub)[-1]
    assert (priority, text.partition(":")[0]) == (2, "jupyterhub")
    hub.stop()


def test_a_terminal_or_a_file_has_the_text_alone(hub: RunningHub) -> None:
    assert not MARKED.search(hub.log)
    assert "[I " in hub.log


@pytest.mark.parametrize(
    ("more", "least"),
    [([], logging.INFO), ([logging.WARNING], logging.INFO), ([logging.DEBUG], logging.DEBUG)],
    ids=["the hub's own", "one that wants less", "one that wants more"],
)
def test_a_line_that_no_handler_wants_is_not_made(more: list[int], least: int) -> None:
    hub = HubagentHub()
    loggers = [hub.log, *map(logging.getLogger, ("tornado", "oauthlib"))]
    before = [(one, one.level, one.propagate, one.parent) for one in loggers]
    for level in more:
        handler = logging.NullHandler()
        handler.setLevel(level)
        hub.extra_log_handlers.append(handler)
    try:
        hub.init_logging()
        for one in (*loggers, logging.getLogger("tornado.application")):
            assert one.isEnabledFor(least), one
            assert not one.isEnabledFor(least - 1), one
    finally:
        for handler in hub.extra_log_handlers:
            hub.log.removeHandler(handler)
        for one, level, propagate, parent in before:
            one.propagate, one.parent = propagate, parent
            one.setLevel(level)
