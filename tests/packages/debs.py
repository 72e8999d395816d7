"""The packages in dist/, read as dpkg reads them."""

from __future__ import annotations

import io
import subprocess
import tarfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("hubagent", "hubagent-jupyterhub", "hubagent-proxy")


@dataclass(frozen=True)
class Deb:
    """One binary package."""

    path: Path

    def field(self, name: str) -> str:
        """A field of its control file."""
        return _output("dpkg-deb", "--field", str(self.path), name).decode().strip()

    @property
    def dependencies(self) -> set[str]:
        """Names in Depends, without versions; alternatives count each."""
        return self._names("Depends")

    @property
    def suggestions(self) -> set[str]:
        """Names in Suggests, likewise."""
        return self._names("Suggests")

    def _names(self, field: str) -> set[str]:
        return {
            alternative.split()[0].partition(":")[0]
            for clause in self.field(field).split(",")
            for alternative in clause.split("|")
        }

    def control(self, name: str) -> str:
        """A control file, such as postinst; empty when there is none."""
        packed = _output("dpkg-deb", "--ctrl-tarfile", str(self.path))
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            try:
                member = archive.extractfile(f"./{name}")
            except KeyError:
                return ""
            assert member is not None
            return member.read().decode()

    @cached_property
    def members(self) -> dict[str, tarfile.TarInfo]:
        """Everything in it, by absolute path."""
        with self._open() as archive:
            return {
                f"/{member.name.removeprefix('./')}".rstrip("/"): member for member in archive.getmembers()
            }

    def files(self) -> set[str]:
        """Absolute paths of all but folders."""
        return {path for path, member in self.members.items() if not member.isdir()}

    def read(self, path: str) -> str:
        """The text of a file."""
        with self._open() as archive:
            member = archive.extractfile(self.members[path])
            assert member is not None
            return member.read().decode()

    def unpack(self, folder: Path) -> Path:
        """Unpack its files below folder."""
        subprocess.run(["dpkg-deb", "--extract", str(self.path), str(folder)], check=True)
        return folder

    @cached_property
    def _unpacked(self) -> bytes:
        return _output("dpkg-deb", "--fsys-tarfile", str(self.path))

    def _open(self) -> tarfile.TarFile:
        return tarfile.open(fileobj=io.BytesIO(self._unpacked))


def built() -> dict[str, Deb]:
    """The packages by name; built now when dist/ has none."""
    if not list((ROOT / "dist").glob("hubagent_*.deb")):
        subprocess.run(["packaging/build.sh"], cwd=ROOT, check=True)
    packages = {}
    for name in NAMES:
        (path,) = (ROOT / "dist").glob(f"{name}_*.deb")
        packages[name] = Deb(path)
    return packages


def _output(*command: str) -> bytes:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
