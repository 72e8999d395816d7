"""The waiting kernels as the guest sees them, and how the server learns of them."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Final

from hubagent import wire

from .pool import PAUSE_S, Pool
from .recipes import Recipe
from .specs import wanted_recipes

ENTRY: Final = str(Path(__file__).with_name("entry"))
"""On sys.path it makes the provisioner's entry point known."""

PROVISIONER: Final = "hubagent"
VARIABLE: Final = "HUBAGENT_KERNEL_PROVISIONER"
"""Where the server's process looks for the default provisioner's name. Not Jupyter's own variable: terminals
inherit the environment, and a jupyter command there could not find the provisioner."""

_running: Pool | None = None


def running() -> Pool | None:
    """The pool of this process. The provisioner has no other way to it: Jupyter makes it from a name."""
    return _running


class Kernels:
    """A companion (hubagent.guest.companions) that keeps kernels waiting."""

    KIND: ClassVar[str] = "kernels"

    def __init__(self, wanted: Mapping[str, int], pause_s: float = PAUSE_S) -> None:
        self._wanted = wanted
        self._faults: tuple[str, ...] = ()
        self.pool = Pool(pause_s)
        threading.Thread(target=self._begin, name="waiting kernels", daemon=True).start()

    def pong(self) -> wire.Pong:
        waiting = self.pool.waiting()
        ready, missing = (
            self.pool.settled,
            [
                f"warming kernel {name}" + (f" ({waiting.get(name, 0)} of {count})" if count > 1 else "")
                for name, count in self._wanted.items()
                if waiting.get(name, 0) < count
            ],
        )
        return wire.Pong(
            ready=ready,
            detail="; ".join([*([] if ready else missing), *self._faults, *self.pool.faults()]),
            kernels=waiting,
            pluto=False,
        )

    def before_server(self, environment: Mapping[str, str]) -> None:
        """Make the provisioner the server's default, unless image or user chose another.

        Raises ImportError when the image's jupyter_client has no provisioners (before version 7).
        """
        global _running
        from jupyter_client.provisioning.factory import KernelProvisionerFactory

        if environment.get(KernelProvisionerFactory.default_provisioner_name_env):
            self.pool.end()
            return
        self.pool.asked()
        sys.path.append(ENTRY)
        os.environ[VARIABLE] = PROVISIONER
        KernelProvisionerFactory.default_provisioner_name_env = VARIABLE
        KernelProvisionerFactory.clear_instance()  # one that something preloaded made does not know the entry
        _running = self.pool

    def spare(self, *, unused_s: float, is_short: bool) -> None:
        self.pool.spare(unused_s=unused_s, is_short=is_short)

    def waits(self) -> tuple[int, ...]:
        return self.pool.pids()

    def end(self) -> None:
        self.pool.end()

    def _begin(self) -> None:
        recipes: dict[str, tuple[Recipe, int]] = {}
        try:
            recipes, self._faults = wanted_recipes(self._wanted)
        except Exception as error:  # whatever is wrong with the image's kernels, the server itself can start
            self._faults = (f"kernels start the ordinary way: {type(error).__name__}: {error}",)
        self.pool.keep(recipes)
