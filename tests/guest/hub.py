"""A hub as far as a user's server and browser need one: its API, and the way of a login."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

TOKEN = "token-of-the-server-4711"
USER_TOKEN = "token-of-the-browser-0815"
VERSION = "6.1.1"


class Hub:
    """On 127.0.0.1, for the user ann; knows the tokens above."""

    def __init__(self, port: int = 0) -> None:
        self.activity: list[str] = []  # when its server was last active, as it said, ISO 8601
        activity = self.activity

        class Handler(_Handler):
            heard = activity

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def environment(self, port: int, user: str = "ann") -> dict[str, str]:
        """What JupyterHub's Spawner.get_env gives to a server."""
        prefix = f"/user/{user}/"
        scopes = json.dumps([f"access:servers!server={user}/", f"access:servers!user={user}"])
        return {
            "JPY_API_TOKEN": TOKEN,
            "JUPYTERHUB_ACTIVITY_URL": f"{self.url}/hub/api/users/{user}/activity",
            "JUPYTERHUB_ADMIN_ACCESS": "1",
            "JUPYTERHUB_API_TOKEN": TOKEN,
            "JUPYTERHUB_API_URL": f"{self.url}/hub/api",
            "JUPYTERHUB_BASE_URL": "/",
            "JUPYTERHUB_CLIENT_ID": f"jupyterhub-user-{user}",
            "JUPYTERHUB_COOKIE_HOST_PREFIX_ENABLED": "0",
            "JUPYTERHUB_DISABLE_USER_CONFIG": "1",
            "JUPYTERHUB_HOST": "",
            "JUPYTERHUB_OAUTH_ACCESS_SCOPES": scopes,
            "JUPYTERHUB_OAUTH_CALLBACK_URL": f"{prefix}oauth_callback",
            "JUPYTERHUB_OAUTH_CLIENT_ALLOWED_SCOPES": "[]",
            "JUPYTERHUB_OAUTH_SCOPES": scopes,
            "JUPYTERHUB_ROOT_DIR": "/home/jovyan",
            "JUPYTERHUB_SERVER_NAME": "",
            "JUPYTERHUB_SERVICE_PREFIX": prefix,
            "JUPYTERHUB_SERVICE_URL": f"http://0.0.0.0:{port}{prefix}",
            "JUPYTERHUB_USER": user,
            "MEM_LIMIT": "2147483648",
        }


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    heard: ClassVar[list[str]]

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path == "/hub/api/oauth2/authorize":
            asked = parse_qs(url.query)
            self.send_response(302)
            self.send_header("Location", f"{asked['redirect_uri'][0]}?code=a-code&state={asked['state'][0]}")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif url.path.rstrip("/") == "/hub/api":
            self._answer(200, {"version": VERSION})
        elif url.path == "/hub/api/user" and self.headers["Authorization"] == f"token {USER_TOKEN}":
            self._answer(
                200,
                {
                    "kind": "user",
                    "name": "ann",
                    "admin": False,
                    "groups": [],
                    "scopes": ["access:servers!user=ann"],
                },
            )
        else:
            self._answer(403 if url.path == "/hub/api/user" else 404, {})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/hub/api/oauth2/token" and parse_qs(body.decode())["code"] == ["a-code"]:
            self._answer(200, {"access_token": USER_TOKEN, "token_type": "Bearer", "scope": ""})
        elif self.path.endswith("/activity"):
            self.heard.append(json.loads(body)["last_activity"])
            self._answer(200, {})
        else:
            self._answer(200, {})

    def _answer(self, status: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("X-JupyterHub-Version", VERSION)
        self.send_header("Content-Length", str(len(data)))
        self.send_header(
            "Connection", "close"
        )  # a server that kept one would not notice that the hub is away
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, form: str, *args: object) -> None:
        pass
