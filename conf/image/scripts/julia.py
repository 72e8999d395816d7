#!/usr/bin/env python3
"""Install Julia as $1 says: the official binary, checked by checksum, or the distribution's package.

$1 holds {"version": "debian"}, or {"version": "1.12.7", "downloads": "https://…", "binaries": {machine: {"path":
…, "sha256": …}}} with a machine as platform.machine() calls it. JULIA_DOWNLOADS, when set, takes the place of
`downloads`: a mirror of Julia's own download site.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
from pathlib import Path

TIMEOUT_S = 120
CHUNK = 1 << 20


def main() -> None:
    wanted = json.loads(Path(sys.argv[1]).read_text())
    if wanted["version"] == "debian":
        from_debian()
    else:
        official(wanted)


def from_debian() -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-q"], check=True, env=environment)
    install = ["apt-get", "install", "-yq", "--no-install-recommends", "--allow-downgrades", "julia"]
    if subprocess.run(install, check=False, env=environment).returncode:
        sys.exit(
            "the distribution of this base has no julia that can be installed; set servers.NAME.build.julia to a"
            ' version such as "1.12"'
        )
    subprocess.run(["apt-get", "clean"], check=True)
    shutil.rmtree("/var/lib/apt/lists")


def official(wanted: dict) -> None:
    machine = platform.machine()
    binary = wanted["binaries"].get(machine)
    if binary is None:
        sys.exit(
            f"there is no official Julia {wanted['version']} for {machine}; known: {', '.join(wanted['binaries'])}"
        )
    base = os.environ.get("JULIA_DOWNLOADS") or wanted["downloads"]
    url = f"{base.rstrip('/')}/{binary['path']}"
    target = Path("/opt", f"julia-{wanted['version']}")
    with tempfile.TemporaryFile() as archive:
        digest = hashlib.sha256()
        print(f"downloading {url}", flush=True)
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:
            while part := answer.read(CHUNK):
                digest.update(part)
                archive.write(part)
        if digest.hexdigest() != binary["sha256"]:
            sys.exit(
                f"{url} has the SHA-256 {digest.hexdigest()}, not {binary['sha256']}: it is not the Julia that was"
                " published; is there a wrong mirror or proxy in between?"
            )
        archive.seek(0)
        with tarfile.open(fileobj=archive, mode="r:gz") as content:
            content.extractall("/opt")
    link = Path("/usr/local/bin/julia")
    link.unlink(missing_ok=True)
    link.symlink_to(target / "bin/julia")


main()
