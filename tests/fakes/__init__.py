"""Stand-ins for the machine, held to the real adapters by tests/contract."""

from tests.fakes.certificates import FakeCertificateStore, certificate_text, key_text
from tests.fakes.clock import ManualClock
from tests.fakes.containers import FakeContainerRuntime
from tests.fakes.containers_pool import FakeContainers
from tests.fakes.files import MemoryFileStore, PowerLost
from tests.fakes.guests import FakeGuests
from tests.fakes.homes_pool import FakeHomes
from tests.fakes.http import FakeHttpProbe, Request
from tests.fakes.machine_facts import FakeMachineFacts
from tests.fakes.memory_tree import Survivors
from tests.fakes.notifier import FakeNotifier
from tests.fakes.units import FakeUnitManager

__all__ = [
    "FakeCertificateStore",
    "FakeContainerRuntime",
    "FakeContainers",
    "FakeGuests",
    "FakeHomes",
    "FakeHttpProbe",
    "FakeMachineFacts",
    "FakeNotifier",
    "FakeUnitManager",
    "ManualClock",
    "MemoryFileStore",
    "PowerLost",
    "Request",
    "Survivors",
    "certificate_text",
    "key_text",
]
