"""The program that runs as the hub: JupyterHub, with what of it cannot be set by configuration."""

from __future__ import annotations

import logging
from typing import Any

from jupyterhub.app import JupyterHub
from sqlalchemy.exc import SQLAlchemyError

from hubagent.hub import activity, ending, log_lines, session
from hubagent.hub.at_login import starting
from hubagent.hub.database import reason_of
from hubagent.hub.database_failure import telling
from hubagent.hub.oauth_clients import oauth_server
from hubagent.hub.server_handlers import REPLACED


class HubagentHub(JupyterHub):  # type: ignore[misc]  # jupyterhub is untyped
    """JupyterHub. Its settings have the same names."""

    handlers: list[tuple[Any, ...]]
    db: Any
    oauth_provider: Any
    _log_formatter_cls = log_lines.LineFormatter

    def init_handlers(self) -> None:
        super().init_handlers()
        self.handlers = [_replaced(*handler) for handler in self.handlers]

    def init_logging(self) -> None:
        """JupyterHub's. A logger takes what any of its handlers may want: traitlets leaves it at DEBUG, and each line
        that nobody reads would be made first."""
        super().init_logging()
        least = min((handler.level for handler in self.log.handlers), default=logging.NOTSET)
        for logger in (self.log, *map(logging.getLogger, ("tornado", "oauthlib"))):
            logger.setLevel(max(least, logging.DEBUG))

    def init_db(self) -> None:
        super().init_db()
        self.db.close()
        self.db = session.new_session(self.session_factory, self.db_url, echo=self.debug_db, **self.db_kwargs)

    def init_oauth(self) -> None:
        super().init_oauth()
        self.oauth_provider = oauth_server(self.oauth_provider, self.oauth_token_expires_in)

    def init_signal(self) -> None:
        super().init_signal()
        ending.install()

    async def cleanup(self) -> None:
        """JupyterHub's, at the end. It would stay where its last commit fails, and never end."""
        try:
            await super().cleanup()
        except SQLAlchemyError as error:
            self.log.error("The database does not take the end of the hub: %s", reason_of(error))

    async def update_last_activity(self) -> None:
        """JupyterHub's, every `last_activity_interval`; see `activity`. The routes are asked for again to be checked:
        servers may have come and gone meanwhile."""
        await activity.store(self.db, await self.proxy.get_all_routes(), self.log)
        await self.proxy.check_routes(self.users, self._service_map)


def _replaced(path: str, handler: type, *settings: Any) -> tuple[Any, ...]:
    return (path, telling(starting(REPLACED.get(handler, handler))), *settings)


def main() -> None:
    log_lines.install()
    HubagentHub.launch_instance()


if __name__ == "__main__":
    main()
