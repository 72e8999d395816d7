"""Images in metrics, on the page and in `hubagent status`."""

from __future__ import annotations

import dataclasses

from prometheus_client import CollectorRegistry, generate_latest

from hubagent.cli.status_report import status_text
from hubagent.state.status import ImageState, ImageStatus, Status
from hubagent.state.status_json import from_json, to_json
from hubagent.web.state_metrics import StateCollector
from tests.unit.web import samples
from tests.unit.web.shipped import PAGE

NOW_S = samples.NOW_S
PRESENT = ImageStatus(
    "python", "registry.example.org/jupyter/base-notebook", ImageState.PRESENT, since_s=NOW_S, usable=True
)
BUILDING = ImageStatus(
    "julia",
    "hubagent/julia",
    ImageState.BUILDING,
    detail="Precompiling Plots",
    progress="step 24 of 32",
    log="/var/lib/hubagent/images/hubagent-julia-0123456789ab.log",
    since_s=NOW_S - 240,
)
FAILED = ImageStatus(
    "exam",
    "hubagent/exam",
    ImageState.FAILED,
    detail="step 9 of 32 failed: E: Unable to locate package nosuch",
    since_s=NOW_S - 7200,
    usable=True,
    build_s=61.5,
)


def with_images(*images: ImageStatus) -> Status:
    return dataclasses.replace(samples.healthy(), images=images)


def metrics(status: Status) -> list[str]:
    registry = CollectorRegistry()
    registry.register(StateCollector(lambda: status))
    return generate_latest(registry).decode().splitlines()


def test_each_image_is_in_one_state() -> None:
    lines = metrics(with_images(PRESENT, BUILDING, FAILED))
    ones = {line for line in lines if line.startswith("hubagent_image_state{") and line.endswith(" 1.0")}
    assert ones == {
        'hubagent_image_state{server="python",state="present"} 1.0',
        'hubagent_image_state{server="julia",state="building"} 1.0',
        'hubagent_image_state{server="exam",state="failed"} 1.0',
    }
    assert sum(line.startswith("hubagent_image_state{") for line in lines) == 3 * len(ImageState)
    assert 'hubagent_image_usable{server="julia"} 0.0' in lines
    assert 'hubagent_image_usable{server="exam"} 1.0' in lines
    durations = [line for line in lines if line.startswith("hubagent_image_build_duration_seconds{")]
    assert durations == ['hubagent_image_build_duration_seconds{server="exam"} 61.5']


def test_status_tells_what_is_not_simply_there() -> None:
    text = status_text(with_images(PRESENT, BUILDING, FAILED), now_s=NOW_S, width=160)
    words = [" ".join(line.split()) for line in text.splitlines()]
    assert "… julia building, step 24 of 32 Precompiling Plots (for 4 min)" in words
    failed = next(line for line in words if line.startswith("✗ exam failed"))
    assert "Unable to locate package nosuch; the earlier image serves meanwhile (for 2 h)" in failed
    assert "base-notebook" not in text
    assert "IMAGE OF" not in status_text(with_images(PRESENT), now_s=NOW_S)


def test_the_page_shows_every_image() -> None:
    page = PAGE.render(with_images(PRESENT, BUILDING, FAILED), now_s=NOW_S)
    assert '<span class="pill good">present</span>' in page
    assert '<span class="pill warn">building, step 24 of 32</span>' in page
    assert '<span class="pill warn">failed</span>' in page
    assert "registry.example.org/jupyter/base-notebook" in page
    unusable = dataclasses.replace(FAILED, usable=False, detail="<script>alert(1)</script>")
    page = PAGE.render(with_images(unusable), now_s=NOW_S)
    assert '<span class="pill bad">failed</span>' in page
    assert "<script>alert" not in page


def test_images_survive_json() -> None:
    status = with_images(PRESENT, BUILDING, FAILED)
    assert from_json(to_json(status)) == status
