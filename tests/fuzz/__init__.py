"""Coverage-guided fuzzing, in a time-boxed run: `make fuzz`. Each target feeds bytes to real code and judges what it does."""
