"""A host of the local network, beside a machine: it answers with who came, serves names and an NFS export that is the
machine's alone by its address, and has an address of the internet too."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.contract.small_network import ANSWER, ASK
from tests.machine.rig import Machine

MACHINE = "192.168.7.1"
HOST = "192.168.7.5"
INTERNET = "203.0.113.9"
DATABASE, WEB, NFS = 5432, 80, 2049

# Answers every question with one address (RFC 1035): enough for a resolver that asks for a name.
_NAMES = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind((sys.argv[1], 53))
while True:
    question, who = s.recvfrom(512)
    end = question.index(0, 12) + 5
    is_a = question[end - 4:end - 2] == b'\\0\\1'
    answer = b'\\xc0\\x0c\\0\\1\\0\\1\\0\\0\\0\\5\\0\\4' + socket.inet_aton(sys.argv[2]) if is_a else b''
    s.sendto(question[:2] + b'\\x81\\x80\\0\\1' + (b'\\0\\1' if is_a else b'\\0\\0') + b'\\0\\0\\0\\0' + question[12:end] + answer, who)
"""

_GANESHA = f"""
NFS_CORE_PARAM {{ Protocols = 4; NFS_Port = {NFS}; Enable_NLM = false; Enable_RQUOTA = false; Bind_addr = {HOST};
                  allow_set_io_flusher_fail = true; }}
NFSv4 {{ Minor_Versions = 0; Graceless = true; RecoveryBackend = fs; }}
EXPORT {{
  Export_Id = 1; Path = /export; Pseudo = /export; Protocols = 4; Transports = TCP; SecType = sys;
  Access_Type = NONE; PrivilegedPort = true;
  CLIENT {{ Clients = {MACHINE}; Access_Type = RW; Squash = Root_Squash; }}
  FSAL {{ Name = MEM; }}
}}
"""
EXPORT = f"nfs://{HOST}/export?version=4"
_NFS_PACKAGES = ("nfs-ganesha", "nfs-ganesha-mem", "libnfs-utils")

_OUR_NAMES = f"nameserver {HOST}\n"
_LINK = f"""
ip netns add lan
ip link add lan0 type veth peer name eth0 netns lan
ip addr add {MACHINE}/24 dev lan0; ip link set lan0 up
ip -n lan link set lo up; ip -n lan link set eth0 up
ip -n lan addr add {HOST}/24 dev eth0; ip -n lan addr add {INTERNET}/32 dev eth0; ip -n lan route add default via {MACHINE}
ip route add {INTERNET} via {HOST}
"""


class Lan:
    """Of one machine; `asked` is protocol,address,port each."""

    def __init__(self, machine: Machine, names: str) -> None:
        """`names` is the machine's own resolv.conf."""
        self.machine = machine
        self._names = names

    def seen(self, inside: Sequence[str], asked: Sequence[str]) -> dict[str, list[object] | None]:
        """For each of these, who the host saw, None where nobody answered; asked by `inside`, a command's beginning."""
        found = json.loads(self.machine.run([*inside, "python3", "-c", ASK, *asked], timeout_s=120.0).stdout)
        assert isinstance(found, dict)
        return found

    def reads_export(self, inside: Sequence[str] = ()) -> bool:
        return self.machine.run([*inside, "timeout", "20", "nfs-ls", EXPORT], check=False).ok

    def serve_files(self) -> None:
        """Export a folder by NFS to the machine's address and reserved ports alone, as many sites do."""
        self.machine.write("/etc/resolv.conf", self._names)
        self.machine.apt_install("--no-install-recommends", *_NFS_PACKAGES)
        self.machine.write("/etc/resolv.conf", _OUR_NAMES)
        self.machine.run(["systemctl", "disable", "-q", "--now", "nfs-ganesha"], check=False)
        self.machine.write("/srv/ganesha.conf", _GANESHA)
        server = [
            "ganesha.nfsd",
            "-F",
            "-L",
            "/srv/ganesha.log",
            "-f",
            "/srv/ganesha.conf",
            "-p",
            "/run/ganesha.pid",
        ]
        self._unit("lan-nfs", *server)
        self.machine.wait_until(self.reads_export, 60.0, "the NFS export to be there for the machine itself")

    def _unit(self, name: str, *argv: str) -> None:
        place = "--property=NetworkNamespacePath=/run/netns/lan"
        self.machine.run(["systemd-run", "-q", f"--unit={name}", place, *argv])


@contextmanager
def lan(machine: Machine) -> Iterator[Lan]:
    """The machine asks it for names as long as it is there."""
    names = machine.read("/etc/resolv.conf")
    found = Lan(machine, names)
    machine.run(["sh", "-ec", _LINK])
    machine.run(["sysctl", "-qw", "net.ipv4.ping_group_range=0 65535"])  # as Docker has it for containers
    try:
        ports = json.dumps([WEB, DATABASE])
        found._unit("lan-host", "python3", "-c", ANSWER, json.dumps([HOST, INTERNET]), ports)
        found._unit("lan-names", "python3", "-c", _NAMES, HOST, INTERNET)
        machine.write("/etc/resolv.conf", _OUR_NAMES)
        yield found
    finally:
        machine.write("/etc/resolv.conf", names)
        machine.run(
            [
                "sh",
                "-c",
                "systemctl stop lan-host lan-names lan-nfs; ip netns del lan; systemctl reset-failed",
            ],
            check=False,
        )
