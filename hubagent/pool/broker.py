"""What the hub may ask: servers that the configuration declares, and containers of ours. Everything else is
logged and refused.

The hub knows a server's container by name or id. A slot that has become a user's server also answers to the
name that the server's own container would have: a hub that was killed before it heard the slot's name finds
the server by that.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final, Protocol

from hubagent import wire
from hubagent.config.model import Config, Server
from hubagent.errors import HubagentError
from hubagent.layout import LABEL_GUEST, LABEL_KEPT, LABEL_SERVER, LABEL_SLOT
from hubagent.naming import container_name
from hubagent.pool.cold import ColdStarts
from hubagent.pool.locks import NamedLocks
from hubagent.pool.owners import Account
from hubagent.pool.ports import ContainerFacts, PoolPorts
from hubagent.pool.refusal import SpawnError, refusal
from hubagent.pool.slots import TAKEN, Slot
from hubagent.pool.volumes import Volumes
from hubagent.pool.yielding import Yielding

log = logging.getLogger(__name__)

STOP_S: Final = 10
"""From SIGTERM to SIGKILL (seconds)."""

TURN_S: Final = 60.0
"""How long a request may wait for an earlier one about the same server (seconds)."""

MAX_LINES: Final = 1000

RESCUE_S: Final = 60.0
"""How long it may take to copy what lies beside an older server's home (seconds); the hub waits for 90."""

RESCUE: Final = (
    *("/bin/sh", "-c", 'exec "$(command -v python3 || command -v python)" -I "$0" "$@"'),
    f"{wire.GUEST_FILES}/hubagent/guest/rescue.py",
)
"""Before a path: what is run in a server of before."""

Request = (
    wire.Claim
    | wire.Create
    | wire.Expect
    | wire.Known
    | wire.Gone
    | wire.Inspect
    | wire.Stop
    | wire.Remove
    | wire.Output
)
REQUESTS: Final = (
    *(wire.Claim, wire.Create, wire.Expect, wire.Known, wire.Gone),
    *(wire.Inspect, wire.Stop, wire.Remove, wire.Output),
)


class Warm(Protocol):
    """The pool, as far as the broker needs it."""

    def claim(self, claim: wire.Claim) -> wire.Started | wire.Refused: ...

    def cold_start(self, user: str, server_name: str) -> AbstractContextManager[None]:
        """While a server is started cold. Raises HubagentError when a slot of the user's is in the way."""
        ...

    def gone(self, container: str) -> None:
        """The container was removed for good: let go of what belongs to it."""
        ...

    def slots(self) -> Iterable[Slot]:
        """All there are."""
        ...


class Broker:
    """Answers the hub. Safe to use from any thread."""

    def __init__(
        self,
        ports: PoolPorts,
        *,
        config: Callable[[], Config | None],
        cold: ColdStarts,
        warm: Warm,
        yielding: Yielding,
        volumes: Volumes,
        expect: Callable[[Account], None],
    ) -> None:
        """`config` is the configuration in force, None while there is none; it is asked at every start.
        `expect` is told of accounts that have signed in, and returns at once."""
        self._config = config
        self._containers = ports.containers
        self._guests = ports.guests
        self._cold = cold
        self._warm = warm
        self._yielding = yielding
        self._volumes = volumes
        self._expect = expect
        self._locks = NamedLocks()
        self._starting = NamedLocks()  # held as long as a server of this name is being started
        self._under_way: Counter[str] = Counter()  # starts, by user
        self._ended = threading.Condition()

    def answer(self, request: Request) -> object:
        """The answer, one of the messages of wire; failures are Refused."""
        try:
            match request:
                case wire.Claim() | wire.Create():
                    return self._start(request)
                case wire.Expect():
                    self._expect(Account.of(request))
                    return wire.Done()
                case wire.Known(people):
                    self._volumes.know(self._patterns(), [Account.of(person) for person in people])
                    return wire.Done()
                case wire.Gone(user, account):
                    self._volumes.gone(Account(user, account))
                    return wire.Done()
                case wire.Inspect(name):
                    return self._inspect(name)
                case wire.Output(name, lines):
                    found = self._ours(name)
                    if found is None:
                        return wire.Refused("absent", f"there is no container {name}")
                    return wire.Text(self._containers.output(found.id, lines=min(max(lines, 1), MAX_LINES)))
                case wire.Stop(name) | wire.Remove(name):
                    with self._yielding.user_needs_docker():
                        return self._end(name, remove=isinstance(request, wire.Remove))
        except SpawnError as error:
            log.warning("%s refused: %s", _shown(request), error)
            return wire.Refused(error.reason, str(error))
        except HubagentError as error:
            log.error("%s failed: %s", _shown(request), error)
            return wire.Refused("engine", str(error))

    def _start(self, request: wire.Claim | wire.Create) -> object:
        server = self._declared(request.server)
        name = container_name(request.user, request.server_name)
        with self._locks.held(name, timeout_s=TURN_S) as our_turn:
            if not our_turn:
                return wire.Refused("busy", "An earlier start of this server is still under way.")
            with self._starting.held(name, timeout_s=TURN_S), self._counted(request.user):
                if isinstance(request, wire.Claim):
                    return self._warm.claim(request)
                return self._start_cold(server, name, request)

    def _start_cold(self, server: Server, name: str, request: wire.Create) -> object:
        try:
            with self._warm.cold_start(request.user, request.server_name):
                return self._cold.start(server, request)
        except HubagentError as error:
            log.error("cannot start %s: %s", name, error)
            return refusal(error, image=server.image)

    def starts_ended(self, users: Collection[str], *, timeout_s: float) -> bool:
        """Wait until no server of these users is about to start; False when that did not come in time."""
        with self._ended:
            return self._ended.wait_for(
                lambda: not any(self._under_way[user] for user in users), timeout=timeout_s
            )

    @contextmanager
    def _counted(self, user: str) -> Iterator[None]:
        with self._ended:
            self._under_way[user] += 1
        try:
            yield
        finally:
            with self._ended:
                self._under_way[user] -= 1
                self._under_way += Counter()  # drops who has none
                self._ended.notify_all()

    def _declared(self, name: str) -> Server:
        config = self._config()
        servers = config.servers if config is not None else ()
        server = next((server for server in servers if server.name == name), None)
        if server is None:
            raise SpawnError("not_allowed", f"The configuration has no server {name[:40]!r}.")
        return server

    def _patterns(self) -> tuple[str, ...]:
        config = self._config()
        return tuple(str(server.volume) for server in config.servers) if config is not None else ()

    def _inspect(self, name: str) -> wire.Inspected:
        # A hub that was killed and is back may ask about a start that it does not wait for any more. To call that ended
        # would leave the hub without the server that is there a moment later.
        is_starting = self._starting.is_held(name)
        found = self._ours(name)
        if found is None:
            return wire.Inspected(present=is_starting, running=is_starting)
        return wire.Inspected(
            present=True,
            id=found.id,
            running=found.running or is_starting,
            exit_code=found.exit_code,
            out_of_memory=found.out_of_memory,
            address=found.address,
        )

    def _end(self, name: str, *, remove: bool) -> object:
        with self._locks.held(name, timeout_s=TURN_S) as our_turn:
            if not our_turn:
                return wire.Refused("busy", f"an earlier request about {name} is still under way")
            found = self._ours(name)
            if found is None:
                return wire.Done()
            self._rescue(found)
            if not remove:
                self._containers.stop(found.id, timeout_s=STOP_S)
                return wire.Done()
            self._containers.remove(found.id)
            if LABEL_SLOT in found.labels:
                self._warm.gone(found.id)
            elif LABEL_GUEST in found.labels:
                self._guests.forget(found.labels[LABEL_GUEST])
            return wire.Done()

    def _rescue(self, found: ContainerFacts) -> None:
        """A server of before HOME was the kept folder: keep what its user has made beside it. Never a reason not to
        end it."""
        if LABEL_KEPT in found.labels or not found.running:
            return
        config = self._config()
        servers = config.servers if config is not None else ()
        homes = [str(server.home) for server in servers if server.name == found.labels[LABEL_SERVER]]
        if not homes:
            return
        try:
            status = self._containers.run(found.id, (*RESCUE, homes[0]), timeout_s=RESCUE_S)
        except HubagentError as error:
            log.warning("the files beside the home of %s are not kept: %s", found.name, error)
        else:
            amount = "some of the files" if status else "the files"
            log.info("%s beside the home of %s are kept in it now", amount, found.name)

    def _ours(self, name: str) -> ContainerFacts | None:
        """None when there is no such container. Raises SpawnError for one that is not a server of ours."""
        found = self._containers.inspect(name)
        if found is None:
            slot = next((slot for slot in self._warm.slots() if _is_server(slot, name)), None)
            found = self._containers.inspect(slot.container or slot.name) if slot is not None else None
        if found is not None and LABEL_SERVER not in found.labels:
            raise SpawnError("not_allowed", f"the container {name} is not hubagent's")
        return found


def _is_server(slot: Slot, name: str) -> bool:
    """Is the slot the server whose own container would have this name?"""
    return slot.phase in TAKEN and container_name(slot.user, slot.server_name) == name


def _shown(request: Request) -> str:
    """For the log: never the environment or the command, which hold secrets."""
    if isinstance(request, wire.Claim | wire.Create):
        return f"{type(request).__name__} for {request.user[:80]!r} {request.server_name[:80]!r}"
    if isinstance(request, wire.Expect | wire.Gone):
        return f"{type(request).__name__} {request.user[:80]!r}"
    if isinstance(request, wire.Known):
        return f"Known, {len(request.people)} people"
    return f"{type(request).__name__} {request.name[:80]!r}"
