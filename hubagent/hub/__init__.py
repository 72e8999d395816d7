"""What JupyterHub imports. Runs in the hub's own virtual environment."""
