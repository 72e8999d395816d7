"""What the machine's services hold, looked at every two seconds through the whole of a soak."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.bench.figures import ROOT
from tests.machine.rig import Machine

EVERY_S: Final = 2.0
AGENT: Final = "hubagent"
HOMES: Final = "hubagent-homes"
OTHERS: Final = ("jupyterhub", "configurable-http-proxy")
_SCRIPTS: Final = ("tests/bench/inside", "tests/soak/inside")
_THERE: Final = "/srv/soak"


@dataclass(frozen=True, slots=True)
class Held:
    """By one process: descriptors, those of them that are connections to other programs over unix sockets, threads,
    and bytes that no other process shares."""

    pid: int
    connections: int
    descriptors: int
    threads: int
    private_bytes: int
    names: Mapping[str, int] = field(default_factory=dict)
    """Threads by the kernel's name for them."""


@dataclass(frozen=True, slots=True)
class Sample:
    """`held` by unit, of those that run; slots that wait ready, and mounts below the slots' folders."""

    at_s: float
    held: dict[str, Held]
    ready: int
    attached: int


class Sampler:
    """One process inside that looks, so that looking costs little. Use as a context manager, once."""

    def __init__(self, machine: Machine, begun_s: float) -> None:
        """`begun_s` on time.monotonic() is the soak's beginning: host and machine have one kernel and its clock."""
        self.samples: list[Sample] = []
        self._begun_s = begun_s
        for folder in _SCRIPTS:
            machine.push(Path(ROOT, folder), _THERE)
        command = ["python3", "-u", f"{_THERE}/sample.py", str(EVERY_S), AGENT, HOMES, *OTHERS]
        self._process = subprocess.Popen(
            machine.command(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._reader = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Sampler:
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()  # which ends it
        self._process.wait(timeout=60)
        self._reader.join(timeout=60)

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                value = json.loads(line)
                held = {unit: Held(**what) for unit, what in value["held"].items()}
                at_s = value["monotonic_s"] - self._begun_s
                self.samples.append(Sample(at_s, held, value["ready"], value["attached"]))
