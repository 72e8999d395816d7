"""A real nginx on loopback, in a folder and on ports of its own, set up as Debian sets it up."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from hubagent.render.nginx import NginxSite, Version, marker_of, parse_versions, render_main, render_site
from tests.waiting import DEADLINE_S, wait_until

from .client import ask

TEMPLATES = Path(__file__).resolve().parents[2] / "conf/templates"
SITE_TEMPLATE = (TEMPLATES / "nginx.conf.j2").read_text()
MAIN_TEMPLATE = (TEMPLATES / "nginx-main.conf.j2").read_text()
DEBIAN_CONFIG = Path("/etc/nginx/nginx.conf")
HOST = "hub.example.org"


def free_ports(count: int) -> tuple[int, ...]:
    """Ports of 127.0.0.1 that nobody listened on just now."""
    with ExitStack() as sockets:
        held = [sockets.enter_context(socket.socket()) for _ in range(count)]
        for one in held:
            one.bind(("127.0.0.1", 0))
        return tuple(one.getsockname()[1] for one in held)


def versions_of(program: str) -> tuple[Version, Version]:
    """Of this nginx and its OpenSSL."""
    said = subprocess.run([program, "-V"], capture_output=True, text=True, check=True).stderr
    return parse_versions(said)


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate for HOST with its key, and the authority that signed it."""

    certificate: Path
    key: Path
    authority: Path


def make_pair(folder: Path) -> Pair:
    """RSA, so that a suite with RSA key exchange is refused for itself and not for want of a key."""
    pair = Pair(folder / "hub.crt", folder / "hub.key", folder / "authority.crt")
    authority_key = folder / "authority.key"

    def make(subject: str, out: Path, key: Path, *more: str | Path) -> None:
        request = [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "90",
            "-subj",
            subject,
        ]
        subprocess.run([*request, "-keyout", key, "-out", out, *more], check=True, capture_output=True)

    make(
        "/CN=hubagent test authority",
        pair.authority,
        authority_key,
        "-addext",
        "keyUsage=critical,keyCertSign",
    )
    extensions = (f"subjectAltName=DNS:{HOST},IP:127.0.0.1", "basicConstraints=critical,CA:FALSE")
    added = [argument for extension in extensions for argument in ("-addext", extension)]
    make(f"/CN={HOST}", pair.certificate, pair.key, "-CA", pair.authority, "-CAkey", authority_key, *added)
    return pair


class Front:
    """One nginx master with its folder. `put` writes hubagent's two files, `reload` asks by signal."""

    def __init__(self, folder: Path, program: str) -> None:
        self.folder = folder
        self.program = program
        self.conf = folder / "nginx.conf"
        self.error_log = folder / "log/error.log"
        self.access_log = folder / "log/hubagent.log"
        self._process: subprocess.Popen[bytes] | None = None
        for name in ("conf.d", "modules-enabled", "sites-enabled", "log", "temp", "acme", "share"):
            (folder / name).mkdir()
        shutil.copy(TEMPLATES / "hub-restarting.html", folder)
        text = DEBIAN_CONFIG.read_text()
        for theirs, ours in (
            ("/etc/nginx/modules-enabled", folder / "modules-enabled"),
            ("/etc/nginx/conf.d", folder / "conf.d"),
            ("/etc/nginx/sites-enabled", folder / "sites-enabled"),
            ("/var/log/nginx", folder / "log"),
            ("/run/nginx.pid", folder / "nginx.pid"),
        ):
            assert theirs in text, f"{DEBIAN_CONFIG} does not speak of {theirs}"
            text = text.replace(theirs, str(ours))
        self.conf.write_text(text)
        kinds = ("client_body", "proxy", "fastcgi", "scgi", "uwsgi")
        temp = "".join(f"{kind}_temp_path {folder}/temp/{kind};\n" for kind in kinds)
        (folder / "conf.d/00-temp.conf").write_text(temp)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def workers(self) -> set[int]:
        """Process ids of all workers, retired ones too."""
        return set(map(int, Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()))

    def put(self, site: NginxSite) -> NginxSite:
        """Write the files; returns the site with its marker."""
        site = replace(site, marker=marker_of(site, SITE_TEMPLATE))
        (self.folder / "conf.d/hubagent.conf").write_bytes(render_site(site, SITE_TEMPLATE))
        (self.folder / "modules-enabled/90-hubagent.conf").write_bytes(render_main(site, MAIN_TEMPLATE))
        return site

    def test(self) -> subprocess.CompletedProcess[str]:
        """`nginx -t` on this folder."""
        return subprocess.run([*self._command, "-t"], capture_output=True, text=True, check=False)

    @property
    def _command(self) -> list[str]:
        return [self.program, "-p", str(self.folder), "-c", str(self.conf), "-e", str(self.error_log)]

    def start(self, site: NginxSite) -> NginxSite:
        site = self.put(site)
        self._process = subprocess.Popen([*self._command, "-g", "daemon off;"])
        self.wait_until_live(site)
        return site

    def reload(self) -> None:
        """SIGHUP to the master, which is what `nginx -s reload` sends."""
        os.kill(self.pid, signal.SIGHUP)

    def switch(self, site: NginxSite) -> NginxSite:
        """Put, reload, and wait until new connections see it and the old workers take none any more."""
        old = self.workers()
        site = self.put(site)
        self.reload()
        self.wait_until_live(site)
        wait_until(lambda: not (self.workers() & old) or self._retired(old), "old workers retire")
        return site

    def _retired(self, workers: set[int]) -> bool:
        titles = (Path(f"/proc/{pid}/cmdline") for pid in workers & self.workers())
        return all("shutting down" in _title(title) for title in titles)

    def wait_until_live(self, site: NginxSite) -> None:
        def live() -> bool:
            assert self._process is not None
            if self._process.poll() is not None:
                raise RuntimeError(f"nginx ended:\n{self.error_log.read_text()}")
            try:
                answer = ask(site.https_port, "/-/hubagent", host=site.host or "localhost")
            except OSError:
                return False
            return answer.body.decode() == site.marker

        wait_until(live, f"marker {site.marker}")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(DEADLINE_S)


@contextmanager
def front_in_own_folder(program: str = "nginx") -> Iterator[Front]:
    """A Front below /tmp. nginx's workers are another user, so every folder on the way is open to it."""
    folder = Path(tempfile.mkdtemp(prefix="hubagent-nginx-"))
    folder.chmod(0o755)
    front = Front(folder, program)
    try:
        yield front
    finally:
        front.stop()
        shutil.rmtree(folder)


def site_in(front: Front, pair: Pair, proxy_port: int) -> NginxSite:
    """The site that most tests start from: `host` set, certificate trusted, for the nginx of this front."""
    nginx, openssl = versions_of(front.program)
    http_port, https_port = free_ports(2)
    return NginxSite(
        version=nginx,
        openssl=openssl,
        host=HOST,
        certificate=pair.certificate,
        key=pair.key,
        certificate_sha256="0" * 64,
        self_signed=False,
        max_body_bytes=100 * 1024**2,
        websocket_drain_s=43200.0,
        marker="",
        proxy_port=proxy_port,
        acme_webroot=front.folder / "acme",
        ipv6=Path("/proc/net/if_inet6").exists(),
        http_port=http_port,
        https_port=https_port,
        page=front.folder / "hub-restarting.html",
        access_log=front.access_log,
        static_sets=front.folder / "static",
        hub_share=front.folder / "share",
    )


def _title(path: Path) -> str:
    """A process's command line; one that has ended has shut down."""
    try:
        return path.read_text()
    except OSError:
        return "shutting down"
