"""What the kernel and Docker really hold: looked at, put right where nobody is interrupted by it, else said."""

from __future__ import annotations

import dataclasses
import hashlib
import json

import pytest

from hubagent.config.model import Drift
from hubagent.converge.doctor import examine
from hubagent.converge.intent import Order
from hubagent.converge.surroundings import network_fault
from hubagent.layout import BRIDGE, DOCKER, FIREWALL, bridge_of
from hubagent.ports import ActiveState, Network, UnitVerb
from hubagent.state.model import Component
from hubagent.state.status import Result
from tests.unit.converge.world import CONFIG, World

OPENING = CONFIG + "servers: {julia: {}, course: {networks: [10.1.2.0/24]}}\n"
SWARM_STATE = "/var/lib/docker/swarm/docker-state.json"
RULES = "firewall/hubagent.nft"


@pytest.fixture
def world() -> World:
    world = World()
    assert world.reconcile().result is Result.OK
    return world


def problems(world: World) -> str:
    return "\n".join(one.message for one in world.survey.status(world.reconcile()).problems)


def docker_steps(world: World) -> list[str]:
    return [verb for component, verb in world.taken if component is Component.DOCKER]


def settings(world: World) -> dict[str, object] | None:
    state = world.files.read(world.layout.docker_config, max_bytes=2**16)
    return None if state is None else json.loads(state.content)


# -- the packet filter


@pytest.mark.parametrize(("held", "words"), [(b"", "is gone"), (b"other rules", "was changed by hand")])
def test_a_packet_filter_changed_in_the_kernel_is_loaded_again(world: World, held: bytes, words: str) -> None:
    world.hold(held)
    outcome = world.reconcile()
    assert (outcome.result, world.taken) == (Result.OK, [(Component.FIREWALL, "reload")])
    assert outcome.prepared is not None
    assert words in outcome.prepared.plan.steps[0].reason
    assert b'hubagent_drift_detected_total{component="firewall"} 1.0' in world.metrics.exposition()
    assert world.reconcile().result is Result.NOOP
    assert problems(world) == ""


def test_a_packet_filter_that_cannot_be_put_back_is_said(world: World) -> None:
    world.hold(b"")
    world.units.on(FIREWALL, lambda verb: world.hold(b""))
    outcome = world.reconcile()
    assert outcome.result is Result.FAILED
    assert FIREWALL in str(outcome.failure)
    assert outcome.retry


def test_with_drift_warn_a_changed_packet_filter_is_left_alone_and_said() -> None:
    world = World(CONFIG + f"apply: {{drift: {Drift.WARN.value}}}\n")
    world.reconcile()
    world.hold(b"other rules")
    assert world.reconcile().result is Result.NOOP
    assert "was changed by hand; left alone" in problems(world)


def test_that_nobody_watches_the_packet_filter_is_said(world: World) -> None:
    world.files.remove(world.layout.root / "run/hubagent-firewall/held")
    assert world.reconcile().result is Result.NOOP
    assert "systemctl start hubagent-firewall-watch.service" in problems(world)


def test_that_dockers_own_rules_are_gone_is_said(world: World) -> None:
    world.files.put("/run/hubagent-firewall/docker", "gone\n")
    assert "systemctl restart docker.service" in problems(world)
    world.engine.stop()  # which makes them when it starts
    world.reboot_agent()
    assert "Docker's own rules" not in problems(world)
    world.engine.start()
    world.files.put("/run/hubagent-firewall/docker", "there\n")
    assert "Docker's own rules" not in problems(world)


def test_new_name_servers_and_networks_on_a_cable_are_in_the_rules_at_the_next_look(world: World) -> None:
    world.machine.name_servers = ("10.9.9.9",)
    world.machine.cables = ("141.84.5.0/24", "10.0.0.0/24")
    outcome = world.reconcile()
    assert (outcome.result, world.taken) == (Result.OK, [(Component.FIREWALL, "reload")])
    rules = world.current(RULES).decode()
    assert "ip daddr 10.9.9.9 meta l4proto { tcp, udp } th dport 53 accept" in rules
    assert "10.0.0.53" not in rules
    assert "141.84.5.0/24" in rules
    assert world.reconcile().result is Result.NOOP


def test_name_servers_that_containers_were_told_are_open(world: World) -> None:
    world.files.put(str(world.layout.docker_config), b'{"dns": ["10.7.7.7", "not an address"]}')
    world.edit(CONFIG + "hub: {traits: {HubagentSpawner: {extra_host_config: {dns: [10.8.8.8]}}}}\n")
    world.reconcile()
    rules = world.current(RULES).decode()
    for address in ("10.0.0.53", "10.7.7.7", "10.8.8.8"):
        assert f"ip daddr {address} meta l4proto" in rules


def test_an_upgrade_that_closes_private_networks_says_so_once(world: World) -> None:
    before = world.generations.load(1)
    open_to_all = b"table inet hubagent { chain forward { } }\n"
    files = tuple(
        dataclasses.replace(file, content=open_to_all) if str(file.path) == RULES else file
        for file in before.files
    )
    markers = {**before.markers, Component.FIREWALL: hashlib.sha256(open_to_all).hexdigest()}
    world.generations.stage(dataclasses.replace(before, files=files, markers=markers), 2)
    world.generations.show(2)
    world.units.run(UnitVerb.RELOAD, FIREWALL, timeout_s=1)
    plan = world.reconciler.preview(Order()).plan
    reasons = [step.reason for step in plan.steps if step.component is Component.FIREWALL]
    assert len(reasons) == 1
    assert "servers.*.networks" in reasons[0]
    assert world.reconcile().result is Result.OK
    world.edit(OPENING)
    outcome = world.reconcile()
    assert outcome.prepared is not None
    assert "servers.*.networks" not in str(outcome.prepared.plan.steps)
    assert world.reconcile(rollback_to=2).result is Result.OK
    assert b"chain beyond" in world.current(RULES), "going back opens nothing again"
    world.reconcile()
    assert world.taken == []


# -- Docker's networks


def test_an_entry_that_opens_networks_has_one_of_its_own(world: World) -> None:
    world.edit(OPENING)
    assert world.reconcile().result is Result.OK
    bridge = bridge_of("course", own=True)
    assert world.engine.by_name["hubagent-course"].bridge == bridge
    assert f'iifname "{bridge}" jump open_' in world.current(RULES).decode()
    assert world.reconcile().result is Result.NOOP


def test_networks_of_entries_that_are_gone_make_room(world: World) -> None:
    world.edit(OPENING)
    world.reconcile()
    world.edit(OPENING.replace("course", "lab"))
    assert world.reconcile().result is Result.OK
    assert set(world.engine.by_name) == {"hubagent", "hubagent-course", "hubagent-lab"}  # still in force then
    world.edit(OPENING.replace("course", "third"))
    world.reconcile()
    assert "hubagent-course" not in world.engine.by_name


def test_a_network_that_was_removed_is_made_anew(world: World) -> None:
    del world.engine.by_name["hubagent"]
    assert world.reconcile().result is Result.NOOP
    assert world.engine.by_name["hubagent"].bridge == BRIDGE


FOREIGN = Network("hubagent", "172.18.0.1", {}, "br-0123456789ab", isolated=False)


def test_a_network_made_by_somebody_else_is_made_anew_when_nobody_uses_it(world: World) -> None:
    world.engine.by_name["hubagent"] = FOREIGN
    assert world.reconcile().result is Result.NOOP
    assert network_fault(world.engine.by_name["hubagent"], BRIDGE) == ""
    assert problems(world) == ""


def test_one_that_is_in_use_is_said_and_the_packet_filter_covers_its_bridge(world: World) -> None:
    world.engine.by_name["hubagent"] = FOREIGN
    world.engine.used.add("hubagent")
    assert world.reconcile().result is Result.OK
    assert 'iifname "br-0123456789ab" jump beyond' in world.current(RULES).decode()
    assert "its bridge is br-0123456789ab, not hubagent0 and its containers reach each other" in problems(
        world
    )
    world.engine.stop()  # what is covered stays so while Docker is away
    assert world.reconcile().result is Result.NOOP
    world.engine.start()
    world.engine.used.clear()
    assert world.reconcile().result is Result.OK
    assert problems(world) == ""


# -- Docker itself


def in_swarm() -> World:
    world = World()
    world.engine.swarm_state, world.engine.live_restore = "active", False
    return world


def test_in_a_swarm_live_restore_is_never_written() -> None:
    world = in_swarm()
    assert world.reconcile().result is Result.OK
    assert settings(world) is None
    assert world.units.verbs(DOCKER) == []
    assert world.reconcile().result is Result.NOOP
    assert "docker swarm leave" in problems(world)


def test_doctor_does_not_advise_live_restore_in_a_swarm() -> None:
    world = in_swarm()
    findings = examine(world.ports, world.reconciler, world.survey.status(world.reconcile()))
    (finding,) = [one for one in findings if one.check == "live-restore"]
    assert not finding.ok
    assert finding.remedy.startswith("docker swarm leave")
    world.engine.swarm_state = "inactive"
    findings = examine(world.ports, world.reconciler, None)
    (finding,) = [one for one in findings if one.check == "live-restore"]
    assert '"live-restore": true' in finding.remedy


@pytest.mark.parametrize("state", ["pending", "active", "error", "locked"])
def test_a_machine_that_joins_a_swarm_later_gets_its_docker_back(world: World, state: str) -> None:
    assert settings(world) == {"live-restore": True}
    world.engine.swarm_state = state
    assert world.reconcile().result is Result.OK
    assert docker_steps(world) == ["write"]
    assert settings(world) == {}
    assert world.reconcile().result is Result.NOOP
    world.engine.swarm_state = "inactive"
    assert world.reconcile().result is Result.OK
    assert settings(world) == {"live-restore": True}


def test_other_settings_are_kept_when_live_restore_is_taken_back(world: World) -> None:
    world.files.put(str(world.layout.docker_config), b'{"log-driver": "local"}')
    world.reconcile()
    assert settings(world) == {"log-driver": "local", "live-restore": True}
    world.engine.swarm_state = "active"
    world.reconcile()
    assert settings(world) == {"log-driver": "local"}


def test_live_restore_by_an_administrators_hand_in_a_swarm_is_left_and_said() -> None:
    world = in_swarm()
    world.files.put(str(world.layout.docker_config), b'{"live-restore":true,"debug":true}')
    assert world.reconcile().result is Result.OK
    assert settings(world) == {"live-restore": True, "debug": True}
    assert "will not start again with live-restore in /etc/docker/daemon.json" in problems(world)


def test_a_docker_that_cannot_start_in_its_swarm_is_started_without_live_restore(world: World) -> None:
    """As an earlier hubagent left it: written into a member of a swarm, and then the machine was booted."""
    world.files.put_folder("/var/lib/docker/swarm")
    world.files.put(SWARM_STATE, b"{}")
    world.engine.stop()
    world.units.change(DOCKER, active=ActiveState.FAILED)
    world.reboot_agent()
    assert world.reconcile().result is Result.OK
    assert docker_steps(world) == ["write", "start"]
    assert settings(world) == {}


def test_a_docker_that_does_not_answer_gets_no_settings() -> None:
    world = World()
    world.reconcile()
    world.files.remove(world.layout.docker_config)
    world.engine.stop()
    world.reboot_agent()
    world.reconcile()
    assert settings(world) is None


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("rootless", True, "rootless"),
        ("userns_remap", True, "userns-remap"),
    ],
)
def test_a_docker_that_servers_do_not_work_with_is_said_in_words(
    world: World, name: str, value: object, words: str
) -> None:
    setattr(world.engine, name, value)
    world.reboot_agent()
    world.reconcile()
    assert docker_steps(world) == []
    assert words in problems(world)
