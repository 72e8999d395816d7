"""Real Debian machines for tests: booted from packages, with Docker inside and a network of their own."""

from .errors import CommandFailed, CommandTimeout, HostUnfit, RigError, WaitTimeout
from .images import JULIA, NOTEBOOK, Image
from .machine import Machine
from .process import Completed, wait_until
from .root_filesystems import Flavour, Suite

__all__ = [
    "JULIA",
    "NOTEBOOK",
    "CommandFailed",
    "CommandTimeout",
    "Completed",
    "Flavour",
    "HostUnfit",
    "Image",
    "Machine",
    "RigError",
    "Suite",
    "WaitTimeout",
    "wait_until",
]
