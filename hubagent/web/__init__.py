"""What is served on `metrics.listen`: the status page, its JSON, and Prometheus metrics. Nothing below imports it."""
