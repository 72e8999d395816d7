"""Slots on a real machine, by what is there: containers, folders, mounts. The server with slots is called `course`."""

from __future__ import annotations

import json

from tests.machine.course import Course

# Runs on the machine as root: all that belongs to user containers.
_TRACES = """
import json, os, subprocess
def lines(*argv):
    return subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True).stdout.split()
mounts = [line.split()[4] for line in open('/proc/1/mountinfo')]
print(json.dumps({
    'all containers': lines('docker', 'ps', '-aq', '--no-trunc'),
    'containers': lines('docker', 'ps', '-aq', '--no-trunc', '--filter', 'label=hubagent.guest'),
    'guests': sorted(os.listdir('/run/hubagent/guests')),
    'slots': sorted(os.listdir('/run/hubagent-homes/slots')),
    'attached': sorted(path for path in mounts if path.startswith('/run/hubagent-homes/slots/')),
}))
"""

# Runs on the machine as root: the containers of slots that are ready.
_READY = """
import json, pathlib
found = []
for path in pathlib.Path('/run/hubagent/guests').glob('*/slot.json'):
    try:
        slot = json.loads(path.read_text())
    except FileNotFoundError:
        continue
    if (slot['server'], slot['phase']) == ('course', 'ready'):
        found.append(slot['container'])
print(json.dumps(found))
"""


class Waiting(Course):
    """A hub in which servers wait."""

    def ready_slots(self) -> set[str]:
        """Ids of the containers that wait and are ready. By the slots' own state: the status may be of a moment
        ago."""
        return set(json.loads(self.hub.machine.run(["python3", "-c", _READY]).stdout))

    def traces(self) -> dict[str, list[str]]:
        value = json.loads(self.hub.machine.run(["python3", "-c", _TRACES]).stdout)
        assert isinstance(value, dict)
        return value

    def is_tidy(self) -> bool:
        """Waiting slots have a container, a guest's folder and a mount point each; there is nothing else."""
        traces = self.traces()
        whole = len(traces["containers"]) == len(traces["guests"]) == len(traces["slots"])
        return whole and not traces["attached"]
