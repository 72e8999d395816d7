"""A soak that went well meets every bar; each thing that may go wrong misses its own, and is in the report."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from typing import Any

import pytest

from tests.soak.background import Failure
from tests.soak.bars import Leftovers, Seen, judge
from tests.soak.events import Calm, Done, Kind
from tests.soak.plot import picture
from tests.soak.report import page
from tests.soak.samples import AGENT, HOMES, Held, Sample

LEFT = Leftovers(frozenset({"a", "b"}), frozenset({"a", "b"}), 2, 2, (), ("/",))


def _samples(*, more: int = 0, unit: str = AGENT, what: str = "descriptors") -> list[Sample]:
    """A hundred, of which the last quarter holds so much more."""
    plain = Held(pid=1, descriptors=30, threads=9, private_bytes=45_000_000)
    grown = replace(plain, **{what: getattr(plain, what) + more})
    return [
        Sample(2.0 * number, {AGENT: plain, HOMES: plain} | ({unit: grown} if number >= 75 else {}), 2, 1)
        for number in range(100)
    ]


GOOD = Seen(
    seed=5,
    seconds=200.0,
    suite="trixie",
    asked=1000,
    longest_answer_s=0.4,
    failures=(),
    websocket="",
    done=[Done(float(number), kind, 1.5) for number, kind in enumerate(Kind)],
    calms=[Calm(100.0, 3.0)],
    restarted=(),
    samples=_samples(),
    leftovers=LEFT,
)


def test_a_good_one_meets_every_bar() -> None:
    assert [bar for bar in judge(GOOD) if not bar.met] == []
    text = page(GOOD)
    assert "All bars are met" in text
    assert "MISSED" not in text
    assert "SOAK_SEED=5 SOAK_S=200" in text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"trouble": "no machine"}, "no machine"),
        ({"failures": (Failure(12.5, "502 Bad Gateway"),)}, "12.5 | request: 502 Bad Gateway"),
        ({"asked": 0}, "0 of 0"),
        ({"websocket": "it closed after 3.0 s"}, "it closed after 3.0 s"),
        ({"done": [*GOOD.done, Done(50.0, Kind.STOP, 240.0, "not within")]}, "50.0 | stop: not within"),
        ({"done": GOOD.done[1:]}, Kind.EDIT_SERVERS.value),
        ({"calms": [Calm(100.0, 240.0, "no slots")]}, "100.0 | rest after a round: no slots"),
        ({"calms": []}, "0 of 0"),
        ({"restarted": ("nginx",)}, "1: nginx"),
        ({"samples": []}, "not known"),
        ({"samples": _samples(more=17)}, "30.0 → 47.0"),
        ({"samples": _samples(more=9, what="threads")}, "9.0 → 18.0"),
        ({"samples": _samples(more=11_000_000, what="private_bytes")}, "45.0 → 56.0"),
        ({"samples": _samples(more=4_000_000, what="private_bytes", unit=HOMES)}, "45.0 → 49.0"),
        ({"leftovers": replace(LEFT, attached=("/run/x/home",))}, "1: /run/x/home"),
        ({"leftovers": replace(LEFT, containers=frozenset("abc"))}, "1: c"),
        ({"leftovers": replace(LEFT, guests=3)}, "3; 2"),
        ({"leftovers": replace(LEFT, places=3)}, "2; 3"),
        ({"leftovers": replace(LEFT, routes=("/", "/user/x/"))}, "1: /user/x/"),
        ({"leftovers": replace(LEFT, routes=())}, "absent"),
    ],
)
def test_what_goes_wrong_misses_a_bar_and_is_told(change: dict[str, Any], words: str) -> None:
    bad = replace(GOOD, **change)
    assert [bar for bar in judge(bad) if not bar.met]
    text = page(bad)
    assert "A bar is missed" in text
    assert words in text


@pytest.mark.parametrize(
    ("what", "more"), [("descriptors", 16), ("threads", 8), ("private_bytes", 10_000_000)]
)
def test_what_is_within_the_bounds_is_fine(what: str, more: int) -> None:
    assert all(bar.met for bar in judge(replace(GOOD, samples=_samples(more=more, what=what))))


def test_a_failure_is_told_with_the_fault_before_it() -> None:
    done = [*GOOD.done, Done(150.0, Kind.KILL_HUB, 0.1)]
    text = page(replace(GOOD, done=done, failures=(Failure(152.0, "500"),)))
    assert "| 152.0 | request: 500 | kill -9 jupyterhub, 2.0 s earlier |" in text


@pytest.mark.parametrize("samples", [[], GOOD.samples, [*GOOD.samples, Sample(300.0, {}, 0, 0)]])
def test_the_picture_is_well_formed_and_shows_every_run(samples: list[Sample]) -> None:
    root = ElementTree.fromstring(picture(replace(GOOD, samples=samples)))
    drawn = [element for element in root.iter() if element.tag.endswith("polyline")]
    assert len(drawn) == (7 if samples else 0)
