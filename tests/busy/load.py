"""Load that ends by itself: processes that do nothing but compute."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

PER_CORE: Final = 10
"""So two cores have a load of 20."""

_NICE: Final = 5  # a third of the weight of an ordinary process: together they still take most of the machine
_PROGRAM: Final = """
import os, signal, sys
owner = int(sys.argv[1])
signal.alarm(int(sys.argv[2]))  # whatever happens to the owner
while True:
    for _ in range(10_000_000):
        pass
    if os.getppid() != owner:
        break
"""


@contextmanager
def burning(*, at_most_s: int, processes: int | None = None) -> Iterator[int]:
    """Yields how many burn. They end with the block, with this process, or after `at_most_s` seconds."""
    count = processes or PER_CORE * (os.cpu_count() or 1)
    command = ["nice", "-n", str(_NICE), sys.executable, "-c", _PROGRAM, str(os.getpid()), str(at_most_s)]
    burners = [subprocess.Popen(command, stdin=subprocess.DEVNULL) for _ in range(count)]
    try:
        yield count
    finally:
        for burner in burners:
            burner.kill()
        for burner in burners:
            burner.wait()
