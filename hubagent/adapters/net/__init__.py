"""What goes over sockets: probes, certificates, the hub, guests, and the helper for homes."""
