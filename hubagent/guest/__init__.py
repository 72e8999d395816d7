"""What runs inside user containers: warm until claimed, then the user's server."""
