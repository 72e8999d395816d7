"""What the agent tells people and Prometheus about itself."""
