"""What a person types, and what they read in the terminal."""
