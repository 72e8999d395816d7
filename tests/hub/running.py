"""A real hub behind a real proxy, on loopback, in a folder of its own."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "hubagent" / "hub" / "jupyterhub_config.py"
PROXY = ROOT / "build" / "proxy"


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for item in sockets:
            item.bind(("127.0.0.1", 0))
        return [item.getsockname()[1] for item in sockets]


def call(
    url: str,
    *,
    method: str = "GET",
    token: str | None = None,
    body: bytes | None = None,
    timeout_s: float = 5.0,
) -> tuple[int, bytes]:
    """Status and body; status 0 when nobody answers, an empty body where the connection ends in the middle of one."""
    headers = {"Authorization": f"token {token}"} if token else {}
    request = urllib.request.Request(url, method=method, data=body, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error, suppress(OSError):
            return error.code, error.read()
        return error.code, b""
    except OSError:
        return 0, b""


class RunningHub:
    """The agent's files, the proxy and the hub. `settings` and `secrets` may be changed between starts."""

    def __init__(
        self,
        folder: Path,
        *,
        hub_host: str = "127.0.0.1",
        config: Path = CONFIG,
        program: str = "hubagent.hub.application",
    ) -> None:
        """`program` is the module that runs as the hub."""
        self.folder = folder
        self.program = program
        self.config = config
        proxy, api, metrics, hub = free_ports(4)
        self.url = f"http://127.0.0.1:{proxy}"
        self.proxy_api_url = f"http://127.0.0.1:{api}"
        self.hub_url = f"http://{hub_host}:{hub}"
        self.secrets: dict[str, Any] = {
            "proxy_token": secrets.token_hex(32),
            "agent_token": secrets.token_hex(32),
            "database_password": None,
            "traits": {},
        }
        self.settings: dict[str, Any] = {
            "version": 1,
            "hub_bind_url": self.hub_url,
            "proxy_url": self.url,
            "proxy_api_url": self.proxy_api_url,
            "admins": ["admin"],
            "authenticator": "native",
            "signup": "approval",
            "ask_email": True,
            "passwords": {"min_length": 10, "check_common": True, "max_failed_logins": 10, "lockout_s": 600},
            "stop_idle_after_s": 1800,
            "keep_busy_s": 28800,
            "database": "sqlite",
            "traits": {},
            "servers_file": str(folder / "etc" / "servers.json"),
            "one_time_dir": str(folder / "state" / "one-time"),
            "secrets_digest": "00",
        }
        self.servers: dict[str, Any] = {
            "version": 1,
            "default": "julia",
            "network": "hubagent",
            "landing": "/lab",
            "servers": {"julia": server("julia")},
        }
        self.environment: dict[str, str] = {}
        self._proxy_ports = (proxy, api, metrics)
        self._proxy: subprocess.Popen[bytes] | None = None
        self._hub: subprocess.Popen[bytes] | None = None
        for name in ("etc", "state", "run"):
            (folder / name).mkdir(parents=True)

    @property
    def log(self) -> str:
        return (self.folder / "hub.log").read_text(errors="replace")

    @property
    def hub_pid(self) -> int:
        assert self._hub is not None
        return self._hub.pid

    @property
    def proxy_pid(self) -> int:
        assert self._proxy is not None
        return self._proxy.pid

    def one_time_password(self, name: str = "admin") -> str:
        return (self.folder / "state" / "one-time" / name).read_text().strip()

    def write(self) -> None:
        """Write the agent's files as they are now."""
        for name in ("settings", "secrets", "servers"):
            file = self.folder / "etc" / f"{'hub' if name == 'settings' else name}.json"
            file.write_text(json.dumps(getattr(self, name)))

    def start(self) -> None:
        if self._proxy is None:
            self._proxy = self._start_proxy()
        self.start_hub()
        wait_until(self._up, "the hub to serve through the proxy")

    def start_hub(self) -> subprocess.Popen[bytes]:
        """Start the hub without waiting for it."""
        self.write()
        environment = {
            "PATH": os.defpath,
            "HOME": str(self.folder),
            "HUBAGENT_HUB_CONFIG": str(self.folder / "etc" / "hub.json"),
            "CREDENTIALS_DIRECTORY": str(self.folder / "etc"),
            "STATE_DIRECTORY": str(self.folder / "state"),
            "RUNTIME_DIRECTORY": str(self.folder / "run"),
            "HUBAGENT_FIRST_PAGES": str(self.folder / "etc" / "first-pages.json"),
            **self.environment,
        }
        with (self.folder / "hub.log").open("ab") as log:
            self._hub = subprocess.Popen(
                # As systemd starts it. A shell has its background jobs ignore SIGINT, by which the hub ends its culler.
                [
                    "env",
                    "--default-signal",
                    sys.executable,
                    "-m",
                    self.program,
                    "-f",
                    str(self.config),
                ],
                env=environment,
                cwd=self.folder,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        return self._hub

    def stop_hub(self) -> None:
        if self._hub is not None:
            _end(self._hub)
            self._hub = None

    def end(self, *, within_s: float) -> None:
        """Tell the hub to end, and nothing else. AssertionError when it has not after `within_s`."""
        assert self._hub is not None
        self._hub.terminate()
        try:
            self._hub.wait(within_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the hub has not ended:\n{self.log[-6000:]}") from None

    def restart_proxy(self) -> None:
        """With the token that `secrets` has now; it begins without the hub's routes."""
        assert self._proxy is not None
        _end(self._proxy)
        self._proxy = self._start_proxy()
        wait_until(lambda: call(self.proxy_api_url)[0] != 0, "the proxy's API")

    def restart_hub(self) -> None:
        self.stop_hub()
        self.start()

    def stop(self) -> None:
        self.stop_hub()
        if self._proxy is not None:
            _end(self._proxy)
            self._proxy = None
        for pid in _processes_in(
            self.folder
        ):  # services of a hub that was killed outlive it; systemd would end them
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _up(self) -> bool:
        if self._hub is not None and self._hub.poll() is not None:
            raise AssertionError(f"the hub ended with {self._hub.returncode}:\n{self.log[-6000:]}")
        return call(f"{self.url}/hub/health")[0] == 200

    def _start_proxy(self) -> subprocess.Popen[bytes]:
        port, api, metrics = self._proxy_ports
        program = PROXY / "node_modules" / "configurable-http-proxy" / "bin" / "configurable-http-proxy"
        with (self.folder / "proxy.log").open("ab") as log:
            proxy = subprocess.Popen(
                [
                    str(PROXY / "node"),
                    str(program),
                    "--ip=127.0.0.1",
                    f"--port={port}",
                    "--api-ip=127.0.0.1",
                    f"--api-port={api}",
                    "--metrics-ip=127.0.0.1",
                    f"--metrics-port={metrics}",
                    f"--default-target={self.hub_url}",
                    f"--error-target={self.hub_url}/hub/error",
                ],
                env={"PATH": os.defpath, "CONFIGPROXY_AUTH_TOKEN": self.secrets["proxy_token"]},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        wait_until(lambda: call(f"{self.url}/_chp_healthz")[0] == 200, "the proxy")
        return proxy


def server(name: str, **changes: object) -> dict[str, object]:
    """An entry of servers.json."""
    return {
        "title": name.capitalize(),
        "image": f"hubagent/{name}",
        "memory_bytes": 4 * 1024**3,
        "cpus": 2.0,
        "processes": 512,
        "home": "/home/jovyan/work",
        "volume": "jupyterhub-user-{username}",
        "mounts": [],
        "environment": {},
        "digest": "0123",
        **changes,
    }


@contextmanager
def running_hub(folder: Path, **settings: object) -> Iterator[RunningHub]:
    """A hub with these changes to hub.json, started, and ended at the end."""
    hub = RunningHub(folder)
    hub.settings.update(settings)
    try:
        hub.start()
        yield hub
    finally:
        hub.stop()


def _processes_in(folder: Path) -> Iterator[int]:
    """Processes whose working directory is this one."""
    for entry in Path("/proc").glob("[0-9]*/cwd"):
        with suppress(OSError):  # it ended just now
            if entry.readlink() == folder:
                yield int(entry.parent.name)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(40)  # the hub gives its culler 15 s before it kills it
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
