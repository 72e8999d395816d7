"""How a guest finds out that the server it has become answers."""

from __future__ import annotations

import socket
import threading

from hubagent.guest import reply
from tests.waiting import wait_until


def test_a_first_packet_that_is_lost_is_not_waited_for() -> None:
    """By a listener whose queue is full, as by one that is just being closed, for which a test would need luck."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):  # fills the queue
            found: list[bool] = []
            asking = threading.Thread(
                target=lambda: found.append(reply.answers("127.0.0.1", port, "/api")), daemon=True
            )
            asking.start()
            wait_until(lambda: not asking.is_alive(), "it gave up", timeout_s=reply.REPLY_S / 2)
    assert found == [False]
