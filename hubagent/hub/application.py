"""The program that runs as the hub: JupyterHub, with what of it cannot be set by configuration."""

from __future__ import annotations

from typing import Any

from jupyterhub.app import JupyterHub

from hubagent.hub import activity, log_lines
from hubagent.hub.database_failure import telling
from hubagent.hub.server_handlers import REPLACED


class HubagentHub(JupyterHub):  # type: ignore[misc]  # jupyterhub is untyped
    """JupyterHub. Its settings have the same names."""

    handlers: list[tuple[Any, ...]]
    _log_formatter_cls = log_lines.LineFormatter

    def init_handlers(self) -> None:
        super().init_handlers()
        self.handlers = [_replaced(*handler) for handler in self.handlers]

    async def update_last_activity(self) -> None:
        """JupyterHub's, every `last_activity_interval`; see `activity`. The routes are asked for again to be checked:
        servers may have come and gone meanwhile."""
        await activity.store(self.db, await self.proxy.get_all_routes(), self.log)
        await self.proxy.check_routes(self.users, self._service_map)


def _replaced(path: str, handler: type, *settings: Any) -> tuple[Any, ...]:
    return (path, telling(REPLACED.get(handler, handler)), *settings)


def main() -> None:
    log_lines.install()
    HubagentHub.launch_instance()


if __name__ == "__main__":
    main()
