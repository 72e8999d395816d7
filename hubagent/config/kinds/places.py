"""Where things are: paths, URL paths, volumes, images, database and ACME addresses, and private networks to open."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import PurePosixPath
from typing import Final

from hubagent.config.tree import RefusedError, shown
from hubagent.wire import LANDINGS

URL_PATH_PATTERN: Final = (
    r"/(?:[A-Za-z0-9_.~%+@:=,-][A-Za-z0-9_.~%+@:=,/-]*)?(?:\?[A-Za-z0-9_.~%+@:=,/&?-]*)?"
)
LANDING_PATTERN: Final = rf"{'|'.join(LANDINGS)}|{URL_PATH_PATTERN}"
VOLUME_PATTERN: Final = r"[A-Za-z0-9][A-Za-z0-9_.-]*\{username\}[A-Za-z0-9_.-]*"
IMAGE_PATTERN: Final = (
    r"(?:(?:[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+(?::[0-9]{1,5})?|[A-Za-z0-9-]+:[0-9]{1,5}|localhost)/)?"
    r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*)*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?"
)
DATABASE_PATTERN: Final = (
    r"sqlite|postgresql://(?:[A-Za-z0-9_.~%+-]+@)?(?P<host>[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])?"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"/[A-Za-z0-9_.~%+-]+(?:\?[A-Za-z0-9_.~%+=&/-]*)?"
)
HTTPS_PATTERN: Final = (
    r"https://(?P<host>[A-Za-z0-9.-]+)(?::(?P<port>[0-9]{1,5}))?(?:/[A-Za-z0-9_.~%+@:=,/-]*)?"
)

_PATH_PUNCTUATION: Final = frozenset("/._-+@=~ ()")
_NEVER_INSIDE: Final = ("/proc", "/sys", "/dev")
_NEVER_ITSELF: Final = (
    "/",
    "/bin",
    "/boot",
    "/etc",
    "/home",
    "/lib",
    "/lib64",
    "/opt",
    "/run",
    "/sbin",
    "/usr",
    "/var",
)

NETWORK_PATTERN: Final = r"[0-9]+(?:\.[0-9]+){3}(?:/[0-9]{1,2})?(?::[0-9]{1,5}(?:/(?:tcp|udp))?)?"
_PARTS: Final = re.compile(r"([0-9.]+(?:/[0-9]+)?)(?::([0-9]+)(?:/([a-z]+))?)?")
_NAME: Final = re.compile(r"(?:[a-z+]+://)?([A-Za-z0-9.-]*[A-Za-z][A-Za-z0-9.-]*)(?::[0-9]+)?/?")
_WIDEST: Final = 8
"""Prefix length. A wider network is most of the internet, or everything that is private."""

_NEVER: Final = tuple(
    map(ipaddress.IPv4Network, ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3"))
)
_EXAMPLES: Final = '10.1.2.0/24, "192.168.7.5:5432" or "192.168.7.5:53/udp"'


def parse_path(text: str) -> PurePosixPath:
    """An absolute, clean path: one spelling for each file, and nothing that nginx or Docker reads as more."""
    if not text.startswith("/"):
        raise RefusedError(f"{shown(text)} is not an absolute path; start it with /")
    strange = next((c for c in text if not (c.isalnum() or c in _PATH_PUNCTUATION)), None)
    if strange is not None:
        raise RefusedError(
            f"{shown(text)} contains {shown(strange)}; write letters, digits, spaces and . _ - + @ = ~ ( )"
            " between the /"
        )
    parts = text.split("/")[1:]
    if any(part in {"", ".", ".."} for part in parts) and text != "/":
        raise RefusedError(
            f"{shown(text)} is not a clean path; write it without //, /./, /../ and without a / at the end"
        )
    if len(text.encode()) > 1000 or any(len(part.encode()) > 255 for part in parts):
        raise RefusedError(f"{shown(text)} is too long; a path has at most 1000 bytes, and 255 between two /")
    if any(part != part.strip() for part in parts):
        raise RefusedError(f"{shown(text)} has a space next to a /; remove it")
    return PurePosixPath(text)


def is_inside(path: PurePosixPath, folder: str) -> bool:
    """Whether path is that folder or something in it."""
    return path.is_relative_to(folder)


def parse_container_path(text: str) -> PurePosixPath:
    """A path inside the container where something of the host is put."""
    path = parse_path(text)
    if text in _NEVER_ITSELF or any(is_inside(path, folder) for folder in (*_NEVER_INSIDE, "/opt/hubagent")):
        raise RefusedError(
            f"{shown(text)} belongs to the image or to hubagent; choose a folder of the user, such as"
            " /home/jovyan/work"
        )
    return path


def parse_host_folder(text: str) -> PurePosixPath:
    """A folder of the host that may be shown to users."""
    path = parse_path(text)
    closed = (
        *_NEVER_INSIDE,
        "/run",
        "/var/run",
        "/root",
        "/var/lib/docker",
        "/var/lib/hubagent",
        "/var/lib/jupyterhub",
    )
    if text in _NEVER_ITSELF or any(is_inside(path, folder) for folder in closed):
        raise RefusedError(
            f"{shown(text)} would give users the machine itself; put what they need in a folder such as"
            " /srv/coursefiles"
        )
    return path


def parse_landing(text: str) -> str:
    """A path on a server, or a word for a page that the server decides on."""
    if text in LANDINGS:
        return text
    segments = text.partition("?")[0].split("/")
    if len(text) > 1000 or not re.fullmatch(URL_PATH_PATTERN, text) or ".." in segments or "." in segments:
        raise RefusedError(
            f"{shown(text)} is not a path on the server; write one such as /lab, /tree or"
            f" /lab/tree/start.ipynb, or one of the words {', '.join(LANDINGS)}"
        )
    return text


def parse_volume(text: str) -> str:
    """A Docker volume name for each user. Without {username} all users would share one home: refused."""
    if text.startswith("/"):
        raise RefusedError(
            f"{shown(text)} is a path; homes are Docker volumes: write a name with {{username}}, and share"
            " folders by `mounts`"
        )
    if text.count("{username}") != 1:
        raise RefusedError(
            f"{shown(text)} must contain {{username}} exactly once, so that each user has a volume; write"
            " jupyterhub-user-{username}"
        )
    if len(text) > 64 or not re.fullmatch(VOLUME_PATTERN, text):
        raise RefusedError(
            f"{shown(text)} is not a volume name; write letters, digits and . _ - around {{username}},"
            " starting with a letter or digit, at most 64 characters"
        )
    return text


def parse_image(text: str) -> str:
    if len(text) > 255 or not re.fullmatch(IMAGE_PATTERN, text):
        lower = text.lower()
        advice = "write [registry/]name[:tag], such as registry.example.org/jupyter/julia-notebook:latest"
        if lower != text and len(text) <= 255 and re.fullmatch(IMAGE_PATTERN, lower):
            advice = f"image names are lower case: write {lower}"
        raise RefusedError(f"{shown(text)} is not an image; {advice}")
    return text


def parse_database(text: str) -> str:
    """The URL is never repeated in the message when it holds a password."""
    if re.match(r"[A-Za-z0-9+]+://[^/@]*:[^/]*@", text) or re.search(r"[?&]password=", text):
        raise RefusedError(
            "holds a password in plain text; write postgresql://USER@HOST/NAME, and the password in a file"
            " that `database_password_file` names"
        )
    match = re.fullmatch(DATABASE_PATTERN, text) if len(text) <= 1000 else None
    if match and is_host_and_port(match["host"] or "", match["port"]):
        return text
    if text.startswith("sqlite"):
        raise RefusedError(
            f"{shown(text)} is not needed; write sqlite: hubagent keeps the file in /var/lib/jupyterhub"
        )
    raise RefusedError(f"{shown(text)} is not a database; write sqlite, or postgresql://USER@HOST:5432/NAME")


def is_host_and_port(host: str, port: str | None) -> bool:
    """Whether the parts of an address can be one: a port that exists, and IPv6 only as an address."""
    if port is not None and not 1 <= int(port) <= 65535:
        return False
    try:
        return not host.startswith("[") or ipaddress.ip_address(host[1:-1]).version == 6
    except ValueError:
        return False


def parse_https(text: str) -> str:
    match = re.fullmatch(HTTPS_PATTERN, text) if len(text) <= 1000 else None
    if not match or not is_host_and_port(match["host"], match["port"]):
        raise RefusedError(
            f"{shown(text)} is not an https address; write one such as https://acme.example.org/directory"
        )
    return text


@dataclass(frozen=True, slots=True)
class OpenNetwork:
    """An IPv4 address or network; with a port, that port of one protocol alone, else everything there."""

    network: IPv4Network
    port: int | None = None
    protocol: str = "tcp"  # tcp | udp; counts with a port alone

    def __str__(self) -> str:
        is_host = self.network.prefixlen == self.network.max_prefixlen
        address = str(self.network.network_address if is_host else self.network)
        if self.port is None:
            return address
        return f"{address}:{self.port}" + ("/udp" if self.protocol == "udp" else "")


def parse_network(text: str) -> OpenNetwork:
    """Raises RefusedError; for names too, which may mean another address tomorrow."""
    match = _PARTS.fullmatch(text) if len(text) <= 100 else None
    if match is None or (match[3] is not None and match[3] not in ("tcp", "udp")):
        raise RefusedError(f"{shown(text)} is not a network; {_advice(text)}")
    network = _ipv4_network(match[1], text)
    port = None if match[2] is None else int(match[2])
    if port is not None and not 1 <= port <= 65535:
        raise RefusedError(f"{shown(text)} has no such port; write one from 1 to 65535")
    return OpenNetwork(network, port, match[3] or "tcp")


def _ipv4_network(text: str, whole: str) -> IPv4Network:
    try:
        interface = ipaddress.IPv4Interface(text)
    except ValueError as error:
        raise RefusedError(f"{shown(whole)} is not a network; {_advice(whole)}") from error
    network = interface.network
    if interface.ip != network.network_address:
        raise RefusedError(f"{shown(whole)} has bits beyond its prefix; write {network} or {interface.ip}")
    if network.prefixlen < _WIDEST:
        raise RefusedError(
            f"{shown(whole)} is too wide; write the networks that are meant one by one, such as 10.1.2.0/24"
        )
    if any(network.overlaps(never) for never in _NEVER):
        raise RefusedError(
            f"{shown(whole)} is never opened: loopback, link-local addresses (a cloud's metadata among them)"
            " and multicast stay closed; remove it"
        )
    return network


def _advice(text: str) -> str:
    if _is_ipv6(text):
        return "containers have IPv4 only: write the host's IPv4 address"
    name = _NAME.fullmatch(text[:300])
    if name:
        return f"names are not looked up: write the address that `getent ahostsv4 {name[1][:60]}` shows"
    return f"write an address or network, with a port or without: {_EXAMPLES}"


def _is_ipv6(text: str) -> bool:
    bare = re.sub(r"\[(.*)\](?::[0-9]+(?:/[a-z]+)?)?", r"\1", text[:100])
    try:
        return isinstance(ipaddress.ip_interface(bare), ipaddress.IPv6Interface)
    except ValueError:
        return False
