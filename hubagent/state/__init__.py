"""Pure: what should be, what is, and the plan between them."""
