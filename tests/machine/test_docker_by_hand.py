"""Docker as administrators may have it: in a swarm, or with a network of ours that somebody else made."""

from __future__ import annotations

import json

from tests.machine.hub import Hub, until

LIVE_RESTORE = '{\n  "live-restore": true\n}\n'
SETTINGS = "/etc/docker/daemon.json"


def test_a_swarm_and_live_restore_never_meet(pristine: Hub) -> None:
    """Docker that is in a swarm does not start with live-restore; an earlier hubagent wrote it there."""
    machine = pristine.machine

    def docker(form: str) -> str:
        return machine.run(["docker", "info", "-f", form], check=False).stdout.strip()

    def settings() -> object:
        return json.loads(machine.read(SETTINGS))

    assert settings() == {"live-restore": True}
    machine.write(SETTINGS, '{"live-restore": false}\n')
    machine.run(["systemctl", "reload", "docker"])
    until(lambda: docker("{{.LiveRestoreEnabled}}") == "false", 20.0, "live-restore to be off")
    machine.run(["docker", "swarm", "init", "--advertise-addr", "127.0.0.1"])
    try:
        machine.write(SETTINGS, LIVE_RESTORE)
        machine.run(["systemctl", "reload", "docker"])
        code, status = pristine.apply()
        assert (code, settings()) == (1, {})
        assert any("docker swarm leave" in problem["message"] for problem in status["problems"])
        assert "docker swarm leave" in machine.run(["hubagent", "doctor"], check=False).stdout
        machine.run(["systemctl", "restart", "docker"], timeout_s=120.0)
        # As on a machine that was booted after the earlier one had written it.
        machine.run(["systemctl", "stop", "hubagent"])
        machine.write(SETTINGS, LIVE_RESTORE)
        assert not machine.run(["systemctl", "restart", "docker"], check=False, timeout_s=120.0).ok
        machine.run(["systemctl", "start", "hubagent"], timeout_s=120.0)
        until(lambda: docker("{{.Swarm.LocalNodeState}}") == "active", 60.0, "Docker to be started")
        assert settings() == {}
    finally:
        machine.run(["docker", "swarm", "leave", "--force"])
        machine.run(["docker", "network", "rm", "docker_gwbridge"], check=False)
    _, status = pristine.apply()
    assert settings() == {"live-restore": True}
    assert not any("swarm" in problem["message"] for problem in status["problems"])


def test_a_network_that_somebody_else_made_is_made_anew(pristine: Hub) -> None:
    """With another subnet, another bridge and no walls: servers that wait leave it, and every edit is taken meanwhile."""
    machine = pristine.machine
    take_over = (
        "docker ps -aq --filter network=hubagent | xargs -r docker rm -f; docker network rm hubagent;"
        " docker network create --subnet 172.31.99.0/24 hubagent"
    )
    until(
        lambda: machine.run(["sh", "-c", take_over], check=False, timeout_s=120.0).ok,
        120.0,
        "the other network",
    )

    def bridge() -> str:
        form = '{{index .Options "com.docker.network.bridge.name"}} {{index .Options "com.docker.network.bridge.enable_icc"}}'
        return machine.run(
            ["docker", "network", "inspect", "-f", form, "hubagent"], check=False
        ).stdout.strip()

    until(lambda: bridge() == "hubagent0 false", 120.0, "the network to be hubagent's again")
    pristine.replace("max_body: 100M", "max_body: 7M")
    _, status = pristine.apply("--allow-disruption")
    assert status["result"] in ("ok", "noop"), status["problems"]
    assert pristine.get("/hub/login")[0] == 200
