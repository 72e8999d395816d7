"""What is YAML to hubagent: the messages for files that are not."""

from __future__ import annotations

import time

import pytest

from tests.unit.config.reading import faults, read

SYNTAX = {
    "empty": (b"", "1:1: the file is empty; write at least one key, such as `host:`, or {} for all defaults"),
    "blank": (
        b"\n \n",
        "1:1: the file is empty; write at least one key, such as `host:`, or {} for all defaults",
    ),
    "comments only": (
        b"# host: a.example.org\n",
        "2:1: the file holds no keys, only comments; write at least one key, or {} for all defaults",
    ),
    "NUL": (
        b"host: a\0b\n",
        "1:8: contains a NUL byte; remove it (in quoted text, \\x and \\u escapes can be written)",
    ),
    "binary": (
        b"\x7fELF\x02\x01\x01\x00\xff\xfe",
        "1:9: byte 0xff is not UTF-8; save the file as UTF-8 text",
    ),
    "latin-1": (b"hub:\n  # f\xfcr alle\n", "2:6: byte 0xfc is not UTF-8; save the file as UTF-8 text"),
    "UTF-16": ("host: a\n".encode("utf-16"), "1:1: the file is UTF-16; save it as UTF-8"),
    "line separator": (
        "host: a\u2028b\n".encode(),
        (
            "1:8: contains the invisible character U+2028; remove it (in quoted text, \\x and \\u escapes can"
            " be written)"
        ),
    ),
    "tab": (
        b"hub:\n\tsignup: open\n",
        "2:1: a tab in the indentation; write spaces instead (YAML allows no tabs there)",
    ),
    "tab after spaces": (
        b"hub:\n  signup: open\n  \tlanding: /lab\n",
        "3:3: a tab in the indentation; write spaces instead (YAML allows no tabs there)",
    ),
    "truncated quote": (
        b'host: "hub.exam',
        (
            "1:16: the file ends inside a quoted text; close the quote, and check that the file is complete"
            " (it starts on line 1)"
        ),
    ),
    "truncated bracket": (
        b"hub:\n  admins: [a, b",
        "3:1: a [ or { is not closed, or a comma is missing; complete it (it starts on line 2)",
    ),
    "truncated brace": (
        b"tls: {mode: files",
        "2:1: a [ or { is not closed, or a comma is missing; complete it (it starts on line 1)",
    ),
    "indentation": (
        b"tls:\n  mode: files\n   key: /k\n",
        (
            "3:7: a second ': ' on this line, or a wrong indentation; put the value in quotes or fix the"
            " indentation"
        ),
    ),
    "no colon": (
        b"tls:\n  mode: files\nhost\nnginx: {}\n",
        "4:1: this line has no ':' after its key, or a quote or bracket above is not closed; complete it",
    ),
    "two colons": (
        b"servers: {j: {title: a: b}}\n",
        (
            "1:23: a second ': ' on this line, or a wrong indentation; put the value in quotes or fix the"
            " indentation"
        ),
    ),
    "needs quotes": (b"host: @here\n", "1:7: this character needs quotes here; put the value in quotes"),
    "backslash": (
        b'host: "C:\\windows"\n',
        "1:10: this \\ means nothing in double quotes; write \\\\ or use single quotes",
    ),
    "anchor": (
        b"host: &name hub.example.org\n",
        '1:7: the anchor "&name" is not accepted; remove it and write values out where they are used',
    ),
    "alias": (b"host: *name\n", '1:7: the alias "*name" is not accepted; write the value out'),
    "merge key": (
        b"hub:\n  <<: {signup: open}\n",
        "2:3: the merge key << is not accepted; write the keys out",
    ),
    "tag": (b"host: !!str a\n", '1:7: the tag "tag:yaml.org,2002:str" is not accepted; remove it'),
    "python tag": (
        b"!!python/object/apply:os.system [id]\n",
        '1:1: the tag "tag:yaml.org,2002:python/object/apply:os.system" is not accepted; remove it',
    ),
    "directive": (b"%YAML 1.1\n---\nhost: a\n", "1:1: directives (%) are not accepted; remove the line"),
    "two documents": (
        b"host: a\n---\nhost: b\n",
        "2:1: a second document starts here; keep one, and remove the --- line",
    ),
    "duplicate key": (
        b"host: a\ntls: {}\nhost: b\n",
        '3:1: the key "host" appears twice, first on line 1; remove one',
    ),
    "duplicate in a trait": (
        b"hub: {traits: {A: {b: {c: 1, c: 2}}}}\n",
        '1:30: the key "c" appears twice, first on line 1; remove one',
    ),
    "number as key": (b"1: 2\n", "1:1: the key 1 is not text; put it in quotes"),
    "boolean as key": (b"true: 2\n", "1:1: the key true is not text; put it in quotes"),
    "no key": (b"? \n: 2\n", "1:2: the key without a name is not text; put it in quotes"),
    "list as key": (b"? [a]\n: 2\n", "1:3: a list or mapping as key is not accepted; write a name"),
    "too deep": (b"hub: " + b"[" * 50_000, "1:25: is nested deeper than 20 levels; write it flatter"),
    "too deep in blocks": (b"- " * 5_000, "1:41: is nested deeper than 20 levels; write it flatter"),
    "too large": (
        b"# " + b"x" * 2_000_000,
        "1:1: the file has 2000002 bytes; keep it under 1048576 (1 MiB)",
    ),
    "too many values": (
        b"- \n" * 150_000,
        "100000:2: the file holds more than 100000 values; write fewer",
    ),
    "list": (
        b"- host: a\n",
        "1:1: is a list; write a mapping with host, tls, hub, servers, nginx, metrics, apply",
    ),
    "one word": (
        b"host\n",
        "1:1: is a single value; write a mapping with host, tls, hub, servers, nginx, metrics, apply",
    ),
}


@pytest.mark.parametrize("name", SYNTAX)
def test_one_message_that_names_the_place_and_the_remedy(name: str) -> None:
    content, expected = SYNTAX[name]
    assert faults(content) == [expected]


def test_all_refused_constructs_are_reported_at_once() -> None:
    messages = faults("host: &a x\nhub: *a\ntls: !t {}\nhost: y\n")
    assert [message.split(": ")[0] for message in messages] == ["1:7", "2:6", "3:6", "4:1"]


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffhost: a\n",
        "---\nhost: a\n...\n",
        "host: a # comment\r\ntls:\r\n  mode: self-signed\r\n",
        "host:   'a'",
        '{"host": "a"}',
        "host: >-\n  a\n",
    ],
    ids=["byte order mark", "document markers", "CRLF", "no newline", "JSON", "folded"],
)
def test_other_spellings_of_yaml_are_fine(text: str) -> None:
    assert read(text).host == "a"


@pytest.mark.parametrize(
    ("spelling", "value"),
    [
        ("yes", "yes"),
        ("Off", "off"),
        ("y", "y"),
        ("0o17", "0o17"),
        ("0600", "0600"),
        ("1_000", "1_000"),
        ("22:22", "22:22"),
        ("1e3", 1000.0),
        ("-7", -7),
        (".5", 0.5),
        ("True", True),
        ("~", None),
        (".inf", ".inf"),
        ("2026-01-01", "2026-01-01"),
        ("'1'", "1"),
    ],
)
def test_plain_scalars_follow_yaml_1_2(spelling: str, value: object) -> None:
    expected = "Off" if spelling == "Off" else value
    found = read(f"hub: {{traits: {{A: {{b: {spelling}}}}}}}").hub.traits["A"]["b"]
    assert found == expected
    assert type(found) is type(expected)


def test_an_alias_bomb_is_refused_before_it_grows() -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [
        f"{new}: &{new} [{', '.join(['*' + old] * 9)}]" for old, new in zip("abcdefg", "bcdefgh", strict=True)
    ]
    started = time.process_time()
    messages = faults("\n".join(lines))
    assert time.process_time() - started < 0.2
    assert (
        messages[0]
        == '1:4: the anchor "&a" is not accepted; remove it and write values out where they are used'
    )


def test_a_chain_of_merge_keys_is_refused_before_it_grows() -> None:
    lines = ["k0: &k0 {a: 1}"]
    lines += [f"k{i}: &k{i} {{<<: [*k{i - 1}, *k{i - 1}]}}" for i in range(1, 30)]
    started = time.process_time()
    assert faults("\n".join(lines))
    assert time.process_time() - started < 0.2


def test_a_long_anchor_is_shortened() -> None:
    (message,) = faults(b"host: &" + b"x" * 10_000 + b" a")
    assert len(message) < 300


def test_a_hundred_messages_are_enough() -> None:
    messages = faults("".join(f"key{i}: 1\n" for i in range(5000)))
    assert len(messages) == 101
    assert messages[-1] == " there are more errors; correct these 100 first"
