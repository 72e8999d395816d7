"""What JupyterHub imports. Runs in the hub's own virtual environment.

Imports of hubagent itself are limited to `hubagent.errors` and `hubagent.layout`.
"""
