"""A hub with very many users and servers. The servers are one process that answers at all their addresses, and the
agent is one that says so: what is real is the hub, its database and the proxy."""

from __future__ import annotations

import concurrent.futures
import getpass
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Protocol, TypeVar

from running import ROOT, RunningHub, call, free_ports

from hubagent import wire
from hubagent.adapters.net.spawn_socket import SpawnServer
from hubagent.naming import container_name
from hubagent.pool.broker import REQUESTS, Request

TOKEN = "crowd-token-crowd-token"


class Server(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b'{"version": "2.21.1"}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("X-JupyterHub-Version", "6.1.1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class Listener(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


class Serving(Protocol):
    """A server that runs in a thread of its own: socketserver's words."""

    def serve_forever(self) -> None: ...

    def shutdown(self) -> None: ...

    def server_close(self) -> None: ...


class Crowd:
    """Starts whatever is asked for at once."""

    def __init__(self, folder: Path, hub: RunningHub, port: int) -> None:
        self.hub = hub
        self.addresses: dict[str, str] = {}  # by container
        self.asked: dict[str, wire.Claim | wire.Create] = {}  # by user: how each last server was asked for
        self.socket = folder / "spawn.sock"
        self._lock = threading.Lock()
        self._agent = SpawnServer(self.socket, self._answer, requests=REQUESTS, owner=getpass.getuser())
        self._servers = self.listen(port)

    def listen(self, port: int) -> Serving:
        """What answers for all servers, on all addresses."""
        return Listener(("0.0.0.0", port), Server)

    @property
    def hub_cpu_s(self) -> float:
        """Seconds of processor that the hub has used: clock_getcpuclockid(3), CPUCLOCK_SCHED of Linux."""
        return time.clock_gettime(~self.hub.hub_pid << 3 | 2)

    def start(self) -> None:
        self._agent.start()
        threading.Thread(target=self._servers.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._agent.stop()
        self._servers.shutdown()
        self._servers.server_close()

    def api(self, method: str, path: str, body: object = None) -> int:
        data = None if body is None else json.dumps(body).encode()
        return call(
            f"{self.hub.hub_url}/hub/api/{path}", method=method, token=TOKEN, body=data, timeout_s=120
        )[0]

    def populate(self, users: int, servers: int) -> None:
        """So many users, the first of whom have a server each."""
        names = [f"student{number}" for number in range(users)]
        for start in range(0, users, 20):
            assert self.api("POST", "users", {"usernames": names[start : start + 20]}) == 201
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            paths = [f"users/{name}/server" for name in names[:servers]]
            assert set(pool.map(lambda path: self.api("POST", path), paths)) <= {201, 202}

    def work(self) -> None:
        """Every server is used, as the proxy sees it."""
        users = [name.removeprefix("jupyter-") for name in self.addresses]
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            statuses = pool.map(lambda user: call(f"{self.hub.url}/user/{user}/api", timeout_s=60)[0], users)
            assert set(statuses) == {200}

    def _answer(self, request: Request) -> object:
        with self._lock:
            match request:
                case wire.Claim(user, server_name) | wire.Create(user, server_name):
                    name = container_name(user, server_name)
                    number = len(self.addresses)
                    address = f"127.78.{number // 250}.{number % 250 + 1}"
                    self.addresses[name] = address
                    self.asked[user] = request
                    return wire.Started(name, name, address)
                case wire.Inspect(name):
                    found = self.addresses.get(name)
                    return wire.Inspected(
                        present=found is not None, id=name, running=found is not None, address=found or ""
                    )
                case wire.Remove(name):
                    self.addresses.pop(name, None)
        return wire.Done()


C = TypeVar("C", bound=Crowd)


@contextmanager
def crowd(folder: Path, *, program: str, config: Path, kind: type[C], checkout: Path = ROOT) -> Iterator[C]:
    """`program` is the module that runs as the hub, with the configuration in the file `config`; what they import of
    this project is that of `checkout`."""
    port = free_ports(1)[0]
    folder.mkdir(parents=True, exist_ok=True)
    hub = RunningHub(folder / "hub", program=program, config=config)
    hub.environment["PYTHONPATH"] = str(checkout)
    crowded = kind(folder, hub, port)
    scopes = ["admin:users", "admin:servers", "servers", "list:users", "read:metrics"]
    hub.settings["signup"] = "closed"
    hub.settings["traits"] = {
        "JupyterHub": {
            "services": [{"name": "crowd", "api_token": TOKEN}],
            "load_roles": [{"name": "crowd", "services": ["crowd"], "scopes": scopes}],
        },
        "Spawner": {"port": port, "poll_interval": 30},
        "HubagentSpawner": {"agent_socket": str(crowded.socket)},
    }
    try:
        crowded.start()
        hub.start()
        yield crowded
    finally:
        hub.stop()
        crowded.close()
