"""A person over HTTP: forms and cookies as a browser has them, the hub's API, and a Jupyter server behind it."""

from __future__ import annotations

import json
import ssl
import tempfile
import threading
import uuid
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

import requests
import websocket
from requests.adapters import HTTPAdapter
from requests.cookies import get_cookie_header

from tests.machine.hub import Hub, until
from tests.machine.rig import WaitTimeout

ANSWER_S = 30.0
START_S = 120.0
CERTIFICATE = "/var/lib/hubagent/tls/self-signed.crt"


class _AnyName(HTTPAdapter):
    """Trusts the one certificate under whatever address the machine has."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **{**kwargs, "assert_hostname": False})


class Person:
    """Someone with an account, outside the machine, who talks to its hub through nginx."""

    def __init__(self, hub: Hub, name: str, password: str = "a rather long one 7") -> None:
        self.name = name
        self.password = password
        self.base = f"https://{hub.machine.address}"
        self.home = f"/user/{quote(name, safe='@')}"
        self._folder = tempfile.TemporaryDirectory()
        self._trusted = Path(self._folder.name, "machine.crt")
        hub.machine.pull(CERTIFICATE, self._trusted)
        self.session = requests.Session()
        self.session.trust_env = False  # a machine beside us is reached without any proxy
        self.session.verify = str(self._trusted)
        self.session.mount("https://", _AnyName())

    def close(self) -> None:
        self.session.close()
        self._folder.cleanup()

    # -- pages

    def open(self, path: str) -> requests.Response:
        """A page, after all redirects."""
        return self.session.get(self.base + path, headers={"Sec-Fetch-Mode": "navigate"}, timeout=ANSWER_S)

    def submit(self, path: str, **fields: str) -> requests.Response:
        """Open the page and send its form."""
        self.open(path)
        return self.session.post(
            self.base + path,
            data={**fields, "_xsrf": self._xsrf(path)},
            headers={"Sec-Fetch-Mode": "navigate"},
            timeout=ANSWER_S,
        )

    def sign_up(self) -> requests.Response:
        return self.submit(
            "/hub/signup",
            username=self.name,
            email="person@example.org",
            password=self.password,
            password_again=self.password,
        )

    def log_in(self) -> None:
        answer = self.submit("/hub/login?next=/hub/home", username=self.name, password=self.password)
        assert answer.status_code == 200, answer.text
        assert answer.url.endswith("/hub/home"), answer.url

    # -- the hub's API

    def call(self, method: str, path: str, body: object = None) -> requests.Response:
        """One request as the pages' scripts send it, with cookies and XSRF token."""
        return self.session.request(
            method,
            self.base + path,
            json=body,
            headers={"Sec-Fetch-Mode": "same-origin", "X-XSRFToken": self._xsrf(path)},
            timeout=ANSWER_S,
            allow_redirects=False,  # to a page: never the answer to such a request
        )

    def servers(self, of: str | None = None) -> dict[str, Any]:
        """This person's servers as the hub knows them; an admin may see those `of` somebody else."""
        answer = self.call("GET", _api(of or self.name))
        assert answer.status_code == 200, answer.text
        servers = answer.json()["servers"]
        assert isinstance(servers, dict)
        return servers

    def ask_for_server(self, server: str | None = None) -> requests.Response:
        """Ask the hub to start one of `servers:`; its answer, whatever it is."""
        return self.call("POST", f"{_api(self.name)}/server", {} if server is None else {"server": server})

    def ask_for_end(self, of: str | None = None) -> requests.Response:
        """Ask the hub to stop the server, or that `of` somebody else, as an admin may; its answer, whatever it is."""
        return self.call("DELETE", f"{_api(of or self.name)}/server")

    def start(self, server: str | None = None) -> None:
        """Start a server, wait until it is ready, and enter it."""
        answer = self.ask_for_server(server)
        assert answer.status_code in (201, 202), answer.text
        until(lambda: self.servers().get("", {}).get("ready", False), START_S, f"{self.name}'s server")
        self.enter()

    def stop(self) -> None:
        answer = self.ask_for_end()
        assert answer.status_code in (202, 204), answer.text
        until(lambda: not self.servers(), START_S, f"the end of {self.name}'s server")

    # -- the Jupyter server

    def enter(self) -> requests.Response:
        """The server's first page, by way of the hub, which says who this is."""
        answer = self.open(f"{self.home}/")
        assert answer.status_code == 200, f"{answer.url}: {answer.status_code}"
        return answer

    def jupyter(self, method: str, path: str, body: object = None) -> requests.Response:
        """A request to the person's own server; `path` below its base URL."""
        return self.call(method, f"{self.home}{path}", body)

    def answers(self) -> bool:
        return self.jupyter("GET", "/api/status").status_code == 200

    def kernel(self) -> Kernel:
        """A new kernel with an open websocket."""
        made = self.jupyter("POST", "/api/kernels", {"name": "python3"})
        assert made.status_code == 201, made.text
        path = f"{self.home}/api/kernels/{made.json()['id']}/channels"
        cookies = get_cookie_header(self.session.cookies, requests.Request("GET", self.base + path))
        connection = websocket.create_connection(
            (self.base + path).replace("https", "wss", 1),
            cookie=cookies,
            origin=self.base,
            timeout=ANSWER_S,
            sslopt={"ca_certs": str(self._trusted), "check_hostname": False, "cert_reqs": ssl.CERT_REQUIRED},
            http_no_proxy=["*"],
        )
        connection.settimeout(None)
        return Kernel(connection)

    def _xsrf(self, path: str) -> str:
        """The token whose cookie is for this path: hub and server each have one."""
        tokens = [
            (len(cookie.path), cookie.value or "")
            for cookie in self.session.cookies
            if cookie.name == "_xsrf" and path.startswith(cookie.path)
        ]
        return max(tokens, default=(0, ""))[1]


def _api(name: str) -> str:
    return f"/hub/api/users/{quote(name, safe='@')}"


class Kernel:
    """A running kernel over one websocket, which is listened to until it closes."""

    def __init__(self, connection: websocket.WebSocket) -> None:
        self._connection = connection
        self._session = uuid.uuid4().hex
        self._heard: list[str] = []
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def __enter__(self) -> Kernel:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()
        self._listener.join(ANSWER_S)

    @property
    def open(self) -> bool:
        """Whether this websocket has stayed open since it was made."""
        return self._listener.is_alive()

    @property
    def output(self) -> str:
        """All that the kernel has printed so far."""
        return "".join(self._heard)

    def execute(self, code: str) -> None:
        header = {
            "msg_id": uuid.uuid4().hex,
            "session": self._session,
            "username": "",
            "msg_type": "execute_request",
            "version": "5.3",
        }
        content = {
            "code": code,
            "silent": False,
            "store_history": False,
            "user_expressions": {},
            "allow_stdin": False,
        }
        message = {"header": header, "parent_header": {}, "metadata": {}, "content": content}
        self._connection.send(json.dumps({**message, "channel": "shell", "buffers": []}))

    def sees(self, text: str, timeout_s: float = ANSWER_S) -> None:
        """Wait until the kernel has printed this."""
        try:
            until(lambda: text in self.output, timeout_s, f"{text!r} from the kernel")
        except WaitTimeout as error:
            raise WaitTimeout(f"{error}; its output {self.output[-1000:]!r}") from None

    def tick(self) -> None:
        """Let it print a number ten times a second."""
        self.execute(
            "import time\nfor i in range(10**6):\n    print('tick', i, flush=True)\n    time.sleep(0.1)"
        )
        self.sees("tick 3\n")

    def still_ticks(self, what: str) -> None:
        """The same websocket hears more of `tick`, which has not started anew."""
        before = self.output.count("tick")
        until(lambda: self.output.count("tick") > before + 5, ANSWER_S, f"the kernel's ticking after {what}")
        assert self.open, what
        assert self.output.count("tick 0\n") == 1, what

    def _listen(self) -> None:
        try:
            while frame := self._connection.recv():
                message = json.loads(frame)
                if message["msg_type"] == "stream":
                    self._heard.append(message["content"]["text"])
                elif message["msg_type"] == "error":
                    self._heard.append("\n".join(message["content"]["traceback"]))
        except (OSError, websocket.WebSocketException):
            return
