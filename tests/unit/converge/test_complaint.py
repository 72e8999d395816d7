"""One line out of a program's log: the one that names the fault, and nothing that must not be seen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubagent.converge.complaint import first_error, secrets_in

TRACEBACK = [
    "[I 2026-11-30 10:00:00.000 JupyterHub app:3354] Running JupyterHub version 6.1.1",
    "[E 2026-11-30 10:00:01.000 JupyterHub app:3852]",
    "    Traceback (most recent call last):",
    '      File "/x/app.py", line 3849, in launch_instance_async',
    "        await self.initialize(argv)",
    "    jupyterhub.dbutil.DatabaseSchemaMismatch: the schema is of a later version",
    "",
]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], ""),
        (["", "  "], ""),
        (TRACEBACK, "jupyterhub.dbutil.DatabaseSchemaMismatch: the schema is of a later version"),
        (
            [*TRACEBACK, "Traceback (most recent call last):", '  File "x"', "KeyError: 'b'", "Exiting"],
            "KeyError: 'b'",
        ),
        (
            [
                "starting",
                'nginx: [emerg] unknown directive "hots" in /x:3',
                "nginx: configuration test failed",
            ],
            'nginx: [emerg] unknown directive "hots" in /x:3',
        ),
        (["Traceback (most recent call last):", '  File "x"'], 'File "x"'),
        (
            ["10:00 [ConfigProxy] info: up", "Error: listen EADDRINUSE: 127.0.0.1:8001", "    at Server.x"],
            None,
        ),
        (["hub.database: no connection to postgresql://db/hub: timeout expired"], None),
        (["one", "two"], "two"),
    ],
)
def test_the_line_that_names_the_fault(lines: list[str], expected: str | None) -> None:
    if expected is None:
        expected = next(line for line in lines if "rror" in line or "connection" in line)
    assert first_error(lines) == expected


@pytest.mark.parametrize(
    "line",
    [
        "Error: postgresql+psycopg://hub:S3cretS3cret@db/hub refused",
        "Error: Authorization: token S3cretS3cret was refused",
        "Error: {'password': 'S3cretS3cret'} is no mapping",
        "Error: 403 GET /hub/api?token=S3cretS3cret&x=1",
        "Error: CONFIGPROXY_AUTH_TOKEN=S3cretS3cret",
        "Error: client_secret = S3cretS3cret",
    ],
)
def test_what_looks_like_a_secret_is_not_shown(line: str) -> None:
    assert "S3cret" not in first_error([line])
    assert "Error" in first_error([line])


def test_known_secrets_are_not_shown_in_any_place() -> None:
    secrets = secrets_in(b'{"a": {"b": ["hunter2-and-more", 3, null]}, "c": "short"}')
    assert secrets == ("hunter2-and-more", "short")
    assert first_error(["Error: xhunter2-and-morex"], secrets) == "Error: x[secret]x"
    assert first_error([f"Error: {'0a' * 32}"], ()) == "Error: [secret]"
    assert secrets_in(b"not json") == ()


def test_a_terminal_obeys_nothing_of_it() -> None:
    said = first_error(["\x1b]0;title\x07Error:\x1b[31m red\x1b[0m\r\n and\x08 \u202ereversed\u2028 \x9b2J"])
    assert said.isprintable()
    assert said.startswith("Error: red")


@given(st.lists(st.text(), max_size=6))
def test_any_text_becomes_one_bounded_line(lines: list[str]) -> None:
    said = first_error(lines)
    assert len(said) <= 400
    assert said == "" or said.isprintable()
