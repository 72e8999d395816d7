"""What `hub.traits` may hold. A leaf: `hubagent check` and the hub judge by the same tables."""
