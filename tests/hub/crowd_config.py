"""Configuration of the hubs in bench_crowd.py: ours, but it looks often who is at work, and logs every stall."""

from hubagent.hub.loader import load

c = get_config()  # noqa: F821 - JupyterHub puts get_config into this namespace
load(c)
c.JupyterHub.last_activity_interval = 5
c.PeriodicMetricsCollector.event_loop_interval_log_threshold = 0.02
