"""The part of the spawner that knows what users can start: forms, queries and requests to the API."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from dockerspawner import DockerSpawner
from traitlets import Unicode, default

from hubagent.hub.choice import OPTION, choice_form, of_body, of_form
from hubagent.hub.reading import SettingsError
from hubagent.hub.servers import load_servers
from hubagent.hub.start_errors import failure
from hubagent.hub_documents import Servers


class Choosing(DockerSpawner):  # type: ignore[misc]  # dockerspawner is untyped
    """Reads servers.json at every start and for every form, so no edit of `servers` restarts the hub.

    The choice is `{"server": name}` in the user options, whether it comes from the form, the query string or the API.
    """

    servers_file = Unicode("/var/lib/hubagent/current/hub/servers.json", config=True)

    @default("options_form")
    def _default_options_form(self) -> Callable[[Choosing], str]:
        return Choosing.form

    def form(self) -> str:
        return choice_form(self._servers(), (self.orm_spawner.user_options or {}).get(OPTION))

    def options_from_form(self, form: Mapping[str, list[object]]) -> dict[str, str]:
        """From the form or the query string. Raises SpawnException for what does not exist."""
        return of_form(self._servers(), {name: values for name, values in form.items() if name != "_xsrf"})

    def check_body(self, body: Mapping[str, object]) -> None:
        """The body of a request to JupyterHub's API. Raises SpawnException for what does not exist."""
        of_body(self._servers(), body)

    def _servers(self) -> Servers:
        try:
            return load_servers(Path(self.servers_file))
        except SettingsError as error:
            self.log.error("%s", error)
            raise failure(
                "The list of servers cannot be read; the hub's log says why.", reason="servers"
            ) from None

    def _asked_by_api(self) -> bool:
        body = getattr(self.handler, "get_json_body", None)
        return body is not None and bool(body())
