"""The disruption ladder: what users notice of an edit, of a step and of a plan, in one order and in the same words."""

from __future__ import annotations

import enum


class Level(enum.IntEnum):
    """Mildest first. Each has a name, and what users notice, for a sentence."""

    NOTHING = 0, "nothing", "nobody notices anything"
    NEXT_SPAWN = 1, "next start", "servers started from now on have it; running ones keep what they have"
    NGINX_RELOAD = 2, "nginx reload", "nobody is interrupted; open websockets stay"
    HUB_RESTART = 3, "hub restart", "logins and starts pause for seconds; notebooks and their websockets stay"
    PROXY_RESTART = 4, "proxy restart", "every websocket drops for a moment and comes back"
    NGINX_RESTART = 5, "nginx restart", "every connection drops, and the site is away for seconds"

    title: str
    notice: str

    def __new__(cls, value: int, title: str, notice: str) -> Level:
        level = int.__new__(cls, value)
        level._value_ = value
        level.title, level.notice = title, notice
        return level

    @property
    def drops_websockets(self) -> bool:
        """Then it waits for permission, or for the maintenance window."""
        return self >= Level.PROXY_RESTART
