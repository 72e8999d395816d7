"""Files in memory, with scripted faults and power cuts."""

from __future__ import annotations

import errno
import itertools
import os
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hubagent.errors import StorageError
from hubagent.ports import FileState
from tests.fakes.memory_tree import File, Folder, Link, Node, Survivors, Tree

AnyPath = Path | str


class PowerLost(BaseException):
    """The machine is off. Not an Exception: no handler of the program runs after a power cut."""


@dataclass
class _Fault:
    call: str
    below: Path
    message: str


class MemoryFileStore:
    """`ports.FileStore` in memory.

    `put`, `text`, `mode` and `contents` are the test's own hands and eyes; `fail`, `tear` and `free` script
    faults; `journal` holds the changing calls, e.g. ("write", "/etc/x").

    Every change is made of the steps that a real file system sees (create, chown, chmod, data, fsync, rename,
    fsync of the folder). `cut_power_after(k)` raises PowerLost in place of step k; then `reboot` puts the
    tree into a state that a disk may have kept. `steps` counts them, to try every k.
    """

    def __init__(
        self,
        files: Mapping[str, bytes | str] | None = None,
        *,
        users: Collection[str] = ("root", "jupyterhub", "hubagent-certbot", "www-data"),
        groups: Collection[str] = ("root", "jupyterhub", "hubagent-certbot", "www-data"),
    ) -> None:
        self.journal: list[tuple[str, str]] = []
        self.steps = 0
        self.free = 10**10
        self._tree = Tree()
        self._users = frozenset(users)
        self._groups = frozenset(groups)
        self._faults: deque[_Fault] = deque()
        self._torn: dict[Path, int] = {}
        self._temporary = itertools.count(1)
        self._last_step: int | None = None
        for path, content in (files or {}).items():
            self.put(path, content)

    # What the agent calls.

    def read(self, path: Path, *, max_bytes: int) -> FileState | None:
        with self._guard("read", path):
            try:
                node = self._tree.find(path, follow=True)
            except FileNotFoundError:
                return None
        if node is None:
            return None
        if not isinstance(node, File) or node.kind:
            kind = node.kind if isinstance(node, File) else "folder"
            raise StorageError(f"{path}: is a {kind}, not a regular file")
        if len(node.content) > max_bytes:
            raise StorageError(f"{path}: has {len(node.content)} bytes, more than the {max_bytes} allowed")
        if self._torn.get(path, 0) > 0:
            self._torn[path] -= 2
            if self._torn[path] >= 0:
                raise StorageError(f"{path}: changed while it was read")
        return FileState(node.content, node.mode, node.owner, node.group)

    def write(
        self, path: Path, content: bytes, *, mode: int, owner: str = "root", group: str = "root"
    ) -> None:
        self.journal.append(("write", str(path)))
        self._check_names(path, owner, group)
        with self._guard("write", path):
            folder = self._tree.folder(path.parent)
            if len(content) > self.free:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            temporary = f".hubagent-{next(self._temporary)}"
            file = File()
            self._step()
            folder.names[temporary] = file
            self._step()
            file.owner, file.group = owner, group
            self._step()
            file.mode = mode
            self._step()
            file.content = content
            self._step()
            file.synced = content
            self._rename(folder, temporary, path.name)

    def make_dir(self, path: Path, *, mode: int, owner: str = "root", group: str = "root") -> None:
        self.journal.append(("make_dir", str(path)))
        self._check_names(path, owner, group)
        with self._guard("make_dir", path):
            parent = self._tree.folder(path.parent)
            node = self._tree.find(path, follow=False)
            if node is None:
                node = Folder(mode=0o700)
                self._step()
                parent.names[path.name] = node
            if not isinstance(node, Folder):
                raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
            self._step()
            node.mode, node.owner, node.group = mode, owner, group
            self._step()
            parent.synced = dict(parent.names)

    def link(self, link: Path, target: str) -> None:
        self.journal.append(("link", str(link)))
        with self._guard("link", link):
            folder = self._tree.folder(link.parent)
            temporary = f".hubagent-{next(self._temporary)}"
            self._step()
            folder.names[temporary] = Link(target)
            self._rename(folder, temporary, link.name)

    def read_link(self, link: Path) -> str | None:
        with self._guard("read_link", link):
            try:
                node = self._tree.find(link, follow=False)
            except FileNotFoundError:
                return None
        if node is None:
            return None
        if not isinstance(node, Link):
            raise StorageError(f"{link}: is not a symbolic link")
        return node.target

    def remove(self, path: Path) -> None:
        self.journal.append(("remove", str(path)))
        with self._guard("remove", path):
            try:
                folder = self._tree.folder(path.parent)
            except FileNotFoundError:
                return
            if path.name not in folder.names:
                return
            self._remove_tree(folder, path.name)
            self._step()
            folder.synced = dict(folder.names)

    def list_dir(self, path: Path) -> tuple[str, ...]:
        with self._guard("list_dir", path):
            try:
                return tuple(sorted(self._tree.folder(path).names))
            except FileNotFoundError:
                return ()

    def free_bytes(self, path: Path) -> int:
        with self._guard("free_bytes", path):
            self._tree.folder(path)
        return self.free

    # What tests do and see.

    def put(
        self,
        path: AnyPath,
        content: bytes | str,
        *,
        mode: int = 0o644,
        owner: str = "root",
        group: str = "root",
    ) -> None:
        """An administrator's file, in place and durable at once, with its folders."""
        data = content.encode() if isinstance(content, str) else content
        self._place(Path(path), File(data, data, mode, owner, group))

    def put_special(self, path: AnyPath, kind: str) -> None:
        """Something that is not a regular file, e.g. "FIFO"."""
        self._place(Path(path), File(kind=kind))

    def put_link(self, path: AnyPath, target: str) -> None:
        self._place(Path(path), Link(target))

    def put_folder(self, path: AnyPath) -> None:
        self._place(Path(path), Folder())

    def text(self, path: AnyPath) -> str:
        state = self.read(Path(path), max_bytes=1 << 30)
        assert state is not None, f"{path} is not there"
        return state.content.decode()

    def mode(self, path: AnyPath) -> int:
        node = self._tree.find(Path(path), follow=True)
        assert isinstance(node, File | Folder), f"{path} is not there"
        return node.mode

    def contents(self) -> dict[str, bytes]:
        """Every regular file, by path."""
        return self._tree.contents()

    def fail(
        self, call: str, below: AnyPath = "/", message: str = "Input/output error", *, times: int = 1
    ) -> None:
        """The next calls of this name on a path at or below that one raise StorageError."""
        self._faults.extend([_Fault(call, Path(below), message)] * times)

    def heal(self) -> None:
        """Whatever was scripted and has not happened yet will not happen."""
        self._faults.clear()
        self._torn.clear()
        self._last_step = None

    def tear(self, path: AnyPath, *, changes: int) -> None:
        """The file changes so many times while it is read: once is retried, twice in one read is an error."""
        self._torn[Path(path)] = changes

    def cut_power_after(self, steps: int) -> None:
        """From now on so many steps are made, and the next one finds the machine off."""
        self._last_step = self.steps + steps

    def reboot(self, survivors: Survivors = Survivors.NOTHING) -> None:
        self._last_step = None
        self._tree.cut_power(survivors)

    def _place(self, path: Path, node: Node) -> None:
        folder = self._tree.root
        for part in path.parts[1:-1]:
            child = folder.names.setdefault(part, Folder())
            folder.synced = dict(folder.names)
            if isinstance(child, Link):
                child = self._tree.folder(Path(*path.parts[: path.parts.index(part) + 1]))
            assert isinstance(child, Folder), f"{path}: {part} is a file"
            folder = child
        folder.names[path.name] = node
        folder.synced[path.name] = node

    def _rename(self, folder: Folder, old: str, new: str) -> None:
        if isinstance(folder.names.get(new), Folder):
            del folder.names[old]
            raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
        self._step()
        folder.names[new] = folder.names.pop(old)
        self._step()
        folder.synced = dict(folder.names)

    def _remove_tree(self, folder: Folder, name: str) -> None:
        node = folder.names[name]
        if isinstance(node, Folder):
            for child in sorted(node.names):
                self._remove_tree(node, child)
        self._step()
        del folder.names[name]

    def _step(self) -> None:
        if self.steps == self._last_step:
            raise PowerLost
        self.steps += 1

    def _check_names(self, path: Path, owner: str, group: str) -> None:
        if owner not in self._users:
            raise StorageError(f"{path}: its owner should be the user {owner}, who does not exist here")
        if group not in self._groups:
            raise StorageError(f"{path}: its group should be {group}, which does not exist here")

    @contextmanager
    def _guard(self, call: str, path: Path) -> Iterator[None]:
        if self.steps == self._last_step:
            raise PowerLost
        for fault in self._faults:
            if fault.call == call and path.is_relative_to(fault.below):
                self._faults.remove(fault)
                raise StorageError(f"{path}: {fault.message}")
        try:
            yield
        except OSError as error:
            raise StorageError(f"{path}: {error.strerror}") from error
