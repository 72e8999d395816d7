"""What happens when JupyterHub reads its configuration file."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from traitlets.config import Config

from hubagent import request_log
from hubagent.hub import agent_handlers, log_lines, moving, quiet
from hubagent.hub.configuration import AGENT, build_config
from hubagent.hub.database import forget_probe, forget_tokens, prepare_sqlite
from hubagent.hub.first_page import FirstPage
from hubagent.hub.reading import SettingsError, read_bytes
from hubagent.hub.schema import bring_up_to_date
from hubagent.hub.settings import Places, load_secrets, parse_hub


def load(config: Config) -> None:
    """Fill `config` from the agent's files and say so in the `loaded` marker; what a person should know
    besides goes into `notice`, line by line.

    Ends the process with one line on standard error when the files cannot be used: JupyterHub without
    its configuration would start with an empty database and everybody locked out.
    """
    request_log.install()
    quiet.install()
    try:
        places = Places.from_environment()
        hub_json = read_bytes(places.hub_json)
        settings = parse_hub(hub_json, places.hub_json)
        secrets = load_secrets(places.secrets_json)
        built, left_out = build_config(settings, secrets, places.state, tolerant=True)
        config.merge(built)
        config.JupyterHub.template_vars["first_page"] = FirstPage(places.first_pages, settings.servers_file)
        notices = [f"{reason}; it is left out" for reason in left_out]
        notices.append(moving.bring_over(settings, secrets, places.state))
        bring_up_to_date(config.JupyterHub.db_url)
        moving.settle(settings, secrets, places.state)
        forget_tokens(config.JupyterHub.db_url, AGENT, but=secrets.agent_token)
        forget_probe(config.JupyterHub.db_url)
    except SettingsError as error:
        sys.exit(log_lines.last_words(f"jupyterhub: {error}"))
    agent_handlers.install(secrets.agent_token, config.JupyterHub.db_url)
    if settings.database == "sqlite":
        prepare_sqlite()
    if places.runtime is not None:
        _write(places.runtime / "notice", "".join(f"{notice}\n" for notice in notices if notice))
        _write(places.runtime / "loaded", f"{hashlib.sha256(hub_json).hexdigest()}\n{_release()}")


def _release() -> str:
    """Which build of this environment runs; empty in one that no package made."""
    try:
        return Path(sys.prefix, "release").read_text("ascii")
    except (OSError, ValueError):
        return ""


def _write(path: Path, content: str) -> None:
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(content)
    temporary.replace(path)
