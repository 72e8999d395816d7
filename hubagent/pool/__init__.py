"""User containers: warm slots, claims, cold starts, and what of Docker the hub may ask."""
