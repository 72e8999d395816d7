"""What a hub loads when it starts."""

from __future__ import annotations

import subprocess
import sys

from tests.hub.running import ROOT

SCRIPT = """
import sys
import hubagent.hub.application
import jupyter_events
print(*sorted(name for name in sys.modules if name.startswith(("rfc3987", "lark"))))
"""


def test_the_grammar_of_iris_is_not_loaded() -> None:
    """It takes as long as all else together. Only its name is there, by which nobody imports it."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    )
    assert done.stdout.split() == ["rfc3987_syntax"]
