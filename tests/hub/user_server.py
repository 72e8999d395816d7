"""Stands for the launcher in a container, and for the server that it becomes.

    user_server.py GUEST_SOCKET BECAME_FILE BEHAVIOUR ADDRESS PORT HOLD_FILE

Listens on GUEST_SOCKET until it is told whose server to be, and writes that into BECAME_FILE. Then it answers
on its address (BEHAVIOUR serve or late) or ends (anything else). While HOLD_FILE exists, connections are accepted and
not answered, as by a server whose processor is busy, and BEHAVIOUR late does not listen yet.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from hubagent import wire

GUEST_SOCKET, BECAME_FILE, BEHAVIOUR, ADDRESS, PORT, HOLD_FILE = sys.argv[1:]


class Handler(BaseHTTPRequestHandler):
    hold = Path(HOLD_FILE)

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


def become() -> tuple[wire.Become, socket.socket]:
    while BEHAVIOUR == "late" and Path(HOLD_FILE).exists():
        time.sleep(0.02)
    os.chdir(Path(GUEST_SOCKET).parent)  # the path may be too long for a socket's address
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(Path(GUEST_SOCKET).name)
        listener.listen()
        while True:
            connection, _ = listener.accept()
            request: wire.Ping | wire.Become = wire.receive(
                connection, wire.Ping, wire.Become, timeout_s=10.0
            )
            if isinstance(request, wire.Become):
                return request, connection
            wire.send(connection, wire.Pong(ready=True, detail="", kernels={}, pluto=False), timeout_s=1.0)
            connection.close()


if __name__ == "__main__":
    message, peer = become()
    Path(BECAME_FILE).write_bytes(wire.to_json(message))
    server = ThreadingHTTPServer((ADDRESS, int(PORT)), Handler) if BEHAVIOUR in {"serve", "late"} else None
    wire.send(peer, wire.Done(), timeout_s=1.0)
    peer.close()
    if server is None:
        sys.exit(3)
    server.serve_forever()
