"""`python3 -m hubagent` is `hubagent`."""

import sys

from hubagent.cli.main import main

sys.exit(main())
