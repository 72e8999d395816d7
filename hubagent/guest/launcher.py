"""The first process of a user container: waits to be told whose server it is, and becomes that server.

What it says on stderr is the container's log; what it is told is never in there.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Final

from hubagent import wire
from hubagent.guest import additions, becoming, companions
from hubagent.guest.answering import Answering, address
from hubagent.guest.waiting import Waiting

_FOLDER: Final = Path(wire.GUEST_FOLDER)
_ENDED: Final = 128 + signal.SIGTERM


def main() -> int:
    """Do what the settings say; returns the exit status, unless this process has become another."""
    try:
        settings = wire.from_json((_FOLDER / wire.GUEST_SETTINGS).read_bytes(), wire.GuestSettings)
    except (OSError, wire.WireError) as error:
        return _failed(f"{_FOLDER / wire.GUEST_SETTINGS}: {error}")
    if settings.mode == "cold":
        return _cold(settings)
    if settings.mode == "warm":
        return _warm(settings)
    if settings.mode == "prove":
        return _prove()
    return _failed(
        f"{_FOLDER / wire.GUEST_SETTINGS}: mode {settings.mode!r} is none of {', '.join(wire.MODES)}"
    )


def _ready() -> wire.Pong:
    return wire.Pong(ready=True, detail="", kernels={}, pluto=False)


def _cold(settings: wire.GuestSettings) -> int:
    message, answering = _wait(Waiting(_FOLDER / wire.GUEST_SOCKET, _ready))
    fault = becoming.enter(message)
    return _refuse(answering, "home", fault) if fault else _execute(message, answering, settings)


def _warm(settings: wire.GuestSettings) -> int:
    from hubagent.guest import preload, server

    os.chdir("/")  # the home comes later, and a folder in use before would stay the empty one
    scripts = server.Scripts()
    preloaded = preload.preload(settings.modules or preload.COMMON)
    modules = frozenset(sys.modules)
    beside = companions.start(settings)  # afterwards: two threads that import break each other's modules

    def pong() -> wire.Pong:
        other = beside.pong()
        detail = "; ".join((*preloaded.faults, *([other.detail] if other.detail else [])))
        return wire.Pong(other.ready, detail[:4000], other.kernels, other.pluto)

    message, answering = _wait(Waiting(_FOLDER / wire.GUEST_SOCKET, pong))
    changed = becoming.changed(message.environment)
    fault = becoming.enter(message)
    if fault:
        return _refuse(answering, "home", fault)
    script = scripts.find(message.command[0])
    reason = becoming.why_not_here(changed, preloaded.reads, modules)
    try:
        address(message.environment)
    except ValueError as error:
        reason = reason or str(error)
    if script is None or reason:
        _say(f"starting {message.command[0]} anew: {reason or 'not a program of the warm interpreter'}")
        beside.end()
        return _execute(message, answering, settings)
    becoming.refresh()
    _leave()
    sys.argv[:] = [str(script), *message.command[1:]]
    for line in beside.before_server(message.environment):
        _say(line)
    additions.announce(os.environ)
    answering.watch(message.environment)
    try:
        server.run(script, tuple(sys.argv[1:]))
    finally:
        answering.say(wire.Refused("guest", f"{message.command[0]} ended before it answered"))
    return 0


def _prove() -> int:
    known = frozenset(sys.modules)
    from hubagent.guest import proof

    try:
        proof.prove(_FOLDER / wire.GUEST_PROOF, known)
    except (proof.NotProvenError, OSError, ImportError) as error:
        return _failed(f"cannot prove this image: {error}")
    return 0


def _wait(waiting: Waiting) -> tuple[wire.Become, Answering]:
    """Until the guest is claimed. A process that is the first of its container ignores SIGTERM by itself."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(_ENDED))
    message, connection = waiting.become()
    signal.signal(signal.SIGTERM, before)
    return message, Answering(connection)


def _leave() -> None:
    """Take the launcher's own program from where the server will look for its modules."""
    own = str(Path(__file__).resolve().parents[2])
    sys.path[:] = [entry for entry in sys.path if entry != own]


def _execute(message: wire.Become, answering: Answering, settings: wire.GuestSettings) -> int:
    additions.announce(os.environ)
    if settings.pluto:
        os.environ[additions.PLUTO] = "0"
    program = message.command[0]
    if becoming.found(program) is None:
        return _refuse(answering, "guest", f"{program}: no such program in this image", becoming.NOT_FOUND)
    answering.say(wire.Done())
    try:
        becoming.execute(message.command)
    except OSError as error:
        return _failed(f"{program}: {error.strerror}", becoming.NOT_EXECUTABLE)


def _refuse(answering: Answering, reason: str, text: str, status: int = 1) -> int:
    answering.say(wire.Refused(reason, text))
    return _failed(text, status)


def _failed(text: str, status: int = 1) -> int:
    _say(text)
    return status


def _say(text: str) -> None:
    print(f"hubagent: {text}", file=sys.stderr, flush=True)
