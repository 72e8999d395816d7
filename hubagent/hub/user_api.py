"""Users made, renamed and deleted by the hub's API, which its admin page uses too: by the rules of signing up.

JupyterHub 6.1 takes the name of a new user from the URL as it stands, and one who is renamed to the name that they
have loses it altogether. It renames neither the account that its owner signs in with nor a server that runs, and
has later servers at the old name's URL until it is restarted. Of a user who is deleted it stops the default server
alone, and that only if it is ready.
"""

from __future__ import annotations

import json

from jupyterhub.apihandlers.users import UserAPIHandler
from jupyterhub.scopes import needs_scope
from jupyterhub.user import User
from tornado import web

from hubagent.hub.interruption import Interrupting


class UserAPI(UserAPIHandler, Interrupting):  # type: ignore[misc]  # jupyterhub is untyped here
    """`/api/users/NAME`: making and renaming refuse with 400 or 409 and a sentence that says why; deleting stops all
    servers first, those that are being started, too."""

    @needs_scope("admin:users")  # type: ignore[untyped-decorator]
    async def post(self, user_name: str) -> None:
        name = self.authenticator.normalize_username(user_name)
        problem = self.authenticator.name_problem(name)
        if problem is not None:
            raise web.HTTPError(400, problem)
        await super().post(name)

    @needs_scope("admin:users")  # type: ignore[untyped-decorator]
    async def patch(self, user_name: str) -> None:
        data = self.get_json_body()
        user = self.find_user(user_name)
        if user is None or not isinstance(data, dict) or not isinstance(data.get("name"), str):
            await super().patch(user_name)
            return
        new = self.authenticator.normalize_username(data["name"])
        if new == user.name:  # nothing to rename; JupyterHub would take the name away
            del data["name"]
            self.request.body = json.dumps(data).encode()
            await super().patch(user_name)
            return
        self._refuse(user.name, new, has_server=user.active)
        await self.authenticator.reporter.know(user)  # a home that is found by the old name is theirs
        self.authenticator.rename(user_name, new)
        try:
            await super().patch(user_name)
        except BaseException:
            self.authenticator.rename(new, user_name)
            raise
        self.users.pop(user.id, None)  # made anew when it is asked for: this one has the old name in its URLs
        await self.authenticator.reporter.know(user)

    @needs_scope("delete:users")  # type: ignore[untyped-decorator]
    async def delete(self, user_name: str) -> None:
        user = self.find_user(user_name)
        if user is not None and user.name != self.current_user.name:
            await self._stop_all(user)
        await super().delete(user_name)

    async def _stop_all(self, user: User) -> None:
        for name in list(user.spawners):
            if not await self.interrupt(user, name) and user.spawners[name].ready:
                await self.stop_single_user(user, name)
        if any(spawner.active for spawner in user.spawners.values()):
            raise web.HTTPError(400, f"{user.name}'s server is in the process of stopping, please wait.")

    def _refuse(self, name: str, new: str, *, has_server: bool) -> None:
        problem = self.authenticator.name_problem(new)
        if problem is not None:
            raise web.HTTPError(400, problem)
        if self.find_user(new) is not None:
            raise web.HTTPError(409, f"There is a user {new} already.")
        problem = self.authenticator.rename_problem(name, new)
        if problem is None and has_server:
            problem = f"A server of {name} runs: it has the old name. Stop it first."
        if problem is not None:
            raise web.HTTPError(409, problem)
