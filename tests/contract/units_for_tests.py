"""Units that behave in every way that matters."""

from __future__ import annotations

from typing import Final

UNITS: Final = {
    "steady.service": """
        [Unit]
        DefaultDependencies=no
        [Service]
        ExecStart=/bin/sleep infinity
        ExecReload=/bin/true
    """,
    "without-reload.service": """
        [Unit]
        DefaultDependencies=no
        [Service]
        ExecStart=/bin/sleep infinity
    """,
    "bad-reload.service": """
        [Unit]
        DefaultDependencies=no
        [Service]
        ExecStart=/bin/sleep infinity
        ExecReload=/bin/false
    """,
    "slow-reload.service": """
        [Unit]
        DefaultDependencies=no
        [Service]
        ExecStart=/bin/sleep infinity
        ExecReload=/bin/sleep 1
    """,
    "bad-start.service": """
        [Unit]
        DefaultDependencies=no
        [Service]
        Type=oneshot
        ExecStart=/bin/false
    """,
    "killed-start.service": """
        [Unit]
        DefaultDependencies=no
        CollectMode=inactive
        [Service]
        Type=oneshot
        ExecStart=/bin/sh -c 'kill -KILL $$$$'
    """,
    "late-start.service": """
        [Unit]
        DefaultDependencies=no
        CollectMode=inactive
        [Service]
        Type=oneshot
        TimeoutStartSec=1
        ExecStart=/bin/sleep 60
    """,
    "endless-start.service": """
        [Unit]
        DefaultDependencies=no
        CollectMode=inactive
        [Service]
        Type=oneshot
        ExecStart=/bin/sleep infinity
    """,
    "slow-start.service": """
        [Unit]
        DefaultDependencies=no
        [Service]
        Type=oneshot
        RemainAfterExit=yes
        ExecStart=/bin/sleep 3
    """,
    "needs-bad.service": """
        [Unit]
        DefaultDependencies=no
        Requires=bad-start.service
        After=bad-start.service
        [Service]
        ExecStart=/bin/sleep infinity
    """,
    "restarts.service": """
        [Unit]
        DefaultDependencies=no
        [Service]
        ExecStart=/bin/sleep infinity
        Restart=always
        RestartSec=1
    """,
    "masked.service": "",
}
