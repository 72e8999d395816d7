"""JupyterHub's requests that start and stop servers, where its own answers would leave something behind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from jupyterhub.apihandlers.users import UserServerAPIHandler
from jupyterhub.handlers.pages import SpawnHandler
from jupyterhub.scopes import needs_scope
from jupyterhub.user import User
from tornado import web

from hubagent.hub.interruption import Interrupting

_PARAMETERS: Final = frozenset({"_xsrf", "token"})
"""Of a query or form, JupyterHub's own besides those that it takes out itself."""

_CHANGEABLE: Final = frozenset({"name", "display_name", "user_options"})


class ServerApi(UserServerAPIHandler, Interrupting):  # type: ignore[misc]  # jupyterhub's handlers are untyped
    """users/NAME/server and users/NAME/servers/NAME."""

    def get_json_body(self) -> dict[str, Any] | None:
        """Raises HTTPError (400) for anything but an object or nothing."""
        body = super().get_json_body()
        if body is not None and not isinstance(body, dict):
            raise web.HTTPError(400, "Body must be a JSON object")
        return body

    @needs_scope("start:servers")  # type: ignore[untyped-decorator]
    async def post(self, user_name: str, server_name: str = "") -> None:
        self._check_options(user_name)
        await super().post(user_name, server_name)

    @needs_scope("start:servers")  # type: ignore[untyped-decorator]
    async def put(self, user_name: str, server_name: str = "") -> None:
        self._check_options(user_name)
        await super().put(user_name, server_name)

    @needs_scope("start:servers")  # type: ignore[untyped-decorator]
    async def patch(self, user_name: str, server_name: str = "") -> None:
        body = self.get_json_body() or {}
        for name, value in body.items():
            if name not in _CHANGEABLE:
                raise web.HTTPError(
                    400, f"There is no {name[:100]!r} to change; there are: {', '.join(sorted(_CHANGEABLE))}"
                )
            if name != "user_options" and not isinstance(value, str):
                raise web.HTTPError(400, f"{name} must be a string")
        self._check_options(user_name, {"user_options": body.get("user_options")})
        await super().patch(user_name, server_name)

    @needs_scope("delete:servers")  # type: ignore[untyped-decorator]
    async def delete(self, user_name: str, server_name: str = "") -> None:
        self.get_json_body()
        user = self.find_user(user_name)
        if user is not None and server_name in user.spawners:
            await self.interrupt(user, server_name)
            if user.spawners[server_name].pending == "check":
                self.set_header("Content-Type", "text/plain")
                self.set_status(202)
                return
        await super().delete(user_name, server_name)

    def _check_options(self, user_name: str, body: Mapping[str, object] | None = None) -> None:
        body = self.get_json_body() if body is None else body
        user = self.find_user(user_name)
        if body and user is not None:
            user.spawner.check_body(body)


class SpawnPage(SpawnHandler, Interrupting):  # type: ignore[misc]  # jupyterhub's handlers are untyped
    """/hub/spawn."""

    _asked: Mapping[str, list[str]] = {}
    _begun: tuple[User, str] | None = None  # whose server was asked for, and which

    def _get_user_options(self, query_options: dict[str, list[str]]) -> Mapping[str, list[str]]:
        """JupyterHub takes options with and without a prefix; it drops the latter where there are both."""
        options = {name: values for name, values in query_options.items() if name not in _PARAMETERS}
        asked: dict[str, list[str]] = {}
        for name, values in options.items():
            asked.setdefault(name.removeprefix("opt-"), []).extend(values)
        self._asked = asked
        super()._get_user_options(options)  # it refuses a prefix without a name, and logs what is out of date
        return self._asked

    async def _wrap_spawn_single_user(
        self,
        user: User,
        server_name: str,
        display_name: str,
        spawner: Any,
        pending_url: str,
        options: object = None,
    ) -> Any:
        """Where there is no form, JupyterHub starts the default server after options that were refused."""
        if options is None and self._asked:
            spawner.options_from_query(self._asked)  # refuses them again
        self._begun = user, server_name
        return await super()._wrap_spawn_single_user(
            user, server_name, display_name, spawner, pending_url, options
        )

    def redirect(self, url: str, *arguments: Any, **more: Any) -> None:
        """To the server, if it is there already. JupyterHub sends every start to the page that waits for it, which
        then sends on: one more request for the hub, and one more way there and back for the browser."""
        if self._begun is not None and not self.get_query_arguments("display_name"):
            user, server_name = self._begun
            if user.spawners[server_name].ready:
                url = self.get_next_url(user, default=user.server_url(server_name))
        super().redirect(url, *arguments, **more)


REPLACED: Final[Mapping[type, type]] = {
    UserServerAPIHandler: ServerApi,
    SpawnHandler: SpawnPage,
}
"""Which of JupyterHub's handlers ours stand for."""
