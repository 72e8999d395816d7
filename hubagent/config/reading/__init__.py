"""From the tree to a Config, or to all that is wrong with it at once."""
