"""Kinds of values: each reads a node, writes plain data back, and describes itself."""
