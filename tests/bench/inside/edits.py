"""Inside the machine: the same edit by hubagent, by a shell and by Salt, in turns. Prints one JSON object.

edits.py ROUNDS [SALT-CALL]
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from live import CONFIG, POLL_S, ask, edit, quiet, restore, wait_for, with_max_body

PLAIN = Path("/etc/nginx/conf.d/bench-plain.conf")
PORT = 18080
SITE = """server {
    listen 127.0.0.1:18080;
    client_max_body_size SIZEm;
    location = /which { default_type text/plain; return 200 "SIZE"; }
}
"""
SHELL = f"sed -i 's/{{old}}/{{new}}/g' {PLAIN} && nginx -t -q && systemctl reload nginx"

SALT = Path("/srv/bench/salt")
SALT_FILES = {
    "minion": "file_client: local\nmaster_type: disable\nenable_fqdns_grains: False\nid: bench\n"
    "file_roots: {base: [/srv/bench/salt/states]}\npillar_roots: {base: [/srv/bench/salt/pillar]}\n"
    "root_dir: /srv/bench/salt/root\n",
    "states/plain.conf": SITE.replace("SIZE", "{{ pillar['size'] }}"),
    "states/site.sls": f"""{PLAIN}:
  file.managed:
    - source: salt://plain.conf
    - template: jinja
    - check_cmd: sh /srv/bench/salt/check
nginx:
  service.running:
    - reload: True
    - watch:
      - file: {PLAIN}
""",
    "check": "printf 'events {}\\nhttp { include %s; }\\n' \"$1\" >/srv/bench/salt/candidate.conf\n"
    "exec nginx -t -q -c /srv/bench/salt/candidate.conf\n",
    "pillar/top.sls": "base: {'*': [site]}\n",
}


def plain(old: int, new: int, command: list[str]) -> dict[str, float]:
    """Run a command that takes the plain site from one value to the next; seconds from just before it starts."""
    assert which() == old, (which(), old)
    begun = time.monotonic()
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    seen: dict[str, float] = {}

    def is_done() -> bool:
        if "done" not in seen and running.poll() is not None:
            seen["done"] = time.monotonic() - begun
        if "first_new" not in seen and which() == new:
            seen["first_new"] = time.monotonic() - begun
        return len(seen) == 2

    wait_for(is_done, f"{command[0]} to take the site from {old} to {new}", poll_s=POLL_S)
    assert running.returncode == 0, command
    wait_for(lambda: all(which() == new for _ in range(20)), "the old workers to stop accepting")
    return seen


def which() -> int:
    return int(ask("/which", PORT) or 0)


def by_salt(program: str, old: int, new: int) -> dict[str, float]:
    (SALT / "pillar/site.sls").write_text(f"size: {new}\n")
    return plain(old, new, [program, f"--config-dir={SALT}", "--retcode-passthrough", "state.apply", "site"])


def prepare() -> None:
    PLAIN.write_text(SITE.replace("SIZE", "100"))
    subprocess.run(["systemctl", "reload", "nginx"], check=True)
    wait_for(lambda: which() == 100, "the plain site")
    for name, text in SALT_FILES.items():
        (SALT / name).parent.mkdir(parents=True, exist_ok=True)
        (SALT / name).write_text(text)


def main() -> None:
    rounds, salt = int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None
    shipped = CONFIG.read_text()
    prepare()
    value = 100
    if salt is not None:
        by_salt(salt, value, value + 1)  # not counted: Salt fills its caches
        value += 1
    rows: dict[str, list[dict[str, float]]] = {"hubagent": [], "shell": [], "salt": []}
    for number in range(rounds):
        quiet()
        rows["hubagent"].append(edit(with_max_body(shipped, 101 - number % 2)))
        quiet()
        command = ["sh", "-ec", SHELL.format(old=value, new=value + 1)]
        rows["shell"].append(plain(value, value + 1, command))
        value += 1
        if salt is not None and number % 4 == 0:
            quiet()
            rows["salt"].append(by_salt(salt, value, value + 1))
            value += 1
    PLAIN.unlink()
    subprocess.run(["systemctl", "reload", "nginx"], check=True)
    restore(shipped)
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
