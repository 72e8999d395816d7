"""Users' servers on a real machine: what a container may and may not, and what it lives through."""

from __future__ import annotations

import http.server
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from hubagent.pool.cleanup import ABANDONED_S
from hubagent.pool.volumes import FOREIGN
from tests.machine.client import Person
from tests.machine.course import Course, set_up
from tests.machine.hub import Hub, until
from tests.machine.secrets import assert_nobody_sees_secrets

# Names that a careless escape would make one: the second is how `a@b.c` looks when only `@` is replaced.
ADA = "a@b.c"
BOB = "a-40b.c"
EVE = "eve"
FORWARDED_TO = "198.51.100.7"
METADATA = "169.254.169.254"

_CONFIG = """\
hub:
  signup: open
  landing: /lab/tree/coursefiles
  admins: [admin, boss]
servers:
  julia:
    title: The course
    image: hubagent/julia
    memory: 512M
    cpus: 1.5
    processes: 200
    mounts:
      - {from: /srv/coursefiles, to: /home/jovyan/work/coursefiles, mode: ro}
      - {from: /srv/shared, to: /home/jovyan/work/shared, mode: rw}
    environment: {COURSE: "numerics; $HOME {1}"}
  large:
    title: More processors than there are
    image: hubagent/julia
    memory: 768M
    cpus: 64
"""

# Runs in a container: which of these addresses accept a connection?
_KNOCK = """
import json, socket, sys
from concurrent.futures import ThreadPoolExecutor
def knock(address):
    host, port = address.rsplit(':', 1)
    try:
        socket.create_connection((host, int(port)), timeout=3).close()
    except OSError:
        return False
    return True
addresses = sys.argv[1:]
with ThreadPoolExecutor(len(addresses)) as pool:
    print(json.dumps(dict(zip(addresses, pool.map(knock, addresses)))))
"""

# Runs in a container: the names of the variables that its server was started with.
_SERVER_ENVIRONMENT = """
import pathlib
for process in pathlib.Path('/proc').glob('[0-9]*'):
    if b'jupyterhub-singleuser' in (process / 'cmdline').read_bytes():
        for variable in (process / 'environ').read_bytes().split(b'\\0'):
            print(variable.partition(b'=')[0].decode())
"""

# Runs in a container: how many threads can there be?
_BREED = """
import threading
stop = threading.Event()
count = 0
try:
    while count < 5000:
        threading.Thread(target=stop.wait).start()
        count += 1
except RuntimeError:
    pass
stop.set()
print(count)
"""


# Runs on the machine as root: a start like one of the hub's that did not live to hear the answer.
_START_UNASKED = """
import socket, sys
sys.path.insert(0, '/usr/lib/python3/dist-packages')
from hubagent import wire
request = wire.Create(sys.argv[1], '', 'julia', {}, ('sleep', '600'), 8888)
with socket.socket(socket.AF_UNIX) as connection:
    connection.connect('/run/hubagent/spawn.sock')
    wire.send(connection, request, timeout_s=10)
    print(wire.receive(connection, wire.Started, timeout_s=120).id)
"""


class Classroom(Course):
    """The hub with the configuration above; servers start cold, each in a container with its user's label."""

    def container(self, name: str) -> str:
        """The name of this person's container, by the label that tells whose it is."""
        listed = self.docker(
            "ps", "--filter", f"label=hubagent.user={name}", "--format", "{{.Names}}"
        ).split()
        assert len(listed) == 1, listed
        return listed[0]

    def inspect(self, name: str) -> dict[str, Any]:
        return self.inspection(self.container(name))

    def address(self, name: str) -> str:
        return str(self.inspect(name)["NetworkSettings"]["Networks"]["hubagent"]["IPAddress"])

    @property
    def gateway(self) -> str:
        return self.docker(
            "network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", "hubagent"
        ).strip()

    def inside(self, name: str, *argv: str) -> str:
        return self.docker("exec", self.container(name), *argv)

    def change(self, old: str, new: str) -> dict[str, Any]:
        """Edit the file, wait for the end of it; nothing may be restarted by it."""
        before = self.hub.main_pid("jupyterhub")
        self.hub.replace(old, new)
        _, status = self.hub.apply()
        assert status["result"] in ("ok", "noop"), status["problems"]
        assert self.hub.main_pid("jupyterhub") == before
        return status


@pytest.fixture(scope="module")
def classroom(hub: Hub) -> Iterator[Classroom]:
    with set_up(Classroom, hub, _CONFIG, own="label=hubagent.user") as room:
        yield room


@pytest.fixture(scope="module", autouse=True)
def forgotten(classroom: Classroom) -> str:
    """An ended container of a start that the hub knows nothing of. Made before the first test, so that the time that
    it stays has passed when the last one asks for its end."""
    machine = classroom.hub.machine
    container = machine.run(["python3", "-c", _START_UNASKED, EVE], timeout_s=150.0).stdout.strip()
    assert classroom.inspect(EVE)["Id"] == container
    classroom.docker("stop", "-t", "1", container)
    return container


# -- what a container is


def test_limits_are_in_force(classroom: Classroom) -> None:
    ada = classroom.person(ADA, running=True)
    limits = classroom.inspect(ADA)["HostConfig"]
    assert limits["Memory"] == limits["MemorySwap"] == 512 * 1024**2
    assert limits["LogConfig"] == {"Type": "local", "Config": {"max-size": "10m", "max-file": "2"}}
    assert limits["NetworkMode"] == "hubagent"
    assert not limits["Privileged"]
    assert not limits["Devices"]
    assert not limits["PortBindings"] or not any(limits["PortBindings"].values())

    status = dict(
        line.split(":\t", 1) for line in classroom.inside(ADA, "cat", "/proc/1/status").splitlines()
    )
    assert {int(status[name], 16) for name in ("CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb")} == {0}
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    assert status["Uid"].split() == ["1000"] * 4

    group = classroom.inside(
        ADA, "cat", "/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "/sys/fs/cgroup/cpu/cpu.cfs_period_us"
    )
    quota, period = map(int, group.split())
    assert quota / period == 1.5

    threads = int(classroom.inside(ADA, "python3", "-c", _BREED))
    assert 50 < threads < 200
    hog = classroom.hub.machine.run(
        [
            "docker",
            "exec",
            classroom.container(ADA),
            "python3",
            "-c",
            "x = bytearray(700 * 1024**2); print(len(x))",
        ],
        check=False,
    )
    assert (hog.rc, hog.stdout) == (137, "")
    assert ada.answers()


def test_it_is_labelled_and_alone_in_its_network(classroom: Classroom) -> None:
    classroom.person(ADA, running=True)
    inspection = classroom.inspect(ADA)
    declared = json.loads(classroom.hub.machine.read("/var/lib/hubagent/current/hub/servers.json"))[
        "servers"
    ]["julia"]
    labels = {
        name: value for name, value in inspection["Config"]["Labels"].items() if name.startswith("hubagent.")
    }
    assert len(labels.pop("hubagent.guest")) == 12
    assert labels == {
        "hubagent.user": ADA,
        "hubagent.server": "julia",
        "hubagent.digest": declared["digest"],
        "hubagent.volume": "jupyterhub-user-a-40b-2ec",
        "hubagent.kept": "home",
    }
    assert list(inspection["NetworkSettings"]["Networks"]) == ["hubagent"]


def test_the_landing_page_and_the_environment(classroom: Classroom) -> None:
    ada = classroom.person(ADA, running=True)
    assert ada.enter().url.endswith(f"{ada.home}/lab/tree/coursefiles")
    with ada.kernel() as kernel:
        kernel.execute("import os; print('COURSE is', os.environ['COURSE'])")
        kernel.sees("COURSE is numerics; $HOME {1}\n")


def test_course_files_are_read_only_and_shared_ones_are_not(classroom: Classroom) -> None:
    ada = classroom.person(ADA, running=True)
    read = ada.jupyter("GET", "/api/contents/coursefiles/lecture.txt")
    assert read.json()["content"] == "Lecture 1\n"
    text = {"type": "file", "format": "text", "content": "mine\n"}
    assert ada.jupyter("PUT", "/api/contents/coursefiles/lecture.txt", text).status_code >= 400
    assert classroom.hub.machine.read("/srv/coursefiles/lecture.txt") == "Lecture 1\n"
    assert ada.jupyter("PUT", "/api/contents/shared/ours.txt", text).status_code == 201
    assert classroom.hub.machine.read("/srv/shared/ours.txt") == "mine\n"


@pytest.mark.each_release
def test_homes_are_kept_and_nobody_gets_another_ones(classroom: Classroom) -> None:
    ada, bob = classroom.person(ADA, running=True), classroom.person(BOB, running=True)
    owner = classroom.inside(ADA, "stat", "-c", "%U %G", "/home/jovyan/work")
    assert owner == "jovyan jovyan\n"
    note = {"type": "file", "format": "text", "content": "Ada's\n"}
    assert ada.jupyter("PUT", "/api/contents/note.txt", note).status_code == 201
    assert bob.jupyter("GET", "/api/contents/note.txt").status_code == 404
    assert bob.call("GET", f"{ada.home}/api/contents/note.txt").status_code in (403, 404)
    homes = {
        name: mount["Name"]
        for name in (ADA, BOB)
        for mount in classroom.inspect(name)["Mounts"]
        if mount["Destination"] == "/home/jovyan/work"
    }
    assert homes == {ADA: "jupyterhub-user-a-40b-2ec", BOB: "jupyterhub-user-a-2d40b-2ec"}

    impostor = Person(classroom.hub, "A@B.c")
    assert "taken" in impostor.sign_up().text
    impostor.close()

    container = classroom.container(ADA)
    ada.stop()
    assert container not in classroom.docker("ps", "-a", "--format", "{{.Names}}")
    ada.start()
    assert ada.jupyter("GET", "/api/contents/note.txt").json()["content"] == "Ada's\n"


# -- whose a home is


def test_a_home_belongs_to_an_account(classroom: Classroom) -> None:
    """Not to a name: whoever takes the name of somebody who was deleted or renamed gets what an administrator says."""
    boss = _boss(classroom)
    first = _newcomer(classroom, "dora", note="the first one's")
    assert _homes(classroom)["jupyterhub-user-dora"]["state"] == "in-use"
    refused = classroom.hub.machine.run(["hubagent", "homes", "archive", "jupyterhub-user-dora"], check=False)
    assert refused.rc == 75
    assert "a server of dora runs" in refused.stderr
    first.stop()
    assert boss.call("DELETE", "/hub/api/users/dora").status_code == 204
    until(lambda: _homes(classroom)["jupyterhub-user-dora"]["state"] == "left-behind", 60.0, "its being left")
    second = _newcomer(classroom, "dora")
    assert _refusal(second) == FOREIGN
    assert _homes(classroom)["jupyterhub-user-dora"]["wanted_by"] == "dora"
    status = classroom.hub.settled(after=lambda now: any(one["reason"] == "home" for one in now["problems"]))
    assert "dora" not in json.dumps(status["problems"])
    assert classroom.hub.metric("hubagent_homes_waiting") == 1.0

    _decides(classroom, "set-aside", "dora")
    second.start()
    assert second.jupyter("GET", "/api/contents/note.txt").status_code == 404
    second.stop()
    _decides(classroom, "keep", "jupyterhub-user-dora")
    second.start()
    assert second.jupyter("GET", "/api/contents/note.txt").json()["content"] == "the first one's"
    second.stop()
    classroom.hub.settled(after=lambda now: all(one["reason"] != "home" for one in now["problems"]))

    assert boss.call("DELETE", "/hub/api/users/dora").status_code == 204
    third = _newcomer(classroom, "dora")
    assert _refusal(third) == FOREIGN
    said = _decides(classroom, "archive", "dora")
    archives = re.findall(r"(/var/lib/hubagent/archive/\S+\.tar\.gz)", said)
    assert len(archives) == 2, "the one that was set aside, too"
    machine = classroom.hub.machine
    assert machine.run(["stat", "-c", "%a %U", *archives]).stdout.split() == ["600", "root"] * 2
    (kept,) = [file for file in archives if "--" not in file]
    note = ["tar", "-xzOf", kept, "volumes/jupyterhub-user-dora/note.txt"]
    assert machine.run(note).stdout == "the first one's"
    third.start()
    assert third.jupyter("GET", "/api/contents/note.txt").status_code == 404
    third.stop()
    machine.run(["rm", *archives])


def test_who_is_renamed_keeps_the_home_and_an_older_one_is_adopted(classroom: Classroom) -> None:
    boss = _boss(classroom)
    fay = classroom.person("fay")
    until(lambda: "jupyterhub-user-fay" in _homes(classroom), 60.0, "the home that is made ahead")
    until(
        lambda: not classroom.docker("ps", "-aq", "--filter", "label=hubagent.home"), 60.0, "its being done"
    )
    # As an older hubagent made it: nothing says which account it is for.
    classroom.docker("volume", "rm", "jupyterhub-user-fay")
    classroom.hub.machine.run(["rm", "-rf", "/var/lib/hubagent/homes"])
    classroom.hub.machine.run(["systemctl", "restart", "hubagent"], timeout_s=200.0)
    classroom.docker("volume", "create", "--label", "hubagent.user=fay", "jupyterhub-user-fay")
    folder = classroom.docker("volume", "inspect", "-f", "{{.Mountpoint}}", "jupyterhub-user-fay").strip()
    classroom.hub.machine.run(["chown", "1000:100", folder])
    fay.start()
    assert _homes(classroom)["jupyterhub-user-fay"]["how"] == "adopted"
    fay.stop()
    classroom.people.pop("fay").close()  # signed in as somebody who is called otherwise from here on
    renamed = boss.call("PATCH", "/hub/api/users/fay", {"name": "morgan"})
    assert renamed.status_code == 200, renamed.text
    with closing(Person(classroom.hub, "morgan")) as morgan:
        morgan.log_in()
        morgan.start()
        assert classroom.inspect("morgan")["Mounts"]
        assert _homes(classroom)["jupyterhub-user-fay"]["owner"] == "morgan"
        with closing(Person(classroom.hub, "fay", "another one entirely 8")) as other:
            assert "Your account is ready" in other.sign_up().text
            other.log_in()
            assert _refusal(other) == FOREIGN
            _decides(classroom, "set-aside", "fay")
            other.start()
            mounts = {mount.get("Name") for mount in classroom.inspect("fay")["Mounts"]}
            assert "jupyterhub-user-fay" not in mounts
            other.stop()
        morgan.stop()


def _boss(classroom: Classroom) -> Person:
    """An admin of the hub, who signs in by the one-time password and chooses another one."""
    if "boss" not in classroom.people:
        boss = Person(classroom.hub, "boss")
        chosen, file = boss.password, "/var/lib/jupyterhub/one-time/boss"
        boss.password = classroom.hub.machine.wait_until(
            lambda: classroom.hub.machine.read(file).strip(), 60.0, "the one-time password"
        )
        page = boss.submit("/hub/login?next=/hub/home", username="boss", password=boss.password).url
        boss.submit(page.removeprefix(boss.base), password=chosen, password_again=chosen)
        boss.password = chosen
        classroom.people["boss"] = boss
    return classroom.people["boss"]


def _newcomer(classroom: Classroom, name: str, *, note: str = "") -> Person:
    """Signed up just now, whoever had the name before; with a server and a note in it where there is one to write."""
    before = classroom.people.pop(name, None)
    if before is not None:
        before.close()
    person = classroom.person(name, running=bool(note))
    if note:
        body = {"type": "file", "format": "text", "content": note}
        assert person.jupyter("PUT", "/api/contents/note.txt", body).status_code == 201
    return person


def _refusal(person: Person) -> str:
    answer = person.ask_for_server()
    assert answer.status_code == 409, answer.text
    return str(answer.json()["message"])


def _homes(classroom: Classroom) -> dict[str, dict[str, Any]]:
    listed = json.loads(classroom.hub.machine.run(["hubagent", "homes", "--json"]).stdout)["homes"]
    return {home["volume"]: home for home in listed}


def _decides(classroom: Classroom, verb: str, name: str) -> str:
    return classroom.hub.machine.run(["hubagent", "homes", verb, name], timeout_s=200.0).stdout


# -- what can be started


def test_several_servers_show_as_a_choice(classroom: Classroom) -> None:
    carl = classroom.person("carl")
    form = carl.open("/hub/spawn").text
    assert 'value="julia"' in form
    assert 'value="large"' in form
    assert "More processors than there are" in form
    refused = carl.ask_for_server("huge")
    assert refused.status_code == 400
    assert refused.json()["message"] == "There is no server 'huge' here; available: julia, large."


def test_an_edit_holds_from_the_next_start(classroom: Classroom) -> None:
    """A running server is left alone and called stale; neither hub nor anything else is restarted."""
    carl = classroom.person("carl")
    carl.start("large")  # of 64 processors: as many as there are
    first = classroom.inspect("carl")
    classroom.docker("tag", "hubagent/julia", "hubagent/next")
    old = "image: hubagent/julia\n    memory: 768M"
    new = "image: hubagent/next\n    memory: 640M"
    try:
        classroom.change(old, new)
        status = classroom.hub.settled(after=lambda now: any(server["stale"] for server in now["servers"]))
        assert [server["user"] for server in status["servers"] if server["stale"]] == ["carl"]
        assert classroom.inspect("carl")["Id"] == first["Id"]
        assert carl.answers()
        carl.stop()
        carl.start("large")
        second = classroom.inspect("carl")
        assert second["HostConfig"]["Memory"] == 640 * 1024**2
        assert second["Config"]["Image"] == "hubagent/next"
        classroom.hub.machine.wait_until(
            lambda: not any(server["stale"] for server in classroom.hub.status()["servers"]),
            60.0,
            "nothing stale",
        )
    finally:
        carl.stop()
        classroom.change(new, old)
        classroom.docker("rmi", "hubagent/next")


def test_a_missing_image_is_named_to_the_user_and_to_the_admin(classroom: Classroom) -> None:
    carl = classroom.person("carl")
    old = "image: hubagent/julia\n    memory: 768M"
    new = "image: hubagent/absent\n    memory: 768M"
    try:
        status = classroom.change(old, new)
        problems = [problem["message"] for problem in status["problems"] if problem["reason"] == "image"]
        assert len(problems) == 1
        assert "servers.large.image: hubagent/absent is not on this machine" in problems[0]
        shown = classroom.hub.machine.run(["hubagent", "status"], check=False).stdout
        assert "hubagent/absent" in shown
        answer = carl.ask_for_server("large")
        assert answer.status_code == 500
        assert answer.json()["message"] == (
            "Image hubagent/absent is not on this server; an administrator sees why with `hubagent status`."
        )
        assert classroom.person(ADA, running=True).answers()
    finally:
        classroom.change(new, old)


# -- what a container reaches


@pytest.fixture
def beyond(classroom: Classroom) -> Iterator[None]:
    """A host beyond the machine that has an ordinary address and the one of a cloud's metadata service."""
    machine = classroom.hub.machine
    machine.run(
        [
            "sh",
            "-ec",
            "ip netns add beyond; ip link add beyond0 type veth peer name eth0 netns beyond; ip link set beyond0 up;"
            "ip -n beyond link set lo up; ip -n beyond link set eth0 up;"
            f"for a in {FORWARDED_TO} {METADATA}; do"
            "  ip -n beyond addr add $a/32 dev eth0; ip route add $a dev beyond0; done;"
            "ip -n beyond route add default dev eth0;"
            "systemd-run -q --unit=beyond --property=NetworkNamespacePath=/run/netns/beyond"
            " python3 -m http.server --directory /usr/share/doc/base-files 80",
        ]
    )
    yield
    machine.run(["sh", "-c", "systemctl stop beyond; ip netns del beyond"])


@pytest.fixture
def host_service(classroom: Classroom) -> Iterator[int]:
    """A service of the machine itself that listens on every address."""
    machine, port = classroom.hub.machine, 2222
    machine.run(["systemd-run", "-q", "--unit=everywhere", "python3", "-m", "http.server", str(port)])
    yield port
    machine.run(["systemctl", "stop", "everywhere"])


@pytest.fixture
def outside(classroom: Classroom) -> Iterator[str]:
    """A web server of the local network, on the other side of the machine's cable."""
    address = classroom.hub.machine.network.gateway
    with http.server.ThreadingHTTPServer((address, 0), http.server.SimpleHTTPRequestHandler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield f"{address}:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_container_reaches_the_hub_and_the_internet_alone(
    classroom: Classroom, beyond: None, host_service: int, outside: str
) -> None:
    classroom.person(ADA, running=True), classroom.person(BOB, running=True)
    machine, gateway = classroom.hub.machine, classroom.gateway
    other = f"{classroom.address(BOB)}:8888"
    open_on_host = [
        f"{address}:{port}" for address in (gateway, machine.address) for port in (host_service, 80, 443)
    ]
    closed_ports = (22, 2375, 8000, 8001, 8002, 9811)
    metadata = f"{METADATA}:80"
    allowed = [f"{gateway}:8081", f"{FORWARDED_TO}:80"]

    def from_machine() -> bool:
        knocked = json.loads(
            machine.run(["python3", "-", *open_on_host, metadata, *allowed, other], input=_KNOCK).stdout
        )
        return all(knocked.values())

    until(from_machine, 20.0, "every one of these addresses to be there for the machine itself")
    forbidden = [*open_on_host, *(f"{gateway}:{port}" for port in closed_ports), metadata, outside, other]
    forbidden += [f"172.17.0.1:{host_service}", f"{machine.address}:8081"]
    reached = json.loads(classroom.inside(ADA, "python3", "-c", _KNOCK, *forbidden, *allowed))
    assert [address for address in forbidden if reached[address]] == []
    assert [address for address in allowed if not reached[address]] == []


# -- what a running server lives through


def _none_fails(person: Person, during: Callable[[], object]) -> int:
    """Ask the person's server again and again; how many answers came. Each must be the right one."""
    person.enter()  # so that the server has asked the hub just now who this is
    answers: list[str] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            try:
                answer = person.jupyter("GET", "/api/status")
                answers.append(
                    "" if answer.status_code == 200 else f"{answer.status_code} {answer.text[:200]}"
                )
            except OSError as error:
                answers.append(repr(error))
            done.wait(0.02)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        during()
    finally:
        done.set()
        asking.join()
    assert [answer for answer in answers if answer] == []
    return len(answers)


def _restart_hub(hub: Hub) -> None:
    before = hub.main_pid("jupyterhub")
    hub.machine.run(["systemctl", "restart", "jupyterhub"])
    after = hub.main_pid("jupyterhub")
    until(lambda: hub.get("/hub/api/health")[0] == 200, 60.0, "the hub to answer again")
    assert after != before
    assert hub.main_pid("jupyterhub") == after, "the agent restarted it once more while it was starting"


def test_a_hub_restart_is_not_noticed(classroom: Classroom) -> None:
    ada = classroom.person(ADA, running=True)
    with ada.kernel() as kernel:
        kernel.tick()
        assert _none_fails(ada, lambda: _restart_hub(classroom.hub)) > 10
        kernel.still_ticks("a hub restart")
    until(lambda: ada.servers().get("", {}).get("ready", False), 60.0, "the hub to know the server again")


@pytest.mark.each_release
def test_a_restart_of_docker_is_not_noticed(classroom: Classroom) -> None:
    ada = classroom.person(ADA, running=True)
    before = classroom.inspect(ADA)
    with ada.kernel() as kernel:
        kernel.tick()
        _none_fails(
            ada, lambda: classroom.hub.machine.run(["systemctl", "restart", "docker"], timeout_s=90.0)
        )
        kernel.still_ticks("a restart of Docker")
    after = classroom.inspect(ADA)
    assert (after["Id"], after["State"]["Pid"]) == (before["Id"], before["State"]["Pid"])
    assert ada.servers()[""]["ready"]
    reached = json.loads(
        classroom.inside(
            ADA, "python3", "-c", _KNOCK, f"{classroom.gateway}:443", f"{classroom.gateway}:8081"
        )
    )
    assert list(reached.values()) == [False, True]


def test_a_restarted_proxy_serves_running_servers_within_ten_seconds(classroom: Classroom) -> None:
    """The agent sees to it; the hub itself would notice at its next look, up to half a minute later."""
    ada, hub = classroom.person(ADA, running=True), classroom.hub
    restored = _restored_routes(hub)
    for _ in range(2):
        hub.machine.run(["systemctl", "restart", "configurable-http-proxy"])
        assert until(ada.answers, 60.0, "the way to the running server") < 10.0
    assert _restored_routes(hub) > restored


def _restored_routes(hub: Hub) -> int:
    """How often the agent has had the hub put its routes back."""
    return hub.machine.run(["journalctl", "-u", "hubagent", "-o", "cat"]).stdout.count("proxy resync")


# -- secrets


def test_secrets_stay_where_they_belong(classroom: Classroom) -> None:
    classroom.person(ADA, running=True)
    assert_nobody_sees_secrets(classroom.hub.machine, containers=1)


def test_the_hub_cannot_read_the_agents_secrets(classroom: Classroom) -> None:
    machine = classroom.hub.machine
    look = (
        'ls /var/lib/hubagent/secrets; cat /var/lib/hubagent/secrets/* "$1"/proxy/token "$1"/hub/secrets.json'
    )
    for user in ("jupyterhub", "nobody"):
        denied = machine.run(
            ["runuser", "-u", user, "--", "sh", "-c", look, "sh", "/var/lib/hubagent/current"], check=False
        )
        assert denied.rc != 0
        assert denied.stdout == ""


def test_the_hub_has_no_way_to_docker(classroom: Classroom) -> None:
    machine = classroom.hub.machine
    groups = machine.run(["sh", "-c", f"grep ^Groups: /proc/{classroom.hub.main_pid('jupyterhub')}/status"])
    docker = machine.run(["getent", "group", "docker"]).stdout.split(":")[2]
    assert docker not in groups.stdout.split()
    ask = ["runuser", "-u", "jupyterhub", "--", "curl", "-sS", "--unix-socket"]
    refused = machine.run([*ask, "/run/docker.sock", "http://localhost/version"], check=False)
    assert (refused.rc, refused.stdout) == (7, ""), "curl: could not connect"
    others = [entry.replace("jupyterhub", "nobody") for entry in ask]
    refused = machine.run([*others, "/run/hubagent/spawn.sock", "http://localhost/"], check=False)
    assert (refused.rc, refused.stdout) == (7, "")


def test_nothing_of_a_server_is_in_docker_inspect_or_argv(classroom: Classroom) -> None:
    classroom.person(ADA, running=True)
    inspection = json.dumps(classroom.inspect(ADA))
    assert "JUPYTERHUB_API_TOKEN" not in inspection
    environment = classroom.inside(ADA, "python3", "-c", _SERVER_ENVIRONMENT)
    assert "JUPYTERHUB_API_TOKEN" in environment, "the server itself was told"


# -- idleness


def test_an_idle_server_is_stopped_and_a_used_one_is_not(classroom: Classroom) -> None:
    ada, bob = classroom.person(ADA, running=True), classroom.person(BOB, running=True)
    with ada.kernel() as kernel:
        kernel.tick()
        classroom.hub.replace("signup: open", "signup: open\n  stop_idle_after: 1m")
        assert classroom.hub.apply("--allow-disruption")[1]["result"] in ("ok", "noop")
        begun = time.monotonic()
        until(lambda: not bob.servers(), 150.0, "the end of the idle server")
        assert time.monotonic() - begun > 10.0
        kernel.still_ticks("a look for idle servers")
    assert ada.servers()[""]["ready"]


# -- what is left


def test_what_the_hub_has_forgotten_goes_and_the_home_stays(classroom: Classroom, forgotten: str) -> None:
    """Where the other tests have taken their time this is already so."""

    def is_gone() -> bool:
        return forgotten not in classroom.docker("ps", "-aq", "--no-trunc")

    until(is_gone, ABANDONED_S + 60.0, "the end of a container that nobody knows of")
    assert "removing the container of a server that ended" in classroom.hub.machine.journal(
        "hubagent", lines=5000
    )
    homes = classroom.docker("volume", "ls", "-q", "--filter", f"label=hubagent.user={EVE}").split()
    assert len(homes) == 1
