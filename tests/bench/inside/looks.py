"""Inside the machine: what a look that finds nothing to do costs the agent. Prints one JSON object.

looks.py COUNT
"""

from __future__ import annotations

import json
import os
import signal
import sys

from live import agent_pid, cpu_s, quiet, status, user_sys_s, wait_for


def main() -> None:
    count, pid = int(sys.argv[1]), agent_pid()
    quiet()
    first = looks()
    cpu, (user, system) = cpu_s(pid), user_sys_s(pid)
    for _ in range(count):
        before = looks()
        os.kill(pid, signal.SIGHUP)
        wait_for(lambda before=before: looks() > before, "a look")  # type: ignore[misc]
    quiet()
    done = looks() - first
    after_user, after_system = user_sys_s(pid)
    print(
        json.dumps(
            {
                "looks": done,
                "cpu_ms": 1000 * (cpu_s(pid) - cpu) / done,
                "user_ms": 1000 * (after_user - user) / done,
                "system_ms": 1000 * (after_system - system) / done,
                "result": status()["result"],
            }
        )
    )


def looks() -> int:
    return int(str(status()["looks"]))


if __name__ == "__main__":
    main()
