"""python3 rescue.py HOME: keep what a person has made beside the kept folder HOME.

Servers of before version 0.2 had the image's HOME, which goes with the container. Run in such a container before it is
removed, by whichever Python 3 the image has: standard library alone, and no module of hubagent. What is new since the
container began is copied to the same place below HOME, newest first, as far as there is room, and never over anything.
"""

import os
import shutil
import stat
import sys
import time

LIMIT_BYTES = 2 * 1024**3
LIMIT_S = 45.0
SINCE = "/run/hubagent/settings.json"
"""Written when the container was about to begin."""

PASSED_OVER = (
    ".cache",
    ".local/share/jupyter/runtime",
    ".julia/logs",
    ".julia/scratchspaces",
    ".npm/_cacache",
)
"""What is made anew."""


def main(home: str, since: str = SINCE) -> int:
    image_home = os.path.realpath(os.environ.get("HOME") or "/")
    home = os.path.realpath(home)
    if image_home in (home, "/"):
        return 0
    begun_s = time.monotonic()
    room = min(LIMIT_BYTES, shutil.disk_usage(home).free // 2)
    left_out = copied = 0
    for path, facts in sorted(
        found(image_home, home, os.stat(since).st_ctime), key=lambda one: -one[1].st_ctime
    ):
        target = os.path.join(home, os.path.relpath(path, image_home))
        if os.path.lexists(target):
            continue
        if facts.st_size > room or time.monotonic() - begun_s > LIMIT_S:
            left_out += 1
            continue
        try:
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copy2(path, target, follow_symlinks=False)
            os.lchown(target, facts.st_uid, facts.st_gid)
        except OSError as error:
            print(f"{path}: {error.strerror}")
            left_out += 1
            continue
        room -= facts.st_size
        copied += 1
    print(f"{copied} files were copied to {home}, {left_out} were not")
    return 1 if left_out else 0


def found(image_home: str, home: str, since: float) -> "list[tuple[str, os.stat_result]]":
    """Files and links that are younger, on the container's own file system."""
    device = os.stat(image_home).st_dev
    result = []
    for folder, folders, names in os.walk(image_home):
        relative = os.path.relpath(folder, image_home)
        folders[:] = [
            name
            for name in folders
            if os.path.normpath(os.path.join(relative, name)) not in PASSED_OVER
            and os.path.join(folder, name) != home
            and os.lstat(os.path.join(folder, name)).st_dev == device
        ]
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        for name in (*names, *links):
            path = os.path.join(folder, name)
            facts = os.lstat(path)
            if facts.st_ctime >= since and (stat.S_ISREG(facts.st_mode) or stat.S_ISLNK(facts.st_mode)):
                result.append((path, facts))
    return result


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
