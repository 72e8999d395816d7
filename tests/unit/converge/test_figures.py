"""Reading what the hub and the proxy publish; the recorded answers are theirs, word for word."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubagent.converge.figures import merge, parse_hub, parse_proxy
from hubagent.state.status import Figures

RECORDED = Path(__file__).parent / "recorded"


def spawn(*series: str) -> str:
    return "\n".join(f"jupyterhub_server_spawn_duration_seconds_{line}" for line in series)


def test_jupyterhub_6() -> None:
    figures = parse_hub((RECORDED / "jupyterhub-6.1.1.prom").read_text())
    assert figures.hub_users == 3
    assert figures.hub_running_servers == 2
    assert figures.hub_active_users == 0
    assert figures.hub_spawn_count == 2
    assert figures.hub_spawn_duration_sum_s == pytest.approx(1.1185540489996129)
    assert figures.hub_spawn_failures == 0
    assert figures.hub_event_loop_p99_s is not None
    assert 0.05 <= figures.hub_event_loop_p99_s < 1
    assert figures.proxy_routes is None


def test_jupyterhub_5_has_fewer_labels() -> None:
    text = spawn(
        'count{status="success"} 7.0',
        'sum{status="success"} 17.5',
        'count{status="failure"} 2.0',
        'count{status="throttled"} 40.0',
    )
    figures = parse_hub(text)
    assert (figures.hub_spawn_count, figures.hub_spawn_duration_sum_s) == (7, 17.5)
    assert figures.hub_spawn_failures == 2


def test_failures_have_several_reasons_and_being_put_off_is_none() -> None:
    text = spawn(
        'count{reason="",status="failure"} 1.0',
        'count{reason="exited",status="error"} 2.0',
        'count{reason="timeout",status="failure"} 4.0',
        'count{reason="throttled",status="failure"} 100.0',
    )
    assert parse_hub(text).hub_spawn_failures == 7


def test_configurable_http_proxy_5() -> None:
    figures = parse_proxy((RECORDED / "configurable-http-proxy-5.3.0.prom").read_text())
    assert figures.proxy_open_files is not None
    assert 10 < figures.proxy_open_files < 100
    assert figures.proxy_memory_bytes is not None
    assert 30e6 < figures.proxy_memory_bytes < 200e6


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html>502 Bad Gateway</html>",
        "jupyterhub_total_users",
        "jupyterhub_total_users NaN",
        "jupyterhub_total_users +Inf",
        "jupyterhub_total_users twelve",
        "# HELP jupyterhub_total_users total number of users",
        "jupyterhub_total_users_of_something_else 3",
        'jupyterhub_event_loop_interval_seconds_bucket{le="+Inf"} 0',
        'jupyterhub_event_loop_interval_seconds_bucket{le="0.1"} 5',
    ],
)
def test_what_is_not_there_is_not_known(text: str) -> None:
    assert parse_hub(text) == Figures()
    assert parse_proxy(text) == Figures()


def test_the_quantile_is_that_of_prometheus() -> None:
    def p99(**counts: float) -> float | None:
        lines = (
            f'jupyterhub_event_loop_interval_seconds_bucket{{le="{bound}"}} {count}'
            for bound, count in counts.items()
        )
        return parse_hub("\n".join(lines)).hub_event_loop_p99_s

    assert p99(**{"0.1": 0, "0.2": 100, "+Inf": 100}) == pytest.approx(0.199)
    assert p99(**{"0.1": 98, "0.2": 100, "+Inf": 100}) == pytest.approx(0.15)
    assert p99(**{"0.1": 50, "0.2": 60, "+Inf": 100}) == 0.2  # beyond the last bound nothing is known
    assert p99(**{"+Inf": 5}) == 0.0


@given(st.text())
def test_any_text_is_read_without_complaint(text: str) -> None:
    parse_hub(text)
    parse_proxy(text)


@given(
    st.lists(
        st.sampled_from(("jupyterhub_total_users", "process_open_fds", "{", 'le="', "}", " ", "\n", "1e999"))
    )
)
def test_almost_right_text_too(words: list[str]) -> None:
    parse_hub("".join(words))
    parse_proxy("".join(words))


def test_a_large_hub_is_read_in_milliseconds() -> None:
    noise = "\n".join(
        f'jupyterhub_request_duration_seconds_bucket{{code="200",handler="h{n}",le="0.1",method="GET"}} {n}.0'
        for n in range(50_000)
    )
    text = noise + "\n" + (RECORDED / "jupyterhub-6.1.1.prom").read_text()
    began = time.process_time()
    assert parse_hub(text).hub_users == 3
    assert time.process_time() - began < 0.25


def test_merge_takes_what_is_known_first() -> None:
    assert merge(
        Figures(hub_users=1), Figures(hub_users=2, proxy_routes=0), Figures(proxy_routes=9)
    ) == Figures(hub_users=1, proxy_routes=0)
    assert merge() == Figures()
