"""Servers as containers, for the entries of servers.json: DockerSpawner's part of it that concerns users.

The hub has no way to Docker. It tells the agent whose server is wanted and what that server must know, and the
agent makes it a container, as the configuration says.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from pathlib import Path
from typing import Any, Final, NoReturn

from jupyterhub.spawner import SpawnException
from jupyterhub.utils import url_path_join
from sqlalchemy.exc import SQLAlchemyError
from traitlets import Any as AnyTrait
from traitlets import Bool, Float, Integer, Unicode, default

from hubagent import naming, wire
from hubagent.hub.account_identity import identity
from hubagent.hub.agent_client import PATIENCE_S, AgentAwayError, AgentClient, RefusedError
from hubagent.hub.choice import OPTION, chosen
from hubagent.hub.choosing import Choosing
from hubagent.hub.database_failure import is_writable
from hubagent.hub.readiness import answers, wait_for_answer
from hubagent.hub.removals import END_S, REMOVALS
from hubagent.hub.start_errors import of_agent, of_end
from hubagent.hub_documents import Server
from hubagent.layout import Layout

ALIVE_S: Final = 1.0
"""How often a container that does not answer yet is looked at (seconds)."""

BUSY_S: Final = 3600.0
"""How long a server that runs at a hub restart may be too busy to answer (seconds)."""

CLAIM_S: Final = 4.0
"""How long the agent may take to make a warm slot the user's; it gives up by itself after 3 s."""

CREATE_S: Final = 110.0
"""How long it may take to start a container; JupyterHub gives up soon after (seconds)."""

ASK_S: Final = 15.0
"""How long it may take to look at a container (seconds)."""

FALLBACK: Final = "/lab"
"""Where the server of a slot lands that an older version has prepared, and that knows no words."""

LOG_LINES: Final = 20
"""How much of a container's output the hub's log keeps when the container ends while it starts."""


class HubagentSpawner(Choosing):
    """`object_name` is what the agent calls the server's container: a name of its own for one that was warm,
    else the one that every start begins with. The agent knows every server by the latter, too.
    """

    agent_socket = Unicode(str(Layout().spawn_socket), config=True)
    keep_busy_s = Float(0.0, config=True)
    activity_interval_s = Integer(300, config=True)  # how often servers tell when they were last active

    unvisited_s = Float(60.0, config=True)  # so long one that was started at a sign-in waits for its user

    # Defaults of DockerSpawner and JupyterHub, changed here rather than by configuration, so that
    # hub.traits can set them under the name of any of these classes.
    start_timeout = Integer(120, config=True)
    http_timeout = Integer(60, config=True)
    poll_interval = Integer(30, config=True)
    disable_user_config = Bool(True, config=True)
    remove = Bool(True)
    apply_user_options = AnyTrait(lambda spawner, options: None)  # `start` reads them

    _escape = staticmethod(naming.escape)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.agent = AgentClient(Path(self.agent_socket))
        self.interrupted = False  # from the moment in which a start is cancelled to the stop that follows
        self._last_own_name = ""  # as the database had it
        self._has_failed = False  # the last start, and somebody waits to be told of it
        self._asked: asyncio.Task[wire.Started] | None = None  # of the agent by the last start
        self._changes = 0  # starts and stops that have begun
        self._landing = ""  # as servers.json has it, at the last start

    def docker(self, method: str, *_: Any, **__: Any) -> NoReturn:
        """What of DockerSpawner would call Docker has been replaced here."""
        raise RuntimeError(f"the hub has no access to Docker, so it cannot {method}; the agent has")

    @property
    def _own_name(self) -> str:
        with contextlib.suppress(SQLAlchemyError):  # nobody is renamed while their server runs
            self._last_own_name = naming.container_name(self.user.name, self.name)
        return self._last_own_name

    @default("object_name")
    def _object_name_default(self) -> str:
        return self._own_name

    @property
    def pending(self) -> str | None:
        """What JupyterHub waits for. It takes a start that is being cancelled for one that will come to something,
        and one that was for a ready server until it stops it."""
        pending: str | None = super().pending
        return "stop" if self.interrupted else pending

    # Starting

    async def start(self) -> str:
        """The server's URL, once the server answers there: a warm slot's, else that of a new container."""
        self._changes += 1
        servers = self._servers()
        server = chosen(servers, self.user_options.get(OPTION), asked_now=self._asked_by_api)
        self._adopt(servers.servers[server], servers.landing)
        self._has_failed, self._asked = False, None
        self.object_name = self._own_name  # not that of the last slot
        create = self._request(server)
        try:
            await REMOVALS.give_way(self._own_name)
            url = await self._claim(create) or await self._create(create)
            await self._written()
            return url
        except BaseException as error:
            self._has_failed = isinstance(error, Exception)
            self._remove()
            if self._has_failed:
                await REMOVALS.tried(self._own_name)
                await self._written()
            if isinstance(error, AgentAwayError | RefusedError):
                self.log.error("Cannot start %s: %s", self._log_name, error)
                raise of_agent(error) from error
            raise

    def _adopt(self, server: Server, landing: str) -> None:
        """Set the traits that JupyterHub makes the server's environment from."""
        self.image = server.image
        self.mem_limit = server.memory_bytes
        self.cpu_limit = server.cpus
        self._landing = landing
        self.default_url = FALLBACK if landing in wire.LANDINGS else landing
        self.notebook_dir = server.home.replace("{", "{{").replace("}", "}}")  # a format string there

    def _request(self, server: str) -> wire.Create:
        who = identity(self.user)
        environment = {
            "JUPYTERHUB_ACTIVITY_INTERVAL": str(self.activity_interval_s),
            wire.KEEP_BUSY: f"{self.keep_busy_s:g}",
            **({wire.LANDING: self._landing} if self._landing in wire.LANDINGS else {}),
            **{name: str(value) for name, value in self.get_env().items() if value is not None},
        }
        return wire.Create(
            self.user.name,
            self.name,
            server,
            environment,
            (*(self.cmd or ("jupyterhub-singleuser",)), *self.get_args()),
            port=self.port,
            account=who.account,
            account_since_s=who.since_s,
        )

    async def _claim(self, create: wire.Create) -> str | None:
        """The URL of a slot that has become this server and answers; None when there is none."""
        request = wire.Claim(
            create.user,
            create.server_name,
            create.server,
            create.environment,
            create.command,
            account=create.account,
            account_since_s=create.account_since_s,
        )
        try:
            # No second try: an agent that went away in the middle has to be asked for a cold start.
            started = await self._ask_to_start(request, timeout_s=CLAIM_S, patience_s=0.0)
        except RefusedError as error:
            if error.reason != "no_slot":
                self.log.warning("No warm server for %s: %s", self._log_name, error)
            return None
        except AgentAwayError as error:
            self.log.warning("No warm server for %s: %s", self._log_name, error)
            return None
        return self._started(started)

    async def _create(self, request: wire.Create) -> str:
        try:
            started = await self._ask_to_start(request, timeout_s=CREATE_S, patience_s=PATIENCE_S)
        except RefusedError as error:
            if error.reason != "message":
                raise
            # An agent whose packages were taken back, which knows no accounts.
            older = dataclasses.replace(request, account="", account_since_s=0.0)
            started = await self._ask_to_start(older, timeout_s=CREATE_S, patience_s=PATIENCE_S)
        url = self._started(started)
        await self._wait_until_up(url)
        return url

    async def _ask_to_start(
        self, request: wire.Claim | wire.Create, *, timeout_s: float, patience_s: float
    ) -> wire.Started:
        """Whoever cancels this does not wait for the answer, but `_remove` does: before it, there may be nothing yet
        that could be removed."""
        self._asked = asyncio.create_task(
            self.agent.ask(request, wire.Started, timeout_s=timeout_s, patience_s=patience_s)
        )
        return await asyncio.shield(self._asked)

    def _started(self, started: wire.Started) -> str:
        self.object_id, self.object_name = started.id, started.name
        return self._url(started.address)

    async def _wait_until_up(self, url: str) -> None:
        """Return once the server answers. Raises SpawnException when it ends before."""
        answer = asyncio.ensure_future(wait_for_answer(url_path_join(url, "api")))
        try:
            while not (await asyncio.wait([answer], timeout=ALIVE_S))[0]:
                with contextlib.suppress(AgentAwayError):  # then only the answer counts
                    inspected = await self._inspect()
                    if not inspected.running:
                        raise await self._ended_early(inspected)
        finally:
            answer.cancel()

    async def _ended_early(self, inspected: wire.Inspected) -> SpawnException:
        if inspected.present:
            self.log.error(
                "%s ended with %s before it answered:\n%s",
                self.object_name,
                inspected.exit_code,
                await self._output(),
            )
        return of_end(inspected)

    async def _inspect(self) -> wire.Inspected:
        return await self.agent.ask(
            wire.Inspect(self.object_name), wire.Inspected, timeout_s=ASK_S, patience_s=0.0
        )

    async def _output(self) -> str:
        try:
            text = await self.agent.ask(wire.Output(self.object_name, LOG_LINES), wire.Text, timeout_s=ASK_S)
        except (AgentAwayError, RefusedError) as error:
            return f"(its output cannot be read: {error})"
        return text.text

    # Running and stopping

    async def poll(self) -> int | str | None:
        """None while the container runs or is being removed, as long as nobody can tell, and while the database does
        not take its end: JupyterHub takes any other answer, and any error, as the end of the server, and would cut it
        off, even one that was started while the answer about the last one was on its way."""
        try:
            status = await self._status()
        except (AgentAwayError, RefusedError) as error:
            self.log.warning("Cannot ask about %s, which is treated as running: %s", self.object_name, error)
            return None
        return status if status is not None and is_writable(self.db, self.orm_spawner) else None

    async def _status(self) -> int | str | None:
        if REMOVALS.under_way(self._own_name):
            return None  # `stop` waits for it
        changes = self._changes
        found = await self._inspect()
        if self._is_over(changes):
            return None
        if not found.present:
            self.object_id = ""
            return 0
        self.object_id = found.id
        if found.running:
            return None
        memory = ", out of memory" if found.out_of_memory else ""
        self.log.warning("%s has ended: exit status %s%s", self.object_name, found.exit_code, memory)
        await self.agent.ask(wire.Remove(self.object_name), wire.Done, timeout_s=END_S)
        if self._is_over(changes):
            return None
        self.object_id = ""
        return f"ExitCode={found.exit_code}"

    def _is_over(self, changes: int) -> bool:
        """Whether the server was stopped or started since there were so many changes; JupyterHub may take another
        spawner for the next one."""
        return self._changes != changes or self.user.spawners.get(self.name) is not self

    async def get_url(self) -> str:
        """Asked after a hub restart, for servers that `poll` found running.

        JupyterHub stops a server next that does not answer for a minute. One whose processors are busy
        computing is waited for here, as long as its container runs. Its address is asked for each time: the agent
        may be away, too, and that in the database be of no server.
        """
        url = str(self.server.url)
        deadline = asyncio.get_running_loop().time() + BUSY_S
        while True:
            url = await self._url_by_agent() or url
            is_late = asyncio.get_running_loop().time() > deadline
            if await answers(url_path_join(url, "api")) or is_late or await self.poll() is not None:
                return url
            await asyncio.sleep(ALIVE_S)

    async def _url_by_agent(self) -> str | None:
        """The database does not know the address of a server whose start the hub's end broke off."""
        try:
            found = await self._inspect()
        except (AgentAwayError, RefusedError):
            return None
        return self._url(found.address) if found.address else None

    def _url(self, host: str) -> str:
        return f"http://{host}:{self.port}{self.server.base_url}"

    async def stop(self, now: bool = False) -> None:  # noqa: FBT001, FBT002 - JupyterHub's signature
        """Stop and remove the container. Returns once it is gone, or after a start that failed once that was tried:
        JupyterHub tells of it only then. Before, the database has to take it."""
        self._changes += 1
        self._remove(gently=not now and not self._has_failed)
        if self._has_failed:
            await REMOVALS.tried(self._own_name)
        else:
            await self.removed()
        await self._written()
        self.clear_state()

    async def _written(self) -> None:
        """Return once the database takes what becomes of the server."""
        if is_writable(self.db, self.orm_spawner):
            return
        self.log.error(
            "The database does not accept the new state of %s, which waits for that", self.object_name
        )
        while not is_writable(self.db, self.orm_spawner):
            await asyncio.sleep(ALIVE_S)

    async def removed(self) -> None:
        """Return once nothing is being removed."""
        await REMOVALS.done(self._own_name)

    def give_up_check(self) -> None:
        """Have the container removed that JupyterHub waits for after its restart; it then gives up soon, and stops the
        server."""
        self.http_timeout = 1
        self._remove(gently=True)

    def _remove(self, *, gently: bool = False) -> None:
        """Have the container removed, if that is not under way, without waiting for it."""
        name = self.object_name
        requests = (wire.Stop(name), wire.Remove(name)) if gently else (wire.Remove(name),)
        REMOVALS.begin(self._own_name, self.agent, requests, self.log, after=self._asked)
        self.object_id = ""
