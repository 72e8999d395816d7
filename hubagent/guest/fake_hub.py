"""A hub's REST API, as far as a server asks it: for proving an image, where there is no hub.

Source: JupyterHub's REST API 5 and 6, https://jupyterhub.readthedocs.io (reference/rest-api).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar


class Hub:
    """Listens on 127.0.0.1 in threads of its own, and knows one user by one token."""

    def __init__(self, user: str, token: str, version: str) -> None:
        answers = {
            "/hub/api": {"version": version},
            "/hub/api/": {"version": version},
            "/hub/api/user": {
                "kind": "user",
                "name": user,
                "admin": False,
                "groups": [],
                "scopes": [f"access:servers!user={user}"],
            },
        }

        class Handler(_Handler):
            known = answers
            header = version
            authorization = f"token {token}"

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, name="hub", daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    known: ClassVar[Mapping[str, object]]
    header: ClassVar[str]
    authorization: ClassVar[str]

    def do_GET(self) -> None:
        known = self.known.get(self.path)
        if self.path == "/hub/api/user" and self.headers.get("Authorization") != self.authorization:
            known = None
        self._answer(404 if known is None else 200, known)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer(200, {})

    def _answer(self, status: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("X-JupyterHub-Version", self.header)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing: the container's log is the server's."""
