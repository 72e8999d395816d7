"""What users' servers reach of the local network, whatever is done to the kernel's packet filter by hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from tests.machine.course import Course, set_up
from tests.machine.hub import Hub, until
from tests.machine.lan import DATABASE, HOST, INTERNET, MACHINE, NFS, WEB, Lan, lan

_CONFIG = f"""\
hub: {{signup: open, ask_email: false, stop_idle_after: 0}}
servers:
  closed: {{image: hubagent/julia, memory: 512M, warm: {{ready: 1, max: 1, pluto: false}}}}
  opening: {{image: hubagent/julia, memory: 512M, networks: ["{HOST}:{DATABASE}"], warm: {{ready: 1, max: 1, pluto: false}}}}
  cold: {{image: hubagent/julia, memory: 512M}}
  opencold: {{image: hubagent/julia, memory: 512M, networks: ["{HOST}:{DATABASE}"]}}
"""
ENTRIES = ("closed", "opening", "cold", "opencold")
WARM = ("closed", "opening")
OPENING = ("opening", "opencold")
FILL_S = 240.0

THE_INTERNET = {f"{protocol},{INTERNET},{WEB}" for protocol in ("tcp", "udp")}
THE_HOST = {f"{protocol},{HOST},{port}" for protocol in ("tcp", "udp") for port in (WEB, DATABASE)} | {
    f"icmp,{HOST},0"
}
BY_NAME = f"tcp,host.example.org,{WEB}"


@dataclass
class Classroom(Course):
    """The hub with the configuration above, and a host beside it."""

    lan: Lan = field(init=False)

    def container(self, user: str) -> str:
        """The name of the container of this user's server, cold or from a slot."""
        listed = self.hub.status()["servers"]
        (found,) = [one["container"] for one in listed if one["user"] == user]
        return str(found)

    def starts(self, name: str, *, warm: bool) -> bool:
        """Start the server of an entry for a user of its name. Whether it came the way it should: on a busy machine
        a click may not wait for a slot, and the server is stopped again."""
        if warm:
            self.hub.machine.wait_until(lambda: self._has_ready(name), FILL_S, f"a slot of {name}")
        self.person(name).start(name)
        until(lambda: self._is_known(name), 60.0, f"the server of {name} in status")
        if warm and "slot" not in self.container(name):
            self.person(name).stop()
            return False
        return True

    def _has_ready(self, name: str) -> bool:
        return any(pool["ready"] for pool in self.hub.status()["pools"] if pool["server"] == name)

    def _is_known(self, name: str) -> bool:
        return any(one["user"] == name for one in self.hub.status()["servers"])

    def inside(self, user: str) -> list[str]:
        return ["docker", "exec", self.container(user)]

    def beside(self, user: str) -> list[str]:
        """A program of the machine in the network of the user's container, with as few rights as it has there."""
        pid = self.inspection(self.container(user))["State"]["Pid"]
        bare = ["--reuid=1000", "--regid=1000", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all"]
        return ["nsenter", "--net", f"--target={pid}", "setpriv", *bare]


@pytest.fixture(scope="module")
def room(hub: Hub) -> Iterator[Classroom]:
    """A running server of each entry, the first two from slots."""
    with (
        lan(hub.machine) as beside,
        set_up(Classroom, hub, _CONFIG, own="label=hubagent.server=opencold") as room,
    ):
        room.lan = beside
        for name in ENTRIES:
            until(lambda name=name: room.starts(name, warm=name in WARM), FILL_S, f"the server of {name}")
        yield room


@pytest.mark.each_release
def test_servers_reach_the_internet_names_and_what_their_entry_opens_alone(room: Classroom) -> None:
    assert tuple(name for name in ENTRIES if "slot" in room.container(name)) == WARM
    asked = [*THE_INTERNET, *THE_HOST, BY_NAME]
    everything = room.lan.seen([], asked)
    assert all(everything[what] for what in (*THE_INTERNET, *THE_HOST)), everything
    for name in ENTRIES:
        found = room.lan.seen(room.inside(name), asked)
        opened = {f"tcp,{HOST},{DATABASE}"} if name in OPENING else set()
        assert {what for what, who in found.items() if who} == THE_INTERNET | opened | {BY_NAME}, name
        assert {who[0] for who in found.values() if who} == {MACHINE}, "everybody takes them for the machine"
    # What an image is built from comes by Docker's own network, which is nobody's.
    built = ["docker", "run", "--rm", "hubagent/julia"]
    assert all(room.lan.seen(built, [*THE_INTERNET, *THE_HOST]).values())


def test_what_is_opened_and_closed_counts_at_once_for_servers_that_run(room: Classroom) -> None:
    before = room.hub.main_pid("jupyterhub")
    config = room.hub.config()
    other = f'["{HOST}:{WEB}"]'
    room.hub.edit(config.replace(f'["{HOST}:{DATABASE}"]', other))
    assert room.hub.apply()[1]["result"] in ("ok", "noop")  # noop: it was seen before it was asked for
    for name in OPENING:
        found = room.lan.seen(room.inside(name), [*THE_HOST])
        assert {what for what, who in found.items() if who} == {f"tcp,{HOST},{WEB}"}
    room.hub.edit(config)
    room.hub.apply()
    assert room.hub.main_pid("jupyterhub") == before


def test_an_export_to_the_machines_address_is_the_machines_alone(room: Classroom) -> None:
    room.lan.serve_files()
    assert not any(room.lan.reads_export(room.beside(name)) for name in ENTRIES)
    room.hub.replace(
        f'cold: {{image: hubagent/julia, memory: 512M}}\n  opencold: {{image: hubagent/julia, memory: 512M, networks: ["{HOST}:{DATABASE}"]}}',
        f'cold: {{image: hubagent/julia, memory: 512M}}\n  opencold: {{image: hubagent/julia, memory: 512M, networks: ["{HOST}:{NFS}"]}}',
    )
    room.hub.apply()
    assert room.lan.reads_export(room.beside("opencold")), (
        "the same export, by the same way, when it is opened"
    )


@pytest.mark.parametrize(
    "by_hand",
    [
        "nft delete table inet hubagent",
        "nft insert rule inet hubagent beyond accept",
        "nft flush chain inet hubagent beyond",
        "systemctl restart nftables; systemctl restart docker",
        "nft flush ruleset; systemctl restart docker",
    ],
)
def test_a_packet_filter_changed_by_hand_is_put_back_in_one_look(room: Classroom, by_hand: str) -> None:
    machine = room.hub.machine
    listing = machine.run(["nft", "-s", "list", "table", "inet", "hubagent"]).stdout
    machine.run(["sh", "-ec", by_hand], timeout_s=120.0)
    room.hub.apply()  # a look, which else comes every 20 s

    def is_back() -> bool:
        found = machine.run(["nft", "-s", "list", "table", "inet", "hubagent"], check=False)
        return found.stdout == listing

    until(is_back, 60.0, "the rules in the kernel")
    found = room.lan.seen(room.inside("closed"), [*THE_INTERNET, *THE_HOST])
    assert {what for what, who in found.items() if who} == THE_INTERNET
    assert all(room.people[name].answers() for name in ENTRIES)
