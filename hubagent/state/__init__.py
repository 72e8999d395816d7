"""The nouns: plans, observations, and what the agent says of itself. Pure."""
