"""A network namespace for each machine, tied to the host by a veth pair, with the host's way out."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from . import paths
from .errors import RigError
from .locks import locked
from .process import run

_SUBNETS: Final = 250
_FORWARD: Final = Path("/proc/sys/net/ipv4/ip_forward")
_INTERFACE: Final = re.compile(rf"^{paths.PREFIX}\d+$")
_TABLES: Final = ("filter", "nat", "mangle")


@dataclass(frozen=True, slots=True)
class Network:
    """One machine's network: subnet number `index` of 10.213.0.0/16, host .1, machine .2."""

    machine: str
    index: int

    @property
    def namespace(self) -> str:
        return namespace_of(self.machine)

    @property
    def path(self) -> Path:
        """What a process enters this namespace by."""
        return Path("/run/netns") / self.namespace

    @property
    def interface(self) -> str:
        """The host's end of the pair; its length is within IFNAMSIZ."""
        return f"{paths.PREFIX}{self.index}"

    @property
    def subnet(self) -> str:
        return f"10.213.{self.index}.0/24"

    @property
    def gateway(self) -> str:
        return f"10.213.{self.index}.1"

    @property
    def address(self) -> str:
        return f"10.213.{self.index}.2"


def namespace_of(machine: str) -> str:
    return f"{paths.PREFIX}{machine}"


def create(machine: str) -> Network:
    """Make the namespace, the pair and the host's rules; the lowest free subnet is taken."""
    with locked(paths.RUN / "lock"):
        network = Network(machine, _free_index())
        _ip("netns", "add", network.namespace)
        _ip(
            "link",
            "add",
            network.interface,
            "type",
            "veth",
            "peer",
            "name",
            "eth0",
            "netns",
            network.namespace,
        )
        mtu = _outer_mtu()
        _ip("link", "set", network.interface, "mtu", mtu, "up")
        _ip("addr", "add", f"{network.gateway}/24", "dev", network.interface)
        _ip("-n", network.namespace, "link", "set", "lo", "up")
        _ip("-n", network.namespace, "link", "set", "eth0", "mtu", mtu, "up")
        _ip("-n", network.namespace, "addr", "add", f"{network.address}/24", "dev", "eth0")
        _ip("-n", network.namespace, "route", "add", "default", "via", network.gateway)
        _allow_forwarding()
        for rule in _rules(network):
            run(["iptables", "-w", *rule])
    return network


def remove(machine: str) -> None:
    """Take away whatever of this machine's network is there; safe to repeat."""
    with locked(paths.RUN / "lock"):
        _drop_rules(namespace_of(machine))
        if namespace_of(machine) in namespaces():
            for interface in _peers(namespace_of(machine)):
                run(["ip", "link", "del", interface], check=False)  # goes by itself with its namespace
            _ip("netns", "del", namespace_of(machine))
        if not namespaces():
            _restore_forwarding()


def namespaces() -> list[str]:
    """The rig's namespaces on this host, of all sessions."""
    rows = json.loads(run(["ip", "-j", "netns", "list"]).stdout or "[]")
    return [row["name"] for row in rows if row["name"].startswith(paths.PREFIX)]


def interfaces() -> list[str]:
    """The rig's interfaces on this host."""
    rows = json.loads(run(["ip", "-j", "link", "show"]).stdout)
    return [row["ifname"] for row in rows if _INTERFACE.match(row["ifname"])]


def rules() -> list[str]:
    """The rig's packet-filter rules on this host, as `TABLE: RULE`."""
    return [
        f"{table}: {rule}"
        for table in _TABLES
        for rule in _listed(table)
        if f'"{paths.PREFIX}' in rule or f"--comment {paths.PREFIX}" in rule
    ]


def _rules(network: Network) -> list[list[str]]:
    mark = ["-m", "comment", "--comment", network.namespace]
    near = network.interface
    clamp = ["-p", "tcp", "--tcp-flags", "SYN,RST", "SYN", "-j", "TCPMSS", "--clamp-mss-to-pmtu"]
    return [
        ["-t", "nat", "-A", "POSTROUTING", "-s", network.subnet, "!", "-o", near, *mark, "-j", "MASQUERADE"],
        ["-I", "FORWARD", "-i", near, *mark, "-j", "ACCEPT"],
        ["-I", "FORWARD", "-o", near, *mark, "-j", "ACCEPT"],
        # containers inside believe in 1500 bytes; the host's own link may carry less
        ["-t", "mangle", "-A", "FORWARD", "-i", near, *mark, *clamp],
    ]


def _drop_rules(comment: str) -> None:
    for table in _TABLES:
        for rule in _listed(table):
            words = rule.replace('"', "").split()
            if "--comment" in words and words[words.index("--comment") + 1] == comment:
                run(["iptables", "-w", "-t", table, "-D", *words[1:]])


def _listed(table: str) -> list[str]:
    return [
        line
        for line in run(["iptables", "-w", "-t", table, "-S"]).stdout.splitlines()
        if line.startswith("-A ")
    ]


def _peers(namespace: str) -> list[str]:
    """The host's interfaces whose other end is in `namespace`."""
    rows = json.loads(run(["ip", "-j", "link", "show"]).stdout)
    return [
        row["ifname"]
        for row in rows
        if row.get("link_netns") == namespace and _INTERFACE.match(row["ifname"])
    ]


def _free_index() -> int:
    taken = set(interfaces())
    for index in range(1, _SUBNETS + 1):
        if f"{paths.PREFIX}{index}" not in taken:
            return index
    raise RigError("all subnets are taken: remove machines (python -m tests.machine.rig clean)")


def _outer_mtu() -> str:
    routes = json.loads(run(["ip", "-j", "-4", "route", "show", "default"]).stdout or "[]")
    if not routes:
        return "1500"
    return Path(f"/sys/class/net/{routes[0]['dev']}/mtu").read_text().strip()


def _allow_forwarding() -> None:
    found = _FORWARD.read_text().strip()
    if found != "1":
        (paths.RUN / "ip_forward").write_text(found)
        _FORWARD.write_text("1")


def _restore_forwarding() -> None:
    kept = paths.RUN / "ip_forward"
    if kept.exists():
        _FORWARD.write_text(kept.read_text())
        kept.unlink()


def _ip(*words: str) -> None:
    run(["ip", *words])
