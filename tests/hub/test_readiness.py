"""Whether a server answers."""

from __future__ import annotations

import asyncio
import socket

from hubagent.hub.readiness import ANSWER_S, answers


def test_a_first_packet_that_is_lost_is_not_waited_for() -> None:
    """By a listener whose queue is full, as by one that is just being closed, for which a test would need luck."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):  # fills the queue
            assert asyncio.run(_asked(f"http://127.0.0.1:{port}/api")) is False


async def _asked(url: str) -> bool:
    return await asyncio.wait_for(answers(url), ANSWER_S / 2)
