"""Stands for jupyterhub-singleuser in a container: answers on its address as soon as a file says so.

    user_server.py ADDRESS PORT HOLD_FILE

While HOLD_FILE exists, connections are accepted and not answered, as by a server whose processor is busy.
"""

from __future__ import annotations

import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Handler(BaseHTTPRequestHandler):
    hold = Path(sys.argv[3])

    def do_GET(self) -> None:
        while self.hold.exists():
            time.sleep(0.02)
        body = b'{"version": "2.21.1"}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("X-JupyterHub-Version", "6.1.1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
