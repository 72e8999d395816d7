"""Inside the machine: requests to a user's route while a hub is restarted. Prints one JSON object.

restarts.py UNIT URL-OF-ROUTE URL-OF-HEALTH COUNT      restarts.py --serve PORT
"""

from __future__ import annotations

import http.client
import http.server
import json
import ssl
import subprocess
import sys
import threading
import time
from urllib.parse import SplitResult, urlsplit

from live import wait_for

KEEP_ALIVE_CLIENTS = 2
NEW_CONNECTION_CLIENTS = 2
THINK_S = 0.05
CALM_S = 2.0
TIMED = 3
START_S = 120.0
BODY = b"served by the user's own server"


def serve(port: int) -> None:
    class Answer(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(BODY)))
            self.end_headers()
            self.wfile.write(BODY)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    http.server.ThreadingHTTPServer(("127.0.0.1", port), Answer).serve_forever()


class Clients:
    """Ask for one URL all the time, and count."""

    def __init__(self, url: str) -> None:
        self._url = urlsplit(url)
        self._running = True
        self._lock = threading.Lock()
        self.ok = 0
        self.failed: list[tuple[float, str]] = []
        kinds = [True] * KEEP_ALIVE_CLIENTS + [False] * NEW_CONNECTION_CLIENTS
        self._threads = [threading.Thread(target=self._client, args=(keep,), daemon=True) for keep in kinds]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._running = False
        for thread in self._threads:
            thread.join()

    def _client(self, keep: bool) -> None:
        connection = connect(self._url)
        while self._running:
            time.sleep(THINK_S)
            why = ask(connection, self._url.path)
            with self._lock:
                self.ok += not why
                if why:
                    self.failed.append((time.monotonic(), why))
            if why or not keep:
                connection.close()
                connection = connect(self._url)
        connection.close()


def connect(url: SplitResult) -> http.client.HTTPConnection:
    if url.scheme == "http":
        return http.client.HTTPConnection(url.netloc, timeout=10)
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(url.netloc, timeout=10, context=context)


def ask(connection: http.client.HTTPConnection, path: str, body: bytes = BODY) -> str:
    """What was wrong with the answer; empty when it is right."""
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        content = answer.read()
    except (OSError, http.client.HTTPException) as error:
        return type(error).__name__
    return "" if answer.status == 200 and (not body or content == body) else f"status {answer.status}"


def main() -> None:
    unit, route, health, count = sys.argv[1], sys.argv[2], urlsplit(sys.argv[3]), int(sys.argv[4])

    def is_well() -> bool:
        connection = connect(health)
        try:
            return not ask(connection, health.path, b"")
        finally:
            connection.close()

    wait_for(is_well, "the hub, before its first restart", deadline_s=START_S)
    first = urlsplit(route)
    wait_for(lambda: not ask(connect(first), first.path), "the route, before the first restart")

    def restart() -> float:
        begun = time.monotonic()
        subprocess.run(["systemctl", "restart", unit], check=True)
        wait_for(is_well, "the hub, after its restart", poll_s=0.05, deadline_s=START_S)
        took_s = time.monotonic() - begun
        time.sleep(CALM_S)
        return took_s

    # Timed alone: clients that are refused at once would leave one side more of the processors than the other.
    took = [restart() for _ in range(TIMED)]
    clients = Clients(route)
    time.sleep(CALM_S)
    for _ in range(count):
        restart()
    clients.stop()
    kinds = sorted({why for _, why in clients.failed})
    print(json.dumps({"ok": clients.ok, "failed": len(clients.failed), "how": kinds, "health_s": took}))


if __name__ == "__main__":
    if sys.argv[1] == "--serve":
        serve(int(sys.argv[2]))
    else:
        main()
