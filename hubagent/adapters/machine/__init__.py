"""What else is known of this machine: clocks, memory, the log, facts."""
