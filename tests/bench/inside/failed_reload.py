"""Inside the machine: nginx's reload fails once, in the middle of an edit. Prints one JSON object.

failed_reload.py [SALT-CALL]      (after edits.py, whose files for Salt it uses)
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from edits import PLAIN, SALT, SITE, prepare, which
from live import CONFIG, CURRENT, marker, quiet, restore, save, status, wait_for, with_max_body

FAIL = Path("/run/bench-reload-fails-once")
DROP_IN = Path("/run/systemd/system/nginx.service.d/fails-once.conf")
RELOAD = "/usr/sbin/nginx -g 'daemon on; master_process on;' -s reload"
SIZE_MB = 77
PATIENCE_S = 60.0


def hubagent() -> dict[str, object]:
    """Save, let the reload fail, say nothing more; seconds until nginx serves what the file says."""
    shipped = CONFIG.read_text()
    quiet()
    FAIL.touch()
    begun = time.monotonic()
    save(CONFIG, with_max_body(shipped, SIZE_MB))
    said: list[str] = []
    repaired = None
    while repaired is None and time.monotonic() - begun < PATIENCE_S:
        result = str(status()["result"])
        if not said or said[-1] != result:
            said.append(result)
        if serves():
            repaired = time.monotonic() - begun
        time.sleep(0.01)
    failed = not FAIL.exists()
    FAIL.unlink(missing_ok=True)
    quiet()
    answer = {
        "reload_failed": failed,
        "repaired_s": repaired,
        "results": said,
        "config_in_force": serves(),
        "last_failure": status()["last_failure"],
    }
    restore(shipped)
    return answer


def serves() -> bool:
    """Whether nginx answers with the generation in force, and that one is made from today's file."""
    site = (CURRENT / "nginx/hubagent.conf").read_bytes()
    live = marker()
    return b"client_max_body_size %d" % (SIZE_MB * 1024**2) in site and live != b"" and live in site


def other(name: str, command: list[str]) -> dict[str, object]:
    """The same command twice; its reload fails the first time."""
    FAIL.touch()
    codes = []
    for _ in range(2):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        codes.append(done.returncode)
        quiet()
    answer = {"codes": codes, "repaired_by_rerun": which() == 555, "said": done.stdout[-600:]}
    FAIL.unlink(missing_ok=True)
    print(name, answer, file=sys.stderr)
    return answer


def main() -> None:
    prepare()
    DROP_IN.parent.mkdir(parents=True, exist_ok=True)
    once = f"if [ -e {FAIL} ]; then rm {FAIL}; exit 1; fi; exec {RELOAD}"
    DROP_IN.write_text(f'[Service]\nExecReload=\nExecReload=/bin/sh -c "{once}"\n')
    subprocess.run(["systemctl", "daemon-reload"], check=True)
    try:
        result: dict[str, object] = {"hubagent": hubagent()}
        change = f"sed -i 's/100/555/g' {PLAIN} && nginx -t -q && systemctl reload nginx"
        result["shell"] = other("shell", ["sh", "-ec", change])
        changed_only = (
            f"sed 's/100/555/g' {PLAIN} >/srv/bench/new; cmp -s /srv/bench/new {PLAIN} && exit 0; "
            f"cp /srv/bench/new {PLAIN}; nginx -t -q && systemctl reload nginx"
        )
        reset()
        result["shell, only when changed"] = other("shell, only when changed", ["sh", "-c", changed_only])
        if len(sys.argv) > 1:
            reset()
            (SALT / "pillar/site.sls").write_text("size: 555\n")
            salt = [sys.argv[1], f"--config-dir={SALT}", "--retcode-passthrough", "state.apply", "site"]
            result["salt"] = other("salt", salt)
    finally:
        DROP_IN.unlink()
        PLAIN.unlink()
        subprocess.run(["systemctl", "daemon-reload"], check=True)
        subprocess.run(["systemctl", "reload", "nginx"], check=True)
        quiet()
    print(json.dumps(result))


def reset() -> None:
    PLAIN.write_text(SITE.replace("SIZE", "100"))
    subprocess.run(["systemctl", "reload", "nginx"], check=True)
    wait_for(lambda: all(which() == 100 for _ in range(20)), "the plain site")
    quiet()


if __name__ == "__main__":
    main()
