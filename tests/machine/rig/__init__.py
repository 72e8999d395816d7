"""Real Debian machines for tests: booted from packages, with Docker inside and a network of their own."""

from .errors import CommandFailed, HostUnfit, RigError, WaitTimeout
from .machine import Machine
from .process import Completed
from .roots import Flavour, Suite

__all__ = [
    "CommandFailed",
    "Completed",
    "Flavour",
    "HostUnfit",
    "Machine",
    "RigError",
    "Suite",
    "WaitTimeout",
]
