"""The configuration file that JupyterHub is started with. Fixed: what varies is in the agent's JSON files."""

from hubagent.hub.loader import load

load(get_config())  # type: ignore[name-defined]  # noqa: F821 - JupyterHub puts get_config into this namespace
