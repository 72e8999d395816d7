"""The agent's part of starting servers, in the process of the tests: the real broker, on a Docker of theirs."""

from __future__ import annotations

import getpass
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from docker_daemon import DockerDaemon
from holding import Hold

from hubagent import wire
from hubagent.adapters.docker.containers import DockerContainers
from hubagent.adapters.files.store import LocalFileStore
from hubagent.adapters.machine.clock import SystemClock
from hubagent.adapters.net.guests import SocketGuests
from hubagent.adapters.net.homes_helper import HomesClient
from hubagent.adapters.net.spawn_socket import SpawnServer
from hubagent.config.kinds.types import ServerName
from hubagent.config.model import Config
from hubagent.config.model.hub import Hub
from hubagent.config.model.servers import Mount, MountMode, Server
from hubagent.pool import slots
from hubagent.pool.broker import REQUESTS, Broker, Request
from hubagent.pool.cold import ColdStarts
from hubagent.pool.owners import Account, Owners
from hubagent.pool.ports import PoolPorts
from hubagent.pool.slots import Phase, Slot
from hubagent.pool.spec import Specs
from hubagent.pool.volumes import Volumes
from hubagent.pool.yielding import Yielding


class Slots:
    """The pool as far as the broker needs it: every ready slot becomes whose server is asked for next."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self.all: dict[str, Slot] = {}  # by container
        self.gone_ones: list[str] = []

    def make(self, server: str) -> str:
        """A container that waits to become a server; its name."""
        agent, guest = self._agent, secrets.token_hex(6)
        folder = agent.guests.prepare(guest, wire.GuestSettings(mode="warm"))
        declared = next(one for one in agent.config().servers if one.name == server)
        image = agent.containers.image(declared.image)
        assert image is not None
        spec = agent.specs.slot(
            declared, image, guest=guest, recipe="r", guest_folder=folder, home_folder=str(agent.folder)
        )
        container = agent.containers.create(spec)
        agent.containers.start(container)
        self.all[container] = Slot(guest, server, "r", Phase.READY, 0.0, container=container)
        return spec.name

    def claim(self, claim: wire.Claim) -> wire.Started | wire.Refused:
        ready = [
            slot for slot in self.all.values() if (slot.phase, slot.server) == (Phase.READY, claim.server)
        ]
        if not ready:
            return wire.Refused("no_slot", f"servers.{claim.server}: no slot is ready")
        slot = ready[0]
        become = wire.Become(claim.environment, claim.command, "/home/jovyan/work", 0, 0)
        self._agent.guests.become(slot.id, become, timeout_s=5.0)
        facts = self._agent.containers.inspect(slot.container)
        assert facts is not None
        self.all[slot.container] = Slot(
            slot.id,
            slot.server,
            "r",
            Phase.CLAIMED,
            0.0,
            container=slot.container,
            user=claim.user,
            server_name=claim.server_name,
        )
        return wire.Started(facts.id, facts.name, facts.address)

    def is_taken(self, user: str) -> bool:
        return any((slot.phase, slot.user) == (Phase.CLAIMED, user) for slot in self.all.values())

    @contextmanager
    def cold_start(self, user: str, server_name: str) -> Iterator[None]:
        yield

    def gone(self, container: str) -> None:
        self.gone_ones.append(container)
        del self.all[container]

    def slots(self) -> tuple[Slot, ...]:
        return tuple(self.all.values())


class Agent:
    """Its socket, started and stopped at will; `declared` is the `servers` of RunningHub."""

    def __init__(self, folder: Path, docker: DockerDaemon, declared: dict[str, Any]) -> None:
        self.folder = folder
        self.declared = declared
        self.traits: dict[str, Any] = {}
        program = folder / "program"
        program.mkdir(parents=True)
        self.socket = folder / "spawn.sock"
        self.containers = DockerContainers(docker.url, nice=False)
        self.guests = SocketGuests(folder / "guests")
        self.specs = Specs(self.config, program=program)
        self.slots = Slots(self)
        self.knows_no_accounts = False  # as version 0.1
        self.expected: list[Account] = []  # who has signed in
        self.owners = Owners(LocalFileStore(), folder / "homes")
        self.volumes = Volumes(self.containers, self.owners, SystemClock())
        homes = HomesClient(folder / "no helper")
        ports = PoolPorts(self.containers, homes, self.guests, SystemClock())
        no_slots = slots.Slots(LocalFileStore(), folder / "guests")  # none is made here
        yielding = Yielding(no_slots, homes, SystemClock())
        self.broker = Broker(
            ports,
            config=self.config,
            cold=ColdStarts(ports, specs=self.specs, volumes=self.volumes, proof=lambda image: None, told={}),
            warm=self.slots,
            yielding=yielding,
            volumes=self.volumes,
            expect=self.expected.append,
        )
        self.hold = Hold()
        self._server = SpawnServer(self.socket, self._answer, requests=REQUESTS, owner=getpass.getuser())

    def config(self) -> Config:
        entries = self.declared["servers"].items()
        servers = tuple(_server(name, entry) for name, entry in entries)
        return Config(servers=servers, hub=Hub(traits=self.traits))

    def _answer(self, request: Request) -> object:
        kind = type(request).__name__
        self.hold.here(f"before {kind}")
        answer = self.answer(request)
        self.hold.here(f"after {kind}")
        return answer

    def answer(self, request: Request) -> object:
        if self.knows_no_accounts and getattr(request, "account", ""):
            return wire.Refused("message", f"{type(request).__name__}: missing or unknown: account")
        return self.broker.answer(request)

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        self._server.stop()

    def close(self) -> None:
        self.stop()
        self.containers.close()


def _server(name: str, entry: dict[str, Any]) -> Server:
    mounts = tuple(
        Mount(
            PurePosixPath(mount["source"]),
            PurePosixPath(mount["target"]),
            MountMode.READ_ONLY if mount["read_only"] else MountMode.READ_WRITE,
        )
        for mount in entry["mounts"]
    )
    plain = {key: entry[key] for key in ("title", "image", "memory_bytes", "cpus", "processes", "volume")}
    return Server(
        name=ServerName(name),
        home=PurePosixPath(entry["home"]),
        mounts=mounts,
        environment=entry["environment"],
        **plain,
    )
