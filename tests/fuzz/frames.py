"""What peers send to a socket of ours, and what they hear: from a fuzzer's bytes, or a test's."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

from hubagent import wire

MAX_PEERS = 8
_ANSWER_S = 20.0


def peers(data: bytes) -> Iterator[bytes]:
    """One stream for each line: the body of a frame whose length is right, or after a NUL the bytes as they are."""
    for line in data.split(b"\n")[:MAX_PEERS]:
        yield line[1:] if line.startswith(b"\0") else wire.HEADER.pack(len(line)) + line


def line(*messages: object) -> bytes:
    """A seed: peers that send these messages."""
    return b"\n".join(wire.to_json(message) for message in messages)


def _is_whole(stream: bytes) -> bool:
    size = wire.HEADER.size
    return len(stream) >= size and wire.HEADER.unpack(stream[:size])[0] == len(stream) - size


def exchange(path: Path, stream: bytes) -> bytes:
    """All that comes back to a peer that sends this, until the other side hangs up. TimeoutError when it does not."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_ANSWER_S)
        connection.connect(str(path))
        heard = b""
        try:
            connection.sendall(stream)
            if not _is_whole(stream):  # else it still wants its answer
                connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(65536):
                heard += part
        except (BrokenPipeError, ConnectionResetError):
            pass  # cut off before it had read everything
    return heard


def ask(path: Path, stream: bytes) -> object | None:
    """What a peer that sends this hears: a message, or nothing. AssertionError for anything else."""
    heard = exchange(path, stream)
    if not heard:
        return None
    length = wire.body_length(heard[: wire.HEADER.size])
    assert length == len(heard) - wire.HEADER.size, "an answer is one whole frame"
    answers = (wire.Refused, wire.Started, wire.Inspected, wire.Text, wire.Done)
    answer: object = wire.from_json(
        heard[wire.HEADER.size :], *answers, wire.Prepared, wire.Attached, wire.Slots
    )
    assert not (isinstance(answer, wire.Refused) and "failed; " in answer.message), answer
    return answer
