"""The configuration in force, for whoever serves users by it: never the file that is still being judged."""

from __future__ import annotations

import logging
import threading

from hubagent.config.model import Config
from hubagent.config.reading import loader
from hubagent.converge.generations import Generations
from hubagent.errors import ConfigError, StorageError
from hubagent.render.generation import Desired

log = logging.getLogger(__name__)


class Declared:
    """Reads the current generation's own copy of the file. Any thread may ask."""

    def __init__(self, generations: Generations) -> None:
        self._generations = generations
        self._lock = threading.Lock()
        self._read: tuple[Desired, Config | None] | None = None

    def config(self) -> Config | None:
        """None before the first generation, and while it cannot be read."""
        try:
            desired = self._generations.desired()
        except StorageError as error:
            log.warning("the configuration in force cannot be read: %s", error)
            return None
        if desired is None:
            return None
        with self._lock:
            if self._read is None or self._read[0] is not desired:
                self._read = desired, _parse(desired)
            return self._read[1]


def _parse(desired: Desired) -> Config | None:
    try:
        return loader.load(desired.source, path="the configuration in force", in_force=True)
    except ConfigError as error:  # an earlier version of hubagent accepted what this one does not
        log.warning("%s", error)
        return None
