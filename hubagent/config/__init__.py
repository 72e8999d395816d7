"""From bytes to a typed, frozen configuration."""
