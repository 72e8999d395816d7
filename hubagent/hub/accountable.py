"""What every authenticator does here beside signing people in: names are checked wherever they come from, and the agent
hears of each account that is made, renamed or deleted, as homes belong to accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from jupyterhub.auth import Authenticator
from tornado import web

from hubagent.hub import account_names
from hubagent.hub.account_reports import Reporter, reporter
from hubagent.hub.user_api import UserAPI

if TYPE_CHECKING:
    from jupyterhub.app import JupyterHub

API: Final[list[tuple[str, type[web.RequestHandler]]]] = [(r"/api/users/([^/]+)", UserAPI)]


class Accountable(Authenticator):  # type: ignore[misc]  # jupyterhub is untyped here
    """Mixed into the class that `hub.authenticator` names."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.reporter: Reporter = reporter(self.config)

    def validate_username(self, username: str) -> bool:
        return account_names.problem(username) is None and bool(super().validate_username(username))

    def name_problem(self, name: str) -> str | None:
        """Why nobody may be called this, as a sentence; None if somebody may. `name` is normalised."""
        problem = account_names.problem(name)
        if problem is None and not self.validate_username(name):
            problem = "This user name is not allowed here."
        return problem

    def rename_problem(self, name: str, new: str) -> str | None:
        """Why this user may not be renamed so, as a sentence; None if they may."""
        return None

    def rename(self, name: str, new: str) -> None:
        """Rename what else goes by the user's name, in the hub's session, whose owner commits it."""

    def add_user(self, user: Any) -> Any:
        """JupyterHub's hook, for every user at its start and for each new one."""
        result = super().add_user(user)
        self.reporter.exists(user)
        return result

    def delete_user(self, user: Any) -> Any:
        """JupyterHub's hook."""
        self.reporter.leaving(user)
        return super().delete_user(user)

    def get_handlers(self, app: JupyterHub) -> list[tuple[str, type[web.RequestHandler]]]:
        return [*API, *super().get_handlers(app)]


def accountable(cls: type[Authenticator]) -> type[Authenticator]:
    """The class, with what every authenticator does here. It keeps its name, by which it is configured."""
    if issubclass(cls, Accountable):
        return cls
    return type(cls.__name__, (Accountable, cls), {"__module__": cls.__module__, "__doc__": cls.__doc__})
