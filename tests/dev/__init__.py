"""The agent on a machine in memory, for those who work on it: `make dev`."""
