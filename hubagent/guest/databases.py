"""SQLite's files of Jupyter lie on the container's own disk where the home is on a network.

SQLite needs locks that network file systems often do not have, or lose: histories and signatures then stop the server
or a kernel for minutes, or break (https://www.sqlite.org/faq.html#q5). On a local disk they stay in the home.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

_NETWORK: Final = frozenset(
    {
        *(
            "nfs",
            "nfs4",
            "cifs",
            "smb3",
            "smbfs",
            "9p",
            "virtiofs",
            "ceph",
            "glusterfs",
            "lustre",
            "gpfs",
            "beegfs",
        ),
        *("afs", "ocfs2", "gfs2", "pvfs2", "orangefs", "coda", "ncpfs", "fuse"),
    }
)

_FILES: Final[Mapping[tuple[str, str], str]] = {
    ("NotebookNotary", "db_file"): "signatures.db",
    ("BaseFileIdManager", "db_path"): "file-ids.db",
    ("SQLiteYStore", "db_path"): "collaboration.db",
}
"""What is made anew when it is gone, by class and trait."""

_KERNELS: Final = ("ipykernel_launcher", "ipykernel")


def place(config: Any, home: str) -> None:
    """Called in the server, while it reads its configuration; `config` is a traitlets.config.Config."""
    if not is_on_network(home, Path("/proc/self/mountinfo").read_text()):
        return
    folder = tempfile.mkdtemp(prefix="jupyter-databases-")
    for (name, trait), file in _FILES.items():
        config[name][trait] = f"{folder}/{file}"
    _place_history(f"{folder}/history.sqlite")


def is_on_network(path: str, mountinfo: str) -> bool:
    """Does `path` lie on a file system of a network? `mountinfo` is as in proc(5)."""
    path = os.path.realpath(path)
    found, longest = "", -1
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        words, kind = before.split(), after.partition(" ")[0]
        if len(words) < 5 or not kind:
            continue
        point = words[4].encode().decode("unicode_escape").encode("latin-1").decode(errors="replace")
        inside = point == "/" or path == point or path.startswith(f"{point}/")
        if inside and len(point) >= longest:  # a later one lies above an earlier one
            found, longest = kind, len(point)
    return found in _NETWORK or found.startswith("fuse.")


def _place_history(file: str) -> None:
    """The history of IPython, which a kernel is told by its arguments alone."""
    try:
        from jupyter_client.manager import KernelManager
    except ImportError:  # the server will say what is wrong
        return
    usual = KernelManager.format_kernel_cmd

    def with_history(self: Any, extra_arguments: list[str] | None = None) -> list[str]:
        command: list[str] = usual(self, extra_arguments)
        is_ipython = any(one == "-m" and two in _KERNELS for one, two in pairwise(command))
        return [*command, f"--HistoryManager.hist_file={file}"] if is_ipython else command

    KernelManager.format_kernel_cmd = with_history
