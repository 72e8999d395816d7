"""`make test-busy`: the ten most important tests of booted machines, with a load of 10 on each core of this host.

They claim what they claim on a quiet machine; only the deadlines of waiting are longer (HUBAGENT_PATIENCE), since how
long something takes says nothing here. Arguments are handed to pytest, such as `-k bookworm`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.busy.load import burning

ROOT: Final = Path(__file__).parents[2]
PATIENCE: Final = 6
AT_MOST_S: Final = 2 * 3600

_EDITS: Final = "tests/machine/test_edits.py::test_"
TESTS: Final = (
    f"{_EDITS}a_plain_install_serves_every_name_at_once",
    f"{_EDITS}a_file_edit_is_seen_and_applied_without_being_told",
    f"{_EDITS}a_wrong_edit_changes_nothing_and_is_explained",
    f"{_EDITS}a_metrics_port_that_another_program_holds_is_taken_back",
    f"{_EDITS}a_stopped_service_is_started_and_a_masked_one_respected",
    f"{_EDITS}rollback_goes_back_and_stays",
    f"{_EDITS}the_agent_killed_touches_no_service_and_comes_back",
    f"{_EDITS}a_machine_too_busy_for_the_hubs_test_is_told_so_and_gets_there",
    "tests/machine/test_pool.py::test_a_click_takes_a_waiting_slot",
    "tests/machine/test_servers.py::test_homes_are_kept_and_nobody_gets_another_ones",
)


def main(arguments: list[str]) -> int:
    """pytest's exit status."""
    with burning(at_most_s=AT_MOST_S) as count:
        print(f"{count} processes burn; deadlines are {PATIENCE} times as long", flush=True)
        command = [sys.executable, "-m", "pytest", "-q", "--durations=10", *TESTS, *arguments]
        environment = {**os.environ, "HUBAGENT_PATIENCE": str(PATIENCE)}
        return subprocess.run(command, cwd=ROOT, env=environment, timeout=AT_MOST_S, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
