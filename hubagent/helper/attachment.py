"""A home and the folders within it, made ready out of sight and then attached in one go.

Everything that can fail because of what lies in a user's home (a link, a file, a full disk) happens before
the container sees anything. All is done by descriptors, so nothing that a user moves about meanwhile leads
out of the home.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import PurePosixPath
from types import TracebackType
from typing import Final, Self

from hubagent import wire
from hubagent.helper import allowed_folders, system_calls
from hubagent.helper.folder import closing
from hubagent.helper.refusal import RefusalError, words

_ATTRIBUTES: Final = system_calls.NO_SUID | system_calls.NO_DEVICES


@dataclass(frozen=True, slots=True)
class _Within:
    """A folder's mount and the folder in the home that it goes on, as descriptors."""

    target: PurePosixPath
    mount: int
    place: int


class Attachment:
    """Use in a `with` block: what was not attached by its end is gone. Methods raise RefusalError."""

    def __init__(self, source: str, homes: PurePosixPath) -> None:
        """`homes` is the folder of homes that it lies in."""
        self._homes = homes
        self._source = source
        self._within: list[_Within] = []
        self._descriptors = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._home = self._mount(_open_home(self._source, self._homes), read_only=False)
            self._facts = os.fstat(self._home)
        except OSError as error:
            self._descriptors.close()
            raise RefusalError(f"{self._source}: cannot be attached: {words(error)}") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._descriptors.close()

    def add(
        self,
        folders: Iterable[wire.Folder],
        known: tuple[allowed_folders.Declared, ...],
        *,
        beside: Iterable[PurePosixPath],
    ) -> None:
        """Make ready what goes into the home; its places in the home are made where they are missing. `beside` are
        all folders of homes."""
        for folder in sorted(folders, key=lambda one: len(_parts(one))):
            source = allowed_folders.open_source(folder, known, tuple(beside))
            try:
                mount = self._mount(source, read_only=folder.read_only)
            except OSError as error:
                raise RefusalError(f"{folder.source}: cannot be attached: {words(error)}") from error
            self._within.append(_Within(PurePosixPath(*_parts(folder)), mount, self._place(folder)))

    def attach(self, place: int) -> wire.Attached:
        """Attach all to the slot's folder, home first. Raises OSError in the midst of it."""
        system_calls.attach(self._home, place)
        for one in self._within:
            system_calls.attach(one.mount, one.place)
        return wire.Attached(device=self._facts.st_dev, inode=self._facts.st_ino)

    def _mount(self, folder: int, *, read_only: bool) -> int:
        """Closes `folder`."""
        with closing(folder):
            mount = self._keep(system_calls.clone(folder, recursive=True))
        # Private first: else what is attached within it shows up in the source itself, and in the homes of
        # all who have the same.
        system_calls.change(
            mount,
            attributes=_ATTRIBUTES | (system_calls.READ_ONLY if read_only else 0),
            propagation=system_calls.PRIVATE,
            recursive=True,
        )
        return mount

    def _place(self, folder: wire.Folder) -> int:
        parts = _parts(folder)
        inside, here, made = self._source, self._home, True
        for one in self._within:  # the outer ones come first
            if one.target.parts == parts[: len(one.target.parts)]:
                inside, here, made = str(one.target), one.mount, False
                parts = parts[len(one.target.parts) :]
        try:
            for part in parts:
                here = self._keep(self._enter(here, part, make=made))
        except OSError as error:
            raise RefusalError(
                f"{folder.target}: {folder.source} cannot be attached there, in {inside}: {words(error)}"
            ) from error
        return here

    def _enter(self, folder: int, name: str, *, make: bool) -> int:
        try:
            return system_calls.open_beneath(folder, name, same_mount=True)
        except FileNotFoundError:
            if not make:
                raise
        os.mkdir(name, 0o755, dir_fd=folder)
        made = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        os.fchown(made, self._facts.st_uid, self._facts.st_gid)
        return made

    def _keep(self, descriptor: int) -> int:
        self._descriptors.callback(os.close, descriptor)
        return descriptor


def _open_home(source: str, homes: PurePosixPath) -> int:
    return allowed_folders.open_inside(homes, PurePosixPath(source).relative_to(homes))


def _parts(folder: wire.Folder) -> tuple[str, ...]:
    """The parts of a target; raises RefusalError unless it leads down from the home."""
    parts = PurePosixPath(folder.target).parts
    if not parts or parts[0] == "/" or ".." in parts:
        raise RefusalError(f"{folder.target!r}: is not a path below a home", reason="message")
    return parts
