"""A hub with an agent and a Docker that is scripted, and what a test of servers does there."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from agent import Agent
from docker_daemon import Container, DockerDaemon, Image
from running import RunningHub, call, free_ports

TOKEN = "tester-token-tester-token"

UNCLOSED = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
"""For all tests with a scene: Docker's SDK leaves a socket that cannot connect to the garbage collector."""


class Scene:
    """A hub with an agent and a Docker, and what a test does there."""

    def __init__(self, hub: RunningHub, agent: Agent, docker: DockerDaemon) -> None:
        self.hub = hub
        self.agent = agent
        self.docker = docker

    def api(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        status, answer = call(
            f"{self.hub.url}/hub/api/{path}",
            method=method,
            token=TOKEN,
            body=None if body is None else json.dumps(body).encode(),
            timeout_s=60,
        )
        return status, json.loads(answer or b"null")

    def start(self, user: str, options: object = None, name: str = "") -> tuple[int, Any]:
        self.api("POST", f"users/{quote(user, safe='')}")  # who may be there already
        target = f"servers/{name}" if name else "server"
        return self.api("POST", f"users/{quote(user, safe='')}/{target}", options)

    def refusal(self, user: str, options: object = None) -> str:
        """The message of a start that fails."""
        status, body = self.start(user, options)
        assert status >= 400, (status, body)
        message: str = body["message"]
        return message

    def stop(self, user: str, name: str = "") -> None:
        target = f"servers/{name}" if name else "server"
        assert self.api("DELETE", f"users/{quote(user, safe='')}/{target}")[0] in {202, 204}

    def container(self, user: str, options: object = None) -> Container:
        """The container of a start that succeeds."""
        status, body = self.start(user, options)
        assert status == 201, body
        return next(
            item
            for item in self.docker.containers.values()
            if item.created["Labels"].get("hubagent.user") == user
        )

    def given(self, user: str) -> list[tuple[str, bytes]]:
        """What a user's new home was given."""
        volume = f"jupyterhub-user-{user.replace('.', '-2e')}"
        return [(path, content) for name, path, content in self.docker.given if name == volume]

    def ready(self, user: str) -> bool:
        status, body = self.api("GET", f"users/{user}")
        assert status == 200
        return bool(body["servers"].get("", {}).get("ready"))

    def model(self, user: str) -> dict[str, Any]:
        """The hub's model of the user's default server; empty while it is stopped."""
        status, body = self.api("GET", f"users/{user}")
        assert status == 200
        model: dict[str, Any] = body["servers"].get("", {})
        return model

    def routes(self) -> dict[str, Any]:
        """What the proxy knows, by path."""
        status, body = call(f"{self.hub.proxy_api_url}/api/routes", token=self.hub.secrets["proxy_token"])
        assert status == 200
        routes: dict[str, Any] = json.loads(body)
        return routes

    def runs(self, container: str) -> bool:
        found = self.docker.named(container)
        return found is not None and found.running

    def became(self, container: str) -> bool:
        """Whether its launcher has been told whose server it is."""
        found = self.docker.named(container)
        return found is not None and found.became_file.exists()

    def containers(self, prefix: str) -> list[str]:
        return [one.name for one in list(self.docker.containers.values()) if one.name.startswith(prefix)]

    def left_of(self, user: str) -> list[str]:
        """The containers that are the user's server."""
        slots = list(self.agent.slots.all.values())
        return self.containers(f"jupyter-{user}") + [slot.name for slot in slots if slot.user == user]

    def edit(self, **servers: dict[str, object]) -> None:
        """Write these servers, the first as the default, beneath the running hub."""
        self.hub.servers.update(servers=servers, default=next(iter(servers)))
        self.hub.write()

    def answers(self, user: str) -> bool:
        return call(f"{self.hub.url}/user/{user}/api")[0] == 200


@contextmanager
def staged(
    folder: Path,
    *,
    spawner: dict[str, object] | None = None,
    database_password: str | None = None,
    **settings: object,
) -> Iterator[Scene]:
    """All of it, running, in this folder; the service `tester` has TOKEN. `spawner`: traits of JupyterHub's Spawner.
    `settings`: changes to hub.json."""
    port = free_ports(1)[0]
    docker = DockerDaemon(folder, port)
    docker.images["late"] = Image(behaviour="late")
    docker.images["fails"] = Image("1000:100", "fail")
    docker.images["eats"] = Image("1000", "eat")
    docker.images["stillborn"] = Image(behaviour="stillborn")
    docker.images["jupyter"] = Image(behaviour="jupyter")
    docker.images["root"] = Image("")
    docker.images["stranger"] = Image("nobody-knows")
    hub = RunningHub(folder / "hub")
    agent = Agent(folder / "agent", docker, hub.servers)
    agent.traits = {"DockerSpawner": {"extra_host_config": {"shm_size": "256m"}}}
    scopes = ["admin:users", "admin:servers", "servers", "access:servers", "read:users"]
    hub.settings.update(settings)
    hub.secrets["database_password"] = database_password
    hub.settings["traits"] = {
        "JupyterHub": {
            "allow_named_servers": True,
            "services": [{"name": "tester", "api_token": TOKEN}],
            "load_roles": [{"name": "tester", "services": ["tester"], "scopes": scopes}],
        },
        "Spawner": {"port": port, "poll_interval": 1, **(spawner or {})},
        "HubagentSpawner": {"agent_socket": str(agent.socket)},
        **agent.traits,
    }
    try:
        docker.start()
        agent.start()
        hub.start()
        yield Scene(hub, agent, docker)
    finally:
        hub.stop()
        agent.close()
        docker.close()
        gc.collect()
