"""hubagent: a fast multi-user Jupyter and Pluto server for Julia on one Debian machine."""

__version__ = "0.2.0"
