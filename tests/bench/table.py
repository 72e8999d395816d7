"""Print what is in build/bench as one table; ends with 1 when a bar is missed or a benchmark is absent.

build/venv/bin/python -m tests.bench.table
"""

from __future__ import annotations

import json
import sys
from dataclasses import fields
from typing import Any

from tests.bench.figures import FOLDER, Figure

BENCHES = (
    "edit",
    "rest",
    "hub_restart",
    "failed_reload",
    "nginx_reload",
    "login",
    "crowd",
    "spawn",
    "browser",
    "classroom",
    "kernel",
)
_HEADER = ("figure", "hubagent", "alternative", "ratio", "bar", "met", "alternative is")
_STALL_BAR_S = 0.3


def main() -> int:
    """Print; the exit code."""
    figures, absent = [], []
    for name in BENCHES:
        path = FOLDER / f"{name}.json"
        if path.exists():
            figures += _figures(name, json.loads(path.read_text()))
        else:
            absent.append(name)
    rows = [_HEADER, *(_row(figure) for figure in figures)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    notes = [f"{figure.name}: {figure.note}" for figure in figures if figure.note]
    print("", *notes, sep="\n  ")
    missed = [figure.name for figure in figures if figure.met is False]
    print()
    if absent:
        print(f"not measured: {', '.join(absent)}")
    print(f"{sum(figure.met is True for figure in figures)} bars met, {len(missed)} missed")
    return 1 if missed or absent else 0


def _figures(name: str, value: dict[str, Any]) -> list[Figure]:
    if name == "nginx_reload":
        return _nginx_reload(value)
    if name == "login":
        return _login(value)
    if name == "crowd":
        return _crowd(value)
    names = {field.name for field in fields(Figure)}
    return [Figure(**{key: one[key] for key in names}) for one in value["figures"]]


def _nginx_reload(value: dict[str, Any]) -> list[Figure]:
    hand, ours, hand_newest, newest = value["rows"]
    reloads, by_hand = value["conditions"]["reloads"], "by hand, nginx -s reload"
    lost = next(bar["allowed"] for bar in value["bars"] if "by hand" in bar["bar"])
    return [
        Figure(
            f"new connections failed, {reloads} reloads",
            "",
            ours["new_failed"],
            hand["new_failed"],
            by_hand,
            0,
        ),
        Figure("websockets ended", "", ours["websockets_ended"], hand["websockets_ended"], by_hand, 0),
        Figure(
            f"keep-alive requests lost, nginx {ours['nginx']}",
            "",
            ours["keep_alive_lost"],
            hand["keep_alive_lost"],
            by_hand,
            lost,
            "the bar is the count by hand and two standard deviations",
        ),
        Figure(
            f"keep-alive requests lost, nginx {newest['nginx']}",
            "",
            newest["keep_alive_lost"],
            hand_newest["keep_alive_lost"],
            by_hand,
            0,
        ),
    ]


def _login(value: dict[str, Any]) -> list[Figure]:
    ours, theirs = value["hubagent"], value["native_authenticator"]
    name, logins = "NativeAuthenticator", value["logins"]
    return [
        Figure(
            f"/hub/health stalled at most, {logins} logins at once",
            "s",
            ours["health_max_s"],
            theirs["health_max_s"],
            name,
            _STALL_BAR_S,
        ),
        Figure(
            f"{logins} logins at once, all signed in",
            "s",
            ours["all_signed_in_s"],
            theirs["all_signed_in_s"],
            name,
        ),
    ]


def _crowd(value: dict[str, Any]) -> list[Figure]:
    ours, theirs = value["hubagent"], value["jupyterhub"]
    name, who = "JupyterHub as it is", f"{value['users']} users, {value['servers']} servers at work"
    return [
        Figure(
            f"hub stalled at most, {who}",
            "s",
            ours["stall_max_s"],
            theirs["stall_max_s"],
            name,
            _STALL_BAR_S,
        ),
        Figure(
            f"hub's processor time to store who is at work, {who}",
            "s",
            ours["cpu_of_a_round_s"],
            theirs["cpu_of_a_round_s"],
            name,
        ),
    ]


def _row(figure: Figure) -> tuple[str, ...]:
    return (
        figure.name,
        _number(figure.ours, figure.unit),
        _number(figure.alternative, figure.unit),
        "" if figure.ratio is None else f"{figure.ratio:.2f}",
        _number(figure.bar, figure.unit) if figure.bar is not None else "",
        {True: "yes", False: "NO", None: ""}[figure.met],
        figure.alternative_name,
    )


def _number(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    digits = f"{value:.0f}" if value == int(value) or abs(value) >= 1000 else f"{value:.3g}"
    return f"{digits} {unit}".rstrip() if unit not in ("%", "/s") else f"{digits}{unit}"


if __name__ == "__main__":
    sys.exit(main())
