"""The images of `servers` as metrics: pure, from ImageStatus."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from hubagent.state.status import ImageState, ImageStatus


def families(images: Sequence[ImageStatus]) -> Iterator[Metric]:
    """Without a sample for what is not known."""
    state = GaugeMetricFamily(
        "hubagent_image_state", "1 for the current state of the server's image.", labels=("server", "state")
    )
    usable = GaugeMetricFamily(
        "hubagent_image_usable",
        "1 when there is an image that the server can be started from, perhaps an earlier one.",
        labels=("server",),
    )
    since = GaugeMetricFamily(
        "hubagent_image_state_since_timestamp_seconds",
        "When the image entered its state.",
        labels=("server",),
    )
    took = GaugeMetricFamily(
        "hubagent_image_build_duration_seconds", "How long the last build took.", labels=("server",)
    )
    for image in images:
        for one in ImageState:
            state.add_metric((image.server, one.value), float(image.state is one))
        usable.add_metric((image.server,), float(image.usable))
        since.add_metric((image.server,), image.since_s)
        if image.build_s is not None:
            took.add_metric((image.server,), image.build_s)
    yield from (state, usable, since, took)
