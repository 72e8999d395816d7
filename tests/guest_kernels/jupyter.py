"""A real Jupyter server in a process of its own, and what its REST interface and its kernels' websockets say."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
import websocket

from tests.waiting import DEADLINE_S, wait_until

SERVER = Path(__file__).with_name("server.py")


@dataclass
class Reply:
    """What one execution gave."""

    status: str = ""
    result: str = ""
    stdout: str = ""
    stderr: str = ""
    error: str = ""
    traceback: str = ""


def state(pid: int) -> str:
    """The letter of proc(5); empty when the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def is_blocked_reading(pid: int) -> bool:
    """Whether its main thread is in read(2) of file 0, or in epoll_wait(2) as libuv reads it."""
    try:
        words = Path(f"/proc/{pid}/syscall").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return words[:2] == ["0", "0x0"] or words[0] in {"232", "281"}


def links(pid: int, *numbers: int) -> set[str]:
    """What these files of a process are, or all; a pipe has a number that both of its ends have."""
    found = set()
    for number in numbers or os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            found.add(os.readlink(f"/proc/{pid}/fd/{number}"))
    return found


class Kernel:
    """One kernel over one websocket."""

    def __init__(self, server: Server, kernel_id: str) -> None:
        self.server = server
        self.id = kernel_id
        self._session = uuid.uuid4().hex
        self._socket: websocket.WebSocket = self.connect()

    @property
    def pid(self) -> int:
        return int(self.value("__import__('os').getpid()"))

    @property
    def waited(self) -> bool:
        """Whether its process is one that waited before it became a kernel."""
        return waits_since_start(self.pid)

    def connect(self) -> websocket.WebSocket:
        url = f"ws://127.0.0.1:{self.server.port}/api/kernels/{self.id}/channels?session_id={self._session}"
        header = {"Authorization": f"token {self.server.token}"}
        return websocket.create_connection(url, header=header, timeout=DEADLINE_S)

    def send(self, channel: str, kind: str, content: Mapping[str, object]) -> str:
        message_id = uuid.uuid4().hex
        header = {
            "msg_id": message_id,
            "msg_type": kind,
            "session": self._session,
            "username": "",
            "version": "5.3",
        }
        message = {
            "header": header,
            "parent_header": {},
            "metadata": {},
            "content": content,
            "channel": channel,
        }
        self._socket.send(json.dumps({**message, "buffers": []}))
        return message_id

    def begin(self, code: str, *, stdin: bool = False) -> str:
        content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}}
        return self.send("shell", "execute_request", {**content, "allow_stdin": stdin, "stop_on_error": True})

    def receive(self) -> dict[str, Any]:
        message = json.loads(self._socket.recv())
        assert isinstance(message, dict)
        return message

    def finish(
        self, message_id: str, answer: str | None = None, seen: Callable[[Reply], None] = lambda _: None
    ) -> Reply:
        """All of an execution, until it is idle and has replied; `answer` is for input()."""
        reply, idle = Reply(), False
        while not (idle and reply.status):
            message = self.receive()
            if message["parent_header"].get("msg_id") != message_id:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "status":
                idle = content["execution_state"] == "idle"
            elif kind == "execute_reply":
                reply.status = content["status"]
            elif kind == "execute_result":
                reply.result = content["data"]["text/plain"]
            elif kind == "stream":
                setattr(reply, content["name"], getattr(reply, content["name"]) + content["text"])
            elif kind == "error":
                reply.error, reply.traceback = content["ename"], "\n".join(content["traceback"])
            elif kind == "input_request":
                self.send("stdin", "input_reply", {"value": answer})
            seen(reply)
        return reply

    def run(self, code: str) -> Reply:
        return self.finish(self.begin(code))

    def value(self, code: str) -> Any:
        """The value of a Python expression of plain types."""
        reply = self.run(f"__import__('json').dumps({code})")
        assert reply.status == "ok", reply.traceback
        return json.loads(reply.result.strip("'").encode().decode("unicode_escape"))

    def interrupt(self) -> None:
        self.server.call("POST", f"kernels/{self.id}/interrupt")

    def restart(self) -> None:
        self.server.call("POST", f"kernels/{self.id}/restart")
        self.reconnect()

    def reconnect(self) -> None:
        self._socket.close()
        self._socket = self.connect()

    def shut_down(self) -> None:
        self._socket.close()
        self.server.call("DELETE", f"kernels/{self.id}")

    def close(self) -> None:
        self._socket.close()


def waits_since_start(pid: int) -> bool:
    return b"/kernels/waiting" in Path(f"/proc/{pid}/cmdline").read_bytes()


@dataclass
class Server:
    """A running server; `claim` makes it the user's."""

    process: subprocess.Popen[str]
    port: int
    token: str
    log: Path
    home: Path
    wanted: Mapping[str, int]
    kernels: list[Kernel] = field(default_factory=list)

    def children(self) -> list[int]:
        """Processes that the server started itself and that have not ended."""
        children = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        found = [int(pid) for one in children for pid in one.read_text().split()]
        return [pid for pid in found if state(pid) not in {"Z", ""}]

    def spares(self) -> list[int]:
        """The waiting kernels, once there are as many as are wanted and they do nothing but wait."""

        def all_wait() -> list[int] | None:
            held = links(self.process.pid)
            waiting = [
                pid
                for pid in self.children()
                if waits_since_start(pid) and links(pid, 0) <= held and is_blocked_reading(pid)
            ]
            return waiting if len(waiting) == sum(self.wanted.values()) else None

        return wait_until(all_wait, "as many kernels wait as are wanted") if self.wanted else []

    def pong(self) -> dict[str, Any]:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write("ping\n")
        self.process.stdin.flush()
        pong = json.loads(self.process.stdout.readline() or "{}")
        assert pong, self.log.read_text()
        return dict(pong)

    def claim(self) -> None:
        assert self.process.stdin
        self.process.stdin.write("claim\n")
        self.process.stdin.flush()
        wait_until(self._answers, f"the server answers: {self.log}")

    def call(self, method: str, path: str, body: object = None) -> Any:
        url = f"http://127.0.0.1:{self.port}/api/{path}"
        header = {"Authorization": f"token {self.token}"}
        answer = requests.request(method, url, headers=header, json=body, timeout=DEADLINE_S)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def start(self, name: str = "python3", path: str = "") -> Kernel:
        body = {"name": name, "path": path} if path else {"name": name}
        kernel = Kernel(self, self.call("POST", "kernels", body)["id"])
        self.kernels.append(kernel)
        return kernel

    def _answers(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        try:
            return bool(self.call("GET", "status"))
        except requests.ConnectionError:
            return False


@contextmanager
def server(
    folder: Path,
    *,
    kernels: Mapping[str, int],
    pause_s: float = 0.1,
    pluto: bool = False,
    pages: Sequence[str] = (),
    unused_s: float = 900.0,
    environment: Mapping[str, str] | None = None,
    image: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """A server whose home is in `folder`, and whose `pages` are of these extensions; `environment` comes with the claim,
    `image` was there before."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    port, token, log = _free_port(), secrets.token_hex(8), folder / "server.log"
    inherited = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("JUPYTER", "PYT", "JPY", "HUBAGENT"))
    }
    settings = {
        "kernels": kernels,
        "pause_s": pause_s,
        "pluto": pluto,
        "pages": pages,
        "unused_s": unused_s,
        "token": token,
        "directory": str(home),
        "environment": environment or {},
    }
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, str(SERVER), json.dumps(settings), str(port)],
            env={
                **inherited,
                "HOME": str(home),
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                **(image or {}),
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
            text=True,
            start_new_session=True,
        )
    running = Server(process, port, token, log, home, kernels)
    try:
        yield running
    finally:
        for kernel in running.kernels:
            kernel.close()
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                pipe.close()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
