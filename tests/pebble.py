"""A real ACME authority, Debian's pebble, and the name server that it asks: on loopback, on ports of their own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.waiting import wait_until


@dataclass
class Pebble:
    """`http_port` is where it looks for challenges; all names lead to 127.0.0.1 until `point` says otherwise."""

    folder: Path
    http_port: int
    port: int
    management_port: int
    dns_port: int
    dns_management_port: int
    root: Path  # certificate of its own server, for those who shall trust it
    _running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def directory(self) -> str:
        return f"https://localhost:{self.port}/dir"

    def start(self) -> None:
        """With new keys and no accounts."""
        config = {
            "listenAddress": f"127.0.0.1:{self.port}",
            "managementListenAddress": f"127.0.0.1:{self.management_port}",
            "certificate": str(self.root),
            "privateKey": str(self.folder / "server.key"),
            "httpPort": self.http_port,
            "tlsPort": 1,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": False,
        }
        file = self.folder / "pebble.json"
        file.write_text(json.dumps({"pebble": config}))
        environment = {
            **os.environ,
            "PEBBLE_VA_NOSLEEP": "1",
            "PEBBLE_AUTHZREUSE": "0",
            "PEBBLE_WFE_NONCEREJECT": "0",
        }
        arguments = ["pebble", "-config", str(file), "-dnsserver", f"127.0.0.1:{self.dns_port}"]
        self._run("pebble", arguments, environment)
        wait_until(lambda: _answers(self.port), self._log("pebble"))

    def stop(self) -> None:
        self._end("pebble")

    def point(self, address: str) -> None:
        """All names lead there from now on; none at all when it is empty."""
        self._end("names")
        arguments = [
            "pebble-challtestsrv",
            "-http01",
            "",
            "-https01",
            "",
            "-tlsalpn01",
            "",
            "-defaultIPv6",
            "",
        ]
        arguments += ["-defaultIPv4", address, "-dns01", f"127.0.0.1:{self.dns_port}"]
        self._run("names", [*arguments, "-management", f"127.0.0.1:{self.dns_management_port}"])
        wait_until(lambda: _answers(self.dns_management_port), self._log("names"))

    def close(self) -> None:
        for name in tuple(self._running):
            self._end(name)

    def _run(self, name: str, arguments: list[str], environment: Mapping[str, str] | None = None) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment
            )

    def _end(self, name: str) -> None:
        process = self._running.pop(name, None)
        if process is not None:
            process.terminate()
            process.wait()

    def _log(self, name: str) -> str:
        return f"{name} answers; its log is {self.folder / name}.log"


@contextmanager
def pebble(folder: Path, *, http_port: int, ports: tuple[int, int, int, int]) -> Iterator[Pebble]:
    subprocess.run(["packaging/apt_install.sh", "certbot", "pebble"], check=True)
    root = folder / "server.crt"
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-keyout", str(folder / "server.key"), "-out", str(root), "-days", "30",
            "-subj", "/CN=pebble", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip
    one = Pebble(folder, http_port, *ports, root)
    try:
        one.point("127.0.0.1")
        one.start()
        yield one
    finally:
        one.close()


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False
