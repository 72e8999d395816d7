"""nginx's configuration as a pure function: a typed NginxSite and a template's text in, bytes out.

Values are data, never configuration source: `nginx -t` accepts an injected server block, so every value
passes a filter that knows the grammar of its place and refuses whatever does not fit. The names that the
templates define in nginx (variables, upstream, zone, log format) begin with `hubagent`, so that they cannot
clash with an administrator's own.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import PurePath, PurePosixPath
from typing import TYPE_CHECKING, Final

from hubagent.errors import PreflightError

if TYPE_CHECKING:
    from jinja2 import Template

Version = tuple[int, int, int]

OLDEST: Final[Version] = (1, 19, 4)  # the first with ssl_reject_handshake
UNHASHED_NAME: Final = 46  # characters of a server_name that fit nginx's default hash bucket of 64 bytes

_HOST_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_MARKER: Final = re.compile(r"[0-9A-Za-z._:-]{0,128}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_NGINX_VERSION: Final = re.compile(r"nginx version: \S+?/(\d+)\.(\d+)\.(\d+)")
_OPENSSL_VERSION: Final = re.compile(r"(?:built|running) with OpenSSL (\d+)\.(\d+)\.(\d+)")

_PATH_MAX_BYTES: Final = 1024
_HOST_MAX: Final = 253
_BODY_MAX_BYTES: Final = 2**62
_DRAIN_MAX_S: Final = 366 * 86400.0


class RenderError(PreflightError):
    """A value has no safe form in nginx's configuration, or this nginx is too old."""


@dataclass(frozen=True, slots=True)
class NginxSite:
    """All that decides hubagent's nginx files."""

    version: Version
    """Of the nginx that will read the files."""
    host: str | None
    """The one name to serve, lower case; None serves any name."""
    certificate: PurePath
    key: PurePath
    certificate_sha256: str
    """Hex digest of the certificate file, so that a renewed one changes the rendered bytes."""
    self_signed: bool
    """No browser trusts the certificate, so Strict-Transport-Security is not sent."""
    max_body_bytes: int
    websocket_drain_s: float
    """How long a worker retired by a reload may keep its connections."""
    marker: str
    """What /-/hubagent answers; see `marker_of`."""
    proxy_port: int
    """configurable-http-proxy's, on 127.0.0.1."""
    acme_webroot: PurePath | None
    """Folder whose .well-known/acme-challenge is served over HTTP (RFC 8555, 8.3)."""
    ipv6: bool
    """Listen on IPv6 too; nginx does not start when the machine has none."""
    openssl: Version = (3, 0, 0)
    """Of the OpenSSL that this nginx runs with."""
    http_port: int = 80
    https_port: int = 443
    page: PurePath = PurePosixPath("/usr/share/hubagent/templates/hub-restarting.html")
    """What a person sees while the hub is away."""
    access_log: PurePath = PurePosixPath("/var/log/nginx/hubagent.log")
    static_sets: PurePath = PurePosixPath("/var/lib/hubagent/static")
    """Where static files of images lie: one folder for each set, which never changes."""
    hub_share: PurePath = PurePosixPath("/usr/lib/hubagent-jupyterhub/share/jupyterhub")
    """What JupyterHub brings along: static files in `static`."""

    @property
    def strict_transport(self) -> bool:
        """Whether browsers may be told to insist on TLS (RFC 6797): for a name with a trusted certificate."""
        return self.host is not None and not self.self_signed


def render_site(site: NginxSite, template_source: str) -> bytes:
    """The file that /etc/nginx/conf.d/hubagent.conf includes, at http level (template nginx.conf.j2)."""
    return _render(site, template_source)


def render_main(site: NginxSite, template_source: str) -> bytes:
    """The file that is included at nginx's main level (template nginx-main.conf.j2).

    nginx has `worker_shutdown_timeout` there only. A worker obeys the value that it was started with.
    """
    return _render(site, template_source)


def marker_of(site: NginxSite, template_source: str) -> str:
    """A marker that names the content: hex SHA-256 of the site file rendered with an empty marker.

    The site file quotes certificate digest and websocket drain, so a change of these alone changes it too.
    """
    return hashlib.sha256(render_site(replace(site, marker=""), template_source)).hexdigest()


def parse_versions(text: str) -> tuple[Version, Version]:
    """Versions of nginx and of its OpenSSL ((0, 0, 0) for another TLS library), from what `nginx -V` says."""
    nginx = _NGINX_VERSION.search(text)
    if nginx is None:
        raise RenderError(f"nginx -V names no version ({text[:80]!r}); install Debian's nginx package")
    openssl = _OPENSSL_VERSION.findall(text)  # "running with" comes last, and is there when it differs
    major, minor, patch = openssl[-1] if openssl else (0, 0, 0)
    return (int(nginx[1]), int(nginx[2]), int(nginx[3])), (int(major), int(minor), int(patch))


def _render(site: NginxSite, template_source: str) -> bytes:
    if site.version < OLDEST:
        raise RenderError(
            f"nginx {_dotted(site.version)} is too old: upgrade it to {_dotted(OLDEST)} or later"
        )
    return _template(template_source).render(site=site, unhashed_name=UNHASHED_NAME).encode("utf-8")


@lru_cache(maxsize=8)
def _template(source: str) -> Template:
    from jinja2 import Environment, StrictUndefined  # late: a command that reads a generation renders nothing

    # Autoescape is for HTML. The filters do that work here; a test fails on a placeholder without one.
    environment = Environment(  # noqa: S701
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.filters.update(FILTERS)
    return environment.from_string(source)


def _dotted(version: Version) -> str:
    return ".".join(map(str, version))


def _refuse(value: object, what: str, remedy: str) -> RenderError:
    shown = repr(str(value))
    if len(shown) > 80:
        shown = shown[:79] + "…"
    return RenderError(f"nginx: {shown} cannot be used as {what}: {remedy}")


def _host(value: object) -> str:
    """A server_name: lower-case LDH labels (RFC 1123). Bare in nginx, since nothing in it needs quotes."""
    labels = value.split(".") if isinstance(value, str) else []
    if not isinstance(value, str) or len(value) > _HOST_MAX or not all(map(_HOST_LABEL.fullmatch, labels)):
        raise _refuse(value, "a host name", "write labels of a-z, 0-9 and '-', joined by dots")
    if labels[-1].isdigit():  # clients send no server name for an address, so no handshake could succeed
        raise _refuse(value, "a host name", "it is an IP address; leave `host` out, then any name is served")
    return value


def _path(value: object) -> str:
    """An absolute path as a double-quoted string. nginx has no escape for '$', so that is refused."""
    if not isinstance(value, PurePath):
        raise _refuse(value, "a path", "it is not a path")
    text = str(value)
    if not text.startswith("/") or ".." in value.parts:
        raise _refuse(value, "a path", "write it from the root, without '..'")
    if not text.isprintable() or any(character in text for character in '"\\$'):
        raise _refuse(value, "a path", "rename the file: no control characters, '\"', '\\' or '$'")
    if len(text.encode("utf-8")) > _PATH_MAX_BYTES:
        raise _refuse(value, "a path", f"it is longer than {_PATH_MAX_BYTES} bytes")
    return f'"{text}"'


def _integer(value: object, lowest: int, highest: int, what: str) -> str:
    if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
        raise _refuse(value, what, f"write a whole number from {lowest} to {highest}")
    return str(value)


def _port(value: object) -> str:
    """A TCP port."""
    return _integer(value, 1, 65535, "a port")


def _bytes(value: object) -> str:
    """A size in bytes. nginx reads 0 as no limit, so 0 is refused."""
    return _integer(value, 1, _BODY_MAX_BYTES, "a size in bytes")


def _duration(value: object) -> str:
    """Seconds as an nginx time. nginx reads 0 as for ever, so 0 is refused."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _refuse(value, "a duration", "write a number of seconds")
    if not 0.001 <= value <= _DRAIN_MAX_S:
        raise _refuse(value, "a duration", f"write 0.001 to {_DRAIN_MAX_S:.0f} seconds")
    return f"{int(value)}s" if value == int(value) else f"{round(value * 1000)}ms"


def _pattern(pattern: re.Pattern[str], what: str, remedy: str) -> Callable[[object], str]:
    def check(value: object) -> str:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise _refuse(value, what, remedy)
        return value

    return check


FILTERS: Final[Mapping[str, Callable[[object], str]]] = {
    "host": _host,
    "path": _path,
    "port": _port,
    "bytes": _bytes,
    "duration": _duration,
    "sha256": _pattern(_SHA256, "a SHA-256 digest", "64 lower-case hexadecimal digits are needed"),
    "marker": _pattern(_MARKER, "a marker", "at most 128 of 0-9 A-Z a-z . _ : - are needed"),
}
"""The only ways from a value into a file: each returns the text to write, or raises RenderError."""
