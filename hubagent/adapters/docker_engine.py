"""Docker, by its SDK's low-level client (python3-docker 5 on Debian 12, 7 on 13).

The client is made at the first call, because making one already talks to the engine, and made anew after
every failure: an upgraded engine may refuse the API version that the old one agreed to.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import docker
import docker.errors
import requests.exceptions

from hubagent.adapters.docker_events import EngineEvents
from hubagent.errors import ContainerError
from hubagent.ports import Container, EngineFacts, Network

DOCKER_SOCKET: Final = "unix:///run/docker.sock"
NETWORK_LABEL: Final = "hubagent.network"

_TIMEOUT_S: Final = 10
_ADVICE: Final = "see `systemctl status docker.service`"

_Answer = TypeVar("_Answer")


class DockerEngine:
    """`ports.ContainerRuntime` over Docker's socket."""

    def __init__(self, base_url: str = DOCKER_SOCKET, *, timeout_s: int = _TIMEOUT_S) -> None:
        self._base_url = base_url
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._client: Any = None
        self._events: EngineEvents | None = None

    def facts(self) -> EngineFacts:
        info = self._call("cannot ask Docker about itself", lambda client: client.info())
        return EngineFacts(version=info["ServerVersion"], live_restore=bool(info.get("LiveRestoreEnabled")))

    def network(self, name: str) -> Network | None:
        # By list, not by inspect: that takes the beginning of another network's id for a name. The list's
        # filter also lets longer names through.
        found = self._call(
            f"cannot look for the network {name}", lambda client: client.networks(names=[name])
        )
        return next((_network(facts) for facts in found if facts["Name"] == name), None)

    def create_network(self, name: str, *, bridge: str) -> Network:
        if self.network(name) is not None:
            raise ContainerError(f"the network {name} cannot be made: it exists already; use it as it is")
        self._call(
            f"cannot make the network {name}",
            lambda client: client.create_network(
                name,
                driver="bridge",
                options={
                    "com.docker.network.bridge.name": bridge,
                    "com.docker.network.bridge.enable_icc": "false",
                },
                labels={NETWORK_LABEL: name},
            ),
        )
        made = self.network(name)
        if made is None:
            raise ContainerError(f"the network {name} was made and is gone again; who removes it?")
        return made

    def image_id(self, image: str) -> str | None:
        def inspect(client: Any) -> str | None:
            try:
                return str(client.inspect_image(image)["Id"])
            except docker.errors.NotFound:
                return None

        return self._call(f"cannot look for the image {image}", inspect)

    def containers(self, *, label: str) -> tuple[Container, ...]:
        found = self._call(
            "cannot list the containers", lambda client: client.containers(all=True, filters={"label": label})
        )
        return tuple(
            Container(
                id=facts["Id"],
                name=facts["Names"][0].removeprefix("/") if facts["Names"] else "",
                image=facts["Image"],
                state=facts["State"],
                labels=dict(facts["Labels"] or {}),
            )
            for facts in found
        )

    def watch(self, on_change: Callable[[], None]) -> None:
        """From now on call on_change, in another thread, when a network, a container or the connection to the
        engine changed. Only a hint: it may come without cause, or too late."""
        self._events = EngineEvents(self._connect, on_change)
        self._events.start()

    def close(self) -> None:
        if self._events is not None:
            self._events.stop()
        self._drop_client()

    def _call(self, what: str, call: Callable[[Any], _Answer]) -> _Answer:
        try:
            with self._lock:
                if self._client is None:
                    self._client = self._connect()
                client = self._client
            return call(client)
        except docker.errors.APIError as error:
            self._drop_client()
            raise ContainerError(f"{what}: {error.explanation or error}; {_ADVICE}") from error
        except requests.exceptions.Timeout as error:
            self._drop_client()
            raise ContainerError(
                f"{what}: Docker did not answer within {self._timeout_s} s; {_ADVICE}"
            ) from error
        except (docker.errors.DockerException, requests.exceptions.RequestException, OSError) as error:
            self._drop_client()
            raise ContainerError(f"{what}: no connection to Docker at {self._base_url}; {_ADVICE}") from error

    def _connect(self) -> Any:
        client = docker.APIClient(base_url=self._base_url, version="auto", timeout=self._timeout_s)
        client.trust_env = False  # no proxy, no .netrc: this is a socket on this machine
        return client

    def _drop_client(self) -> None:
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()


def _network(facts: Mapping[str, Any]) -> Network:
    for config in facts["IPAM"]["Config"] or ():
        if "Gateway" in config and ":" not in config["Gateway"]:
            return Network(
                name=facts["Name"],
                gateway=config["Gateway"].partition("/")[0],
                subnet=config["Subnet"],
                labels=dict(facts["Labels"] or {}),
            )
    raise ContainerError(
        f"the network {facts['Name']} has no IPv4 gateway, so containers could not reach the hub; "
        f"remove it with `docker network rm`, hubagent makes it anew"
    )
