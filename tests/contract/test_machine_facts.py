"""Facts about this very machine, and about an nginx that runs here."""

from __future__ import annotations

import ipaddress
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hubagent.adapters.machine.facts import LocalMachineFacts
from hubagent.adapters.machine.nginx_facts import NginxFacts
from hubagent.adapters.net.network_facts import NetworkFacts
from hubagent.adapters.systemd import journal
from hubagent.errors import TemporaryError
from hubagent.ports import Listener, MachineFacts, Process
from tests.contract.small_systemd import SmallSystemd
from tests.fakes import FakeMachineFacts
from tests.waiting import wait_until


def test_who_listens_is_told_by_name_and_pid() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mine:
        port = mine.getsockname()[1]
        name = Path("/proc/self/comm").read_text().strip()
        mine_in_words = f"{name} (pid {os.getpid()})"
        facts: list[MachineFacts] = [LocalMachineFacts(), FakeMachineFacts(listeners={port: mine_in_words})]
        assert [each.listener(port) for each in facts] == [mine_in_words, mine_in_words]
    assert LocalMachineFacts().listener(port) is None


def test_a_connection_is_no_listener() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        port = client.getsockname()[1]
        assert LocalMachineFacts().listener(port) is None
        client.close()


def test_listeners_on_ipv6_are_seen() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as mine:
        assert LocalMachineFacts().listener(mine.getsockname()[1]) is not None


def test_the_first_of_several_holders_is_named() -> None:
    """A child inherits the socket; the parent opened it."""
    with socket.create_server(("127.0.0.1", 0)) as mine:
        mine.set_inheritable(True)
        with subprocess.Popen(["sleep", "60"], close_fds=False) as child:
            told = LocalMachineFacts().listener(mine.getsockname()[1])
            child.kill()
    assert told is not None
    assert f"pid {os.getpid()}" in told


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("worker_processes 3;\nevents {\n\tworker_connections 768;\n}\n", 3 * 768),
        ("worker_processes  auto;\nevents { }\n", (os.cpu_count() or 1) * 512),
        ("# worker_processes 9;\nevents {\n    worker_connections 100 ;\n}\n", 100),
    ],
)
def test_connections_are_counted_over_all_workers(tmp_path: Path, text: str, expected: int) -> None:
    main = tmp_path / "nginx.conf"
    main.write_text(text)
    facts: list[MachineFacts] = [
        LocalMachineFacts(NginxFacts(main_file=main)),
        FakeMachineFacts(connections=expected),
    ]
    assert [each.nginx_connections() for each in facts] == [expected, expected]


def test_without_a_main_file_the_connections_are_not_known(tmp_path: Path) -> None:
    facts = LocalMachineFacts(NginxFacts(main_file=tmp_path / "absent"))
    assert facts.nginx_connections() is None


@pytest.mark.parametrize(("families", "expected"), [("AF_UNIX AF_INET", "False"), ("", "True")])
def test_ipv6_is_there_only_when_its_sockets_are(
    systemd: SmallSystemd, tmp_path: Path, families: str, expected: str
) -> None:
    """In a service that may not have IPv6 sockets, and in one that may."""
    program = tmp_path / "ask.py"
    program.write_text(
        f"import sys\nsys.path[:0] = {sys.path!r}\n"
        "from hubagent.adapters.machine.facts import LocalMachineFacts\n"
        "print(LocalMachineFacts().ipv6())\n"
    )
    systemd.write_unit(
        "ask.service",
        f"""
        [Unit]
        DefaultDependencies=no
        [Service]
        Type=oneshot
        ExecStart={sys.executable} {program}
        StandardOutput=truncate:{tmp_path}/answer
        RestrictAddressFamilies={families}
        """,
    )
    systemd.systemctl("daemon-reload")
    systemd.systemctl("start", "ask.service")
    assert (tmp_path / "answer").read_text().strip() == expected


class TestNginx:
    """An nginx of our own, in a temporary folder."""

    @pytest.fixture
    def nginx(self, tmp_path: Path) -> Iterator[tuple[Path, int]]:
        """Its folder and its port."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            port: int = free.getsockname()[1]
        (tmp_path / "large").write_bytes(bytes(1_000_000))
        (tmp_path / "nginx.conf").write_text(
            f"user root; pid {tmp_path}/pid; error_log {tmp_path}/log; daemon off; worker_processes 1;\n"
            f"events {{}}\nhttp {{ access_log off; server {{ listen 127.0.0.1:{port}; root {tmp_path}; limit_rate 1k; }} }}\n"
        )
        with subprocess.Popen(["/usr/sbin/nginx", "-p", tmp_path, "-c", tmp_path / "nginx.conf"]) as master:
            wait_until(lambda: LocalMachineFacts().listener(port), timeout_s=10.0)
            yield tmp_path, port
            master.terminate()

    def test_old_workers_are_those_that_still_hold_a_connection(self, nginx: tuple[Path, int]) -> None:
        folder, port = nginx
        facts = NginxFacts(pid_file=folder / "pid")
        assert facts.old_workers() == 0
        with socket.create_connection(("127.0.0.1", port)) as held:
            held.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
            assert held.recv(1) == b"H"  # a worker has it, and will be long in answering
            os.kill(int((folder / "pid").read_text()), 1)
            wait_until(lambda: facts.old_workers() == 1, timeout_s=10.0)
        wait_until(lambda: facts.old_workers() == 0, timeout_s=10.0)

    def test_a_reload_without_effect_is_explained_by_the_log(self, nginx: tuple[Path, int]) -> None:
        folder, _ = nginx
        facts = NginxFacts(pid_file=folder / "pid", error_log=folder / "log")
        before_s = time.time()
        assert facts.complaint(before_s) is None
        with socket.create_server(("127.0.0.1", 0)) as taken:
            text = (folder / "nginx.conf").read_text()
            other = f"127.0.0.1:{taken.getsockname()[1]}"
            (folder / "nginx.conf").write_text(text.replace("server {", f"server {{ listen {other};"))
            os.kill(int((folder / "pid").read_text()), 1)
            wait_until(lambda: facts.complaint(before_s), timeout_s=10.0)
        assert f"bind() to {other} failed" in str(facts.complaint(before_s))
        assert facts.complaint(time.time() + 60) is None

    def test_its_listener_is_the_master(self, nginx: tuple[Path, int]) -> None:
        folder, port = nginx
        pid = int((folder / "pid").read_text())
        assert LocalMachineFacts().listener(port) == f"nginx (pid {pid})"

    def test_versions_are_those_it_prints(self) -> None:
        nginx, openssl = LocalMachineFacts().nginx_versions()
        printed = subprocess.run(["/usr/sbin/nginx", "-V"], capture_output=True, text=True, check=True).stderr
        assert f"nginx/{'.'.join(map(str, nginx))}" in printed
        assert f"OpenSSL {'.'.join(map(str, openssl))} " in printed

    def test_versions_are_asked_again_only_for_another_binary(self, tmp_path: Path) -> None:
        binary = tmp_path / "nginx"
        _install(
            binary, "1.22.1", "built with OpenSSL 3.0.9 30 May 2023 (running with OpenSSL 3.0.19 27 Jan 2026)"
        )
        facts = NginxFacts(binary)
        assert [facts.versions() for _ in range(3)] == [((1, 22, 1), (3, 0, 19))] * 3
        assert (tmp_path / "asked").read_text() == "x"
        _install(binary, "1.26.3", "built with OpenSSL 3.5.1 1 Jul 2025")
        assert facts.versions() == ((1, 26, 3), (3, 5, 1))

    @pytest.mark.parametrize("text", ["", "#!/bin/sh\nexit 3\n", "#!/bin/sh\necho hello >&2\n"])
    def test_no_nginx_is_a_temporary_error(self, tmp_path: Path, text: str) -> None:
        binary = tmp_path / "nginx"
        if text:
            binary.write_text(text)
            binary.chmod(0o755)
        facts: list[MachineFacts] = [LocalMachineFacts(NginxFacts(binary)), FakeMachineFacts(nginx=None)]
        for each in facts:
            with pytest.raises(TemporaryError, match="nginx"):
                each.nginx_versions()

    def test_an_nginx_that_does_not_run_has_no_old_workers(self, tmp_path: Path) -> None:
        assert NginxFacts(pid_file=tmp_path / "absent").old_workers() == 0
        (tmp_path / "pid").write_text("4194999\n")
        assert NginxFacts(pid_file=tmp_path / "pid").old_workers() == 0


def _install(binary: Path, version: str, ssl: str) -> None:
    """A program that says what such an nginx says, and counts how often it was asked."""
    binary.with_name("asked").unlink(missing_ok=True)
    new = binary.with_name("new")
    new.write_text(
        f"#!/bin/sh\nprintf x >>{binary.with_name('asked')}\n"
        f"echo 'nginx version: nginx/{version} (Debian)' >&2\necho '{ssl}' >&2\n"
    )
    new.chmod(0o755)
    shutil.move(new, binary)


def test_every_socket_of_a_port_is_told_with_its_address_and_user() -> None:
    with socket.create_server(("127.0.0.1", 0)) as first:
        port = first.getsockname()[1]
        with socket.create_server(("::1", port), family=socket.AF_INET6):
            expected = {Listener(port, "127.0.0.1", os.geteuid()), Listener(port, "::1", os.geteuid())}
            fake = FakeMachineFacts()
            fake.sockets += expected
            for facts in (LocalMachineFacts(), fake):
                assert set(facts.listeners(port)) == expected
    assert LocalMachineFacts().listeners(port) == ()


def test_a_socket_for_ipv4_in_ipv6_has_the_address_that_it_means() -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as both:
        both.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        both.bind(("::ffff:127.0.0.1", 0))
        both.listen()
        port = both.getsockname()[1]
        assert [one.address for one in LocalMachineFacts().listeners(port)] == ["127.0.0.1"]


def test_connections_of_a_port_are_counted_while_they_are_established() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert LocalMachineFacts().connections(port) == 0
        with socket.create_connection(("127.0.0.1", port)), server.accept()[0]:
            fake = FakeMachineFacts()
            fake.established[port] = 1
            assert [facts.connections(port) for facts in (LocalMachineFacts(), fake)] == [1, 1]


def test_a_process_is_told_with_its_user_and_whether_it_is_stopped() -> None:
    facts = LocalMachineFacts()
    fake = FakeMachineFacts()
    with subprocess.Popen(["sleep", "60"]) as child:
        expected = Process(os.geteuid(), is_stopped=False)
        fake.process_by = {child.pid: expected}.get
        assert [each.process(child.pid) for each in (facts, fake)] == [expected, expected]
        child.send_signal(signal.SIGSTOP)
        wait_until(lambda: facts.process(child.pid) == Process(os.geteuid(), is_stopped=True), timeout_s=10.0)
        child.kill()
    assert facts.process(child.pid) is None


def test_a_worker_that_is_stopped_counts_as_its_program() -> None:
    """nginx' master never answers anybody itself."""
    facts = LocalMachineFacts()
    with subprocess.Popen(
        ["sh", "-c", "sleep 60 & echo $!; wait"], stdout=subprocess.PIPE, text=True
    ) as master:
        assert master.stdout is not None
        worker = int(master.stdout.readline())
        assert facts.process(master.pid) == Process(os.geteuid(), is_stopped=False)
        os.kill(worker, signal.SIGSTOP)
        wait_until(
            lambda: facts.process(master.pid) == Process(os.geteuid(), is_stopped=True), timeout_s=10.0
        )
        os.kill(worker, signal.SIGKILL)


def test_the_unit_of_who_listens_is_told(systemd: SmallSystemd, tmp_path: Path) -> None:
    """By the kernel's control groups, which anybody may read."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    systemd.write_unit(
        "holder.service",
        f"""
        [Unit]
        DefaultDependencies=no
        [Service]
        ExecStart={sys.executable} -m http.server --bind 127.0.0.1 {port}
        WorkingDirectory={tmp_path}
        """,
    )
    systemd.systemctl("daemon-reload")
    systemd.systemctl("start", "holder.service")
    wait_until(lambda: LocalMachineFacts().listener(port) is not None, timeout_s=20.0)
    try:
        assert "holder.service" in str(LocalMachineFacts().listener(port))
    finally:
        systemd.systemctl("stop", "holder.service")


def network_facts(tmp_path: Path, **files: str) -> NetworkFacts:
    """Of a machine whose files say this; `/` is `__` in the names."""
    for name, text in files.items():
        path = tmp_path / name.replace("__", "/").replace("resolv_conf", "resolv.conf")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return NetworkFacts(tmp_path)


def test_name_servers_are_those_that_docker_gives_containers(tmp_path: Path) -> None:
    """Behind systemd-resolved's stub it takes those that resolved asks (libnetwork/resolvconf)."""
    text = "# nameserver 10.9.9.9\nnameserver 10.0.0.1\n nameserver fd00::1%eth0\nnameserver rubbish\nsearch lan\n"
    facts = network_facts(
        tmp_path, etc__resolv_conf=text, run__systemd__resolve__resolv_conf="nameserver 10.7.7.7"
    )
    assert facts.resolvers() == ("10.0.0.1", "fd00::1")
    (tmp_path / "etc/resolv.conf").write_text("nameserver 127.0.0.53\noptions edns0\n")
    assert facts.resolvers() == ("10.7.7.7",)


@pytest.mark.parametrize("text", ["", "nameserver ", "# being written\n", None])
def test_name_servers_of_before_count_while_their_file_is_being_written(
    tmp_path: Path, text: str | None
) -> None:
    facts = network_facts(tmp_path, etc__resolv_conf="nameserver 10.0.0.1\n")
    assert facts.resolvers() == ("10.0.0.1",)
    path = tmp_path / "etc/resolv.conf"
    path.unlink() if text is None else path.write_text(text)
    assert facts.resolvers() == ("10.0.0.1",)


def test_attached_networks_are_those_where_the_machine_has_an_address_itself() -> None:
    """In a namespace of its own, with a route to a single host beside them, which is somebody else's way."""
    script = (
        "ip link add cable type veth peer name far; ip link set far up; ip addr add 141.84.5.2/24 dev cable; ip addr add 141.84.7.2/26 dev cable;"
        "ip addr add 2001:db8::2/64 dev cable nodad; ip link set lo up; ip link set cable up;"
        "ip route add 198.51.100.7 dev cable; ip route add 198.51.100.128/25 dev cable; ip route add default via 141.84.5.1;"
        f"{sys.executable} -c 'from hubagent.adapters.net.network_facts import NetworkFacts as F; print(*F().attached())'"
    )
    done = subprocess.run(
        ["unshare", "--net", "sh", "-ec", script], capture_output=True, text=True, check=True
    )
    found = done.stdout.split()
    assert [one for one in found if not one.startswith("fe80:")] == [
        "141.84.5.0/24",
        "141.84.7.0/26",
        "2001:db8::/64",
    ]


def test_every_machine_can_tell() -> None:
    for facts in (LocalMachineFacts(), FakeMachineFacts()):
        for text in facts.resolvers():
            ipaddress.ip_address(text)
        for text in facts.attached():
            ipaddress.ip_network(text)


@pytest.mark.parametrize("program", ["exit 1", "kill -9 $$", "exec 1>&-"])
def test_a_journal_that_cannot_be_read_says_nothing(tmp_path: Path, program: str) -> None:
    """It only explains what is known already."""
    journalctl = tmp_path / "journalctl"
    journalctl.write_text(f"#!/bin/sh\n{program}\n")
    journalctl.chmod(0o755)
    assert journal.lines_of("x.service", 0.0, journalctl=journalctl) == ()
    assert journal.lines_of("x.service", 0.0, journalctl=tmp_path / "absent") == ()


def test_a_unit_without_a_log_has_no_lines() -> None:
    facts: list[MachineFacts] = [LocalMachineFacts(), FakeMachineFacts()]
    assert [each.journal("hubagent-no-such.service", time.time()) for each in facts] == [(), ()]


def test_where_a_name_leads_is_told_in_bounded_time() -> None:
    real: MachineFacts = LocalMachineFacts()
    ours = real.addresses("localhost")
    assert ours
    assert all(ours.values())
    assert real.addresses("192.0.2.7") == {"192.0.2.7": False}
    assert real.addresses("no-such-name.invalid") in ({}, None)  # None where no name server answers
    fake: MachineFacts = FakeMachineFacts(
        names={"elsewhere": {"192.0.2.7": False}, "nowhere": {}, "late": None}
    )
    assert fake.addresses("elsewhere") == {"192.0.2.7": False}
    assert fake.addresses("nowhere") == {}
    assert fake.addresses("late") is None
