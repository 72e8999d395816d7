"""Where secrets turn up on a machine: only where they belong."""

from __future__ import annotations

import json
from collections.abc import Mapping

from tests.machine.rig import Machine

# Runs on the machine as root: where do the tokens turn up, and what standard input names besides? Names only leave
# the machine, never the secrets.
_LOOK = """
import json, os, pathlib, subprocess, sys
current = pathlib.Path('/var/lib/hubagent/current')
secrets = json.loads((current / 'hub/secrets.json').read_text())
tokens = {'proxy': (current / 'proxy/token').read_text().strip(), 'agent': secrets['agent_token']}
tokens |= json.load(sys.stdin)
assert all(len(token) >= 32 for token in tokens.values())
def found(data):
    return {name for name, token in tokens.items() if token.encode() in data}
def output(*argv, stdin=b''):
    return subprocess.run(argv, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60).stdout
seen = {'argv': [], 'environment': []}
for process in pathlib.Path('/proc').glob('[0-9]*'):
    try:
        name = (process / 'exe').readlink().name
        seen['argv'] += [[name, token] for token in found((process / 'cmdline').read_bytes())]
        seen['environment'] += [[name, token] for token in found((process / 'environ').read_bytes())]
    except OSError:
        continue
every = output('docker', 'ps', '-aq', '--filter', 'label=hubagent.user').split()
seen['containers'] = len(output('docker', 'ps', '-q', '--filter', 'label=hubagent.user').split())
for where, data in {
    'journal': output('journalctl', '--no-pager', '--all', '-o', 'export'),
    'metrics': output('curl', '-s', 'http://127.0.0.1:9811/metrics', 'http://127.0.0.1:8002/metrics'),
    'page': output('curl', '-s', 'http://127.0.0.1:9811/'),
    'plan': output('hubagent', 'plan') + output('hubagent', 'plan', '--json'),
    'status': output('hubagent', 'status', '--json') + pathlib.Path('/run/hubagent/status.json').read_bytes(),
    'inspect': output('docker', 'inspect', *every) if every else b'[]',
}.items():
    assert data, where
    seen[where] = sorted(found(data))
patterns = '\\n'.join(tokens.values()).encode()
search = ['grep', '-rlsIF', '-D', 'skip', '-f', '-']
places = ['/etc', '/run', '/var', '/tmp', '/srv', '/home', '/usr/share/hubagent']
seen['files'] = output('runuser', '-u', 'nobody', '--', *search, *places, stdin=patterns).decode().split()
ours = [path.read_bytes() for path in current.rglob('*') if path.is_file()]
seen['where they belong'] = sorted(found(b''.join(ours)))
print(json.dumps(seen))
"""


def assert_nobody_sees_secrets(
    machine: Machine, *, containers: int, more: Mapping[str, str] | None = None
) -> None:
    """The tokens of hub and proxy, and `more` by name (32 characters or more, lying in files of the generation), are in no
    journal, argv, metric, page, status, plan, `docker inspect` or file that anybody may read; in the environment of the
    proxy alone, which can be told its token in no other way. So many user containers must run."""
    named = dict(more or {})
    look = ["python3", "-c", _LOOK]
    seen = json.loads(machine.run(look, input=json.dumps(named), timeout_s=120.0).stdout)
    assert seen["containers"] >= containers
    assert seen["argv"] == []
    assert seen["environment"] == [["node", "proxy"]]
    shown = ("journal", "metrics", "page", "plan", "status", "inspect", "files")
    assert {name: seen[name] for name in shown} == {name: [] for name in shown}
    assert seen["where they belong"] == sorted({"proxy", "agent", *named})  # the search finds what there is
