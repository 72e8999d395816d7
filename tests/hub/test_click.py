"""A click as a whole: from /hub/spawn by OAuth to the page of the user's own server, and to nobody else's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from clicks import Clicks
from crowd import crowd
from running import CONFIG

from tests.waiting import wait_until


@pytest.fixture(scope="module")
def clicks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clicks]:
    folder = tmp_path_factory.mktemp("clicks")
    with crowd(folder, program="hubagent.hub.application", config=CONFIG, kind=Clicks) as hub:
        hub.sign_in(2)
        yield hub


def stop(clicks: Clicks, number: int) -> None:
    path = f"users/student{number}/server"
    wait_until(lambda: clicks.api("DELETE", path) == 204, "the server to stop")


def test_whoever_starts_a_server_sees_its_page_and_again_after_a_stop(clicks: Clicks) -> None:
    for _ in range(2):
        clicks.follow(0, "/hub/spawn")
        clicks.server_of("student0").begin()
        stop(clicks, 0)


def test_nobody_sees_the_page_of_another(clicks: Clicks) -> None:
    clicks.follow(0, "/hub/spawn")
    answer = clicks.browsers[1].session.get(f"{clicks.hub.url}/user/student0/lab", timeout=60)
    assert answer.status_code == 403
    assert "the page" not in answer.text
    stop(clicks, 0)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("/hub/spawn", "/user/student0/"),
        ("/hub/spawn?next=%2Fuser%2Fstudent0%2Flab%3Fa%3Db", "/user/student0/lab?a=b"),
        ("/hub/spawn?server=julia", "/user/student0/?server=julia"),
        ("/hub/spawn?next=https%3A%2F%2Fexample.org%2F&server=julia", "/user/student0/?server=julia"),
    ],
)
def test_a_start_that_takes_less_than_a_second_leads_to_the_server(
    clicks: Clicks, asked: str, expected: str
) -> None:
    """As the page that waits would. Tried until one does: on a machine that is busy it takes longer."""

    def led_to() -> str:
        url = f"{clicks.hub.url}{asked}"
        answer = clicks.browsers[0].session.get(url, timeout=60, allow_redirects=False)
        stop(clicks, 0)
        return answer.headers["Location"]

    wait_until(lambda: led_to() == expected, f"{asked} to lead to {expected}")
