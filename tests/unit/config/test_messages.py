"""What is said of values and keys that are not accepted, word for word."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.config.reading import faults

CASES = Path(__file__).with_name("messages.txt")
"""Blocks: one line that is a file, then its messages, without the path."""


def _cases() -> dict[str, list[str]]:
    blocks = (block.split("\n") for block in CASES.read_text().strip().split("\n\n"))
    return {lines[0]: lines[1:] for lines in blocks}


@pytest.mark.parametrize("text", _cases())
def test_messages(text: str) -> None:
    assert faults(text) == _cases()[text]


def test_errors_come_in_the_order_of_the_file() -> None:
    messages = faults("apply: {drift: no}\nnginx: {max_body: 1}\nhost: -a\ntls:\n  mode: none\n  kye: /x\n")
    assert [message.split(": ")[0] for message in messages] == ["1:16", "2:19", "3:7", "5:9", "6:3"]


@pytest.mark.parametrize(
    "text",
    [
        "hub: {database: 'postgresql://u:swordfish@h/d'}",
        "hub: {database: 'postgresql://u@h/d?password=swordfish'}",
        "hub: {traits: {A: {client_secret: swordfish}}}",
        "hub: {traits: {A: {api_token: swordfish}}}",
        "metrics: {users: {a: swordfish}}",
        "metrics: {users: swordfish}",
        "metrics: {users: [swordfish]}",
    ],
)
def test_a_secret_in_the_wrong_place_is_not_repeated(text: str) -> None:
    messages = faults(text)
    assert len(messages) == 1
    assert "swordfish" not in messages[0]


def test_a_long_value_is_shortened() -> None:
    (message,) = faults(f"host: {'x' * 10_000}")
    assert len(message) < 300
