"""The agent as a program: what it is made of, and its loop."""
