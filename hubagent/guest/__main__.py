"""`python /opt/hubagent/hubagent/guest`: what `start` runs. Any Python 3 can read this file."""

import os
import sys

here = os.path.dirname(os.path.abspath(__file__))
if sys.version_info < (3, 10):  # noqa: UP036 - images have other Pythons than the agent
    sys.exit(f"hubagent: {sys.executable} is Python {sys.version.split()[0]}; this image needs 3.10 or later")

# Python puts the program's folder first, unless it was told not to.
sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or ".") != here]
sys.path.insert(0, os.path.dirname(os.path.dirname(here)))

from hubagent.guest.launcher import main  # noqa: E402 - found by the line above

sys.exit(main())
