"""TLS and basic authentication, on real sockets."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import socket
import ssl
import statistics
import threading
import time
from pathlib import Path, PurePosixPath

import bcrypt
import pytest
from cryptography import x509

from hubagent.config.kinds.types import ListenAddress
from hubagent.errors import PreflightError
from hubagent.web.auth import BasicAuth, ServerTls

from .certificates import write_pair
from .client import Address, Reply, dial, get, read_all
from .conftest import ANY_PORT, Hands, Rig

PASSWORD = "correct horse"
USERS = {"prometheus": bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(8)).decode()}


def credentials(name: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


def ask(address: Address, name: str = "prometheus", password: str = PASSWORD) -> Reply:
    return get(address, headers=credentials(name, password))


def trusting(*files: PurePosixPath) -> ssl.SSLContext:
    context = ssl.create_default_context()
    for file in files:
        context.load_verify_locations(file)
    return context


def served_name(address: Address, server_name: str | None = None) -> str:
    """The common name of the certificate that is served."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with dial(address) as sock, context.wrap_socket(sock, server_hostname=server_name) as tls:
        der = tls.getpeercert(binary_form=True)
    assert der is not None
    return str(x509.load_der_x509_certificate(der).subject.rdns[0].rfc4514_string())


def test_the_right_password_is_served(rig: Rig) -> None:
    assert ask(rig.serve(users=USERS)).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        credentials("prometheus", "wrong"),
        credentials("prometheus", ""),
        credentials("prometheus", "with\0nul"),
        credentials("prometheus", "x" * 4000),
        credentials("nobody", PASSWORD),
        credentials("", ""),
        {"Authorization": "Basic"},
        {"Authorization": "Basic %%%"},
        {"Authorization": "Basic YQ=="},
        {"Authorization": "Bearer " + base64.b64encode(f"prometheus:{PASSWORD}".encode()).decode()},
    ],
)
@pytest.mark.parametrize("path", ["/metrics", "/", "/healthz", "/status.json", "/nowhere"])
def test_everything_else_is_401(rig: Rig, headers: dict[str, str], path: str) -> None:
    answer = get(rig.serve(users=USERS), path, headers=headers)
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith("Basic realm=")
    assert b"hubagent_" not in answer.body


def test_a_right_password_is_checked_by_bcrypt_once(rig: Rig) -> None:
    slow = {"prometheus": bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(11)).decode()}
    address = rig.serve(users=slow)
    began = time.monotonic()
    assert ask(address).status == 200
    first_s = time.monotonic() - began
    began = time.monotonic()
    for _ in range(5):
        assert ask(address).status == 200
    assert (time.monotonic() - began) / 5 < first_s / 3


def test_a_right_password_of_one_name_is_not_right_for_another(rig: Rig) -> None:
    other = bcrypt.hashpw(b"other", bcrypt.gensalt(4)).decode()
    address = rig.serve(users=USERS | {"other": other})
    assert ask(address).status == 200
    assert ask(address, "other", PASSWORD).status == 401
    assert ask(address, "other", "other").status == 200


def test_an_unknown_name_takes_as_long_as_a_known_one(rig: Rig) -> None:
    address = rig.serve(users={"prometheus": bcrypt.hashpw(b"x", bcrypt.gensalt(10)).decode()})

    def median_s(name: str) -> float:
        times = []
        for n in range(7):
            began = time.perf_counter()
            assert ask(address, name, f"wrong {n}").status == 401
            times.append(time.perf_counter() - began)
        return statistics.median(times)

    known_s, unknown_s = median_s("prometheus"), median_s("nobody")
    assert 0.5 < unknown_s / known_s < 2
    assert known_s > 0.02


def test_guessing_does_not_keep_scrapes_waiting(rig: Rig) -> None:
    address = rig.serve(users={"prometheus": bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(10)).decode()})
    assert ask(address).status == 200
    statuses: list[int] = []
    guessers = [
        threading.Thread(target=lambda n=n: statuses.append(ask(address, "nobody", str(n)).status))
        for n in range(40)
    ]
    for guesser in guessers:
        guesser.start()
    began = time.monotonic()
    assert ask(address).status == 200
    assert time.monotonic() - began < 3
    for guesser in guessers:
        guesser.join()
    assert set(statuses) <= {401, 503}
    assert statuses.count(401) >= 8


def test_a_switch_puts_the_new_users_in_force(rig: Rig) -> None:
    address = rig.serve(users=USERS)
    assert ask(address).status == 200
    rig.serve(users={"other": USERS["prometheus"]})
    assert ask(Address("127.0.0.1", rig.exposition.running.port)).status == 401  # type: ignore[union-attr]


@pytest.mark.parametrize("hashed", ["", "plain", "$1$abc$def", "$2b$10$short", "$2b$32$" + "a" * 53])
def test_what_is_no_bcrypt_hash_is_refused(hashed: str) -> None:
    with pytest.raises(PreflightError, match=r"'prometheus' is not a bcrypt hash.*htpasswd") as caught:
        BasicAuth({"prometheus": hashed})
    assert hashed == "" or hashed not in str(caught.value)


def test_htpasswd_hashes_are_understood(rig: Rig) -> None:
    htpasswd = {"prometheus": USERS["prometheus"].replace("$2b$", "$2y$")}
    assert ask(rig.serve(users=htpasswd)).status == 200


def test_tls_is_served_and_plain_http_is_not(rig: Rig, tmp_path: Path) -> None:
    pair = write_pair(tmp_path)
    address = rig.serve(tls=pair)
    assert get(address, tls=trusting(pair.certificate)).status == 200
    with dial(address) as sock:
        sock.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        try:
            answer = read_all(sock)
        except ConnectionResetError:
            answer = b""
    assert b"hubagent_" not in answer
    assert get(address, tls=trusting(pair.certificate)).status == 200


def test_tls_with_users_and_a_large_answer_keeps_alive(rig: Rig, tmp_path: Path) -> None:
    pair = write_pair(tmp_path)
    address = rig.serve(tls=pair, users=USERS)
    for _ in range(3):
        answer = get(
            address, "/", headers=credentials("prometheus", PASSWORD), tls=trusting(pair.certificate)
        )
        assert answer.status == 200
        assert answer.body.endswith(b"</html>")


def test_old_tls_is_refused(rig: Rig, tmp_path: Path) -> None:
    address = rig.serve(tls=write_pair(tmp_path))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.options &= ~(ssl.OP_NO_TLSv1 | ssl.OP_NO_TLSv1_1)
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        context.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with dial(address) as sock, pytest.raises((ssl.SSLError, ConnectionError)):
        context.wrap_socket(sock)


def test_a_stalled_handshake_is_cut_off(hasty: Rig, tmp_path: Path) -> None:
    pair = write_pair(tmp_path)
    address = hasty.serve(tls=pair)
    with dial(address) as sock:
        sock.sendall(b"\x16\x03\x01")
        with contextlib.suppress(ConnectionResetError):
            assert read_all(sock) == b""
    assert get(address, tls=trusting(pair.certificate)).status == 200


def test_many_stalled_handshakes_do_not_keep_others_out(rig: Rig, tmp_path: Path) -> None:
    pair = write_pair(tmp_path)
    address = rig.serve(tls=pair)
    stalled = [dial(address) for _ in range(400)]
    assert get(address, tls=trusting(pair.certificate)).status == 200
    for sock in stalled:
        sock.close()


def test_a_renewed_certificate_is_served_without_a_switch(rig: Rig, tmp_path: Path) -> None:
    clock = Hands()
    pair = write_pair(tmp_path)
    listener = rig.exposition.bind(ANY_PORT, None, {})
    tls = ServerTls(pair, monotonic=clock)
    rig.exposition.switch(dataclasses.replace(listener, tls=tls))
    address = Address("127.0.0.1", listener.port)
    assert served_name(address) == "CN=web"

    renewed = write_pair(tmp_path, "renewed")
    Path(pair.certificate).write_bytes(Path(renewed.certificate).read_bytes())
    clock.now_s += 6
    assert served_name(address) == "CN=web", "half of the pair is written: the old one goes on"

    Path(pair.key).write_bytes(Path(renewed.key).read_bytes())
    clock.now_s += 6
    assert served_name(address) == "CN=renewed"
    assert served_name(address, "localhost") == "CN=renewed"

    Path(pair.key).unlink()
    clock.now_s += 6
    assert served_name(address) == "CN=renewed"


def test_files_that_are_no_pair_are_refused_by_bind(rig: Rig, tmp_path: Path) -> None:
    one, other = write_pair(tmp_path, "one"), write_pair(tmp_path, "other")
    locked = write_pair(tmp_path, "locked", password=b"secret")
    empty = tmp_path / "empty.pem"
    empty.write_bytes(b"")
    address = rig.serve()
    for files in (
        dataclasses.replace(one, key=other.key),
        locked,
        dataclasses.replace(one, certificate=PurePosixPath(empty)),
        dataclasses.replace(one, certificate=PurePosixPath(tmp_path)),
        dataclasses.replace(one, key=PurePosixPath(tmp_path / "absent")),
    ):
        with pytest.raises(PreflightError, match=r"^metrics\.tls: "):
            rig.serve(tls=files)
    assert get(address).status == 200


def test_refused_settings_leave_no_socket_behind(rig: Rig, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    missing = dataclasses.replace(write_pair(tmp_path), key=PurePosixPath("/absent"))
    with pytest.raises(PreflightError):
        rig.exposition.bind(ListenAddress("127.0.0.1", port), missing, USERS)
    rig.exposition.bind(ListenAddress("127.0.0.1", port), None, {}).close()
