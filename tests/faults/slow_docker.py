"""A Docker that takes its time: run inside an agent's namespaces, it answers each request late, or never to its end.

python slow_docker.py SOCKET NOTIFY HOW: HOW is seconds before each answer, or `trickle`: a byte now and then, for ever.
What is asked and answered is told to NOTIFY, a datagram socket, as "ASKED networks" and "ANSWERED networks".
"""

from __future__ import annotations

import socket
import sys
import threading
import time

_BUSY = b'{"message": "busy"}'
_VERSION = b'{"ApiVersion": "1.41", "Version": "20.10"}'  # asked first, by whoever connects


def _answer(status: bytes, body: bytes) -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
        status,
        len(body),
        body,
    )


def main(path: str, notify: str, how: str) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(64)
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_serve, args=(connection, notify, how), daemon=True).start()


def _serve(connection: socket.socket, notify: str, how: str) -> None:
    with connection, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as teller:
        try:
            while request := connection.recv(65536):
                if b"/events" in request:
                    continue  # nothing happens
                if request.startswith(b"GET /version"):
                    connection.sendall(_answer(b"200 OK", _VERSION))
                    continue
                what = request.split(b"/")[2].split(b"?")[0]  # GET /v1.41/networks?filters=…
                teller.sendto(b"ASKED " + what, notify)
                if how == "trickle":
                    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
                    while True:
                        connection.sendall(b"x")
                        time.sleep(0.5)
                time.sleep(float(how))
                connection.sendall(_answer(b"500 Busy", _BUSY))
                teller.sendto(b"ANSWERED " + what, notify)
        except OSError:
            return


if __name__ == "__main__":
    main(*sys.argv[1:])
