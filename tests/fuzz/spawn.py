"""The agent's socket: whatever the hub's user sends, only declared servers come, and nobody else's container is touched."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hubagent import wire
from hubagent.adapters.net.spawn_socket import SpawnServer
from hubagent.config.model import Warm
from hubagent.layout import LABEL_SERVER
from hubagent.pool.broker import REQUESTS, Broker
from hubagent.pool.cold import ColdStarts
from hubagent.pool.ports import ContainerSpec, PoolPorts
from hubagent.pool.spec import Specs
from hubagent.pool.yielding import Yielding
from tests.fuzz import frames
from tests.unit.pool.volumes import volumes_on
from tests.unit.pool.world import World

_BYSTANDER = ContainerSpec(
    name="bystander",
    image="hubagent/julia",
    command=(),
    environment={},
    labels={},
    network="hubagent",
    memory_bytes=1,
    cpus=1.0,
    processes=1,
)


class Spawn:
    """The real server, broker, pool and cold starts, on a machine in memory that is new for each input."""

    def __init__(self) -> None:
        path = Path(tempfile.mkdtemp(prefix="fuzz-"), "spawn.sock")
        self._server = SpawnServer(
            path, lambda request: self._broker.answer(request), requests=REQUESTS, owner="nobody"
        )
        self._path = path
        self._server.start()

    def seeds(self) -> list[bytes]:
        command, environment = ("jupyterhub-singleuser",), {"JUPYTERHUB_API_TOKEN": "t", "A": "b"}
        claim = wire.Claim("ada", "", "julia", environment, command)
        create = wire.Create("ada", "", "julia", environment, command, 8888)
        name = "jupyter-ada"
        return [
            frames.line(claim),
            frames.line(
                create, wire.Inspect(name), wire.Output(name, 10), wire.Stop(name), wire.Remove(name)
            ),
            frames.line(claim, claim, create, wire.Remove(name)),
            frames.line(
                wire.Expect("ada", "0" * 32, 1.5),
                wire.Claim("a@b.c", "second", "julia", {}, ()),
                wire.Inspect(name),
            ),
            frames.line(
                wire.Known((wire.Person("ada", "0" * 32, 1.5),)), wire.Gone("ada", "0" * 32), create, create
            ),
            frames.line(wire.Create("eve", "", "large", {}, (), 1), wire.Stop("bystander")),
            b"\0" + wire.HEADER.pack(2**31) + b"x",
        ]

    def words(self) -> list[str]:
        return [f'"{cls.__name__}"' for cls in REQUESTS] + [
            *(
                '"v": 1',
                '"verb": ',
                '"user": ',
                '"server_name": ',
                '"server": ',
                '"environment": {',
                '"command": [',
            ),
            *(
                '"port": ',
                '"name": ',
                '"lines": ',
                '"julia"',
                '"bystander"',
                '"ada"',
                '"hubagent-slot-',
                "\\u0000",
            ),
            *("\\ud800", "1e400", "null", "true", "{}", "[]", "-1", "../", "65536"),
        ]

    def one(self, data: bytes) -> None:
        world = World(Warm(ready=1, max=1))
        world.settle()
        bystander = world.containers.create(_BYSTANDER)
        world.containers.start(bystander)
        volumes = volumes_on(world.containers)
        ports = PoolPorts(world.containers, world.homes, world.guests, world.clock)
        self._broker = Broker(
            ports,
            config=lambda: world.config,
            cold=ColdStarts(
                ports,
                specs=Specs(lambda: world.config, program=Path("/program")),
                volumes=volumes,
                proof=lambda image: None,
                told={},
            ),
            warm=world.pool,
            yielding=Yielding(world.slots, world.homes, world.clock),
            volumes=volumes,
            expect=lambda account: None,
        )
        for stream in frames.peers(data):
            frames.ask(self._path, stream)
        untouched = world.containers.containers.get(bystander)
        assert untouched is not None
        assert untouched.facts().running
        assert world.config is not None
        (server,) = world.config.servers
        for container in world.containers.containers.values():
            if container is not untouched:
                spec = container.spec
                assert spec.labels[LABEL_SERVER] == server.name
                assert (spec.memory_bytes, spec.network) == (server.memory_bytes, "hubagent")
                assert "t" not in spec.environment.values(), "what the hub tells a server is in no inspection"
