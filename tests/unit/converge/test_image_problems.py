"""What is said of images: nothing while users can start what was asked for, or the one before until it is there."""

from __future__ import annotations

import pytest

from hubagent.converge.problems import image_problems
from hubagent.state.status import ImageState, ImageStatus, Reason

DECLARED = {"julia": "hubagent/julia"}


def said(status: ImageStatus | None, *, absent: bool = False) -> list[str]:
    images = () if status is None else (status,)
    found = image_problems(DECLARED, images, {"hubagent/julia"} if absent else ())
    assert {problem.reason for problem in found} <= {Reason.IMAGE}
    return [problem.message for problem in found]


def status(
    state: ImageState, *, usable: bool, detail: str = "", image: str = "hubagent/julia"
) -> ImageStatus:
    return ImageStatus("julia", image, state, detail=detail, progress="step 3 of 18", usable=usable)


@pytest.mark.parametrize("state", [one for one in ImageState if one is not ImageState.FAILED])
def test_an_image_that_serves_is_no_problem(state: ImageState) -> None:
    assert said(status(state, usable=True)) == []


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (
            ImageState.BUILDING,
            "is not on this machine yet: it is being built (step 3 of 18); servers start once that is done",
        ),
        (
            ImageState.PULLING,
            "is not on this machine yet: it is being pulled (step 3 of 18); servers start once that is done",
        ),
        (
            ImageState.PROVING,
            "is not in use yet: it is being tested (step 3 of 18); servers start once that is done",
        ),
    ],
)
def test_one_that_is_on_its_way_is_named_with_progress(state: ImageState, words: str) -> None:
    assert said(status(state, usable=False), absent=True) == [f"servers.julia.image: hubagent/julia {words}"]


@pytest.mark.parametrize(
    ("usable", "words"),
    [(True, "servers start from the existing image"), (False, "no server of this kind")],
)
def test_a_failure_is_named_with_what_it_means(usable: bool, words: str) -> None:
    (message,) = said(status(ImageState.FAILED, usable=usable, detail="step 4 failed"))
    assert message.startswith(f"servers.julia.image: step 4 failed; {words}")
    assert "hubagent apply" in message


def test_before_the_first_look_only_absence_is_known() -> None:
    missing = status(ImageState.MISSING, usable=False)
    elsewhere = status(ImageState.PRESENT, usable=True, image="what/it/was")
    for one in (None, missing, elsewhere):
        assert said(one) == []
        assert said(one, absent=True) == ["servers.julia.image: hubagent/julia is not on this machine"]


def test_where_nobody_looks_after_images_there_is_advice() -> None:
    (problem,) = image_problems(DECLARED, None, {"hubagent/julia"})
    assert problem.message.endswith("is not on this machine; docker pull or docker load it")
    assert image_problems(DECLARED, None, ()) == ()
