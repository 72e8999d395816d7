"""One connection to Docker, by its SDK's low-level client (python3-docker 5 on Debian 12, 7 on 13).

The client is made at the first call, because making one already talks to the engine, and made anew after
every failure: an upgraded engine may refuse the API version that the old one agreed to. It is a session of
`requests`, whose pool gives each call a connection of its own.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable
from typing import Any, Final, TypeVar

import docker
import docker.errors
import requests.exceptions
from docker.transport.unixconn import UnixHTTPAdapter, UnixHTTPConnection, UnixHTTPConnectionPool

from hubagent.errors import ContainerError, EngineAbsentError

DOCKER_SOCKET: Final = "unix:///run/docker.sock"

_ADVICE: Final = "see `systemctl status docker.service`"

_KEPT: Final = 1
"""Connections that a client keeps open between calls. Another one is cheap on a socket of this machine; what a rush has
opened would stay for ever, dead after the engine's next restart."""

_SCHEME: Final = "http+docker://"
"""Of the SDK's addresses when it talks to a socket."""

logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)  # it warns of each that it does not keep

_Answer = TypeVar("_Answer")


class DockerClient:
    """Calls of the SDK with a deadline each, and with hubagent's errors."""

    def __init__(self, base_url: str = DOCKER_SOCKET, *, timeout_s: int) -> None:
        """One connection is kept open between calls; more calls at once make more, for their duration."""
        self._base_url = base_url
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._client: Any = None

    def call(self, what: str, call: Callable[[Any], _Answer]) -> _Answer:
        """`call` with a docker.APIClient. Raises ContainerError that begins with `what`: EngineAbsentError
        when there is no answer, and what `call` itself raises of hubagent's errors."""
        try:
            with self._lock:
                if self._client is None:
                    self._client = self.connect()
                client = self._client
            return call(client)
        except docker.errors.APIError as error:
            self.close()
            raise ContainerError(f"{what}: {error.explanation or error}; {_ADVICE}") from error
        except requests.exceptions.Timeout as error:
            self.close()
            raise EngineAbsentError(
                f"{what}: Docker did not answer within {self._timeout_s} s; {_ADVICE}"
            ) from error
        except (docker.errors.DockerException, requests.exceptions.RequestException, OSError) as error:
            self.close()
            raise EngineAbsentError(
                f"{what}: no connection to Docker at {self._base_url}; {_ADVICE}"
            ) from error

    def connect(self) -> Any:
        """A docker.APIClient of its own, for the caller to close."""
        self._try()
        client = docker.APIClient(
            base_url=self._base_url,
            version="auto",
            timeout=self._timeout_s,
            max_pool_size=_KEPT,
        )
        client.trust_env = False  # no proxy, no .netrc: this is a socket on this machine
        shipped = client.get_adapter(_SCHEME)
        shipped.close()
        client.mount(_SCHEME, _OnePool(shipped.socket_path, self._timeout_s, max_pool_size=_KEPT))
        return client

    def _try(self) -> None:
        """Raises OSError when nobody listens. The SDK would leave its own socket to the garbage collector."""
        with socket.socket(socket.AF_UNIX) as attempt:
            attempt.settimeout(self._timeout_s)
            attempt.connect(self._base_url.removeprefix("unix://"))

    def close(self) -> None:
        """The next call connects again."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()


class _OnePool(UnixHTTPAdapter):  # type: ignore[misc]
    """The SDK's has a pool for each address, 25 of them: connections are then kept for containers that are long gone,
    and a pool that is closed for the 26th fails whoever was about to use it."""

    def get_connection(self, url: str, proxies: Any = None) -> Any:
        del url, proxies
        with self.pools.lock:
            pool = self.pools.get("")
            if pool is None:
                pool = self.pools[""] = _Pool("", self.socket_path, self.timeout, maxsize=self.max_pool_size)
        return pool


class _Pool(UnixHTTPConnectionPool):  # type: ignore[misc]
    def _new_conn(self) -> Any:
        return _Connection("", self.socket_path, self.timeout)


class _Connection(UnixHTTPConnection):  # type: ignore[misc]
    """The SDK's leaves a socket that cannot connect to the garbage collector."""

    def connect(self) -> None:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.settimeout(self.timeout)
            connection.connect(self.unix_socket)
        except BaseException:
            connection.close()
            raise
        self.sock = connection
