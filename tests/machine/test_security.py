"""What others on the machine get: its own users, the hub's user, and whoever looks for secrets."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.machine.hub import Hub
from tests.machine.secrets import assert_nobody_sees_secrets

CANARY = "canary-7a1f0c55e2d94b6f8e3b2d61c09a4f17"
CANARY_FILE = "/etc/hubagent/canary"

# Runs on the machine as another user: what of ours can be read, written, connected to, signalled and commanded?
_TRY = """
import json, os, pathlib, socket, stat, subprocess, urllib.error, urllib.request
readable, writable, sockets = [], [], []
def look(path):
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return
    if stat.S_ISLNK(mode):
        return
    if os.access(path, os.W_OK) and not stat.S_ISSOCK(mode):
        writable.append(path)
    if stat.S_ISDIR(mode):
        try:
            names = os.listdir(path)
        except OSError:
            names = KNOWN  # names that can be guessed lead on where a folder may be passed through
        for name in names:
            look(os.path.join(path, name))
    elif stat.S_ISREG(mode):
        try:
            pathlib.Path(path).read_bytes()
            readable.append(path)
        except OSError:
            pass
    elif stat.S_ISSOCK(mode):
        with socket.socket(socket.AF_UNIX) as connection:
            try:
                connection.connect(path)
                sockets.append(path)
            except OSError:
                pass
KNOWN = ['current', 'generations', 'secrets', 'agent-token', 'proxy-token', 'hub', 'proxy', 'token', 'secrets.json',
         'hub.json', 'servers.json', 'agent', 'hubagent.yaml', 'manifest.json', 'tls', 'self-signed.key', 'images', 'volumes',
         'containers', 'overlay2', 'jupyterhub-user-ada', '_data', 'status.json', 'requests', 'guests', 'slots', 'socket',
         'jupyterhub.sqlite', 'cookie_secret', 'one-time', 'journal', *map(str, range(1, 60))]
for place in ('/var/lib/hubagent', '/var/lib/hubagent/current/', '/run/hubagent', '/run/hubagent-homes', '/var/lib/docker',
              '/run/docker.sock', '/var/lib/jupyterhub', '/root', '/etc/hubagent', '/etc/hubagent.yaml', '/etc/shadow',
              '/etc/docker', '/etc/nginx', '/usr/lib/hubagent', '/usr/lib/hubagent-jupyterhub/share', '/run/credentials'):
    look(place)
def signalled(unit):
    pid = subprocess.run(['systemctl', 'show', '-p', 'MainPID', '--value', unit], stdout=subprocess.PIPE, text=True).stdout
    try:
        os.kill(int(pid), 0)
    except PermissionError:
        return False
    return True
def commanded(*words):
    return subprocess.run(['systemctl', '--no-ask-password', *words], stderr=subprocess.DEVNULL).returncode == 0
def answered(address, method='GET'):
    try:
        return urllib.request.urlopen(urllib.request.Request(address, method=method), timeout=10).status
    except urllib.error.HTTPError as error:
        return error.code
print(json.dumps({
    'readable': readable, 'writable': writable, 'sockets': sockets,
    'signalled': [unit for unit in ('hubagent', 'hubagent-homes', 'nginx', 'docker') if signalled(unit)],
    'commanded': [words for words in (['restart', 'nginx'], ['stop', 'hubagent'], ['kill', 'docker'], ['daemon-reload'])
                  if commanded(*words)],
    'proxy': [answered('http://127.0.0.1:8001/api/routes'), answered('http://127.0.0.1:8001/api/routes/x', 'DELETE')],
}))
"""


def _tries(hub: Hub, user: str) -> dict[str, list[str]]:
    done = hub.machine.run(["runuser", "-u", user, "--", "python3", "-"], input=_TRY, timeout_s=120.0)
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def _of_state(paths: list[str]) -> set[str]:
    """Files of the agent's state, without the number of the generation."""
    state = "/var/lib/hubagent/"
    return {
        "/".join(part for part in path.removeprefix(state).split("/") if not part.isdigit())
        .replace("generations/", "")
        .replace("current/", "")
        for path in paths
        if path.startswith(state)
    }


# What anybody may read: it is what nginx serves by and what filters packets, and has no secret.
_ANYBODY_S = {
    "default-site",
    "firewall/hubagent.nft",
    "nginx/hubagent.conf",
    "nginx-main/hubagent.conf",
    "proxy/proxy.env",
    "tls/self-signed.crt",
}
_HUB_S = {"hub/hub.json", "hub/servers.json"}
_HUBS_OWN = "/var/lib/jupyterhub"
_CREDENTIAL = "/run/credentials/jupyterhub.service/secrets.json"  # what its unit was given


@pytest.mark.each_release
@pytest.mark.parametrize("user", ["jupyterhub", "nobody"])
def test_another_user_of_the_machine_gets_next_to_nothing(hub: Hub, user: str) -> None:
    """With the rights of the hub's user, outside of its unit's sandbox, and of one who has none."""
    units = ("hubagent", "hubagent-homes", "nginx", "docker")
    before = {unit: hub.main_pid(unit) for unit in units}
    found = _tries(hub, user)
    is_hub = user == "jupyterhub"
    assert _of_state(found["readable"]) <= _ANYBODY_S | (_HUB_S if is_hub else set())
    not_for_all = [
        path for path in found["readable"] if not path.startswith(("/var/lib/hubagent/", "/usr/", "/etc/"))
    ]
    allowed = {"/run/hubagent/nginx-test.log"} | ({_CREDENTIAL} if is_hub else set())
    assert {path for path in not_for_all if not (is_hub and path.startswith(_HUBS_OWN))} <= allowed
    assert not {"/etc/shadow", "/root/.bashrc"} & set(found["readable"])
    assert [path for path in found["writable"] if not (is_hub and path.startswith(_HUBS_OWN))] == []
    assert found["sockets"] == (["/run/hubagent/spawn.sock"] if is_hub else [])
    assert (found["signalled"], found["commanded"]) == ([], [])
    assert found["proxy"] == [403, 403]
    assert {unit: hub.main_pid(unit) for unit in units} == before


def test_the_search_would_find_what_is_open(hub: Hub) -> None:
    """Root gets everywhere, by the same search; without its commands, which would work."""
    search = _TRY.replace("'commanded': [words", "'commanded': [words for words in []] and [words")
    found = json.loads(hub.machine.run(["python3", "-"], input=search, timeout_s=120.0).stdout)
    assert {"secrets/agent-token", "hub/secrets.json", "proxy/token"} <= _of_state(found["readable"])
    assert {"/run/docker.sock", "/run/hubagent/spawn.sock", "/run/hubagent-homes/socket"} <= set(
        found["sockets"]
    )
    assert {"/etc/shadow", "/root/.bashrc"} <= set(found["readable"])
    assert "/etc/hubagent.yaml" in found["writable"]
    assert found["signalled"] == ["hubagent", "hubagent-homes", "nginx", "docker"]


@pytest.fixture
def told(pristine: Hub) -> Iterator[Hub]:
    """The hub was told a secret by a file, as for a login by GitHub."""
    machine = pristine.machine
    machine.write(CANARY_FILE, CANARY, mode=0o600)
    pristine.replace(
        "  traits: {}", f"  traits: {{GitHubOAuthenticator: {{client_secret_file: {CANARY_FILE}}}}}"
    )
    _, status = pristine.apply()
    assert status["result"] == "ok", status["problems"]
    yield pristine
    machine.run(["rm", CANARY_FILE])


def test_a_secret_that_the_hub_is_told_turns_up_nowhere_else(told: Hub) -> None:
    """Neither with it in force nor in the plan of another one."""
    assert_nobody_sees_secrets(told.machine, containers=0, more={"client secret": CANARY})
    told.machine.write(CANARY_FILE, CANARY[::-1], mode=0o600)
    shown = told.machine.run(["hubagent", "plan"], check=False).stdout
    assert "hub" in shown, "another secret is a change"
    assert CANARY not in shown
    assert CANARY[::-1] not in shown
