"""The rendered packet filter in a real kernel: what containers reach, by TCP, UDP and ICMP, and whom others see."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hubagent.config.kinds.places import parse_network
from hubagent.layout import BRIDGE
from hubagent.render import firewall
from tests.contract.small_network import (
    CABLE,
    GATEWAY,
    HOSTS,
    HOSTS6,
    INTERNET,
    INTERNET6,
    MACHINE,
    OWN_BRIDGE,
    PORTS,
    PUBLIC_MACHINE,
    SmallNetwork,
    small_network,
)
from tests.waiting import wait_until

RESOLVER = "10.77.0.1"
SCRIPTS = Path(__file__).parents[2] / "packaging/hubagent"
EVERYWHERE = [
    *(f"tcp,{host},{port}" for host in (*HOSTS, *HOSTS6) for port in PORTS),
    *(f"udp,{host},{port}" for host in (*HOSTS, *HOSTS6) for port in (53, 2049)),
    *(f"icmp,{host},0" for host in HOSTS),
]
THE_INTERNET = [
    *(f"{protocol},{host},{port}" for protocol in ("tcp", "udp") for host in INTERNET for port in (53, 80)),
    *(f"tcp,{host},80" for host in INTERNET6),
    *(f"icmp,{host},0" for host in INTERNET),
]
NAMES = {f"tcp,{RESOLVER},53", f"udp,{RESOLVER},53"}
OPENED = ("192.168.7.5:5432", "10.1.2.0/24:2049/udp", "172.31.255.254")


def rules(*opened: str, resolvers: tuple[str, ...] = (RESOLVER,)) -> bytes:
    return firewall.rules(
        gateway=GATEWAY,
        resolvers=resolvers,
        attached=[CABLE],
        opened={OWN_BRIDGE: [parse_network(text) for text in opened]} if opened else {},
    )


@pytest.fixture(scope="module")
def network() -> Iterator[SmallNetwork]:
    with small_network() as network:
        network.run("A", "sysctl", "-qw", "net.ipv4.ping_group_range=0 65535")
        network.run("B", "sysctl", "-qw", "net.ipv4.ping_group_range=0 65535")
        yield network


def test_without_it_the_local_network_takes_a_container_for_the_machine(network: SmallNetwork) -> None:
    """What the filter is for; and every address of these tests is really there."""
    network.run("M", "nft", "add table inet hubagent; delete table inet hubagent")
    asked = [*EVERYWHERE, *THE_INTERNET]
    found = network.answers("A", asked)
    assert [what for what in asked if found[what] is None and "::" not in what] == []
    assert (found["tcp,192.168.7.5,2049"] or ["nobody"])[0] == MACHINE


def test_private_networks_are_closed_and_the_internet_is_open(network: SmallNetwork) -> None:
    network.load(rules())
    assert network.reached("A", EVERYWHERE) == NAMES
    assert network.reached("A", THE_INTERNET) == set(THE_INTERNET)


def test_of_the_machine_itself_the_hub_alone_is_open(network: SmallNetwork) -> None:
    network.load(rules())
    own = (GATEWAY, MACHINE, PUBLIC_MACHINE, "172.19.0.1")
    asked = [
        f"{protocol},{host},{port}" for protocol in ("tcp", "udp") for host in own for port in (8081, 2222)
    ]
    asked += [f"icmp,{host},0" for host in own]
    for where in ("A", "B"):
        assert network.reached(where, asked) == {f"tcp,{GATEWAY},8081"}


def test_what_an_entry_opens_is_open_to_its_containers_alone(network: SmallNetwork) -> None:
    network.load(rules(*OPENED))
    everything_there = {
        *(f"tcp,172.31.255.254,{port}" for port in PORTS),
        *(f"udp,172.31.255.254,{port}" for port in (53, 2049)),
        "icmp,172.31.255.254,0",
    }
    assert (
        network.reached("B", [what for what in EVERYWHERE if "::" not in what])
        == {"tcp,192.168.7.5,5432", "udp,10.1.2.3,2049"} | everything_there | NAMES
    )
    assert network.reached("A", EVERYWHERE) == NAMES
    assert network.reached("B", [what for what in THE_INTERNET if "::" not in what])


def test_what_gets_closed_ends_for_conversations_that_are_open(network: SmallNetwork) -> None:
    network.load(rules("192.168.7.5:2049/udp"))
    talk = (
        "import socket, sys\n"
        "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(10); s.connect(('192.168.7.5', 2049))\n"
        "for line in sys.stdin:\n"
        "    try:\n        s.send(b'hello'); print('answered' if s.recv(100) else '', flush=True)\n"
        "    except OSError as error:\n        print(type(error).__name__, error.errno, flush=True)\n"
    )
    with subprocess.Popen(
        ["ip", "netns", "exec", f"{network.prefix}B", "python3", "-c", talk],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
    ) as talking:  # fmt: skip
        assert talking.stdin is not None
        assert talking.stdout is not None

        def say() -> str:
            assert talking.stdin is not None
            assert talking.stdout is not None
            talking.stdin.write("\n")
            return talking.stdout.readline().strip()

        assert (say(), say()) == ("answered", "answered")
        network.load(rules())
        assert say().startswith("OSError")
        talking.stdin.close()


def test_containers_do_not_reach_each_other_and_answer_the_machine(network: SmallNetwork) -> None:
    network.load(rules(*OPENED))
    script = "import socket; s = socket.create_server(('', 8888)); print('ready', flush=True)\nwhile True:\n    c, who = s.accept(); c.sendall(b'[\"you\", 1]'); c.close()"
    with subprocess.Popen(
        ["ip", "netns", "exec", f"{network.prefix}B", "python3", "-c", script],
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == "ready\n"
        assert network.reached("M", ["tcp,172.19.0.2,8888"])
        assert not network.reached("A", ["tcp,172.19.0.2,8888"])
        server.kill()


def test_the_bridge_of_a_network_that_somebody_else_made_is_covered(network: SmallNetwork) -> None:
    network.run("M", "ip", "link", "set", BRIDGE, "down")
    network.run("M", "ip", "link", "set", BRIDGE, "name", "br-0123456789ab")
    network.run("M", "ip", "link", "set", "br-0123456789ab", "up")
    try:
        network.load(rules())
        assert "tcp,192.168.7.5,2049" in network.reached("A", ["tcp,192.168.7.5,2049"])
        network.load(
            firewall.rules(gateway=GATEWAY, resolvers=[RESOLVER], foreign_bridges=["br-0123456789ab"])
        )
        some = [what for what in EVERYWHERE if CABLE[:8] not in what and "::" not in what]
        assert network.reached("A", some) == NAMES
    finally:
        network.run("M", "ip", "link", "set", "br-0123456789ab", "down")
        network.run("M", "ip", "link", "set", "br-0123456789ab", "name", BRIDGE)
        network.run("M", "ip", "link", "set", BRIDGE, "up")


class TestWatch:
    """The two scripts of the units, on the kernel's own rules."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        (tmp_path / "run").mkdir()
        (tmp_path / "firewall").mkdir()
        (tmp_path / "firewall/hubagent.nft").write_bytes(rules())
        script = (SCRIPTS / "load-firewall").read_text()
        (tmp_path / "load").write_text(script.replace("/var/lib/hubagent/current", str(tmp_path)))
        return tmp_path

    def load(self, network: SmallNetwork, folder: Path) -> None:
        network.run("M", "env", f"RUNTIME_DIRECTORY={folder}/run", "sh", f"{folder}/load")

    @pytest.fixture
    def watch(self, network: SmallNetwork, folder: Path) -> Iterator[None]:
        self.load(network, folder)
        with subprocess.Popen(
            ["ip", "netns", "exec", f"{network.prefix}M", str(SCRIPTS / "watch-firewall")],
            env={**os.environ, "RUNTIME_DIRECTORY": f"{folder}/run"},
        ) as watching:
            yield
            watching.kill()

    @pytest.mark.parametrize(
        "by_hand",
        [
            "flush ruleset",
            "delete table inet hubagent",
            "flush chain inet hubagent beyond",
            "insert rule inet hubagent beyond accept",
            'add rule inet hubagent input iifname "nothing" accept',
            "add chain inet hubagent another",
        ],
    )
    def test_what_is_changed_by_hand_is_noted_until_it_is_loaded_again(
        self, network: SmallNetwork, folder: Path, watch: None, by_hand: str
    ) -> None:
        def is_held() -> bool:
            return (folder / "run/held").read_text() == (folder / "run/listing").read_text()

        wait_until(is_held)
        network.run("M", "nft", by_hand)
        wait_until(lambda: not is_held())
        self.load(network, folder)
        assert is_held()
        network.run("M", "nft", "add table inet others; delete table inet others")  # news of nothing of ours
        wait_until(is_held)

    def test_whether_dockers_own_rules_are_there_is_noted(
        self, network: SmallNetwork, folder: Path, watch: None
    ) -> None:
        def noted() -> str:
            path = folder / "run/docker"
            return path.read_text().strip() if path.exists() else ""

        docker = f'table ip dockers {{ chain c {{ type nat hook postrouting priority 100; oifname != "{BRIDGE}" masquerade; }}; }}'
        wait_until(lambda: noted() == "gone", noted)
        network.run("M", "nft", docker)
        wait_until(lambda: noted() == "there", noted)
        network.run("M", "nft", "delete table ip dockers")
        wait_until(lambda: noted() == "gone", noted)
