"""Images of user servers: made or pulled, proven by a start, and then rolled out."""
