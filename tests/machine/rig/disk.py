"""A machine's disk: its own files laid over a shared root, and a plain folder for Docker, which needs one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from . import docker_data

# systemd-nspawn leaves folders and locks in its own place in /run; here they go with the namespace
_MOUNT = """\
mkdir -p /run/systemd/nspawn
mount -t tmpfs -o mode=755 tmpfs /run/systemd/nspawn
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2,workdir=$3,redirect_dir=on" "$4"
shift 4
exec "$@"
"""


@dataclass(frozen=True, slots=True)
class Disk:
    """Files of one machine, kept in `folder`, over the root `below`, which is never written to."""

    folder: Path
    below: Path
    images: Path | None
    """A kept Docker data folder that Docker begins with."""

    @property
    def own(self) -> Path:
        """What differs from the root below; may be written to while the machine is off."""
        return self.folder / "own"

    @property
    def docker(self) -> Path:
        """Docker's data folder: Docker's overlay2 does not run on another overlay."""
        return self.folder / "docker"

    @property
    def mounted(self) -> Path:
        """Where the whole disk appears, for the machine's processes alone."""
        return self.folder / "root"

    def create(self) -> None:
        """Make a new disk."""
        for path in (self.own, self.mounted, self.folder / "work"):
            path.mkdir(mode=0o755)
        if self.images is None:
            self.docker.mkdir(mode=0o710)
        else:
            docker_data.copy(self.images, self.docker)

    def write(self, path: str, text: str) -> None:
        """Put a file onto the disk of a machine that is off."""
        file = self.own / path.lstrip("/")
        file.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        file.write_text(text)

    def mounting(self) -> list[str]:
        """Starts a command line: what follows sees the disk, in a mount namespace that ends with it."""
        paths = (self.below, self.own, self.folder / "work", self.mounted)
        enter = ["unshare", "--mount", "--propagation", "private", "--"]
        return [*enter, "sh", "-ec", _MOUNT, "sh", *map(str, paths)]
