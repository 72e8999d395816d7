"""The first process of a user container: waits to be told whose server it is, and becomes that server.

What it says on stderr is the container's log; what it is told is never in there.
"""

from __future__ import annotations

import os
import pwd
import signal
import sys
import tempfile
import traceback
from functools import partial
from pathlib import Path
from typing import Final

from hubagent import wire
from hubagent.guest import (
    companions,
    kept_files,
    kept_folders,
    own_packages,
    server_extensions,
    takeover,
    user_packages,
)
from hubagent.guest.control_socket import ControlSocket
from hubagent.guest.reply import Reply, address, answers

_FOLDER: Final = Path(wire.GUEST_FOLDER)
_ENDED: Final = 128 + signal.SIGTERM


def main() -> int:
    """Do what the settings say; returns the exit status, unless this process has become another."""
    try:
        settings = wire.from_json((_FOLDER / wire.GUEST_SETTINGS).read_bytes(), wire.GuestSettings)
    except (OSError, wire.WireError) as error:
        return _failed(f"{_FOLDER / wire.GUEST_SETTINGS}: {error}")
    image_home = _make_home_the_kept_folder(settings)
    if settings.mode == "cold":
        return _cold(settings, image_home)
    if settings.mode == "warm":
        return _warm(settings, image_home)
    if settings.mode == "prove":
        return _prove()
    return _failed(
        f"{_FOLDER / wire.GUEST_SETTINGS}: mode {settings.mode!r} is not one of {', '.join(wire.MODES)}"
    )


def _ready() -> wire.Pong:
    return wire.Pong(ready=True, detail="", kernels={}, pluto=False)


def _make_home_the_kept_folder(settings: wire.GuestSettings) -> Path:
    """Set the variables by which a server keeps what is made in it, before anything reads them; the image's own HOME.
    Does not return where Python has looked by the old ones already: then this program begins anew."""
    if sys.argv[1:]:
        kept_files.prepare_image()
        return Path(sys.argv[1])
    user_packages.take_back(os.environ)
    image_home = os.environ.get("HOME") or _home_of_account()
    home = settings.home
    if settings.mode == "prove" and not os.access(home, os.W_OK):
        home = tempfile.mkdtemp()  # no volume is here
    found = kept_folders.variables(home, image_home, os.environ, settings.declared)
    looked = home != image_home and str(user_packages.folder()) in sys.path
    os.environ.update(found)
    looked = looked or any(name.startswith("PYTHON") for name in found)
    if looked and settings.mode != "cold":  # there another program is executed
        os.execv(sys.executable, [*sys.orig_argv, image_home])  # noqa: S606 - this program
    user_packages.folder()
    kept_files.prepare_image()
    return Path(image_home)


def _home_of_account() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:  # a number without a name
        return "/"


def _cold(settings: wire.GuestSettings, image_home: Path) -> int:
    message, reply = _wait(ControlSocket(_FOLDER / wire.GUEST_SOCKET, _ready))
    fault = takeover.enter(message)
    if fault:
        return _refuse(reply, "home", fault)
    _furnish(message, image_home)
    return _execute(message, reply, settings)


def _warm(settings: wire.GuestSettings, image_home: Path) -> int:
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

    message, reply = _wait(ControlSocket(_FOLDER / wire.GUEST_SOCKET, pong))
    changed = takeover.changed(message.environment)
    fault = takeover.enter(message)
    if fault:
        return _refuse(reply, "home", fault)
    _furnish(message, image_home)
    script = scripts.find(takeover.found(message.command[0], message.home))
    reason = takeover.why_not_here(changed, preloaded.reads, modules)
    try:
        address(message.environment)
    except ValueError as error:
        reason = reason or str(error)
    if script is None or reason:
        _say(f"starting {message.command[0]} anew: {reason or 'not a program of the warm interpreter'}")
        beside.end()
        return _execute(message, reply, settings)
    own_packages.forget(message.home)
    environment, theirs = dict(os.environ), own_packages.are_there(message.home)
    ended = wire.Refused("guest", f"{message.command[0]} ended before it answered")
    try:
        takeover.refresh()
        _leave()
        sys.argv[:] = [str(script), *message.command[1:]]
        for line in beside.before_server(message.environment):
            _say(line)
        server_extensions.announce(os.environ, settings.kernels)
        reply.watch(message.environment)
        server.run(script, tuple(sys.argv[1:]))
    except BaseException as error:  # whatever a stranger's module does, SystemExit included
        if reply.answered or not theirs:
            reply.say(ended)
            raise
        _say("".join(traceback.format_exception(error)).rstrip())
    if reply.answered or not theirs:
        reply.say(ended)
        return 0
    beside.end()
    os.environ.clear()
    os.environ.update(environment)
    return _execute_without_their_own(message, reply, settings)


def _furnish(message: wire.Become, image_home: Path) -> None:
    if os.environ.get("HOME") == message.home:
        for line in kept_files.furnish(Path(message.home), image_home, os.environ):
            _say(line)
        found = kept_files.elsewhere(Path(message.home))
        os.environ.update(found)
        if found:
            _say(
                f"{message.home} is full or cannot be written: settings and histories are not kept this time"
            )


def _prove() -> int:
    known = frozenset(sys.modules)
    from hubagent.guest import proof

    try:
        proof.prove(_FOLDER / wire.GUEST_PROOF, known)
    except (proof.NotProvenError, OSError, ImportError) as error:
        return _failed(f"cannot prove this image: {error}")
    return 0


def _wait(control: ControlSocket) -> tuple[wire.Become, Reply]:
    """Until the guest is claimed. A process that is the first of its container ignores SIGTERM by itself."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(_ENDED))
    message, connection = control.become()
    signal.signal(signal.SIGTERM, before)
    return message, Reply(connection)


def _leave() -> None:
    """Take the launcher's own program from where the server will look for its modules."""
    own = str(Path(__file__).resolve().parents[2])
    sys.path[:] = [entry for entry in sys.path if entry != own]


def _execute(message: wire.Become, reply: Reply, settings: wire.GuestSettings) -> int:
    _announce(settings)
    program = takeover.found(message.command[0], message.home)
    if program is None:
        text = f"{message.command[0]}: no such program in this image"
        return _refuse(reply, "guest", text, takeover.NOT_FOUND)
    reply.say(wire.Done())
    own_packages.forget(message.home)
    try:
        where = address(message.environment)
    except ValueError:  # nobody could tell whether it is ready
        where = None
    try:
        if where is not None and own_packages.are_there(message.home):
            takeover.forget_coerced_locale()
            status = own_packages.first_try(program, message.command, partial(answers, *where))
            return _execute_without_their_own(message, reply, settings) if status is None else status
        takeover.execute(program, message.command)
    except OSError as error:
        return _failed(f"{program}: {error.strerror}", takeover.NOT_EXECUTABLE)


def _execute_without_their_own(message: wire.Become, reply: Reply, settings: wire.GuestSettings) -> int:
    _say(
        f"{message.command[0]} ended before it answered; once more without the user's own packages and settings"
    )
    own_packages.leave_out(os.environ, message.home)
    _announce(settings)
    program = takeover.found(message.command[0], message.home) or message.command[0]
    reply.say(wire.Done())
    try:
        takeover.execute(program, message.command)
    except OSError as error:
        return _failed(f"{program}: {error.strerror}", takeover.NOT_EXECUTABLE)


def _announce(settings: wire.GuestSettings) -> None:
    server_extensions.announce(os.environ, settings.kernels)
    if settings.pluto:
        os.environ[server_extensions.PLUTO] = "0"


def _refuse(reply: Reply, reason: str, text: str, status: int = 1) -> int:
    reply.say(wire.Refused(reason, text))
    return _failed(text, status)


def _failed(text: str, status: int = 1) -> int:
    _say(text)
    return status


def _say(text: str) -> None:
    print(f"hubagent: {text}", file=sys.stderr, flush=True)
