"""The background user: every answer counts, and none that is missing passes for one."""

from __future__ import annotations

import time

from tests.machine.hub import until
from tests.soak.background import Background, Failure


class _Websocket:
    open = True


def _worked(answers: list[tuple[int, str] | OSError], websocket: _Websocket) -> Background:
    """After each of the answers was given once, the last one again and again."""
    left = list(answers)

    def ask() -> tuple[int, str]:
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, OSError):
            raise answer
        return answer

    background = Background(ask, websocket, time.monotonic())
    with background:
        until(lambda: background.asked >= len(answers), 30.0, "so many answers")
    return background


def test_good_answers_are_counted() -> None:
    background = _worked([(200, "")] * 3, _Websocket())
    assert background.asked >= 3
    assert background.failures == []
    assert background.websocket_closed_s is None


def test_what_is_no_200_and_what_is_no_answer_is_kept_with_its_time() -> None:
    background = _worked([(200, ""), (302, "login"), ConnectionResetError("gone"), (200, "")], _Websocket())
    assert [failure.what for failure in background.failures] == [
        "302 login",
        "ConnectionResetError('gone')",
    ]
    assert all(isinstance(failure, Failure) and failure.at_s > 0 for failure in background.failures)


def test_a_websocket_that_closes_is_noticed() -> None:
    closed = _Websocket()
    closed.open = False
    background = _worked([(200, "")], closed)
    assert background.websocket_closed_s is not None
