"""A soak that went well meets every bar; each thing that may go wrong misses its own, and is in the report."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from typing import Any

import pytest

from tests.soak.background import Failure
from tests.soak.bars import CONNECTIONS_MORE, Leftovers, Seen, judge
from tests.soak.events import Calm, Done, Kind
from tests.soak.plot import picture
from tests.soak.report import page
from tests.soak.samples import AGENT, HOMES, Held, Sample

LEFT = Leftovers(frozenset({"a", "b"}), frozenset({"a", "b"}), 2, 2, (), ("/",))


PLAIN = Held(
    pid=1,
    connections=20,
    descriptors=30,
    threads=9,
    private_bytes=45_000_000,
    names={"hubagent": 6, "spawn": 2, "claim": 1},
)


def _held(*parts: Held, unit: str = AGENT) -> list[Sample]:
    """Sixty samples, twenty of each part, of one unit; the other one holds the same all the time."""
    return [
        Sample(2.0 * number, {AGENT: PLAIN, HOMES: PLAIN} | {unit: parts[number // 20]}, 2, 1)
        for number in range(60)
    ]


def _more(number: int) -> Held:
    """Connections."""
    return replace(PLAIN, connections=PLAIN.connections + number, descriptors=PLAIN.descriptors + number)


def _answering(number: int) -> Held:
    return replace(PLAIN, threads=7 + number, names={"hubagent": 6, "spawn": number, "claim": 1})


STAYING = replace(PLAIN, threads=10, names={"hubagent": 7, "spawn": 2, "claim": 1})
OTHERS = replace(PLAIN, descriptors=31)
LARGE = replace(PLAIN, private_bytes=56_000_000)
KEPT_MORE = CONNECTIONS_MORE[AGENT]


GOOD = Seen(
    seed=5,
    seconds=120.0,
    suite="trixie",
    asked=1000,
    longest_answer_s=0.4,
    failures=(),
    websocket="",
    done=[Done(float(number), kind, 1.5) for number, kind in enumerate(Kind)],
    calms=[Calm(100.0, 3.0)],
    restarted=(),
    samples=_held(PLAIN, PLAIN, PLAIN),
    leftovers=LEFT,
)


def test_a_good_one_meets_every_bar() -> None:
    assert [bar for bar in judge(GOOD) if not bar.met] == []
    text = page(GOOD)
    assert "All bars are met" in text
    assert "MISSED" not in text
    assert "SOAK_SEED=5 SOAK_S=120" in text


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
        ({"samples": _held(PLAIN, _more(KEPT_MORE + 1), _more(KEPT_MORE + 1))}, f"20.0 → {21 + KEPT_MORE}.0"),
        ({"samples": _held(_more(-1), PLAIN, _more(1))}, "20.0 → 21.0"),
        ({"samples": _held(PLAIN, PLAIN, _more(1), unit=HOMES)}, "20.0 → 21.0"),
        ({"samples": _held(PLAIN, _more(1), _more(1), unit=HOMES)}, "20.0 → 21.0"),
        ({"samples": _held(PLAIN, _answering(33), PLAIN)}, "33"),
        ({"samples": _held(PLAIN, OTHERS, OTHERS)}, "10.0 → 11.0"),
        ({"samples": _held(PLAIN, STAYING, STAYING)}, "6.0 → 7.0"),
        ({"samples": _held(PLAIN, LARGE, LARGE)}, "45.0 → 56.0"),
        (
            {"samples": _held(PLAIN, LARGE, replace(LARGE, private_bytes=49_000_000), unit=HOMES)},
            "45.0 → 49.0",
        ),
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
    "samples",
    [
        _held(PLAIN, _more(KEPT_MORE), _more(KEPT_MORE)),
        _held(PLAIN, _answering(32), PLAIN),
        _held(_more(-5), PLAIN, PLAIN),
        _held(PLAIN, replace(PLAIN, private_bytes=55_000_000), PLAIN),
    ],
)
def test_what_is_within_the_bounds_is_fine(samples: list[Sample]) -> None:
    assert [bar for bar in judge(replace(GOOD, samples=samples)) if not bar.met] == []


def test_threads_are_told_by_name() -> None:
    assert "| spawn | 2 | 7 |" in page(replace(GOOD, samples=_held(PLAIN, _answering(7), PLAIN)))


def test_a_failure_is_told_with_the_fault_before_it() -> None:
    done = [*GOOD.done, Done(150.0, Kind.KILL_HUB, 0.1)]
    text = page(replace(GOOD, done=done, failures=(Failure(152.0, "500"),)))
    assert "| 152.0 | request: 500 | kill -9 jupyterhub, 2.0 s earlier |" in text


@pytest.mark.parametrize("samples", [[], GOOD.samples, [*GOOD.samples, Sample(300.0, {}, 0, 0)]])
def test_the_picture_is_well_formed_and_shows_every_run(samples: list[Sample]) -> None:
    root = ElementTree.fromstring(picture(replace(GOOD, samples=samples)))
    drawn = [element for element in root.iter() if element.tag.endswith("polyline")]
    assert len(drawn) == (7 if samples else 0)
