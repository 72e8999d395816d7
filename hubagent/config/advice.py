"""What is valid and acted on, but seldom enough on its own; said by `hubagent check`. Pure."""

from __future__ import annotations

from hubagent.config.model import Config
from hubagent.config.notices import Notice

_PAM = (
    "the hub is no root, so PAM checks accounts of sssd or another service for it, but no passwords in"
    " /etc/shadow: users of this machine itself cannot log in. For those use accounts of the hub"
    " (authenticator: native)"
)


def advice(config: Config) -> tuple[Notice, ...]:
    """In the order of the file's keys."""
    return (Notice("hub.authenticator", _PAM),) if config.hub.authenticator == "pam" else ()
