"""What JupyterHub imports. Runs in the hub's own virtual environment.

Of hubagent itself it imports what needs nothing but the standard library; pyproject.toml says what it may not.
"""

import sys

# Optional to jsonschema, for formats that no event of JupyterHub has. Its grammar is half of the hub's imports.
sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]  # importing it fails from here on
