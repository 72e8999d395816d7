"""What a benchmark found: figures next to an alternative and a bar, kept as JSON in build/bench."""

from __future__ import annotations

import json
import math
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build/bench"


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table. `ours` and `alternative` are in `unit`; smaller is better for all of them."""

    name: str
    unit: str
    ours: float | None
    alternative: float | None = None
    alternative_name: str = ""  # or why there is none
    bar: float | None = None  # the most that `ours` may be
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times as much the alternative takes."""
        if self.ours is None or self.alternative is None or self.ours == 0:
            return None
        return self.alternative / self.ours

    @property
    def met(self) -> bool | None:
        """None without a bar."""
        if self.bar is None:
            return None
        return self.ours is not None and self.ours <= self.bar


@dataclass(frozen=True, slots=True)
class Report:
    """All that one benchmark found."""

    bench: str
    figures: Sequence[Figure]
    conditions: dict[str, Any] = field(default_factory=dict)
    samples: Any = None

    def write(self) -> Path:
        """Keep it as build/bench/NAME.json."""
        FOLDER.mkdir(parents=True, exist_ok=True)
        value = {
            "bench": self.bench,
            "conditions": {**self.conditions, **_host()},
            "figures": [{**asdict(one), "ratio": one.ratio, "met": one.met} for one in self.figures],
            "samples": self.samples,
        }
        path = FOLDER / f"{self.bench}.json"
        path.write_text(json.dumps(value, indent=2) + "\n")
        return path


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def percentile(values: Sequence[float], percent: float) -> float:
    """Nearest rank."""
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


def _host() -> dict[str, Any]:
    return {"load_at_end": os.getloadavg()[0], "cpus": os.cpu_count(), "kernel": platform.release()}
