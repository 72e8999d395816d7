"""Servers as containers: DockerSpawner for the entries of servers.json."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar, Final

from dockerspawner import DockerSpawner
from jupyterhub.spawner import SpawnException
from jupyterhub.utils import url_path_join
from traitlets import Any as AnyTrait
from traitlets import Bool, Dict, Integer, Unicode, default

from hubagent.hub import naming
from hubagent.hub.choice import choice_form
from hubagent.hub.containers import Container, Image, create_arguments
from hubagent.hub.docker_faults import DOCKER_ERRORS, explain, failure
from hubagent.hub.engine import Engine, address
from hubagent.hub.readiness import answers, wait_for_answer
from hubagent.hub.reading import SettingsError
from hubagent.hub.servers import ServerDefinition, Servers, load_servers

ALIVE_S: Final = 1.0
"""How often a container that does not answer yet is looked at (seconds)."""

BUSY_S: Final = 3600.0
"""How long a server that runs at a hub restart may be too busy to answer (seconds)."""

LOG_LINES: Final = 20
"""How much of a container's output the hub's log keeps when the container ends while it starts."""


class HubagentSpawner(DockerSpawner):  # type: ignore[misc]  # dockerspawner is untyped
    """Reads servers.json at every start and for every form, so no edit of `servers` restarts the hub.

    Everything asked of Docker goes through `docker()`. The choice is `{"server": name}` in the user
    options, whether it comes from the form, the query string or the API.
    """

    servers_file = Unicode("/var/lib/hubagent/current/hub/servers.json", config=True)

    # Defaults of DockerSpawner and JupyterHub, changed here rather than by configuration, so that
    # hub.traits can set them under the name of any of these classes.
    start_timeout = Integer(120, config=True)
    http_timeout = Integer(60, config=True)
    poll_interval = Integer(30, config=True)
    consecutive_failure_limit = Integer(5, config=True)
    disable_user_config = Bool(True, config=True)
    client_kwargs = Dict({"max_pool_size": 16}, config=True)
    remove = Bool(True)
    apply_user_options = AnyTrait(lambda spawner, options: None)  # `start` reads them

    _escape = staticmethod(naming.escape)

    # DockerSpawner has one thread for every call of every user: one slow answer holds up everybody.
    _executor: ClassVar[ThreadPoolExecutor] = ThreadPoolExecutor(16, thread_name_prefix="docker")

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.engine = Engine(self.docker, self.log)

    @default("object_name")
    def _object_name_default(self) -> str:
        return naming.container_name(self.user.name, self.name)

    # What can be started

    @default("options_form")
    def _default_options_form(self) -> Callable[[HubagentSpawner], str]:
        return HubagentSpawner.form

    def form(self) -> str:
        """The choice among several servers. Nothing when there is only one: that starts at once."""
        servers = self._servers()
        return choice_form(servers, self._remembered(servers)) if len(servers.definitions) > 1 else ""

    def options_from_form(self, form: Mapping[str, list[str]]) -> dict[str, str]:
        """From the form or the query string. Raises SpawnException for a server that does not exist."""
        chosen = form.get("server", [])
        return {"server": self._named(self._servers(), chosen[0]).name} if chosen else {}

    def _servers(self) -> Servers:
        try:
            return load_servers(Path(self.servers_file))
        except SettingsError as error:
            self.log.error("%s", error)
            raise failure(
                "The list of servers cannot be read; the hub's log says why.", reason="servers"
            ) from None

    def _named(self, servers: Servers, name: object) -> ServerDefinition:
        definition = servers.definitions.get(name) if isinstance(name, str) else None
        if definition is None:
            available = ", ".join(sorted(servers.definitions))
            message = f"There is no server {str(name)[:100]!r} here; available: {available}."
            raise failure(message, reason="unknown_server", status=400)
        return definition

    def _remembered(self, servers: Servers) -> str:
        """The user's last choice, as far as it still exists."""
        last = (self.orm_spawner.user_options or {}).get("server")
        return last if isinstance(last, str) and last in servers.definitions else servers.default

    def _chosen(self, servers: Servers) -> ServerDefinition:
        """What to start now. JupyterHub repeats the last options when none are given; a name among
        those that is gone since is no reason to fail, while one that was asked for now is."""
        name = self.user_options.get("server")
        known = isinstance(name, str) and name in servers.definitions
        if name is None or (not known and not self._asked_by_api()):
            return servers.definitions[servers.default]
        return self._named(servers, name)

    def _asked_by_api(self) -> bool:
        body = getattr(self.handler, "get_json_body", None)
        return body is not None and bool(body())

    # Starting

    async def start(self) -> str:
        """Create and start the container, and return its URL once the server answers there."""
        servers = self._servers()
        definition = self._chosen(servers)
        self._adopt(definition, servers.network)
        container = Container(self.object_name, self.user.name, definition, servers.network, self.port)
        try:
            image = await self.engine.image(definition.image)
            await self._remove_leftover()
            arguments = self._arguments(container, image)
            self.object_id = await self.engine.create(container, image, arguments)
            await self.engine.start(self.object_id)
            return await self._wait_until_up(container)
        except BaseException as error:
            if self.object_id:
                await self.engine.remove_quietly(self.object_id)
                self.object_id = ""
            if isinstance(error, DOCKER_ERRORS):
                self.log.error("Cannot start %s: %s", container.name, error)
                raise explain(error, definition.image) from error
            raise

    def _adopt(self, definition: ServerDefinition, network: str) -> None:
        """Set the traits that JupyterHub makes the server's environment from."""
        self.image = definition.image
        self.mem_limit = definition.memory_bytes
        self.cpu_limit = definition.cpus
        self.network_name = network
        self.notebook_dir = definition.home.replace("{", "{{").replace("}", "}}")  # a format string there

    def _arguments(self, container: Container, image: Image) -> dict[str, Any]:
        try:
            return create_arguments(
                container,
                image,
                command=[*(self.cmd or image.command or ("jupyterhub-singleuser",)), *self.get_args()],
                # What the hub tells the server goes over what servers.*.environment says.
                environment={**container.definition.environment, **self.get_env()},
                extra=self.extra_create_kwargs,
                extra_host=self.extra_host_config,
            )
        except (TypeError, ValueError) as error:
            self.log.error("hub.traits.DockerSpawner: %s", error)
            raise failure(
                "The hub's settings for containers are wrong; its log says how.", reason="traits"
            ) from error

    async def _remove_leftover(self) -> None:
        """A container of this name is from a start that was broken off, or ended behind the hub's back."""
        if await self.engine.inspect(self.object_name) is not None:
            self.log.warning("Removing a leftover container %s", self.object_name)
            await self.engine.remove(self.object_name)

    async def _wait_until_up(self, container: Container) -> str:
        """The server's URL, once it answers. Raises SpawnException when it ends before."""
        url = ""
        answer: asyncio.Future[None] | None = None
        try:
            while answer is None or not (await asyncio.wait([answer], timeout=ALIVE_S))[0]:
                inspection = await self.engine.inspect(self.object_id)
                if inspection is None or not inspection["State"]["Running"]:
                    raise await self._ended_early(inspection, container)
                if answer is None:
                    url = self._url(address(inspection))
                    answer = asyncio.ensure_future(wait_for_answer(url_path_join(url, "api")))
        finally:
            if answer is not None:
                answer.cancel()
        return url

    async def _ended_early(
        self, inspection: Mapping[str, Any] | None, container: Container
    ) -> SpawnException:
        if inspection is None:
            return failure("The server was removed while it started.", reason="exited")
        state = inspection["State"]
        output = await self.engine.output(self.object_id, lines=LOG_LINES)
        self.log.error("%s ended with %s before it answered:\n%s", container.name, state["ExitCode"], output)
        if state.get("OOMKilled"):
            return failure("The server ran out of memory while it started.", reason="memory")
        return failure(
            f"The server ended while it started (exit status {state['ExitCode']}); the hub's log says more.",
            reason="exited",
        )

    # Running and stopping

    async def poll(self) -> int | str | None:
        """None while the container runs, and as long as Docker cannot be asked: JupyterHub takes any
        other answer, and any error, as the end of the server, and would cut it off."""
        try:
            inspection = await self.engine.inspect(self.object_name)
            if inspection is None:
                self.object_id = ""
                return 0
            state = inspection["State"]
            self.object_id = inspection["Id"]
            if state["Running"]:
                return None
            memory = ", out of memory" if state.get("OOMKilled") else ""
            self.log.warning("%s has ended: exit status %s%s", self.object_name, state["ExitCode"], memory)
            await self.engine.remove(self.object_name)
        except DOCKER_ERRORS as error:
            self.log.warning(
                "Cannot ask Docker about %s, which counts as running: %s", self.object_name, error
            )
            return None
        self.object_id = ""
        return f"ExitCode={state['ExitCode']}"

    async def get_url(self) -> str:
        """Asked after a hub restart, for servers that `poll` found running.

        JupyterHub stops a server next that does not answer for a minute. One whose processors are busy
        computing is waited for here, as long as its container runs.
        """
        url = await self._url_by_docker() or str(self.server.url)
        deadline = asyncio.get_running_loop().time() + BUSY_S
        while not await answers(url_path_join(url, "api")):
            if asyncio.get_running_loop().time() > deadline or await self.poll() is not None:
                break
            await asyncio.sleep(ALIVE_S)
        return url

    async def _url_by_docker(self) -> str | None:
        """The database does not know the address of a server whose start the hub's end broke off."""
        try:
            inspection = await self.engine.inspect(self.object_name)
        except DOCKER_ERRORS:
            return None
        host = address(inspection) if inspection is not None else ""
        return self._url(host) if host else None

    def _url(self, host: str) -> str:
        return f"http://{host}:{self.port}{self.server.base_url}"

    async def stop(self, now: bool = False) -> None:  # noqa: FBT001, FBT002 - JupyterHub's signature
        """Stop and remove the container."""
        if not now:
            await self.engine.stop(self.object_name)
        await self.engine.remove(self.object_name)
        self.object_id = ""
        self.clear_state()
