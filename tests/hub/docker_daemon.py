"""A Docker daemon as far as the agent asks it for servers, over a unix socket, for the real Docker SDK.

Containers are processes on loopback addresses of their own. What only a real kernel and a real Docker can
show (limits, mounts, ownership) is shown in the machine tests.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import subprocess
import sys
import tarfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from holding import Hold

from hubagent import wire
from tests.guest import container as guest_container

USER_SERVER = Path(__file__).with_name("user_server.py")


@dataclass
class Container:
    id: str
    name: str
    address: str
    created: dict[str, Any]  # the body of the request
    became_file: Path = Path("/dev/null")
    process: subprocess.Popen[bytes] | None = None
    out_of_memory: bool = False

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def became(self) -> wire.Become:
        """What the launcher in it was told to become."""
        return wire.from_json(self.became_file.read_bytes(), wire.Become)

    def mount(self, target: str) -> dict[str, Any]:
        mounts: list[dict[str, Any]] = self.created["HostConfig"]["Mounts"]
        return next(mount for mount in mounts if mount["Target"] == target)


@dataclass(frozen=True)
class Volume:
    labels: Mapping[str, str] = field(default_factory=dict)
    created: datetime = field(default_factory=lambda: datetime.now(UTC))

    def shown(self, name: str) -> dict[str, object]:
        return {
            "Name": name,
            "Mountpoint": f"/volumes/{name}",
            "Driver": "local",
            "Options": None,
            "Labels": dict(self.labels) or None,
            "CreatedAt": self.created.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }


@dataclass(frozen=True)
class Image:
    user: str = "jovyan"
    # Of a container's launcher and server: serve, late, fail, eat, stillborn, or jupyter. That one is real, our guest and
    # a Jupyter server, for one user at a time: it listens on its port at all addresses.
    behaviour: str = "serve"


class DockerDaemon:
    """Start and stop it as one does a daemon; `fault` makes every call fail with that status."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.socket = folder / "docker.sock"
        self.port = port
        self.images = {"hubagent/julia": Image()}
        self.containers: dict[str, Container] = {}
        self.networks = {"hubagent"}
        self.volumes: dict[str, Volume] = {}
        self.given: list[tuple[str, str, bytes]] = []  # volume, path and tar archive
        self.fault: int | None = None
        self.calls: list[str] = []
        self.hold = Hold()
        self._made = 0
        self._server: _Server | None = None

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    @property
    def hold_file(self) -> Path:
        return self.folder / "hold"

    def start(self) -> None:
        self.socket.unlink(missing_ok=True)
        self._server = _Server(self)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
            self.socket.unlink()

    def close(self) -> None:
        self.stop()
        for container in list(self.containers.values()):
            self.kill(container)

    def named(self, name: str) -> Container | None:
        return next((item for item in self.containers.values() if name in {item.id, item.name}), None)

    def kill(self, container: Container) -> None:
        if container.process is not None:
            container.process.kill()
            container.process.wait()

    def answer(self, method: str, path: str, query: dict[str, str], body: bytes) -> tuple[int, object]:
        """Status and JSON value (or bytes) for one call."""
        self.calls.append(f"{method} {path}")
        self.hold.here(path.rpartition("/")[2])
        if self.fault is not None:
            return self.fault, {"message": "something is wrong with the daemon"}
        if path == "/version":
            return 200, {"ApiVersion": "1.41", "Version": "20.10.24"}
        if match := re.fullmatch(r"/images/(.+)/json", path):
            image = self.images.get(match[1])
            if image is None:
                return 404, {"message": f"No such image: {match[1]}"}
            return 200, {"Id": f"sha256:{match[1]}", "Config": {"User": image.user, "Cmd": ["serve"]}}
        if match := re.fullmatch(r"/volumes/(.+)", path):
            if method == "DELETE":
                self.volumes.pop(match[1], None)
                return 204, b""
            if match[1] not in self.volumes:
                return 404, {"message": "no such volume"}
            return 200, self.volumes[match[1]].shown(match[1])
        if path == "/volumes":
            return 200, {"Volumes": [volume.shown(name) for name, volume in self.volumes.items()]}
        if path == "/containers/create":
            return self._create(query["name"], json.loads(body))
        match = re.fullmatch(r"/containers/([^/]+)(?:/(\w+))?", path)
        container = self.named(match[1]) if match else None
        if match is None or container is None:
            return 404, {"message": f"No such container: {path}"}
        return self._about(container, method, match[2], query, body)

    def _create(self, name: str, body: dict[str, Any]) -> tuple[int, object]:
        if self.named(name):
            return 409, {"message": "Conflict. The container name is already in use"}
        for mount in body["HostConfig"]["Mounts"]:
            if mount["Type"] == "volume":
                labels = (mount.get("VolumeOptions") or {}).get("Labels") or {}
                self.volumes.setdefault(mount["Source"], Volume(labels))
            elif not Path(mount["Source"]).exists():
                return 400, {
                    "message": f"invalid mount config: bind source path does not exist: {mount['Source']}"
                }
        self._made += 1
        container = Container(f"{self._made:064x}", name, f"127.77.0.{self._made}", body)
        container.became_file = self.folder / f"{container.id}.json"
        self.containers[container.id] = container
        return 201, {"Id": container.id, "Warnings": []}

    def _about(
        self, container: Container, method: str, what: str | None, query: dict[str, str], body: bytes
    ) -> tuple[int, object]:
        match method, what:
            case "GET", "json":
                return 200, self._inspection(container)
            case "POST", "start":
                return self._start(container)
            case "POST", "stop":
                self.kill(container)
                return 204, b""
            case "DELETE", None:
                self.kill(container)
                del self.containers[container.id]
                return 204, b""
            case "PUT", "archive":
                volume = container.created["HostConfig"]["Mounts"][0]["Source"]
                self.given.append((volume, query["path"], body))
                return 200, b""
            case "GET", "archive":
                return 200, _archive(
                    "passwd", b"root:x:0:0::/root:/bin/sh\njovyan:x:1000:100::/home/jovyan:/bin/sh\n"
                )
            case "GET", "logs":
                text = b"the last words\n"
                return 200, b"\x02\0\0\0" + len(text).to_bytes(4, "big") + text
        return 404, {"message": "page not found"}

    def _start(self, container: Container) -> tuple[int, object]:
        network = container.created["HostConfig"]["NetworkMode"]
        if network not in self.networks:
            return 404, {"message": f"network {network} not found"}
        behaviour = self.images[container.created["Image"]].behaviour
        container.out_of_memory = behaviour == "eat"
        shared = Path(container.mount(wire.GUEST_FOLDER)["Source"])
        if behaviour == "jupyter":
            folder = self.folder / f"container{container.id}"
            folder.mkdir()
            jupyter = guest_container.Container(folder, shared=shared)
            jupyter.run(guest_container.START, guest_container.IMAGE)
            container.process = jupyter.process
            return 204, b""
        server = [
            str(shared / wire.GUEST_SOCKET),
            str(container.became_file),
            behaviour,
            container.address,
            str(self.port),
        ]
        command = (
            ["-c", "raise SystemExit(3)"]
            if behaviour == "stillborn"
            else [str(USER_SERVER), *server, str(self.hold_file)]
        )
        container.process = subprocess.Popen([sys.executable, *command])
        return 204, b""

    def _inspection(self, container: Container) -> dict[str, Any]:
        code = container.process.poll() if container.process is not None else 0
        return {
            "Id": container.id,
            "Name": f"/{container.name}",
            "Image": f"sha256:{container.created['Image']}",
            "Created": "2026-11-23T00:00:00.123456789Z",
            "Config": {"Tty": False, "Labels": container.created["Labels"]},
            "HostConfig": {"LogConfig": {"Type": "local"}},
            "State": {
                "Running": container.running,
                "ExitCode": code or 0,
                "OOMKilled": container.out_of_memory,
            },
            "NetworkSettings": {"Networks": {"hubagent": {"IPAddress": container.address}}},
        }


class _Server(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, daemon: DockerDaemon) -> None:
        self.docker = daemon
        super().__init__(str(daemon.socket), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.0"  # one call for each connection: a stopped daemon answers nothing more

    def _any(self) -> None:
        parts = urlsplit(self.path)
        path = re.sub(r"^/v[0-9.]+", "", unquote(parts.path))
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, value = self.server.docker.answer(self.command, path, query, body)
        content = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        if self.path.partition("?")[0].endswith("/archive"):
            self.send_header("X-Docker-Container-Path-Stat", "e30=")
        with contextlib.suppress(BrokenPipeError):  # a hub that was killed does not wait for the answer
            self.end_headers()
            self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_DELETE = _any  # noqa: N815 - the base class's names

    def address_string(self) -> str:
        return "hub"

    def log_message(self, *_: object) -> None:
        pass


def _archive(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()
