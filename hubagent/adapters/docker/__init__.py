"""Docker: its engine, its events, containers and images."""
