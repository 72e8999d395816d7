"""Everything that an empty machine needs to become this hub again, as one file (docs/adr/0013)."""
