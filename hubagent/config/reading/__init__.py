"""From bytes to a Config, or to all that is wrong with them at once."""
