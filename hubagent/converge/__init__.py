"""Making the machine match the plan, and taking it back when it does not work out."""
