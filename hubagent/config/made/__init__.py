"""What is made from the model: schema, reference, and differences in YAML notation."""
