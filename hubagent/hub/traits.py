"""The escape hatch `hub.traits`: any setting of JupyterHub's classes, checked before the hub starts."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Final

from jupyterhub.app import JupyterHub
from traitlets.config import Config, Configurable

from hubagent.hub.reading import SettingsError
from hubagent.hub.settings import Traits

_SERVERS: Final = "it comes from the `servers` entries"
_DOCKER: Final = "the agent talks to Docker, not the hub"
_FIXED: Final = "hubagent sets it, so that servers, routes and logins survive restarts"

RESERVED: Final[Mapping[str, Mapping[str, str]]] = {
    "JupyterHub": {
        "admin_users": "use hub.admins",
        "authenticator_class": "use hub.authenticator",
        "bind_url": _FIXED,
        "cleanup_proxy": _FIXED,
        "cleanup_servers": _FIXED,
        "config_file": _FIXED,
        "cookie_secret_file": _FIXED,
        "db_url": "use hub.database",
        "hub_bind_url": _FIXED,
        "internal_ssl": "the hub and the servers share one machine",
        "proxy_class": _FIXED,
        "reset_db": "it would delete every account",
        "spawner_class": _FIXED,
        "upgrade_db": _FIXED,
    },
    "Authenticator": {"admin_users": "use hub.admins"},
    "ConfigurableHTTPProxy": {"api_url": _FIXED, "auth_token": _FIXED, "should_start": _FIXED},
    "DockerSpawner": {
        **dict.fromkeys(
            ("allowed_images", "image", "mounts", "network_name", "read_only_volumes", "volumes"), _SERVERS
        ),
        **dict.fromkeys(("cpu_limit", "image_whitelist", "mem_limit"), _SERVERS),
        **dict.fromkeys(
            (
                "client_kwargs",
                "tls",
                "tls_assert_hostname",
                "tls_ca",
                "tls_cert",
                "tls_config",
                "tls_key",
                "tls_verify",
                "use_docker_client_env",
            ),
            _DOCKER,
        ),
        **dict.fromkeys(
            (
                "certs_volume_name",
                "container_image",
                "container_ip",
                "container_name_template",
                "container_port",
                "container_prefix",
                "escape",
                "format_volume_name",
                "host_ip",
                "hub_ip_connect",
                "links",
                "move_certs_image",
                "name_template",
                "post_start_cmd",
                "prefix",
                "pull_policy",
                "remove",
                "remove_containers",
                "use_internal_hostname",
                "use_internal_ip",
            ),
            _FIXED,
        ),
    },
    "HubagentAuthenticator": {"admins": "use hub.admins", "one_time_dir": _FIXED},
    "HubagentSpawner": {
        "activity_interval_s": "it follows from hub.stop_idle_after",
        "keep_busy_s": "use hub.keep_busy",
        "servers_file": _FIXED,
    },
    "Spawner": {
        **dict.fromkeys(("notebook_dir", "options_form"), _SERVERS),
        **dict.fromkeys(("apply_user_options", "options_from_form"), _FIXED),
    },
    "NativeAuthenticator": dict.fromkeys(
        (
            "allow_2fa",
            "allow_self_approval_for",
            "import_from_firstuse",
            "recaptcha_key",
            "recaptcha_secret",
            "secret_key",
            "self_approval_email",
            "self_approval_server",
            "tos",
        ),
        "the sign-in pages of hubagent do not offer it",
    ),
}
"""What `hub.traits` may not set, by the class that defines it, with what to do instead."""

EXTENDED: Final = frozenset({"db_kwargs", "load_roles", "services", "template_vars"})
"""Settings of JupyterHub to which `hub.traits` adds: replacing them would cut off the agent, for one."""


def merge_traits(config: Config, *sources: Traits, classes: Iterable[type[Configurable]] = ()) -> None:
    """Put every trait of `sources` into `config`, later sources over earlier ones.

    `classes` are those in use besides the ones that JupyterHub knows itself. Raises SettingsError for
    an unknown class or trait, a value that the trait does not take, and a trait that is reserved.
    """
    known = _known_classes(classes)
    for source in sources:
        for class_name, values in source.items():
            cls = known.get(class_name)
            if cls is None:
                raise SettingsError(f"hub.traits.{class_name}: no such class{_suggest(class_name, known)}")
            for name, value in values.items():
                _check(cls, class_name, name, value)
                section = config[class_name]
                section[name] = _extended(section, class_name, name, value)


def _known_classes(extra: Iterable[type[Configurable]]) -> dict[str, type[Configurable]]:
    known: dict[str, type[Configurable]] = {}
    for root in (*extra, JupyterHub, *JupyterHub().classes):
        for cls in root.__mro__:
            if issubclass(cls, Configurable) and cls is not Configurable:
                known.setdefault(cls.__name__, cls)
    return known


def _check(cls: type[Configurable], class_name: str, name: str, value: object) -> None:
    traits = cls.class_traits(config=True)
    where = f"hub.traits.{class_name}.{name}"
    if name not in traits:
        raise SettingsError(f"{where}: {class_name} has no such setting{_suggest(name, traits)}")
    for ancestor in cls.__mro__:
        advice = RESERVED.get(ancestor.__name__, {}).get(name)
        if advice is not None:
            raise SettingsError(f"{where}: cannot be set here: {advice}")
    # An instance without __init__: validators and observers run, constructors with side effects do not.
    probe = cls.__new__(cls)
    try:
        setattr(probe, name, value)
    except Exception as error:  # these classes are not ours and raise what they like
        # The value may be a secret, and traitlets' messages repeat it.
        raise SettingsError(
            f"{where}: this value is not accepted ({type(error).__name__}): {traits[name].info()} is expected"
        ) from None


def _extended(section: Config, class_name: str, name: str, value: object) -> object:
    present = section.get(name)
    if class_name != "JupyterHub" or name not in EXTENDED:
        return value
    if isinstance(value, list) and isinstance(present, list):
        return [*present, *value]
    if isinstance(value, dict) and isinstance(present, dict):
        return {**present, **value}
    return value


def _suggest(name: str, known: Iterable[str]) -> str:
    matches = difflib.get_close_matches(name, sorted(known), n=1)
    return f"; did you mean {matches[0]}?" if matches else ""
