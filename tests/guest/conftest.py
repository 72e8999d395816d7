"""One server three ways: started as Docker would without us, by a cold guest, by a warm one."""

from __future__ import annotations

import contextlib
import itertools
import json
import random
import shlex
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from hubagent import wire
from hubagent.guest import kept_folders
from tests.guest.container import HOME, IMAGE, USER, VENV, Container
from tests.guest.hub import Hub
from tests.waiting import wait_until

SERVER = "jupyterhub-singleuser"

CONFIG = """\
# Run by the server itself when it starts: what a server's code can see of its process.
import json, locale, os, resource, signal, site, sys, time
import __main__
try:
    import mine
except ImportError:
    mine = None
import webcolors
with open("/home/jovyan/facts.json", "w") as file:
    json.dump({
        "argv": sys.argv,
        "orig_argv": sys.orig_argv[1:],
        "path": sys.path,
        "environment": dict(os.environ),
        "directory": os.getcwd(),
        "umask": oct(os.umask(0o22)),
        "locale": [locale.setlocale(locale.LC_CTYPE), locale.nl_langinfo(locale.CODESET)],
        "encodings": [sys.getfilesystemencoding(), sys.stdout.encoding, sys.stderr.encoding],
        "zone": time.tzname,
        "signals": {number.name: str(signal.getsignal(number)) for number in signal.valid_signals()
                    if isinstance(number, signal.Signals)},
        "limits": resource.getrlimit(resource.RLIMIT_NOFILE),
        "nice": os.nice(0),
        "main": __main__.__file__,
        "executable": sys.executable,
        "packages": [site.ENABLE_USER_SITE, site.USER_SITE],
        "mine": mine and mine.__file__,
        "webcolors": webcolors.__file__,
    }, file)
os.umask(0o22)
"""


def free_port() -> int:
    """One that nobody listens on, and below those that the kernel gives to connections: it stays free until it is used."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("", port))
            return port


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> Iterator[None]:
    """A shell has its background jobs ignore SIGINT, and what is started here would inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def hub() -> Iterator[Hub]:
    hub = Hub()
    yield hub
    hub.close()


@pytest.fixture(scope="session")
def new(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Container]]:
    """Make containers; all have ended when the tests end."""
    made: list[Container] = []
    count = itertools.count()

    def make(**options: Any) -> Container:
        made.append(Container(tmp_path_factory.mktemp(f"guest{next(count)}"), **options))
        return made[-1]

    yield make
    for container in made:
        container.end()


@pytest.fixture(scope="session")
def proof(new: Callable[..., Container]) -> wire.Proof:
    """What this environment's server needs, as a guest proved it."""
    container = new()
    container.start(wire.GuestSettings(mode="prove"))
    assert container.wait() == 0, container.output
    found: wire.Proof = wire.from_json(
        (container.folder / "socket" / wire.GUEST_PROOF).read_bytes(), wire.Proof
    )
    return found


@dataclass(frozen=True)
class Running:
    """A server that answers."""

    how: str
    container: Container
    port: int
    hub: Hub

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/user/ann/"

    @property
    def facts(self) -> dict[str, Any]:
        """Taken while it reads its configuration, of which ours is a part until it has been read."""
        found: dict[str, Any] = json.loads((self.container.home / "facts.json").read_text())
        if self.how != "plain":
            assert found["environment"].pop("JUPYTER_CONFIG_PATH")
        return found


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Starter:
    """Starts servers; `how` is plain, cold or warm."""

    def __init__(self, new: Callable[..., Container], hub: Hub, proof: wire.Proof) -> None:
        self._new = new
        self._hub = hub
        self._proof = proof

    def __call__(
        self,
        how: str,
        *,
        own: bool = False,
        image: dict[str, str] = IMAGE,
        arguments: tuple[str, ...] = (),
        **more: str,
    ) -> Running:
        """`own`: with packages of the user's in the home. `arguments`: of the server. `more`: told by the hub."""
        container = self._new(config=CONFIG, own_packages=own)
        port = free_port()
        words = ("--ServerApp.tornado_settings={}", *arguments)
        environment = {**self._hub.environment(port), "TEXT": "one\ntwo = ü", **more}
        if how == "plain":
            _fill(container, own)
            container.run(
                [
                    "sh",
                    "-c",
                    f"cd {HOME} && unset PWD OLDPWD && exec {SERVER} {shlex.join(words)}",
                ],
                {**image, **kept_folders.variables(HOME, image["HOME"], image), **environment},
            )
        else:
            container.start(
                wire.GuestSettings(mode=how, modules=self._proof.modules if how == "warm" else (), home=HOME),
                image,
            )
            if how == "warm":
                pong = container.ask(wire.Ping())
                assert pong == wire.Pong(True, "", {}, False)
            _fill(container, own)  # the home comes late
            assert container.become(environment, SERVER, *words) == wire.Done(), container.output
        running = Running(how, container, port, self._hub)
        if how == "warm" and "anew" not in container.output:
            assert answers(port)  # Done says so
        try:
            wait_until(lambda: answers(port), "the server listens")
        except AssertionError as error:
            raise AssertionError(container.output) from error
        return running


def _fill(container: Container, own: bool) -> None:
    (container.home / ".profile").write_text("export STARTUP=was-read\n")
    if own:
        version = next((VENV / "lib").glob("python3*")).name
        folder = container.home / f".local/lib/{version}/site-packages"
        folder.mkdir(parents=True)
        (folder / "mine.py").write_text("")
        (folder / "more.pth").write_text("/home/jovyan/.local/more\n")
        (container.home / ".local/more").mkdir()
    subprocess.run(["chown", "-R", f"{USER}:{USER}", str(container.home)], check=True)


@pytest.fixture(scope="session")
def starter(new: Callable[..., Container], hub: Hub, proof: wire.Proof) -> Starter:
    return Starter(new, hub, proof)


@pytest.fixture(scope="session")
def plain(starter: Starter) -> Running:
    return starter("plain")


@pytest.fixture(scope="session", params=["plain", "cold", "warm"])
def server(request: pytest.FixtureRequest, starter: Starter) -> Running:
    running: Running = (
        request.getfixturevalue("plain") if request.param == "plain" else starter(request.param)
    )
    return running


@pytest.fixture(params=["cold", "warm"])
def guest(request: pytest.FixtureRequest, new: Callable[..., Container]) -> Iterator[Container]:
    """One that waits, with few modules."""
    container = new()
    container.start(wire.GuestSettings(mode=request.param, modules=("tornado.web",), home=HOME))
    container.connect().close()
    yield container
    container.end()
