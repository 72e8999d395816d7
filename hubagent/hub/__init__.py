"""What JupyterHub imports. Runs in the hub's own virtual environment.

Imports of hubagent itself are limited to `hubagent.errors` and `hubagent.layout`.
"""

import sys

# Optional to jsonschema, for formats that no event of JupyterHub has. Its grammar is half of the work of a start.
sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]  # importing it fails from here on
