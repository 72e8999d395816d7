"""From bytes to a tree of nodes that know their places in the file."""
