"""What `hub.traits` may not set, by the class that has it and with what to do instead; and what only adds to ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

_FIXED: Final = "hubagent sets it, so that servers, routes and logins survive restarts"
_DOCKER: Final = "the agent talks to Docker, not the hub"
_ONE_MACHINE: Final = "hub, proxy and servers share one machine, and nginx has the certificate; use tls"
_SIGN_IN: Final = "the sign-in pages of hubagent do not offer it"
_LOG: Final = "the hub's log is in the journal: journalctl -u jupyterhub"
_COMMAND: Final = "it is a switch of the command line; the hub would do that and end"
_NO_USERS: Final = "the hub does not run as root and creates no users on this machine; servers are containers"
_OLD: Final = "JupyterHub has given it up; use JupyterHub.services, with api_token_file for the token"
_RESERVATION: Final = "use DockerSpawner.extra_host_config: {mem_reservation: 1G}"
_OTHER_SPAWNER: Final = (
    "hubagent starts servers by a spawner of its own; write it under DockerSpawner or Spawner"
)


def _each(names: str, advice: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), advice)


RESERVED: Final[Mapping[str, Mapping[str, str]]] = {
    "Application": _each("show_config show_config_json", _COMMAND),
    "JupyterHub": {
        "admin_users": "use hub.admins",
        "authenticator_class": "use hub.authenticator",
        "base_url": "hubagent serves the hub at the root of its name",
        "data_files_path": "hubagent serves the hub's own files; use JupyterHub.template_paths for pages",
        "db_url": "use hub.database",
        "reset_db": "it would delete every account",
        "subdomain_host": "nginx answers for `host` alone, so nobody could reach their server",
        "subdomain_hook": "nginx answers for `host` alone, so nobody could reach their server",
        **_each("ssl_cert ssl_key", "nginx has the certificate; use tls"),
        **_each("api_tokens service_tokens", _OLD),
        **_each("answer_yes config_file generate_certs generate_config", _COMMAND),
        **_each(
            "internal_ssl internal_certs_location recreate_internal_certs trusted_alt_names"
            " external_ssl_authorities",
            _ONE_MACHINE,
        ),
        **_each("extra_log_file pid_file", _LOG),
        **_each(
            "bind_url cleanup_proxy cleanup_servers cookie_secret cookie_secret_file hub_bind_url"
            " hub_connect_ip hub_connect_port hub_connect_url hub_ip hub_port hub_routespec"
            " hub_socket_mode ip port proxy_class spawner_class trusted_downstream_ips upgrade_db"
            " proxy_api_ip proxy_api_port proxy_auth_token proxy_cmd debug_proxy",
            _FIXED,
        ),
    },
    "Authenticator": {"admin_users": "use hub.admins", "allow_all": "use hub.signup"},
    "OAuthenticator": {"allow_all": "use hub.signup"},
    "LocalAuthenticator": _each("add_user_cmd create_system_users uids", _NO_USERS),
    "PAMAuthenticator": {"open_sessions": _NO_USERS},
    "HubagentAuthenticator": {"admins": "use hub.admins", "one_time_dir": _FIXED},
    "NativeAuthenticator": {
        "allowed_failed_logins": "use hub.passwords.max_failed_logins",
        "ask_email_on_signup": "use hub.ask_email",
        "check_common_password": "use hub.passwords.check_common",
        "enable_signup": "use hub.signup",
        "minimum_password_length": "use hub.passwords.min_length",
        "open_signup": "use hub.signup",
        "seconds_before_next_try": "use hub.passwords.lockout",
        **_each(
            "allow_2fa allow_self_approval_for delete_firstuse_db_after_import firstuse_db_path"
            " import_from_firstuse recaptcha_key recaptcha_secret secret_key self_approval_email"
            " self_approval_server tos",
            _SIGN_IN,
        ),
    },
    "Spawner": {
        "cpu_guarantee": "containers share the processors; use servers.NAME.cpus for what one may take",
        "cpu_limit": "use servers.NAME.cpus",
        "default_url": "use hub.landing",
        "mem_guarantee": _RESERVATION,
        "mem_limit": "use servers.NAME.memory",
        "notebook_dir": "use servers.NAME.home",
        "options_form": "use servers: several entries show as a choice",
        **_each("ssl_alt_names ssl_alt_names_include_local", _ONE_MACHINE),
        **_each("apply_user_options hub_connect_url ip options_from_form", _FIXED),
    },
    "DockerSpawner": {
        **_each("allowed_images container_image image image_whitelist", "use servers.NAME.image"),
        **_each("mounts read_only_volumes", "use servers.NAME.mounts"),
        "cpu_limit": "use servers.NAME.cpus",
        "mem_limit": "use servers.NAME.memory",
        "volumes": "use servers.NAME.volume and servers.NAME.mounts",
        **_each(
            "client_kwargs pull_policy tls tls_assert_hostname tls_ca tls_cert tls_config tls_key"
            " tls_verify use_docker_client_env",
            _DOCKER,
        ),
        **_each(
            "certs_volume_name container_ip container_name_template container_port container_prefix escape"
            " format_volume_name host_ip hub_ip_connect links move_certs_image name_template network_name"
            " post_start_cmd prefix remove remove_containers use_internal_hostname use_internal_ip",
            _FIXED,
        ),
    },
    "HubagentSpawner": {
        "activity_interval_s": "it follows from hub.stop_idle_after",
        "keep_busy_s": "use hub.keep_busy",
    },
    "Choosing": {"servers_file": _FIXED},
}
"""By the class that defines the trait; the classes that inherit it have it from there."""

OWN_CLASSES: Final[Mapping[str, str]] = {
    **_each("ConfigurableHTTPProxy Proxy", "hubagent sets up the proxy; remove it"),
    **_each("LocalProcessSpawner SimpleLocalProcessSpawner SwarmSpawner SystemUserSpawner", _OTHER_SPAWNER),
}
"""Of which nothing may be set under their own names."""

CODE: Final[Mapping[str, str]] = {
    "auth_state_hook": "an authenticator of your own can do it: hub.authenticator: package.Class",
    "extra_handlers": "pages of your own can be a service: JupyterHub.services with url",
    "extra_log_handlers": _LOG,
    "post_stop_hook": "a service can watch servers end: JupyterHub.services and JupyterHub.load_roles",
    "pre_spawn_hook": "what servers need is in servers.NAME: mounts, environment, build",
    "progress_ready_hook": "remove it",
    "user_redirect_hook": "use hub.landing for the page that users see first",
}
CODE_ELSE: Final = "an authenticator of your own can do it: hub.authenticator: package.Class"
"""What to do instead of a trait that takes nothing but Python code."""

ADDED: Final = frozenset({"db_kwargs", "load_roles", "services", "template_paths", "template_vars"})
"""Traits of JupyterHub to which `hub.traits` adds: in place of ours they would cut off the agent, for one."""

OWN_NAMES: Final[Mapping[str, Mapping[str, str]]] = {
    "load_roles": {
        "admin": "use hub.admins",
        **_each("hubagent idle-culler", "the name is hubagent's own; take another"),
    },
    "services": _each("hubagent idle-culler", "the name is hubagent's own; take another"),
}
"""Names of entries that are ours."""

AGENTS: Final = frozenset({"extra_create_kwargs", "extra_host_config"})
"""Traits that the agent goes by, for every server alike."""


def reserved(names: Iterable[str], trait: str) -> str | None:
    """What to do instead of this trait of a class; `names` are the class and what it inherits from."""
    return next((advice for name in names if (advice := RESERVED.get(name, {}).get(trait))), None)
