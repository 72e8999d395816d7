"""What a codec reads, refuses and leaves out; that each one made reads what it writes is test_every_codec's."""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Annotated

import pytest

from hubagent.codec import Codec, CodecError, Key, json_object, later


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Rank(enum.IntEnum):
    LOW = 0
    HIGH = 1


@dataclass(frozen=True, slots=True)
class Part:
    size: Annotated[int, Key("bytes")]
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Whole:
    name: str
    colour: Colour = Colour.RED
    rank: Rank = Rank.LOW
    path: PurePosixPath = PurePosixPath("/")
    parts: tuple[Part, ...] = ()
    pair: tuple[str, int] = ("", 0)
    by_colour: Mapping[Colour, Part] = field(default_factory=dict)
    free: object = None
    note: str | None = None
    young: str = later("")


STRICT = Codec(Whole, strict=True)
LENIENT = Codec(Whole, strict=False)
MARKED = Codec(Whole, strict=True, mark=("format", 1))


def test_the_form() -> None:
    """As older versions read it: a change here is one of every file."""
    whole = Whole(
        "ada",
        Colour.BLUE,
        Rank.HIGH,
        PurePosixPath("/srv"),
        parts=(Part(1),),
        by_colour={Colour.RED: Part(2, 0.5)},
        free={"a": [1, None]},
    )
    assert json.loads(MARKED.dumps(whole)) == {
        "format": 1,
        "name": "ada",
        "colour": "blue",
        "rank": 1,
        "path": "/srv",
        "parts": [{"bytes": 1, "weight": 1.0}],
        "pair": ["", 0],
        "by_colour": {"red": {"bytes": 2, "weight": 0.5}},
        "free": {"a": [1, None]},
        "note": None,
    }
    assert MARKED.loads(MARKED.dumps(whole)) == whole


def test_what_is_missing_has_its_default() -> None:
    for codec in (STRICT, LENIENT):
        assert codec.typed({"name": "ada"}) == Whole("ada")


def test_a_later_field_is_written_only_when_it_says_something() -> None:
    assert "young" not in STRICT.plain(Whole("ada"))
    assert STRICT.plain(Whole("ada", young="yes"))["young"] == "yes"


def test_only_a_strict_codec_refuses_what_it_does_not_know() -> None:
    data = {"name": "ada", "parts": [{"bytes": 1, "height": 2}], "more": 3}
    assert LENIENT.typed(data) == Whole("ada", parts=(Part(1),))
    with pytest.raises(CodecError, match=r"parts\[0\]\.height: unknown key"):
        STRICT.typed(data)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": ...}, "name: missing"),
        ({"name": None}, "name: must be text, is null"),
        ({"name": True}, "name: must be text, is true or false"),
        ({"colour": "green"}, "colour: must be one of red, blue"),
        ({"colour": ["red"]}, "colour: must be one of red, blue"),
        ({"rank": True}, "rank: must be one of 0, 1"),
        ({"rank": 1.0}, "rank: must be one of 0, 1"),
        ({"path": 1}, "path: must be text, is a number"),
        ({"parts": {}}, "parts: must be a list, is an object"),
        ({"parts": [{"bytes": 1}, 2]}, "parts[1]: must be an object, is a number"),
        ({"parts": [{}]}, "parts[0].bytes: missing"),
        ({"parts": [{"bytes": 1.0}]}, "parts[0].bytes: must be a whole number, is a number"),
        ({"parts": [{"bytes": True}]}, "parts[0].bytes: must be a whole number, is true or false"),
        ({"parts": [{"bytes": 1, "weight": "1"}]}, "parts[0].weight: must be a number, is text"),
        ({"parts": [{"bytes": 1, "weight": 10**400}]}, "parts[0].weight: too large a number"),
        ({"pair": ["a"]}, "pair: must have 2 values, has 1"),
        ({"pair": ["a", "b"]}, "pair[1]: must be a whole number, is text"),
        ({"by_colour": {"green": {"bytes": 1}}}, "by_colour.green: must be one of red, blue"),
        ({"by_colour": {"red": {}}}, "by_colour.red.bytes: missing"),
        ({"note": 1}, "note: must be text, is a number"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused_by_its_path(change: Mapping[str, object], message: str) -> None:
    changed = {"name": "ada", **change}
    data = {key: value for key, value in changed.items() if value is not ...}
    for codec in (STRICT, LENIENT):
        with pytest.raises(CodecError) as refused:
            codec.typed(data)
        assert str(refused.value) == message


def test_no_refusal_shows_the_value() -> None:
    for key in ("colour", "rank", "parts", "pair", "by_colour"):
        with pytest.raises(CodecError) as refused:
            STRICT.typed({"name": "ada", key: "canary"})
        assert "canary" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "free"), [("\ud800", None), ("ada", float("inf"))], ids=["half", "infinite"]
)
def test_what_only_json_can_spell_is_refused_strictly(name: str, free: float | None) -> None:
    data = {"name": name, "parts": [] if free is None else [{"bytes": 1, "weight": free}]}
    LENIENT.typed(data)
    with pytest.raises(CodecError, match=r"half a character|finite"):
        STRICT.typed(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"name": "ada"}, "format: missing"),
        ({"name": "ada", "format": 2}, "format: is 2, this hubagent reads 1"),
        ({"name": "ada", "format": True}, "format: is true or false, this hubagent reads 1"),
        ([], "must be an object, is a list"),
    ],
    ids=str,
)
def test_another_form_is_refused(data: object, message: str) -> None:
    with pytest.raises(CodecError) as refused:
        MARKED.typed(data)
    assert str(refused.value).startswith(message)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"{", b"[" * 100_000], ids=lambda one: one[:3])
def test_what_is_no_json_is_refused(content: bytes) -> None:
    with pytest.raises(CodecError, match="not JSON"):
        STRICT.loads(content)


def test_an_object_is_asked_for() -> None:
    assert json_object(b'{"a": 1}') == {"a": 1}
    with pytest.raises(CodecError, match="must be an object, is a list"):
        json_object(b"[]")


def test_a_key_that_somebody_made_up_is_shown_on_one_line() -> None:
    for key in ("\nERROR \ud800", "x" * 1000, ""):
        with pytest.raises(CodecError) as refused:
            STRICT.typed({"name": "ada", key: 1})
        assert str(refused.value).isprintable()
        assert len(str(refused.value)) < 200


def test_a_field_that_has_no_form_in_json_cannot_be_declared() -> None:
    @dataclass(frozen=True)
    class Odd:
        names: frozenset[str]

    with pytest.raises(TypeError, match="no form in JSON"):
        Codec(Odd, strict=True)
