"""`python3 -m hubagent` is `hubagent`."""

import sys

from hubagent.cli import main

sys.exit(main())
