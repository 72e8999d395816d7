"""Who asks for a home, and who owns each: a small file for each volume. The one place where that is changed.

Files are written whole or not at all. One that is damaged counts as absent, and then the volume's labels decide.
The running agent is the only writer; a command writes only while no agent runs.
"""

from __future__ import annotations

import enum
import hashlib
import json
import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hubagent import wire
from hubagent.codec import Codec, json_object
from hubagent.errors import StorageError
from hubagent.layout import LABEL_ACCOUNT, LABEL_PATTERN, LABEL_USER
from hubagent.ports import FileStore

log = logging.getLogger(__name__)

_FORMAT: Final = 1
_MAX_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Account:
    """An account of the hub, which stays the same when its user is renamed. `id` is empty when an older hub asks, which
    does not tell accounts of one name apart."""

    user: str  # what it is called now
    id: str = ""  # 32 hex digits
    created_s: float = 0.0  # unix time; 0 when nobody wrote that down

    @classmethod
    def of(cls, request: wire.Claim | wire.Create | wire.Expect | wire.Person) -> Account:
        return cls(request.user, request.account, request.account_since_s)


class How(enum.Enum):
    """How somebody came to a home."""

    MADE = "made"  # it was made for this account
    ADOPTED = "adopted"  # it was there before accounts were told apart
    GIVEN = "given"  # an administrator gave it
    UNKNOWN = "unknown"  # nobody has it: it is not known whose it was


@dataclass(frozen=True, slots=True)
class Owner:
    """What is known of one home. Times are unix seconds, 0 for never."""

    volume: str
    pattern: str  # of `servers.*.volume`: an account has one home for each; empty when that is not known
    account: str  # empty when that is not known
    user: str  # what the account was called when it was last heard of
    since_s: float
    how: How
    label: str = ""  # LABEL_ACCOUNT of the volume
    gone_s: float = 0.0  # when the account was deleted
    wanted_by: str = (
        ""  # another account that was refused this home, and waits for a decision; empty: an older hub's
    )
    wanted_user: str = ""  # what it is called; empty when nobody waits
    wanted_since_s: float = 0.0
    wanted_pattern: str = ""
    aside_s: float = 0.0  # when an administrator set it aside: nobody gets it

    @property
    def is_nobodys(self) -> bool:
        return not self.account or self.aside_s > 0

    @property
    def waits(self) -> bool:
        """Does somebody wait for a decision about it?"""
        return bool(self.wanted_user) and not self.aside_s


_OWNER: Final = Codec(Owner, strict=False)


class Owners:
    """All that is known. Every method is safe to call from any thread, and may raise StorageError."""

    def __init__(self, files: FileStore, folder: Path) -> None:
        """`folder` is Layout.home_owners."""
        self._files = files
        self._folder = folder
        self._lock = threading.RLock()
        self._owners: dict[str, Owner] | None = None  # by volume; None until they are read

    def get(self, volume: str) -> Owner | None:
        with self._lock:
            return self._all().get(volume)

    def all(self) -> tuple[Owner, ...]:
        """By the volumes' names."""
        with self._lock:
            return tuple(owner for _, owner in sorted(self._all().items()))

    def of_account(self, account: str, pattern: str) -> Owner | None:
        """The home of this account for this pattern; the one that it got last, where a decision broke off."""
        with self._lock:
            found = [
                owner
                for owner in self._all().values()
                if account and owner.account == account and not owner.aside_s
                if owner.pattern in (pattern, "")
            ]
            return max(found, key=lambda owner: owner.since_s, default=None)

    def write(self, owner: Owner) -> None:
        with self._lock:
            known = self._all()
            if known.get(owner.volume) != owner:
                self._files.make_dir(self._folder, mode=0o700)
                self._files.write(self._path(owner.volume), _to_json(owner), mode=0o600)
                known[owner.volume] = owner

    def forget(self, volume: str) -> None:
        """The volume is gone."""
        with self._lock:
            self._files.remove(self._path(volume))
            self._all().pop(volume, None)

    def learn(self, volumes: Mapping[str, Mapping[str, str]]) -> None:
        """Of homes that nothing is written down of, what their labels say (by volume). A file that got lost must not
        cost a renamed user the way to their home."""
        with self._lock:
            known = self._all()
            for volume, labels in volumes.items():
                account = labels.get(LABEL_ACCOUNT, "")
                if account and volume not in known:
                    known[volume] = Owner(
                        volume,
                        labels.get(LABEL_PATTERN, ""),
                        account,
                        labels.get(LABEL_USER, ""),
                        since_s=0.0,
                        how=How.MADE,
                        label=account,
                    )

    def _all(self) -> dict[str, Owner]:
        if self._owners is None:
            found = {}
            for name in self._files.list_dir(self._folder):
                owner = self._read(name) if name.endswith(".json") and not name.startswith(".") else None
                if owner is not None:
                    found[owner.volume] = owner
            self._owners = found
        return self._owners

    def _read(self, name: str) -> Owner | None:
        path = self._folder / name
        try:
            state = self._files.read(path, max_bytes=_MAX_BYTES)
            return None if state is None else _from_json(state.content, name)
        except (StorageError, ValueError) as error:
            log.warning("%s cannot be read, so the labels of its home are used: %s", path, error)
            return None

    def _path(self, volume: str) -> Path:
        return self._folder / file_name(volume)


def file_name(volume: str) -> str:
    """A volume's name may be as long as a file's, so it cannot be part of one."""
    return f"{hashlib.sha256(volume.encode()).hexdigest()[:32]}.json"


def _to_json(owner: Owner) -> bytes:
    value = _OWNER.plain(owner)
    return json.dumps({"format": _FORMAT, "owner": value, "sha256": _digest(value)}, indent=1).encode()


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def from_json(content: bytes) -> Owner:
    """Raises ValueError for whatever is no such file, or was changed by anything but hubagent."""
    whole = json_object(content)
    data = whole.get("owner")
    if whole.get("format") != _FORMAT or whole.get("sha256") != _digest(data):
        raise ValueError("not an owner's file, or a damaged one")
    return _OWNER.typed(data)


def _from_json(content: bytes, name: str) -> Owner:
    owner = from_json(content)
    if file_name(owner.volume) != name:
        raise ValueError("another volume's file")
    return owner
