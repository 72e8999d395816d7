"""From the agent's files to JupyterHub's configuration."""

from __future__ import annotations

import math
import os
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from jupyterhub.auth import Authenticator
from sqlalchemy.engine import make_url
from traitlets import import_item
from traitlets.config import Config

from hubagent.hub import account_reports, usernames
from hubagent.hub.accountable import accountable
from hubagent.hub.authenticator import HubagentAuthenticator
from hubagent.hub.database import database_url, limits
from hubagent.hub.idle import idle_notice
from hubagent.hub.reading import SettingsError
from hubagent.hub.spawner import HubagentSpawner
from hubagent.hub.traits import merge_traits
from hubagent.hub_documents import HubSecrets, HubSettings, Signup
from hubagent.layout import Layout
from hubagent.log_priority import STREAM

TEMPLATES: Final = Path(__file__).parent / "templates"

AGENT: Final = "hubagent"
"""The agent's service in the hub, and its role."""

AGENT_SCOPES: Final = (
    "read:metrics",
    "proxy",
    "read:hub",
    "list:users",
    "read:users:activity",
    "read:servers",
)
CULLER_SCOPES: Final = ("list:users", "read:users:activity", "read:servers", "delete:servers")

SPAWN_BUCKETS: Final = "0.05,0.1,0.2,0.3,0.5,0.75,1,2.5,5,10,30,60,120,300,inf"
"""Value for JUPYTERHUB_SERVER_SPAWN_DURATION_SECONDS_BUCKETS. JupyterHub reads it when it is imported,
before any configuration file, so it has to be in the unit's environment."""


ACTIVITY_S: Final = 300
"""How often a server tells when it was last active: JupyterHub's own interval. More often where servers are stopped
after less: a cell that computes must be heard of in time."""


def build_config(
    settings: HubSettings, secrets: HubSecrets, state: Path, *, tolerant: bool = False
) -> tuple[Config, tuple[str, ...]]:
    """The whole of JupyterHub's configuration, and what of `hub.traits` was left out: nothing unless `tolerant`, see
    `merge_traits`. Raises SettingsError."""
    authenticator = authenticator_class(settings.authenticator)
    config = Config()
    _hub(config, settings, state)
    _database(config, settings, secrets, state)
    _proxy(config, settings, secrets)
    _services(config, settings, secrets)
    _spawner(config, settings)
    _authenticator(config, settings, authenticator)
    left_out = merge_traits(
        config,
        settings.traits,
        secrets.traits,
        classes=(authenticator, HubagentSpawner),
        tolerant=tolerant,
    )
    _limit_connections(config)
    return config, left_out


def authenticator_class(name: str) -> type[Authenticator]:
    """The class for `hub.authenticator`: `native`, an installed entry point, or `module.Class`."""
    if name == "native":
        return HubagentAuthenticator
    installed = {point.name: point for point in entry_points(group="jupyterhub.authenticators")}
    try:
        if name in installed:
            cls = installed[name].load()
        elif "." in name:
            cls = import_item(name)
        else:
            raise SettingsError(
                f"hub.authenticator: {name!r} is not installed; there are {', '.join(sorted(installed))}; "
                "the class of another package is written as package.Class"
            )
    except ImportError as error:
        raise SettingsError(f"hub.authenticator: {name!r} cannot be imported: {error}") from error
    if not isinstance(cls, type) or not issubclass(cls, Authenticator):
        raise SettingsError(f"hub.authenticator: {name!r} is not a JupyterHub authenticator")
    return cls


def _hub(config: Config, settings: HubSettings, state: Path) -> None:
    hub = config.JupyterHub
    hub.bind_url = settings.proxy_url
    hub.hub_bind_url = settings.hub_bind_url
    hub.cookie_secret_file = str(state / "cookie_secret")
    hub.cleanup_servers = False
    hub.concurrent_spawn_limit = 64
    hub.init_spawners_timeout = 1  # seconds; logins need not wait for servers that are too busy to answer
    # The proxy reaches the hub from the hub's own address, nginx reaches the proxy from loopback.
    hub.trusted_downstream_ips = ["127.0.0.1", "::1", str(urlsplit(settings.hub_bind_url).hostname)]
    hub.template_paths = [str(TEMPLATES)]
    hub.template_vars = {"idle_notice": idle_notice(settings.stop_idle_after_s, settings.keep_busy_s)}


def _database(config: Config, settings: HubSettings, secrets: HubSecrets, state: Path) -> None:
    config.JupyterHub.db_url = database_url(settings.database, secrets.database_password, state)
    config.JupyterHub.db_kwargs = {"hide_parameters": True}  # what was to be written when the database failed


def _limit_connections(config: Config) -> None:
    """Beside what `hub.traits` connects with, which comes first."""
    bounds, hub = limits(make_url(config.JupyterHub.db_url)), config.JupyterHub
    if bounds:  # of SQLite's arguments JupyterHub knows more
        hub.db_kwargs = {**hub.db_kwargs, "connect_args": {**bounds, **hub.db_kwargs.get("connect_args", {})}}


def _proxy(config: Config, settings: HubSettings, secrets: HubSecrets) -> None:
    proxy = config.ConfigurableHTTPProxy
    proxy.should_start = False
    proxy.api_url = settings.proxy_api_url
    proxy.auth_token = secrets.proxy_token


def _services(config: Config, settings: HubSettings, secrets: HubSecrets) -> None:
    # Who is at work: what the culler hears is older than the truth by at most this, a twentieth of what it waits for,
    # and a notebook left open says something every 30 seconds. Lost routes the agent notices, at its every check.
    timeout = max(1, math.ceil(settings.stop_idle_after_s))
    config.JupyterHub.last_activity_interval = (
        max(1, min(timeout // 20, 60)) if settings.stop_idle_after_s else 60
    )
    services: list[dict[str, object]] = [{"name": AGENT, "api_token": secrets.agent_token}]
    roles: list[dict[str, object]] = [
        # A named list of users: whoever is taken off the list is no admin any more.
        {"name": "admin", "users": list(settings.admins)},
        {"name": AGENT, "services": [AGENT], "scopes": list(AGENT_SCOPES)},
    ]
    if settings.stop_idle_after_s > 0:
        look_every = max(1, min(timeout // 2, 60))
        command = [sys.executable, "-m", "hubagent.hub.culler"]
        command += [f"--timeout={timeout}", f"--cull-every={look_every}"]
        # It logs where the hub logs, see hubagent.log_priority.
        environment = {STREAM: os.environ[STREAM]} if STREAM in os.environ else {}
        services.append({"name": "idle-culler", "command": command, "environment": environment})
        roles.append({"name": "idle-culler", "services": ["idle-culler"], "scopes": list(CULLER_SCOPES)})
    config.JupyterHub.services = services
    config.JupyterHub.load_roles = roles


def _spawner(config: Config, settings: HubSettings) -> None:
    config.JupyterHub.spawner_class = HubagentSpawner
    config.HubagentSpawner.servers_file = str(settings.servers_file)
    config.HubagentSpawner.agent_socket = str(Layout().spawn_socket)
    config.HubagentSpawner.keep_busy_s = settings.keep_busy_s
    timeout = math.ceil(settings.stop_idle_after_s)
    config.HubagentSpawner.activity_interval_s = (
        max(1, min(timeout // 3, ACTIVITY_S)) if timeout else ACTIVITY_S
    )


def _authenticator(config: Config, settings: HubSettings, cls: type[Authenticator]) -> None:
    """Who may come in.

    Native accounts: whoever has an approved one. Any other authenticator knows nothing of approval, so
    with `signup: open` everybody whom it authenticates may come in, and otherwise the admins and those
    users that an admin added on the hub's admin page (or by traits such as `allowed_users`).
    """
    config.JupyterHub.authenticator_class = accountable(cls)
    config.Authenticator.post_auth_hook = account_reports.announce
    if issubclass(cls, HubagentAuthenticator):
        for name in settings.admins:
            problem = usernames.problem(usernames.normalise(name))
            if problem is not None:
                raise SettingsError(f"hub.admins: {name!r}: {problem}")
        config.HubagentAuthenticator.admins = set(settings.admins)
        native = config.NativeAuthenticator
        native.enable_signup = settings.signup is not Signup.CLOSED
        native.open_signup = settings.signup is Signup.OPEN
        native.ask_email_on_signup = settings.ask_email
        native.minimum_password_length = settings.passwords.min_length
        native.check_common_password = settings.passwords.check_common
        native.allowed_failed_logins = settings.passwords.max_failed_logins
        native.seconds_before_next_try = math.ceil(settings.passwords.lockout_s)
        config.HubagentAuthenticator.one_time_dir = str(settings.one_time_dir)
        return
    # Some authenticators refuse users whom they do not know, but not these, and only log it.
    config.Authenticator.admin_users = set(settings.admins)
    config.Authenticator.allow_all = settings.signup is Signup.OPEN
    config.Authenticator.allow_existing_users = settings.signup is not Signup.OPEN
    # Servers are containers: a PAM session on the host would do nothing for them, and needs root.
    config.PAMAuthenticator.open_sessions = False
