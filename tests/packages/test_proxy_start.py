"""/usr/lib/hubagent-proxy/start, as unpacked from the package: settings, token, marker, end."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from hubagent.converge import observe
from tests.packages.debs import Deb

TOKEN = "0123456789abcdef"
DEADLINE_S = 120.0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def program(proxy: Deb, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return proxy.unpack(tmp_path_factory.mktemp("proxy")) / "usr/lib/hubagent-proxy"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """What the service manager gives: settings, a credential, a runtime folder."""
    settings = {
        "PROXY_IP": "127.0.0.1",
        "PROXY_PORT": str(_free_port()),
        "PROXY_API_IP": "127.0.0.1",
        "PROXY_API_PORT": str(_free_port()),
        "PROXY_METRICS_IP": "127.0.0.1",
        "PROXY_METRICS_PORT": str(_free_port()),
        "PROXY_DEFAULT_TARGET": "http://127.0.0.1:9",
        "PROXY_ERROR_TARGET": "http://127.0.0.1:9/hub/error",
    }
    file = tmp_path / "proxy.env"
    file.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
    (tmp_path / "token").write_text(TOKEN)
    return {
        "PATH": os.environ["PATH"],
        **settings,
        "SETTINGS_FILE": str(file),
        "CREDENTIALS_DIRECTORY": str(tmp_path),
        "RUNTIME_DIRECTORY": str(tmp_path),
    }


@pytest.fixture
def running(program: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([program / "start"], env=environment, stdout=subprocess.PIPE) as process:
        try:
            deadline = time.monotonic() + DEADLINE_S
            while _status(environment) is None:
                assert process.poll() is None, "the proxy ended"
                assert time.monotonic() < deadline, "the proxy does not answer"
                time.sleep(0.05)
            yield process
        finally:
            process.kill()


def _status(environment: dict[str, str], token: str | None = None) -> int | None:
    request = urllib.request.Request(f"http://127.0.0.1:{environment['PROXY_API_PORT']}/api/routes")
    if token:
        request.add_header("Authorization", f"token {token}")
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            status: int = answer.status
            return status
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except urllib.error.URLError:
        return None


def test_it_serves_with_the_token_of_the_credential(
    running: subprocess.Popen[bytes], environment: dict[str, str]
) -> None:
    assert _status(environment) == 403
    assert _status(environment, "wrong") == 403
    assert _status(environment, TOKEN) == 200
    assert TOKEN not in Path(f"/proc/{running.pid}/cmdline").read_text()


def test_it_notes_which_settings_it_has_loaded_and_which_build_runs(
    running: subprocess.Popen[bytes], environment: dict[str, str], program: Path
) -> None:
    assert running.poll() is None
    settings, build = Path(environment["RUNTIME_DIRECTORY"], "loaded").read_text().splitlines()
    assert settings == hashlib.sha256(Path(environment["SETTINGS_FILE"]).read_bytes()).hexdigest()
    assert build == (program / "release").read_text().strip()
    assert observe.parse_release(build) is not None


def test_it_ends_with_the_status_that_the_unit_counts_as_success(running: subprocess.Popen[bytes]) -> None:
    running.send_signal(signal.SIGTERM)
    assert running.wait(timeout=DEADLINE_S) == 2


def test_it_refuses_an_empty_token(program: Path, environment: dict[str, str]) -> None:
    Path(environment["CREDENTIALS_DIRECTORY"], "token").write_text("")
    done = subprocess.run(
        [program / "start"], env=environment, text=True, capture_output=True, timeout=DEADLINE_S
    )
    assert done.returncode == 1
    assert "token is empty" in done.stderr


def test_it_refuses_to_start_without_a_credential(program: Path, environment: dict[str, str]) -> None:
    Path(environment["CREDENTIALS_DIRECTORY"], "token").unlink()
    done = subprocess.run(
        [program / "start"], env=environment, text=True, capture_output=True, timeout=DEADLINE_S
    )
    assert done.returncode != 0
