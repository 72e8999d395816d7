"""hubagent's nginx configuration, rendered and read by a real nginx on loopback."""
