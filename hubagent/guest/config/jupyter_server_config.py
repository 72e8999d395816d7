"""What a user's server reads of hubagent's (see guest/server_extensions.py): JUPYTER_CONFIG_PATH leads here."""

import sys
from pathlib import Path

_root = str(Path(__file__).resolve().parents[3])
sys.path.insert(0, _root)
try:
    from hubagent.guest import server_extensions
finally:
    sys.path.remove(_root)

server_extensions.add(get_config())  # type: ignore[name-defined]  # noqa: F821 - Jupyter gives it to this file
