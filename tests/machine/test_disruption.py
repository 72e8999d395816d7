"""Steps that drop websockets on a real machine: they wait for permission, or for the window."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from tests.machine.hub import Hub, until

PROXY = "configurable-http-proxy"
RELEASE = "/usr/lib/hubagent-proxy/release"
TOKENS = ("/var/lib/hubagent/secrets/proxy-token", "/var/lib/hubagent/secrets/agent-token")
PROXYS_API, HUBS_API = "http://127.0.0.1:8001/api/routes", "https://127.0.0.1/hub/api/user"


@pytest.fixture
def upgraded(pristine: Hub) -> Iterator[Hub]:
    """An upgrade has brought another proxy, which does not run yet: nothing else leads to level 4 today."""
    machine = pristine.machine
    shipped = machine.read(RELEASE)
    version, digest = shipped.split()
    machine.write(RELEASE, f"{version} {digest[::-1]}\n")
    yield pristine
    machine.write(RELEASE, shipped)


def _pending(hub: Hub) -> list[str]:
    return [step["reason"] for step in hub.status()["pending"]]


def _routes(hub: Hub) -> str:
    ask = 'curl -s -H "Authorization: token $(cat /var/lib/hubagent/current/proxy/token)" 127.0.0.1:8001/api/routes'
    return hub.machine.run(["sh", "-c", ask], check=False).stdout


def _window(hub: Hub, *, open_now: bool) -> str:
    """Six hours around this moment in the machine's time zone, or the six hours opposite."""
    hour = int(hub.machine.run(["date", "+%H"]).stdout) + (0 if open_now else 12)
    return f"{(hour - 3) % 24:02}:00-{(hour + 3) % 24:02}:00"


def test_another_proxy_waits_for_leave_and_then_gets_its_routes_back(upgraded: Hub) -> None:
    before = upgraded.main_pid(PROXY), upgraded.main_pid("jupyterhub")
    _, status = upgraded.apply()
    assert status["result"] == "noop", status["problems"]
    assert [(step["component"], step["level"]) for step in status["pending"]] == [("proxy", 4)]
    assert "runs an older build" in _pending(upgraded)[0]
    assert re.search(r"older build", upgraded.machine.run(["hubagent", "status"], check=False).stdout)
    doctor = upgraded.machine.run(["hubagent", "doctor"], check=False).stdout
    assert "do: hubagent apply --allow-disruption" in doctor
    upgraded.replace("max_body: 100M", "max_body: 8M")  # an edit meanwhile is applied, and only that
    assert upgraded.apply()[1]["result"] in ("ok", "noop")
    assert (upgraded.main_pid(PROXY), upgraded.main_pid("jupyterhub")) == before
    assert _pending(upgraded) != []

    _, status = upgraded.apply("--allow-disruption")
    assert (status["result"], status["pending"]) == ("ok", [])
    assert upgraded.main_pid(PROXY) not in (0, before[0])
    assert upgraded.main_pid("jupyterhub") == before[1]
    assert '"hub":true' in _routes(upgraded).replace(" ", "")
    assert upgraded.get("/hub/login")[0] == 200


def test_the_window_is_waited_for_and_used(upgraded: Hub) -> None:
    before = upgraded.main_pid(PROXY)
    config = upgraded.config()
    closed = f"apply: {{disruptive: window, window: '{_window(upgraded, open_now=False)}'}}"
    upgraded.edit(re.sub(r"(?ms)^apply:.*?(?=^\S|\Z)", f"{closed}\n", config))
    assert upgraded.config().count("apply:") == 1
    assert upgraded.apply()[1]["result"] in ("ok", "noop")
    assert len(_pending(upgraded)) == 1
    assert upgraded.main_pid(PROXY) == before
    upgraded.edit(
        upgraded.config().replace(_window(upgraded, open_now=False), _window(upgraded, open_now=True))
    )
    until(lambda: upgraded.main_pid(PROXY) not in (0, before), 30.0, "the proxy's restart in the window")
    upgraded.settled(after=lambda status: status["pending"] == [])
    assert '"hub":true' in _routes(upgraded).replace(" ", "")


def _answer(hub: Hub, url: str, token: str) -> int:
    """The status that somebody gets who has this token."""
    ask = ["curl", "-sk", "-o", "/dev/null", "-w", "%{http_code}", "-H", f"Authorization: token {token}", url]
    return int(hub.machine.run(ask, check=False).stdout)


def test_new_tokens_take_the_place_of_the_old_ones(pristine: Hub) -> None:
    """Who has read the old ones gets nothing for them any more."""
    units = (PROXY, "jupyterhub")
    before, pids = [pristine.machine.read(path) for path in TOKENS], [*map(pristine.main_pid, units)]
    assert [_answer(pristine, PROXYS_API, before[0]), _answer(pristine, HUBS_API, before[1])] == [200, 200]

    shown = pristine.machine.run(["hubagent", "plan", "--new-tokens", "--json"]).stdout
    assert json.loads(shown)["level"] == 4
    assert [*map(pristine.main_pid, units)] == pids

    _, status = pristine.apply("--allow-disruption", "--new-tokens")
    assert (status["result"], status["problems"]) == ("ok", [])
    after = [pristine.machine.read(path) for path in TOKENS]
    assert not set(before) & set(after)
    assert not set(pids) & {*map(pristine.main_pid, units)}
    assert [_answer(pristine, PROXYS_API, before[0]), _answer(pristine, HUBS_API, before[1])] == [403, 403]
    assert [_answer(pristine, PROXYS_API, after[0]), _answer(pristine, HUBS_API, after[1])] == [200, 200]
    assert '"hub":true' in _routes(pristine).replace(" ", "")
    assert pristine.get("/hub/login")[0] == 200
    assert pristine.apply()[1]["result"] == "noop"
