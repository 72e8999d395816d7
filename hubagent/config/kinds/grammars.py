"""The kinds of values that the model uses: each grammar with its name, pattern and example."""

from __future__ import annotations

import re
from typing import Final

from hubagent.config.kinds import places, times, types
from hubagent.config.kinds.scalars import Quantity, Word
from hubagent.config.kinds.types import VARIABLE_PATTERN as VARIABLE_PATTERN
from hubagent.config.kinds.types import parse_variable as parse_variable
from hubagent.config.tree import RefusedError, shown

KERNEL_PATTERN: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
_JULIA_PATTERN: Final = r"[0-9]+\.[0-9]+(?:\.[0-9]+(?:-(?:alpha|beta|rc)[0-9]+)?)?|debian"
_JULIA_PACKAGE_PATTERN: Final = r"[A-Za-z][A-Za-z0-9_]{0,99}(?:@[0-9]+(?:\.[0-9]+){0,2})?"
_APT_PATTERN: Final = r"[a-z0-9][a-z0-9+.-]{1,99}(?:=[A-Za-z0-9.+:~-]{1,99})?"
_PIP_PATTERN: Final = (
    r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?(?:\[[A-Za-z0-9._,-]{1,99}\])?"
    r"(?:(?:==|>=|<=|~=|!=|<|>)[A-Za-z0-9.*+!-]{1,60}(?:,(?:==|>=|<=|~=|!=|<|>)[A-Za-z0-9.*+!-]{1,60}){0,9})?"
)
_PATH_PATTERN: Final = r"/.*"


def _word(label: str, pattern: str, example: str, *, limit: int = 300, numbers: bool = False) -> Word:
    """A kind whose whole grammar is its pattern."""

    def parse(text: str) -> str:
        if len(text) > limit or not re.fullmatch(pattern, text):
            raise RefusedError(f"{shown(text)} is not a {label}; write one such as {example}")
        return text

    return Word(label, parse, pattern, example, numbers=numbers)


def parse_kernel(text: str) -> str:
    if not re.fullmatch(KERNEL_PATTERN, text):
        raise RefusedError(
            f"{shown(text)} is not a kernel; write a name that `jupyter kernelspec list` shows, such as julia"
        )
    return text


def size(minimum: str, maximum: str) -> Quantity:
    """Bytes, from and to; a plain number is bytes."""
    low, high = types.parse_size(minimum), types.parse_size(maximum)
    label = f"size ({minimum} to {maximum})"
    return Quantity(label, types.parse_size, types.format_size, types.SIZE_PATTERN, low, high, plain=True)


def duration(minimum: str, maximum: str, *, zero: bool = False) -> Quantity:
    """Seconds, from and to; `zero` allows 0 too."""
    low, high = types.parse_duration(minimum), types.parse_duration(maximum)
    label = f"duration ({'0, or ' if zero else ''}{minimum} to {maximum})"
    return Quantity(
        label,
        types.parse_duration,
        types.format_duration,
        types.DURATION_PATTERN,
        low,
        high,
        zero=zero,
    )


HOSTNAME: Final = Word("host name", types.parse_hostname, types.HOSTNAME_PATTERN, "hub.example.org")
USERNAME: Final = Word("user name", types.parse_username, None, "admin")
LISTEN: Final = Word("address and port", types.parse_listen_address, None, "127.0.0.1:9811")
EMAIL: Final = Word("e-mail address", types.parse_email, types.EMAIL_PATTERN, "admin@example.org")
BCRYPT: Final = Word("bcrypt hash", types.parse_bcrypt, types.BCRYPT_PATTERN, secret=True)
AUTHENTICATOR: Final = Word("authenticator", types.parse_authenticator, types.AUTHENTICATOR_PATTERN, "native")
TITLE: Final = Word("line of text", types.parse_text, None, "Julia (Jupyter and Pluto)")
VARIABLE_VALUE: Final = Word("text", types.parse_value, None, numbers=True)

OPEN_NETWORK: Final = Word("network", places.parse_network, places.NETWORK_PATTERN, "10.1.2.0/24")

TIME: Final = Word("time of the day", times.parse_time, times.TIME_PATTERN, '"08:45"')
WINDOW: Final = Word("window", times.parse_window, times.WINDOW_PATTERN, '"03:00-05:00"')
DAYS: Final = Word("list of days", times.parse_days, times.DAYS_PATTERN, "mon-fri", times.format_days)

FILE: Final = Word("path", places.parse_path, _PATH_PATTERN, "/etc/ssl/hub/fullchain.pem")
HOST_FOLDER: Final = Word("path", places.parse_host_folder, _PATH_PATTERN, "/srv/coursefiles")
CONTAINER_PATH: Final = Word("path", places.parse_container_path, _PATH_PATTERN, "/home/jovyan/work")
LANDING: Final = Word("path on the server", places.parse_landing, places.LANDING_PATTERN, "/lab")
VOLUME: Final = Word("volume name", places.parse_volume, places.VOLUME_PATTERN, "jupyterhub-user-{username}")
IMAGE: Final = Word("image", places.parse_image, places.IMAGE_PATTERN, "hubagent/julia")
DATABASE: Final = Word("database", places.parse_database, places.DATABASE_PATTERN, "sqlite")
HTTPS: Final = Word(
    "https address", places.parse_https, places.HTTPS_PATTERN, "https://acme.example.org/directory"
)

JULIA: Final = _word("Julia version", _JULIA_PATTERN, '"1.12", "1.12.1" or debian', limit=30, numbers=True)
JULIA_PACKAGE: Final = _word("Julia package", _JULIA_PACKAGE_PATTERN, "Plots or Plots@1.40")
APT_PACKAGE: Final = _word("Debian package", _APT_PATTERN, "fonts-dejavu")
PIP_REQUIREMENT: Final = _word("Python requirement", _PIP_PATTERN, "nbgitpuller or nbgitpuller==1.2.2")
