"""What containers are made from: the same for a cold start and a slot, but for the user."""

from __future__ import annotations

import dataclasses
from pathlib import Path, PurePosixPath

import pytest

from hubagent import wire
from hubagent.config.kinds.places import parse_network
from hubagent.config.kinds.types import ServerName
from hubagent.config.model import Config
from hubagent.config.model.hub import Hub
from hubagent.config.model.servers import Mount, MountMode, Server
from hubagent.pool.owners import Account
from hubagent.pool.ports import Bind, ContainerSpec, ImageFacts
from hubagent.pool.refusal import SpawnError
from hubagent.pool.spec import CPU_SHARES, WARMING_CPU_SHARES, Specs
from hubagent.render.hub_files import server_digest

IMAGE = ImageFacts("sha256:1", "jovyan", ())
HOME = "/home/jovyan/work"
SERVER = Server(
    name=ServerName("julia"),
    title="Julia",
    memory_bytes=512 * 1024**2,
    cpus=1.5,
    processes=100,
    environment={"COURSE": "numerics"},
    mounts=(
        Mount(PurePosixPath("/srv/course"), PurePosixPath(f"{HOME}/course")),
        Mount(PurePosixPath("/srv/data"), PurePosixPath("/data"), MountMode.READ_WRITE),
    ),
)


def _cold(config: Config | None = Config(), image: ImageFacts = IMAGE) -> ContainerSpec:  # noqa: B008
    specs = Specs(lambda: config, program=Path("/program"))
    return specs.cold(
        SERVER,
        image,
        guest="0123456789ab",
        guest_folder="/g",
        account=Account("a@b.c", "0" * 32),
        volume="jupyterhub-user-a-40b-2ec",
        server_name="x",
        port=8888,
    )


def _slot(config: Config | None = Config()) -> ContainerSpec:  # noqa: B008
    specs = Specs(lambda: config, program=Path("/program"))
    return specs.slot(
        SERVER, IMAGE, guest="0123456789ab", recipe="r", guest_folder="/g", home_folder="/homes/0123456789ab"
    )


def test_a_cold_container() -> None:
    spec = _cold()
    assert spec.name == "jupyter-a-40b-2ec--x"
    assert spec.labels == {
        "hubagent.guest": "0123456789ab",
        "hubagent.server": "julia",
        "hubagent.digest": server_digest(SERVER),
        "hubagent.kept": "home",
        "hubagent.user": "a@b.c",
        "hubagent.volume": "jupyterhub-user-a-40b-2ec",
    }
    assert spec.volume == ("jupyterhub-user-a-40b-2ec", HOME)
    assert spec.volume_labels == {
        "hubagent.user": "a@b.c",
        "hubagent.account": "0" * 32,
        "hubagent.pattern": "jupyterhub-user-{username}",
    }
    assert set(spec.binds) == {
        Bind("/program", wire.GUEST_FILES, read_only=True),
        Bind("/g", wire.GUEST_FOLDER, read_only=False),
        Bind("/srv/course", f"{HOME}/course", read_only=True),
        Bind("/srv/data", "/data", read_only=False),
    }
    assert (spec.port, spec.cpu_shares) == (8888, CPU_SHARES)


def test_an_entry_that_opens_networks_has_one_of_its_own() -> None:
    """Which ones is no part of what it is made from: that changes for running containers, too."""
    opening = dataclasses.replace(SERVER, networks=(parse_network("10.1.2.0/24"),))
    specs = Specs(Config, program=Path("/program"))

    def slot(server: Server) -> ContainerSpec:
        return specs.slot(server, IMAGE, guest="g", recipe="r", guest_folder="/g", home_folder="/h")

    assert (slot(SERVER).network, slot(opening).network) == ("hubagent", "hubagent-julia")
    assert server_digest(SERVER) != server_digest(opening)
    other = dataclasses.replace(SERVER, networks=(parse_network("10.1.3.7:80"),))
    assert server_digest(other) == server_digest(opening)


def test_a_slot_is_nobodys_and_sees_what_is_attached_later() -> None:
    spec = _slot()
    assert spec.name == "hubagent-slot-0123456789ab"
    assert spec.labels == {
        "hubagent.guest": "0123456789ab",
        "hubagent.server": "julia",
        "hubagent.digest": server_digest(SERVER),
        "hubagent.kept": "home",
        "hubagent.slot": "r",
    }
    assert spec.volume is None
    assert set(spec.binds) == {
        Bind("/program", wire.GUEST_FILES, read_only=True),
        Bind("/g", wire.GUEST_FOLDER, read_only=False),
        Bind("/homes/0123456789ab", HOME, read_only=False, propagation="rslave"),
        Bind("/srv/data", "/data", read_only=False),
    }
    assert spec.cpu_shares == WARMING_CPU_SHARES


def test_what_sends_code_elsewhere_is_declared() -> None:
    """Containers from before this could be declared are not stale: the digest is what it was."""
    open_to_it = dataclasses.replace(SERVER, ai=True)
    specs = Specs(Config, program=Path("/program"))
    said = [
        specs.slot(server, IMAGE, guest="g", recipe="r", guest_folder="/g", home_folder="/h").environment
        for server in (SERVER, open_to_it)
    ]
    assert [one.get("HUBAGENT_AI") for one in said] == [None, "yes"]
    assert server_digest(SERVER) != server_digest(open_to_it)


def test_both_run_the_launcher_with_the_declared_limits() -> None:
    for spec in (_cold(), _slot()):
        assert spec.command == ("/bin/sh", "/opt/hubagent/start")
        assert spec.network == "hubagent"
        assert (spec.memory_bytes, spec.cpus, spec.processes) == (512 * 1024**2, 1.5, 100)
        assert spec.environment == {"COURSE": "numerics", "JULIA_CPU_THREADS": "2"}
        assert not spec.root_capabilities
    assert _cold(image=ImageFacts("sha256:1", "root:root", ())).root_capabilities


def test_what_the_configuration_adds_is_in_both() -> None:
    traits = {
        "DockerSpawner": {"extra_host_config": {"shm_size": "1G"}, "extra_create_kwargs": {"hostname": "lab"}}
    }
    for spec in (_cold(Config(hub=Hub(traits=traits))), _slot(Config(hub=Hub(traits=traits)))):
        assert spec.extra_host == {"shm_size": "1G"}
        assert spec.extra == {"hostname": "lab"}


@pytest.mark.parametrize(
    "added",
    [
        {"privileged": True},
        {"pid_mode": "host"},
        {"network_mode": "host"},
        {"ipc_mode": "host"},
        {"userns_mode": "host"},
        {"cgroupns": "host"},
        {"uts_mode": "host"},
        {"devices": ["/dev/kvm"]},
        {"cap_add": ["SYS_ADMIN"]},
        {"security_opt": ["seccomp=unconfined"]},
        {"volumes_from": ["other"]},
        {"binds": ["/:/host"]},
        {"mounts": []},
        {"mem_limit": "64G"},
        {"restart_policy": {"Name": "always"}},
        {"what_may_come_in_a_later_sdk": True},
    ],
    ids=lambda added: next(iter(added)),
)
def test_no_way_to_the_machine_can_be_added(added: dict[str, object]) -> None:
    """`hubagent check` says so; an older generation that is in force may still hold it."""
    config = Config(hub=Hub(traits={"DockerSpawner": {"extra_host_config": added}}))
    for make in (_cold, _slot):
        with pytest.raises(SpawnError, match=f"{next(iter(added))} cannot be added") as caught:
            make(config)
        assert caught.value.reason == "not_allowed"


def test_without_a_configuration_nothing_is_made() -> None:
    with pytest.raises(SpawnError, match="no configuration in force"):
        _cold(None)
