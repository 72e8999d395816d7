"""Warm slots on a real machine: a click takes one, with the user's home and nobody else's, and nothing is left."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.machine.client import Person
from tests.machine.course import set_up
from tests.machine.hub import Hub, until
from tests.machine.slots import Waiting

_CONFIG = """\
hub: {signup: open, ask_email: false, stop_idle_after: 0}
servers:
  course:
    image: hubagent/julia
    memory: 640M
    cpus: 1.5
    processes: 200
    mounts:
      - {from: /srv/coursefiles, to: /home/jovyan/work/coursefiles, mode: ro}
      - {from: /srv/shared, to: /srv/shared, mode: rw}
    environment: {COURSE: "numerics; $HOME {1}"}
    warm: {ready: 2, max: 4, kernels: {python: 1}, pluto: false}
"""
FILL_S = 180.0
CLAIMS = 4
SLOTS = "/run/hubagent-homes/slots"

# Runs on the machine as root: the share of a processor that a container takes for ten seconds (proc(5), schedstat).
_USED = """
import pathlib, subprocess, sys, time
def used_ns():
    top = subprocess.run(['docker', 'top', sys.argv[1], '-o', 'pid'], stdout=subprocess.PIPE, text=True, check=True)
    pids = top.stdout.split()[1:]
    assert len(pids) >= 3, pids
    return sum(int(task.read_text().split()[0])
               for pid in pids for task in pathlib.Path(f'/proc/{pid}/task').glob('*/schedstat'))
before, begun = used_ns(), time.monotonic()
time.sleep(10)
print((used_ns() - before) / 1e9 / (time.monotonic() - begun))
"""

# Runs in a kernel: all that a program there could tell the way by which its server was started.
_SELF = """
import json, locale, os, subprocess, sys
def output(*argv):
    return subprocess.run(argv, capture_output=True, text=True).stdout
mounts = [line.split() for line in open('/proc/self/mountinfo')]
print('\\nfacts', json.dumps({
    'cwd': os.getcwd(), 'uid': [os.getuid(), os.getgid(), os.getgroups()], 'path': sys.path,
    'course': os.environ['COURSE'], 'environment': sorted(os.environ), 'umask': output('sh', '-c', 'umask'),
    'locale': locale.getlocale(), 'nice': os.nice(0),
    'owner': [os.stat('.').st_uid, os.stat('.').st_gid, oct(os.stat('.').st_mode)],
    'mounts': {mount[4]: mount[5].split(',')[0]
               for mount in mounts if mount[4].endswith(('/srv/shared', '/coursefiles'))},
}), 'end of facts', flush=True)
"""

# Runs on the machine as the hub's user: what an intruder in the hub would try.
_INTRUDE = """
import json, socket, sys
sys.path.insert(0, '/usr/lib/python3/dist-packages')
from hubagent import wire
def ask(frame):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect('/run/hubagent/spawn.sock')
        connection.sendall(frame)
        return wire.receive(connection, wire.Done, wire.Refused, wire.Started, wire.Inspected, wire.Text,
                            timeout_s=10)
def refusal(frame):
    answer = ask(frame)
    return answer.reason if isinstance(answer, wire.Refused) else repr(answer)
def reach(path):
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(path)
        except OSError as error:
            return type(error).__name__
    return 'reached'
print(json.dumps({
    'foreign container': [refusal(wire.encode(wire.Remove('bystander'))),
                          refusal(wire.encode(wire.Stop('bystander'))),
                          refusal(wire.encode(wire.Output('bystander', 5)))],
    'undeclared server': refusal(wire.encode(wire.Create('eve', '', 'nonsense', {}, ('sh',), 8888))),
    'no message': refusal(wire.HEADER.pack(5) + b'hello'),
    'helper': reach('/run/hubagent-homes/socket'),
    'docker': reach('/run/docker.sock'),
}))
"""

# Runs in a container: which sockets in files are there that accept us; what is mounted?
_OUTWARD = """
import json, os, socket, stat
sockets = []
for folder, folders, names in os.walk('/'):
    if folder in ('/proc', '/sys'):
        folders.clear()
        continue
    for name in names:
        path = os.path.join(folder, name)
        try:
            if not stat.S_ISSOCK(os.lstat(path).st_mode):
                continue
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(path)
        except OSError:
            continue
        sockets.append(path)
mounts = [line.split()[4] for line in open('/proc/self/mountinfo')]
ours = [path for path in mounts if not path.startswith(('/proc', '/sys', '/dev'))]
first = open('/proc/1/comm').read().strip()
print(json.dumps({'sockets': sockets, 'mounts': ours, 'first process': first}))
"""

# Runs in a kernel: a process that does what it can to stay.
_STAY = """
import os, signal, subprocess
def leave():
    os.setsid()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
subprocess.Popen(['sh', '-c', 'while :; do sleep 1; done', 'outlives-the-stop'], preexec_fn=leave)
print('it stays', flush=True)
"""
# Runs on the machine as root: kills a process at a moment when Docker's services are idle, for a slot that it makes.
_KILL_WHILE_IDLE = """
import os, pathlib, signal, sys, time
groups = [pathlib.Path('/sys/fs/cgroup/cpu/system.slice', name) for name in ('docker.service', 'containerd.service')]
def read(file):
    return [(group / file).read_text().strip() for group in groups]
def wait(idle):
    deadline_s = time.monotonic() + 60
    while read('cpu.idle') != [idle, idle]:
        assert time.monotonic() < deadline_s, (idle, read('cpu.idle'))
        time.sleep(0.001)
wait('1')
os.kill(int(sys.argv[1]), signal.SIGKILL)
wait('0')
print(*read('cpu.shares'))
"""

# Runs on the machine as root: looks for a slot that warms up, and for it to stand still and go on. The kernel's version 1
# of cgroups stops a group for some milliseconds, too, when Docker changes something about it.
_WATCH_STILL = """
import json, pathlib, sys, time
def until(what, deadline_s):
    while not (found := what()) and time.monotonic() < deadline_s:
        time.sleep(0.02)
    return found
def warming():
    for path in pathlib.Path('/run/hubagent/guests').glob('*/slot.json'):
        try:
            slot = json.loads(path.read_text())
        except FileNotFoundError:
            continue
        if slot['phase'] == 'warming':
            return slot['container']
deadline_s = time.monotonic() + 60
container = until(warming, deadline_s)
print('warming', flush=True)
state = pathlib.Path(f'/sys/fs/cgroup/freezer/system.slice/docker-{container}.scope/freezer.state')
def still():
    end_s = time.monotonic() + 0.3
    while state.read_text() == 'FROZEN\\n':
        if time.monotonic() > end_s:
            return True
        time.sleep(0.01)
until(lambda: still() or warming() != container, deadline_s)
if still():
    print('stands still', flush=True)
    if until(lambda: state.read_text() == 'THAWED\\n', deadline_s):
        print('goes on', flush=True)
"""
_MOUNTS = {
    "/",
    "/etc/hostname",
    "/etc/hosts",
    "/etc/resolv.conf",
    "/home/jovyan/work",
    "/home/jovyan/work/coursefiles",
    "/opt/hubagent",
    "/run/hubagent",
    "/srv/shared",
    "/usr/sbin/docker-init",
}


class Lecture(Waiting):
    """The hub with the configuration above; servers start from slots."""

    def pool(self) -> dict[str, Any]:
        pools = {pool["server"]: pool for pool in self.hub.status()["pools"]}
        value = pools["course"]
        assert isinstance(value, dict)
        return value

    def fill(self, slots: int = 2) -> None:
        until(lambda: len(self.ready_slots()) >= slots, FILL_S, f"{slots} ready slots: {self.pool()}")

    def warm(self, name: str) -> Person:
        """This person's server, from a slot. On a machine that is too busy a claim is given up and the server
        starts cold, as it should; then once more."""
        person = self.person(name)
        for _ in range(CLAIMS):
            self.fill(1)
            hits = self.claims("hit")
            person.start()
            if self.claims("hit") == hits + 1:
                return person
            person.stop()
        raise AssertionError(f"{name} got no slot in {CLAIMS} starts")

    def cold(self, name: str) -> Person:
        """The same server, started without a slot."""
        before = self.hub.replace("warm: {ready: 2", "warm: {ready: 0")
        self.hub.apply()
        try:
            until(lambda: not self.ready_slots(), FILL_S, "an empty pool")
            hits = self.claims("hit")
            person = self.person(name)
            person.start()
            assert self.claims("hit") == hits
        finally:
            self.hub.edit(before)
            self.hub.apply()
        return person

    def claims(self, result: str) -> float:
        try:
            return self.hub.metric(f'hubagent_pool_claims_total{{result="{result}",server="course"}}')
        except AssertionError:
            return 0.0

    def container(self, name: str) -> str:
        """The container that runs this person's server."""

        def find() -> str | None:
            found = [one["container"] for one in self.hub.status()["servers"] if one["user"] == name]
            there = self.docker("ps", "--format", "{{.Names}}").split()  # the status may be of a moment ago
            return str(found[0]) if len(found) == 1 and found[0] in there else None

        return self.hub.machine.wait_until(find, 60.0, f"{name}'s server in the status")

    def inside(self, container: str, *argv: str) -> str:
        return self.docker("exec", container, *argv)


@pytest.fixture(scope="module")
def lecture(hub: Hub) -> Iterator[Lecture]:
    with set_up(Lecture, hub, _CONFIG, own="label=hubagent.server=course") as room:
        yield room


@pytest.fixture(autouse=True)
def nobody_is_left(lecture: Lecture) -> Iterator[None]:
    """After each test every person's server is stopped, and nothing of it stays."""
    yield
    for person in lecture.people.values():
        if person.servers():
            person.stop()
    until(lecture.is_tidy, FILL_S, "nothing but waiting slots")


# -- a click


@pytest.mark.each_release
def test_a_click_takes_a_waiting_slot(lecture: Lecture) -> None:
    lecture.fill()
    waiting = lecture.ready_slots()
    lecture.warm("olga")
    inspection = lecture.inspection(lecture.container("olga"))
    assert inspection["Id"] in waiting
    assert inspection["Name"].startswith("/hubagent-slot-")
    lecture.fill()  # its place is taken by a fresh one


@pytest.mark.each_release
def test_a_slot_becomes_the_server_that_a_cold_start_gives(lecture: Lecture) -> None:
    """Everything a user or a program in the server could see is the same on both ways."""
    seen = {}
    for how in ("warm", "cold"):
        person = getattr(lecture, how)("olga")
        container = lecture.container("olga")
        host = lecture.inspection(container)["HostConfig"]
        with person.kernel() as kernel:
            kernel.execute(_SELF)
            kernel.sees(" end of facts\n")
            facts = json.loads(kernel.output.partition("\nfacts ")[2].partition(" end of facts")[0])
        facts["limits"] = {name: host[name] for name in ("Memory", "MemorySwap", "CpuQuota", "PidsLimit")}
        facts["rights"] = {name: host[name] for name in ("CapDrop", "CapAdd", "SecurityOpt", "Privileged")}
        facts["page"] = person.enter().url
        facts["cookies"] = sorted(
            (cookie.name.partition("-")[0], cookie.path)
            for cookie in person.session.cookies
            if "/user/" in cookie.path
        )
        person.stop()
        seen[how] = facts
    names = [set(facts.pop("environment")) for facts in seen.values()]
    assert names[0] ^ names[1] == set()
    assert seen["warm"] == seen["cold"]
    assert seen["warm"]["cwd"] == "/home/jovyan/work"
    assert seen["warm"]["course"] == "numerics; $HOME {1}"
    assert seen["warm"]["limits"]["Memory"] == 640 * 1024**2
    assert all(path.startswith("/user/olga/") for _, path in seen["warm"]["cookies"])


def test_no_secret_is_in_what_docker_tells(lecture: Lecture) -> None:
    for how in ("warm", "cold"):
        person = getattr(lecture, how)("olga")
        container = lecture.container("olga")
        with person.kernel() as kernel:
            kernel.execute("import os; print('token', os.environ['JUPYTERHUB_API_TOKEN'], 'end')")
            kernel.sees(" end\n")
            token = kernel.output.split()[1]
        assert len(token) >= 32
        assert token not in lecture.docker("inspect", container)
        assert token not in lecture.inside(container, "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
        assert token not in lecture.hub.machine.run(["journalctl", "--no-pager", "-o", "export"]).stdout
        person.stop()


# -- homes


def test_a_home_is_the_same_one_warm_and_cold(lecture: Lecture) -> None:
    text = {"type": "file", "format": "text", "content": "kept\n"}
    olga = lecture.warm("olga")
    assert olga.jupyter("PUT", "/api/contents/note.txt", text).ok
    olga.stop()
    lecture.cold("olga")
    assert olga.jupyter("GET", "/api/contents/note.txt").json()["content"] == "kept\n"
    olga.stop()
    lecture.warm("olga")
    assert olga.jupyter("GET", "/api/contents/note.txt").json()["content"] == "kept\n"


def _home(lecture: Lecture, name: str) -> str:
    """Where this person's home lies on the machine."""
    path = lecture.docker("volume", "inspect", "-f", "{{.Mountpoint}}", f"jupyterhub-user-{name}").strip()
    assert path.startswith("/var/lib/docker/volumes/")
    return path


def test_a_full_home_is_handed_out_and_can_be_cleared(lecture: Lecture) -> None:
    text = {"type": "file", "format": "text", "content": "a line\n" * 1000}
    lecture.warm("olga").stop()
    machine, home = lecture.hub.machine, _home(lecture, "olga")
    machine.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=755,uid=1000", "none", home])
    try:
        fill = f"cd {home}; cat /dev/zero >filler || chown 1000 filler"
        assert "No space left" in machine.run(["sh", "-c", fill]).stderr
        olga = lecture.warm("olga")
        refused = olga.jupyter("PUT", "/api/contents/note.txt", text)
        assert refused.status_code == 500, refused.text
        assert olga.jupyter("DELETE", "/api/contents/filler").ok
        assert olga.jupyter("PUT", "/api/contents/note.txt", text).ok
        olga.stop()
    finally:
        until(lambda: machine.run(["umount", home], check=False).rc == 0, FILL_S, "an end of the home's use")


def test_a_home_that_was_removed_is_made_anew(lecture: Lecture) -> None:
    lecture.warm("olga").stop()
    gone = ["docker", "volume", "rm", "jupyterhub-user-olga"]
    until(lambda: lecture.hub.machine.run(gone, check=False).ok, FILL_S, "an end of the home's use")
    olga = lecture.warm("olga")
    text = {"type": "file", "format": "text", "content": "kept\n"}
    assert olga.jupyter("PUT", "/api/contents/note.txt", text).ok
    assert lecture.hub.machine.read(f"{_home(lecture, 'olga')}/note.txt") == "kept\n"


def test_nobody_gets_a_slot_without_its_home(lecture: Lecture) -> None:
    """The volume's folder is gone, which Docker has not been told."""
    lecture.warm("olga").stop()
    machine, home = lecture.hub.machine, _home(lecture, "olga")
    lecture.fill()
    machine.run(["mv", home, f"{home}.lost"])
    try:
        hits, failures = lecture.claims("hit"), lecture.claims("fail")
        refused = lecture.person("olga").ask_for_server()
        assert refused.status_code == 503, refused.text
        assert "hubagent's log says why" in refused.text
        assert f"{home}: cannot be attached: there is no such folder" in machine.journal("hubagent")
        assert (lecture.claims("hit"), lecture.claims("fail")) == (hits, failures + 1)
    finally:
        machine.run(["mv", f"{home}.lost", home])
    assert lecture.warm("olga").answers()


def test_course_files_lie_in_the_home_read_only(lecture: Lecture) -> None:
    olga = lecture.warm("olga")
    text = {"type": "file", "format": "text", "content": "mine\n"}
    assert olga.jupyter("GET", "/api/contents/coursefiles/lecture.txt").json()["content"] == "Lecture 1\n"
    assert olga.jupyter("PUT", "/api/contents/coursefiles/lecture.txt", text).status_code >= 400
    assert lecture.hub.machine.read("/srv/coursefiles/lecture.txt") == "Lecture 1\n"
    olga.stop()
    assert lecture.hub.machine.read("/srv/coursefiles/lecture.txt") == "Lecture 1\n"


def test_a_trap_in_the_home_catches_nobody(lecture: Lecture) -> None:
    """Where course files belong the user has put a way out of the home; the host's folder stays as it is."""
    olga = lecture.warm("olga")
    olga.stop()
    until(lecture.is_tidy, 60.0, "its end: the container's, and then that of the mounts in the home")
    volume = lecture.docker("volume", "inspect", "-f", "{{.Mountpoint}}", "jupyterhub-user-olga").strip()
    lecture.hub.machine.run(["sh", "-ec", f"cd {volume}; rmdir coursefiles; ln -s /etc coursefiles"])
    before = lecture.hub.machine.run(
        ["sh", "-c", "ls -la /etc | sha256sum; grep -c . /proc/1/mountinfo"]
    ).stdout
    lecture.fill()
    olga.ask_for_server()
    until(lambda: olga.servers().get("", {}).get("pending") is None, 120.0, "an end of the start")
    after = lecture.hub.machine.run(["sh", "-c", "ls -la /etc | sha256sum"]).stdout
    assert before.startswith(after.strip())
    assert not any(
        line.split()[4].startswith("/etc/") and "coursefiles" in line for line in _mountinfo(lecture)
    )
    if olga.servers():
        olga.stop()
    lecture.hub.machine.run(["rm", f"{volume}/coursefiles"])


def _mountinfo(lecture: Lecture) -> list[str]:
    return lecture.hub.machine.read("/proc/1/mountinfo").splitlines()


def test_nobody_sees_anything_of_another(lecture: Lecture) -> None:
    lecture.fill()
    olga, otto = lecture.warm("olga"), lecture.warm("otto")
    text = {"type": "file", "format": "text", "content": "Olga's\n"}
    assert olga.jupyter("PUT", "/api/contents/only-of-olga.txt", text).ok
    assert otto.jupyter("GET", "/api/contents/only-of-olga.txt").status_code == 404
    assert otto.call("GET", f"{olga.home}/api/contents/only-of-olga.txt").status_code in (302, 403, 404)
    theirs = lecture.container("otto")
    assert lecture.container("olga") != theirs
    seen = lecture.inside(
        theirs, "sh", "-c", "cat /proc/self/mountinfo; cat /proc/[0-9]*/environ; ls -R /run/hubagent"
    )
    assert "olga" not in seen
    assert not lecture.inside(theirs, "sh", "-c", "find / -name only-of-olga.txt 2>/dev/null || true")


# -- leaving


@pytest.mark.parametrize("how", ["stop", "kill", "remove"])
def test_nothing_is_left_of_a_server_that_ended(lecture: Lecture, how: str) -> None:
    olga = lecture.warm("olga")
    container = lecture.container("olga")
    text = {"type": "file", "format": "text", "content": "kept\n"}
    assert olga.jupyter("PUT", "/api/contents/kept.txt", text).ok
    if how == "stop":
        olga.stop()
    else:
        lecture.docker(*{"kill": ("kill", container), "remove": ("rm", "-f", container)}[how])
    until(lambda: not lecture.traces()["attached"], 180.0, "the home detached")
    until(lambda: not olga.servers(), 180.0, "the hub to know")
    assert container not in lecture.docker("ps", "-a", "--format", "{{.Names}}")
    volume = lecture.docker("volume", "inspect", "-f", "{{.Mountpoint}}", "jupyterhub-user-olga").strip()
    assert lecture.hub.machine.read(f"{volume}/kept.txt") == "kept\n"
    lecture.warm("olga")
    assert olga.jupyter("GET", "/api/contents/kept.txt").json()["content"] == "kept\n"


# -- faults


def _kill(lecture: Lecture, unit: str) -> None:
    lecture.hub.machine.run(["systemctl", "kill", "-s", "KILL", unit])


def _comes_back(lecture: Lecture, unit: str, before: int) -> None:
    until(lambda: lecture.hub.main_pid(unit) not in (0, before), 60.0, f"{unit} to be back")


@pytest.mark.parametrize("unit", ["hubagent", "hubagent-homes", "jupyterhub"])
def test_a_server_lives_through_the_death_of(lecture: Lecture, unit: str) -> None:
    lecture.fill()
    olga = lecture.warm("olga")
    lecture.fill()
    waiting, before = lecture.ready_slots(), lecture.hub.main_pid(unit)
    with olga.kernel() as kernel:
        kernel.tick()
        _kill(lecture, unit)
        _comes_back(lecture, unit, before)
        kernel.still_ticks(f"the death of {unit}")
    until(lambda: lecture.hub.get("/hub/login")[0] == 200, 90.0, "the hub")
    until(lambda: len(lecture.ready_slots()) >= 2, FILL_S, "the pool as it was")
    assert lecture.ready_slots() == waiting, "the slots that waited are kept"
    otto = lecture.warm("otto")
    assert otto.answers()
    olga.stop()


def test_slots_outlive_a_restart_of_docker(lecture: Lecture) -> None:
    lecture.fill()
    olga = lecture.warm("olga")
    lecture.fill()
    waiting = lecture.ready_slots()
    with olga.kernel() as kernel:
        kernel.tick()
        lecture.hub.machine.run(["systemctl", "restart", "docker"], timeout_s=120.0)
        kernel.still_ticks("a restart of Docker")
    until(lambda: len(lecture.ready_slots()) >= 2, FILL_S, "the pool as it was")
    assert lecture.ready_slots() == waiting
    assert lecture.warm("otto").answers()


def test_without_the_homes_helper_servers_start_cold(lecture: Lecture) -> None:
    lecture.fill()
    machine = lecture.hub.machine
    hits = lecture.claims("hit")
    machine.run(["systemctl", "mask", "--now", "--runtime", "hubagent-homes"])
    try:
        olga = lecture.person("olga")
        olga.start()
        assert olga.answers()
        assert lecture.claims("hit") == hits
        olga.stop()
    finally:
        machine.run(["systemctl", "unmask", "--runtime", "hubagent-homes"])
        machine.run(["systemctl", "start", "hubagent-homes"])
    lecture.fill()
    assert lecture.warm("olga").answers()


def test_a_slot_that_dies_is_replaced(lecture: Lecture) -> None:
    lecture.fill()
    victim = sorted(lecture.ready_slots())[0]
    lecture.docker("kill", victim)
    until(
        lambda: victim not in lecture.ready_slots() and len(lecture.ready_slots()) >= 2,
        FILL_S,
        "a fresh slot",
    )
    assert lecture.warm("olga").answers()


def _remove_one(lecture: Lecture) -> None:
    """Another is made in its place."""
    lecture.docker("rm", "-f", sorted(lecture.ready_slots())[0])


def test_a_slot_that_warms_up_stands_still_while_somebody_clicks(lecture: Lecture) -> None:
    olga = lecture.person("olga")

    def seen() -> bool:
        """A click may come when the slot is ready already, or be given up on a busy machine; then once more."""
        lecture.fill()
        watch = lecture.hub.machine.command(["python3", "-c", _WATCH_STILL])
        with subprocess.Popen(watch, stdout=subprocess.PIPE, text=True) as watching:
            assert watching.stdout is not None
            _remove_one(lecture)
            assert watching.stdout.readline() == "warming\n"
            hits = lecture.claims("hit")
            olga.start()
            hit = lecture.claims("hit") == hits + 1
            told = watching.stdout.read().splitlines()
        olga.stop()
        return hit and told == ["stands still", "goes on"]

    until(seen, FILL_S, "a click beside a slot that warms up")
    lecture.fill()


@pytest.mark.parametrize("unit", ["hubagent", "hubagent-homes"])
def test_docker_has_its_weight_again_though_who_asked_or_did_it_dies(lecture: Lecture, unit: str) -> None:
    lecture.fill()
    pid = lecture.hub.main_pid(unit)
    kill = lecture.hub.machine.command(["python3", "-c", _KILL_WHILE_IDLE, str(pid)])
    with subprocess.Popen(kill, stdout=subprocess.PIPE, text=True) as killing:
        _remove_one(lecture)
        weights, _ = killing.communicate(timeout=120)
    assert killing.returncode == 0
    assert weights == "1024 1024\n"
    _comes_back(lecture, unit, pid)
    lecture.fill()


def test_an_edit_replaces_the_slots_and_leaves_users_alone(lecture: Lecture) -> None:
    lecture.fill()
    olga = lecture.warm("olga")
    lecture.fill()
    old, container = lecture.ready_slots(), lecture.container("olga")
    with olga.kernel() as kernel:
        kernel.tick()
        before = lecture.hub.replace("memory: 640M", "memory: 704M")
        try:
            lecture.hub.apply()
            until(
                lambda: not (lecture.ready_slots() & old) and len(lecture.ready_slots()) >= 2,
                FILL_S,
                "slots of today's kind",
            )
            kernel.still_ticks("an edit of memory")
            assert lecture.container("olga") == container
            otto = lecture.warm("otto")
            assert lecture.inspection(lecture.container("otto"))["HostConfig"]["Memory"] == 704 * 1024**2
            otto.stop()
        finally:
            lecture.hub.edit(before)
            lecture.hub.apply()


def test_more_people_than_slots(lecture: Lecture) -> None:
    """Eight click at once on two slots: everyone gets a server of their own, no slot has two users."""
    lecture.fill()
    people = [lecture.person(f"student{number}") for number in range(8)]
    with ThreadPoolExecutor(len(people)) as pool:
        list(pool.map(Person.start, people))
    containers = [lecture.container(person.name) for person in people]
    assert len(set(containers)) == len(people)
    assert all(person.answers() for person in people)
    for person in people:
        assert person.jupyter("GET", "/api/contents/coursefiles/lecture.txt").status_code == 200
        assert f"/user/{person.name}/" in person.enter().url
    with ThreadPoolExecutor(len(people)) as pool:
        list(pool.map(Person.stop, people))


# -- trust


def test_the_hub_has_no_docker_and_asks_in_vain_for_what_is_not_its_own(lecture: Lecture) -> None:
    machine = lecture.hub.machine
    lecture.docker("run", "-d", "--name", "bystander", "--network", "none", "hubagent/julia", "sleep", "600")
    try:
        assert "docker" not in machine.run(["id", "-nG", "jupyterhub"]).stdout.split()
        found = json.loads(
            machine.run(["runuser", "-u", "jupyterhub", "--", "python3", "-c", _INTRUDE]).stdout
        )
        assert found == {
            "foreign container": ["not_allowed"] * 3,
            "undeclared server": "not_allowed",
            "no message": "message",
            "helper": "PermissionError",
            "docker": "PermissionError",
        }
        assert lecture.docker("inspect", "-f", "{{.State.Running}}", "bystander").strip() == "true"
        nobody = machine.run(
            ["runuser", "-u", "nobody", "--", "python3", "-c", _INTRUDE], check=False, timeout_s=60.0
        )
        assert "PermissionError" in nobody.stderr
    finally:
        lecture.docker("rm", "-f", "bystander")


def test_a_server_has_no_socket_of_the_machine_and_sees_no_folder_of_it(lecture: Lecture) -> None:
    """From a slot and cold: neither Docker's nor the agent's nor the bus; mounts are those that are declared."""
    for how in ("warm", "cold"):
        person = getattr(lecture, how)("olga")
        found = json.loads(lecture.inside(lecture.container("olga"), "python3", "-c", _OUTWARD))
        assert found["sockets"] == []
        assert set(found["mounts"]) <= _MOUNTS, how
        assert {"/home/jovyan/work", "/home/jovyan/work/coursefiles", "/srv/shared"} <= set(found["mounts"])
        assert found["first process"] == "docker-init"
        person.stop()


@pytest.mark.parametrize("how", ["warm", "cold"])
def test_nothing_that_a_user_started_outlives_the_stop(lecture: Lecture, how: str) -> None:
    """Not even what has left its session and ignores every signal that can be ignored."""
    olga = getattr(lecture, how)("olga")
    search = ["pgrep", "-f", "[o]utlives-the-stop"]
    with olga.kernel() as kernel:
        kernel.execute(_STAY)
        kernel.sees("it stays\n")
        assert lecture.hub.machine.run(search).stdout, "the machine sees it run"
    olga.stop()
    until(lambda: not lecture.hub.machine.run(search, check=False).stdout, 60.0, "its end")


def test_a_waiting_slot_costs_no_processor_time(lecture: Lecture) -> None:
    """At most 0.1 % of a processor, by the kernel's own account of every thread in the slot."""

    def calm() -> bool:
        lecture.fill()
        container = min(lecture.ready_slots(), default="")
        found = lecture.hub.machine.run(
            ["python3", "-c", _USED, container], check=False
        )  # it may just be replaced
        return found.ok and float(found.stdout) < 0.001

    until(calm, 120.0, "a slot that only waits")


# -- Docker's data elsewhere (the last test: it leaves Docker restarted)

_MOVE = """
set -e
systemctl stop docker.socket docker
mkdir -p /srv/moved && mount --bind /var/lib/docker /srv/moved
python3 - <<'END'
import json, pathlib
file = pathlib.Path('/etc/docker/daemon.json')
kept = json.loads(file.read_text()) if file.exists() else {}
file.write_text(json.dumps({**kept, 'data-root': '/srv/moved'}))
END
systemctl reset-failed docker || true; systemctl start docker
"""

_MOVE_BACK = """
systemctl stop docker.socket docker
python3 - <<'END'
import json, pathlib
file = pathlib.Path('/etc/docker/daemon.json')
file.write_text(json.dumps({key: value for key, value in json.loads(file.read_text()).items() if key != 'data-root'}))
END
umount /srv/moved
systemctl reset-failed docker || true; systemctl start docker
"""

_DROP_IN = "/etc/systemd/system/hubagent-homes.service.d/where.conf"
_ELSEWHERE = "[Service]\nExecStart=\nExecStart=/usr/lib/hubagent/homes-helper --homes /srv/nowhere\n"


def test_a_pool_that_can_attach_no_home_says_so_and_follows_dockers_data(lecture: Lecture) -> None:
    machine = lecture.hub.machine
    with_slots = lecture.hub.replace("warm: {ready: 2", "warm: {ready: 0")
    lecture.hub.apply()
    until(lecture.is_tidy, FILL_S, "nothing but what is there to stay")
    until(lambda: not lecture.ready_slots(), FILL_S, "an empty pool")
    machine.run(["sh", "-c", _MOVE], timeout_s=120.0)
    try:
        lecture.hub.edit(with_slots)
        lecture.hub.apply()
        olga = lecture.warm("olga")
        assert olga.answers()
        where = lecture.docker("volume", "inspect", "-f", "{{.Mountpoint}}", "jupyterhub-user-olga")
        assert where.startswith("/srv/moved/volumes/")
        assert lecture.pool()["claims_fail"] is None
        olga.stop()
        _says_that_no_home_can_be_attached(lecture)
    finally:
        lecture.hub.replace("warm: {ready: 2", "warm: {ready: 0")
        lecture.hub.apply()
        until(lambda: not lecture.ready_slots(), FILL_S, "an empty pool")
        machine.run(["sh", "-c", _MOVE_BACK], timeout_s=120.0)
        lecture.hub.edit(with_slots)
        lecture.hub.apply()
        lecture.fill()


def _says_that_no_home_can_be_attached(lecture: Lecture) -> None:
    """Before anybody clicks; and that it is over, when it is."""
    machine = lecture.hub.machine

    def is_told() -> bool:
        return "where homes are" in (lecture.pool()["claims_fail"] or "")

    machine.write(_DROP_IN, _ELSEWHERE)
    try:
        machine.run(["sh", "-c", "systemctl daemon-reload && systemctl restart hubagent-homes"])
        machine.run(["hubagent", "apply"], check=False)
        until(is_told, FILL_S, "the pool in trouble")
        assert "no slot can become a user's server" in machine.run(["hubagent", "status"], check=False).stdout
        assert "no slot can become a user's server" in machine.run(["hubagent", "doctor"], check=False).stdout
        ready = machine.run(["curl", "-s", "-w", "%{http_code}", "127.0.0.1:9811/readyz"], check=False).stdout
        assert ready.endswith("503")
        assert lecture.hub.metric('hubagent_pool_claims_failing{server="course"}') == 1.0
    finally:
        machine.run(["rm", "-f", _DROP_IN])
        machine.run(["sh", "-c", "systemctl daemon-reload && systemctl restart hubagent-homes"])
    machine.run(["hubagent", "apply"], check=False)
    until(lambda: lecture.pool()["claims_fail"] is None, FILL_S, "all is well again")
    assert lecture.warm("otto").answers()
