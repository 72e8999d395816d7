"""Does a server answer?

JupyterHub's own waiting doubles its pause from 0.2 s on, so that it notices a server up to seconds late.
A server that answers before JupyterHub begins to wait costs nothing there.
"""

from __future__ import annotations

import asyncio
from typing import Final
from urllib.parse import urlsplit

PAUSE_S: Final = 0.02
"""Between two attempts. A refused connection on the same machine costs about 0.1 ms."""

CONNECT_S: Final = 0.25
"""How long a connection may take. A first packet that is lost, as by a listener that is just being closed, is sent
again by Linux only after a second; another attempt is quicker."""

ANSWER_S: Final = 5.0
"""How long an accepted connection may take to answer."""


async def answers(url: str) -> bool:
    """Is there an HTTP answer from this http:// URL, whatever its status?"""
    parts = urlsplit(url)
    request = f"GET {parts.path} HTTP/1.0\r\nHost: {parts.netloc}\r\nAccept: application/json\r\n\r\n"
    try:
        async with asyncio.timeout(CONNECT_S):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        try:
            async with asyncio.timeout(ANSWER_S):
                writer.write(request.encode("ascii"))
                line = await reader.readline()
        finally:
            writer.close()
    except (OSError, TimeoutError, ValueError):
        return False
    return line.startswith(b"HTTP/")


async def wait_for_answer(url: str) -> None:
    """Return as soon as `answers` is true. The caller cancels."""
    while not await answers(url):
        await asyncio.sleep(PAUSE_S)
