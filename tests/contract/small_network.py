"""A machine between containers and a local network, made of network namespaces alone: real interfaces, routes, packet
filter and sockets, in half a second."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from hubagent.layout import BRIDGE, bridge_of
from tests.waiting import wait_until

GATEWAY = "172.18.0.1"
OWN_BRIDGE = bridge_of("course", own=True)
MACHINE = "10.77.0.2"
PUBLIC_MACHINE = "141.84.5.2"
CABLE = "141.84.5.0/24"
INTERNET = ("203.0.113.9", "8.8.8.8", "172.32.0.1", "100.128.0.1", "192.0.2.1")
INTERNET6 = ("2a00:1450::9",)
HOSTS = (
    *(
        "10.77.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "172.31.255.254",
        "192.168.7.5",
        "100.64.1.1",
        "169.254.169.254",
    ),
    *("192.0.0.8", "198.18.0.1", "240.0.0.1", "141.84.5.7"),
)
HOSTS6 = ("fd00::5", "fc00::5", "64:ff9b::a01:203", "2002:a01:203::1", "::ffff:0:a01:203")
PORTS = (53, 80, 2049, 5432)

_LINKS = f"""
ip link add {BRIDGE} netns @M type veth peer name eth0 netns @A
ip link add {OWN_BRIDGE} netns @M type veth peer name eth0 netns @B
ip link add eth0 netns @M type veth peer name eth0 netns @L
for n in @M @A @B @L; do ip -n $n link set lo up; ip -n $n link set eth0 up; done
ip -n @M link set {BRIDGE} up; ip -n @M link set {OWN_BRIDGE} up
ip -n @M addr add {GATEWAY}/16 dev {BRIDGE}; ip -n @A addr add 172.18.0.2/16 dev eth0
ip -n @M addr add 172.19.0.1/16 dev {OWN_BRIDGE}; ip -n @B addr add 172.19.0.2/16 dev eth0
ip -n @A route add default via {GATEWAY}; ip -n @B route add default via 172.19.0.1
ip -n @M addr add {MACHINE}/24 dev eth0; ip -n @M addr add {PUBLIC_MACHINE}/24 dev eth0
ip -n @M route add default via 10.77.0.1
ip -n @M addr add fd18::1/64 dev {BRIDGE} nodad; ip -n @A addr add fd18::2/64 dev eth0 nodad
ip -n @M addr add fd77::2/64 dev eth0 nodad; ip -n @L addr add fd77::1/64 dev eth0 nodad
ip -n @A route add default via fd18::1; ip -n @M route add default via fd77::1; ip -n @L route add default via fd77::2
ip -n @L addr add 10.77.0.1/24 dev eth0; ip -n @L addr add 141.84.5.7/24 dev eth0
ip -n @L route add default via {MACHINE}
ip netns exec @M sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0
ip netns exec @M nft 'table ip nat {{ chain out {{ type nat hook postrouting priority srcnat; oifname "eth0" masquerade; }}; }}'
"""

# Answers on each address and port with who came. Runs as a host of the local network, or as the machine.
ANSWER = """
import json, selectors, socket, sys
addresses, ports = json.loads(sys.argv[1]), json.loads(sys.argv[2])
waiting = selectors.DefaultSelector()
for address in addresses:
    family = socket.AF_INET6 if ':' in address else socket.AF_INET
    for port in ports:
        tcp, udp = socket.socket(family, socket.SOCK_STREAM), socket.socket(family, socket.SOCK_DGRAM)
        for one in (tcp, udp):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind((address, port))
            waiting.register(one, selectors.EVENT_READ)
        tcp.listen(64)
print('ready', flush=True)
while True:
    for key, _ in waiting.select():
        if key.fileobj.type == socket.SOCK_STREAM:
            peer, who = key.fileobj.accept()
            peer.sendall(json.dumps(who[:2]).encode())
            peer.close()
        else:
            _, who = key.fileobj.recvfrom(100)
            key.fileobj.sendto(json.dumps(who[:2]).encode(), who)
"""

# What of this answers? Each is protocol,address,port; the answer is who the other side saw.
ASK = """
import json, os, socket, struct, sys
from concurrent.futures import ThreadPoolExecutor
def ping(address):
    # A socket for pings needs no privilege (icmp(7)); the kernel fills in the checksum.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP) as asking:
        asking.settimeout(3)
        asking.sendto(struct.pack('!BBHHH', 8, 0, 0, 0, 1), (address, 0))
        return [asking.recvfrom(100)[1][0], 0]
def ask(what):
    protocol, address, port = what.split(',')
    family = socket.AF_INET6 if ':' in address else socket.AF_INET
    try:
        if protocol == 'icmp':
            return ping(address)
        with socket.socket(family, {'tcp': socket.SOCK_STREAM, 'udp': socket.SOCK_DGRAM}[protocol]) as asking:
            asking.settimeout(3)
            asking.connect((address, int(port)))
            if protocol == 'udp':
                asking.send(b'hello')
            return json.loads(asking.recv(100))
    except OSError:
        return None
asked = sys.argv[1:]
with ThreadPoolExecutor(64) as pool:
    print(json.dumps(dict(zip(asked, pool.map(ask, asked)))))
"""


@dataclass(frozen=True)
class SmallNetwork:
    """Namespaces by their letters: M the machine, A and B containers (B of an entry with a network of its own), L everybody
    else. `prefix` makes their names unlike others'."""

    prefix: str

    def run(self, where: str, *argv: str, text: str | None = None) -> str:
        done = subprocess.run(
            ["ip", "netns", "exec", self.prefix + where, *argv],
            input=text, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, f"{argv[:3]}: {done.stderr}"
        return done.stdout

    def load(self, rules: bytes) -> None:
        self.run("M", "nft", "-f", "-", text=rules.decode())

    def answers(self, where: str, asked: Sequence[str]) -> dict[str, list[object] | None]:
        """For each of these, who the other side saw; None where nobody answered."""
        found = json.loads(self.run(where, sys.executable, "-c", ASK, *asked))
        assert isinstance(found, dict)
        return found

    def reached(self, where: str, asked: Sequence[str]) -> set[str]:
        return {what for what, who in self.answers(where, asked).items() if who is not None}


@contextmanager
def small_network() -> Iterator[SmallNetwork]:
    network = SmallNetwork(f"t{uuid.uuid4().hex[:6]}-")
    names = [network.prefix + letter for letter in "MABL"]
    servers: list[subprocess.Popen[str]] = []
    try:
        for name in names:
            subprocess.run(["ip", "netns", "add", name], check=True)
        subprocess.run(["sh", "-ec", _LINKS.replace("@", network.prefix)], check=True, timeout=60)
        more = (*HOSTS, *INTERNET, *HOSTS6, *INTERNET6)
        batch = "".join(
            f"addr add {address}/{128 if ':' in address else 32} dev eth0{' nodad' if ':' in address else ''}\n"
            for address in more
        )
        network.run("L", "ip", "-batch", "-", text=batch)
        servers.append(_answer(network, "L", more, PORTS))
        servers.append(_answer(network, "M", [GATEWAY, MACHINE, PUBLIC_MACHINE, "172.19.0.1"], (8081, 2222)))
        yield network
    finally:
        for server in servers:
            server.kill()
            server.communicate()
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False)


def _answer(
    network: SmallNetwork, where: str, addresses: Sequence[str], ports: Sequence[int]
) -> subprocess.Popen[str]:
    server = subprocess.Popen(
        ["ip", "netns", "exec", network.prefix + where, sys.executable, "-c", ANSWER,
         json.dumps(addresses), json.dumps(ports)],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert server.stdout is not None
    line = server.stdout
    wait_until(lambda: line.readline() == "ready\n", timeout_s=20.0)
    return server
