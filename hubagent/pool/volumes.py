"""Users' homes as Docker volumes. A home that is new gets the image's files and belongs to the image's user.

Docker fills a new volume with what the image has in that place when a container with it is created, so a
container is created, never started, and removed again. Where the image has nothing there, the volume would
belong to root, and nothing could be saved in it. While that container exists, the home is not finished: an
agent that was killed meanwhile leaves it, and the next start finishes the home.

A home belongs to an account, not to a name (docs/adr/0018). Whose a new one is is written down before it is made.
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from hubagent.config.model import Server
from hubagent.errors import ContainerError, EngineAbsentError, StorageError
from hubagent.layout import LABEL_ACCOUNT, LABEL_PATTERN, LABEL_USER
from hubagent.naming import volume_name
from hubagent.pool.belonging import Verdict, is_about, verdict
from hubagent.pool.locks import NamedLocks
from hubagent.pool.owners import Account, How, Owner, Owners
from hubagent.pool.ports import Containers, ContainerSpec, ImageFacts, VolumeFacts
from hubagent.pool.refusal import SpawnError, missing_image
from hubagent.ports import Clock

log = logging.getLogger(__name__)

LABEL_HOME: Final = "hubagent.home"
"""Of the container that a new home is made with; its value is the volume's name."""

FOREIGN: Final = (
    "A home of an earlier account of this name is here. An administrator has to decide what becomes of it."
)

_TURN_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Home:
    volume: str
    path: str  # on the host; empty for a volume that Docker mounts only while a container uses it


class Volumes:
    """Safe to use from any thread; one home is made by one at a time."""

    def __init__(
        self,
        containers: Containers,
        owners: Owners,
        clock: Clock,
        *,
        on_foreign: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_foreign` is called when somebody begins to wait for a decision about a home."""
        self._containers = containers
        self._owners = owners
        self._clock = clock
        self._on_foreign = on_foreign
        self._locks = NamedLocks()
        self._closed: set[str] = set()  # an administrator's command is at work on them
        self._finished: set[str] = set()  # saves a question to Docker at each later start
        self._image_owners: dict[str, tuple[int, int]] = {}  # by image id
        self._has_learnt = False

    def home_of(self, server: Server, account: Account) -> Home:
        """The account's home for this server, made before if need be. Raises SpawnError, with reason
        `foreign_home` where somebody else's home has the name, ContainerError and StorageError."""
        self._learn()
        name = self._name(server.volume, account)
        with self._locks.held(name, timeout_s=_TURN_S) as our_turn:
            if not our_turn:
                raise ContainerError(
                    f"the volume {name} is being created by another start, which does not finish"
                )
            if name in self._closed:
                raise SpawnError("busy", "An administrator is working on your files. Please try again soon.")
            found = self._containers.volume(name)
            self._take(server, account, name, found)
            if found is None or not self._is_finished(name):
                self._make(name, server, account, is_new=found is None)
                found = self._containers.volume(name)
            if found is None:
                raise ContainerError(
                    f"the volume {name} was created but has disappeared; find out what removes it"
                )
            self._finished.add(name)
            return Home(name, found.path)

    def know(self, patterns: Iterable[str], people: Iterable[Account]) -> None:
        """These accounts exist: homes of theirs that nobody has written down are theirs from now on, and those
        whose user was renamed know the new name. Raises ContainerError and StorageError."""
        self._learn()
        there = self._containers.volume_labels()
        for account in people:
            for pattern in dict.fromkeys(patterns):
                name = self._name(pattern, account)
                if name in there and self._is_news(name, account):
                    with self._locks.held(name, timeout_s=_TURN_S) as our_turn:
                        if our_turn:
                            self._settle(pattern, account, name)

    def gone(self, account: Account) -> None:
        """This account was deleted; its homes stay. Raises StorageError."""
        self._learn()
        for owner in self._owners.all():
            if account.id and owner.account == account.id and not owner.gone_s:
                self._owners.write(dataclasses.replace(owner, gone_s=self._clock.time()))
                log.warning(
                    "the account %s was deleted; its home %s stays, and nobody gets it: see `hubagent homes`",
                    account.user,
                    owner.volume,
                )
            if account.id and owner.wanted_by == account.id:
                self._owners.write(
                    dataclasses.replace(
                        owner, wanted_by="", wanted_user="", wanted_since_s=0.0, wanted_pattern=""
                    )
                )

    @contextmanager
    def closed(self, volume: str) -> Iterator[None]:
        """Nobody gets this home meanwhile; who has got it just now still may be starting."""
        with self._locks.held(volume, timeout_s=_TURN_S) as our_turn:
            if not our_turn or volume in self._closed:
                raise ContainerError(
                    f"the volume {volume} is being created by a start, which does not finish"
                )
            self._closed.add(volume)
        try:
            yield
        finally:
            self._closed.discard(volume)
            self._finished.discard(volume)  # it may be another one now

    def _learn(self) -> None:
        if not self._has_learnt:
            self._owners.learn(self._containers.volume_labels())
            self._has_learnt = True

    def _name(self, pattern: str, account: Account) -> str:
        own = self._owners.of_account(account.id, pattern)
        return own.volume if own is not None else volume_name(pattern, account.user)

    def _is_news(self, name: str, account: Account) -> bool:
        owner = self._owners.get(name)
        if owner is None:
            return True
        return owner.account == account.id and (owner.user != account.user or owner.gone_s > 0)

    def _settle(self, pattern: str, account: Account, name: str) -> None:
        found, owner = self._containers.volume(name), self._owners.get(name)
        if found is not None and verdict(account, owner, found) in (Verdict.THEIRS, Verdict.ADOPTED):
            self._have(pattern, account, name, found)

    def _take(self, server: Server, account: Account, name: str, found: VolumeFacts | None) -> None:
        """Write down that this account has the home, where that is not so yet. Raises SpawnError when it may not
        have it."""
        pattern = server.volume
        match verdict(account, self._owners.get(name), found):
            case Verdict.FOREIGN:
                assert found is not None
                self._want(pattern, account, found)
                raise SpawnError("foreign_home", FOREIGN)
            case Verdict.UNKNOWN:
                pass
            case Verdict.NEW | Verdict.THEIRS | Verdict.ADOPTED:
                self._have(pattern, account, name, found)

    def _have(self, pattern: str, account: Account, name: str, found: VolumeFacts | None) -> None:
        if not account.id:
            return
        owner = self._owners.get(name)
        if owner is not None and owner.account == account.id and (found is None or is_about(owner, found)):
            now = dataclasses.replace(owner, user=account.user, pattern=owner.pattern or pattern, gone_s=0.0)
        else:
            label = account.id if found is None else found.labels.get(LABEL_ACCOUNT, "")
            how = How.MADE if label else How.ADOPTED
            now = Owner(name, pattern, account.id, account.user, self._clock.time(), how, label=label)
            if how is How.ADOPTED:
                log.info("the home %s belongs to %s from now on, who had it before", name, account.user)
        try:
            self._owners.write(now)
        except StorageError as error:  # the labels, or the volume's age, say so again at the next start
            log.error("cannot record whose home %s is: %s", name, error)

    def _want(self, pattern: str, account: Account, found: VolumeFacts) -> None:
        label = found.labels.get(LABEL_ACCOUNT, "")
        owner = self._owners.get(found.name)
        if owner is None or not is_about(owner, found):
            user = found.labels.get(LABEL_USER, "")
            how = How.MADE if label else How.UNKNOWN
            owner = Owner(found.name, pattern, label, user, found.created_s, how, label=label)
        if owner.wanted_by != account.id or owner.wanted_user != account.user:
            log.warning(
                "%s asks for the home %s, which belongs to another account; `hubagent homes` lists it",
                account.user,
                found.name,
            )
            owner = dataclasses.replace(
                owner,
                wanted_by=account.id,
                wanted_user=account.user,
                wanted_since_s=self._clock.time(),
                wanted_pattern=pattern,
            )
            try:
                self._owners.write(owner)
            except StorageError as error:
                log.error("%s", error)
            self._on_foreign()

    def _is_finished(self, name: str) -> bool:
        return name in self._finished or self._containers.inspect(_maker(name)) is None

    def _make(self, name: str, server: Server, account: Account, *, is_new: bool) -> None:
        image = self._containers.image(server.image)
        if image is None:
            raise missing_image(server.image)
        self._containers.remove(_maker(name))
        try:
            container = self._containers.create(_spec(name, server, account))
            self._give(container, server, image)
        except BaseException:
            self._undo(name, is_new=is_new)
            raise
        self._containers.remove(container)

    def _give(self, container: str, server: Server, image: ImageFacts) -> None:
        if image.starts_as_root:
            return
        owner = self._image_owners.get(image.id) or self._read_owner(container, server, image)
        self._image_owners[image.id] = owner
        try:
            self._containers.own_folder(container, str(server.home), owner)
        except EngineAbsentError:
            raise
        except ContainerError as error:
            log.error("%s", error)
            raise SpawnError(
                "image", f"Image {server.image} does not let {server.home} be the home of {image.user!r}."
            ) from error

    def _read_owner(self, container: str, server: Server, image: ImageFacts) -> tuple[int, int]:
        passwd = self._containers.read_file(container, "/etc/passwd") or b""
        owner = home_owner(image.user, passwd.decode(errors="replace"))
        if owner is None:
            raise SpawnError(
                "image",
                f"Image {server.image} runs as {image.user!r}, whom its /etc/passwd does not know.",
            )
        return owner

    def _undo(self, name: str, *, is_new: bool) -> None:
        """What cannot be undone now is redone by the next start."""
        try:
            self._containers.remove(_maker(name))
            if is_new:
                self._containers.remove_volume(name)
        except ContainerError as error:
            log.warning("%s", error)

    def give(self, container: str, server: Server, image: ImageFacts) -> None:
        """Let the home in a container that was made and not started be its image's user's. Raises SpawnError and
        ContainerError."""
        self._give(container, server, image)


def home_owner(user: str, passwd: str) -> tuple[int, int] | None:
    """Numeric owner and group of an image's user, or None when the image does not say.

    `passwd` is the content of the image's /etc/passwd; malformed lines are passed over.
    """
    name, _, group = user.partition(":")
    found: tuple[int, int] | None = (int(name), 0) if name.isascii() and name.isdigit() else None
    for line in passwd.splitlines():
        parts = line.split(":")
        if len(parts) >= 4 and name in {parts[0], parts[2]} and parts[2].isdigit() and parts[3].isdigit():
            found = int(parts[2]), int(parts[3])
            break
    if found is not None and group.isascii() and group.isdigit():
        found = found[0], int(group)
    return found


def _maker(volume: str) -> str:
    return f"hubagent-home-{hashlib.sha256(volume.encode()).hexdigest()[:16]}"


def _spec(name: str, server: Server, account: Account) -> ContainerSpec:
    return ContainerSpec(
        name=_maker(name),
        image=server.image,
        command=("never-started",),
        environment={},
        labels={LABEL_HOME: name},
        network="none",
        memory_bytes=server.memory_bytes,
        cpus=server.cpus,
        processes=server.processes,
        volume=(name, str(server.home)),
        volume_labels=volume_labels(server.volume, account),
    )


def volume_labels(pattern: str, account: Account) -> Mapping[str, str]:
    """Of a new home."""
    user = {LABEL_USER: account.user}
    return {**user, LABEL_ACCOUNT: account.id, LABEL_PATTERN: pattern} if account.id else user
