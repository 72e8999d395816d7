"""What becomes of homes that others ask for than those whose they are: an administrator decides (docs/adr/0018)."""
