"""What attaching a home costs: the homes helper against mount(8) called for the same.

    build/venv/bin/python -m tests.bench.homes

Root alone; needs no machine, about 10 s. All in a mount namespace like a booted machine's, while OTHERS more homes
are attached. Writes build/bench/homes.json.
"""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Callable
from pathlib import Path

from hubagent import wire
from tests.bench.figures import Figure, Report, percentile
from tests.contract.small_homes import SmallHomes

TURNS = 100
OTHERS = 40

_BY_HAND = " by mount(8)"


class Bench:
    def __init__(self, real: SmallHomes) -> None:
        self.real = real
        self.samples: dict[str, list[float]] = {}
        self.course = wire.Folder(real.course("course"), "course", read_only=True)
        real.declare(self.course)
        self.by_hand = real.root / "by-hand"
        self.by_hand.mkdir()

    def run(self) -> None:
        for number in range(OTHERS):
            slot = secrets.token_hex(6)
            self.real.client.prepare(slot)
            self.real.client.attach(slot, self.real.home(f"other{number}"), (self.course,))
        home = self.real.home("ada")
        Path(home, "course").mkdir()
        for _ in range(TURNS):
            for name, folders in (("home", ()), ("home and course", (self.course,))):
                self._helper(name, home, folders)
                self._mount(name, home, folders)

    def _helper(self, name: str, home: str, folders: tuple[wire.Folder, ...]) -> None:
        client, slot = self.real.client, secrets.token_hex(6)
        self._timed("prepare", lambda: client.prepare(slot))
        self._timed(f"attach {name}", lambda: client.attach(slot, home, folders))
        self._timed(f"detach {name}", lambda: client.detach(slot))

    def _mount(self, name: str, home: str, folders: tuple[wire.Folder, ...]) -> None:
        """Its options do not even reach a container (mount 2.38 sets them in a second step)."""
        steps: list[tuple[str, Path, str]] = [(home, self.by_hand, "bind,nosuid,nodev")]
        steps += [(one.source, self.by_hand / one.target, "bind,nosuid,nodev,ro") for one in folders]
        attach = " && ".join(f"mount -o {options} {source} {target}" for source, target, options in steps)
        detach = " && ".join(f"umount {target}" for _, target, _ in reversed(steps))
        self._timed(f"attach {name}{_BY_HAND}", lambda: self.real.run("sh", "-c", attach))
        self._timed(f"detach {name}{_BY_HAND}", lambda: self.real.run("sh", "-c", detach))

    def _timed(self, name: str, call: Callable[[], object]) -> None:
        start_s = time.perf_counter()
        call()
        self.samples.setdefault(name, []).append((time.perf_counter() - start_s) * 1000)


def main() -> int:
    real = SmallHomes()
    try:
        real.start()
        bench = Bench(real)
        bench.run()
    finally:
        real.close()
    figures = [
        _figure(name, percent, bench.samples)
        for name in bench.samples
        if not name.endswith(_BY_HAND)
        for percent in (50, 95)
    ]
    Report("homes", figures, {"turns": TURNS, "others attached": OTHERS}, bench.samples).write()
    for figure in figures:
        other = (
            "" if figure.alternative is None else f"   {figure.alternative_name} {figure.alternative:6.2f}"
        )
        print(f"{figure.name:28} {figure.ours:6.2f} ms{other}")
    return 0


def _figure(name: str, percent: int, samples: dict[str, list[float]]) -> Figure:
    by_hand = samples.get(name + _BY_HAND)
    return Figure(
        f"{name}, p{percent}",
        "ms",
        percentile(samples[name], percent),
        percentile(by_hand, percent) if by_hand else None,
        "mount(8)" if by_hand else "none: it makes one folder",
    )


if __name__ == "__main__":
    sys.exit(main())
