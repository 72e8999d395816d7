"""The only code that touches the machine: D-Bus, Docker, files, network, time."""
