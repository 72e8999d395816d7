"""What hub, agent, homes helper and guest say to each other.

Each class is one message; its fields are text, numbers, truth values, and tuples and mappings of them. An older side
neither sends nor knows a `later` field, so nothing may depend on its being there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from hubagent.codec import Codec, later

# Hub to agent, over Layout.spawn_socket. `name` is always the name or id of a container.


@dataclass(frozen=True)
class Claim:
    """Make a warm slot this user's server. Answered by Started, or Refused, after which Create is due."""

    user: str
    server_name: str  # of JupyterHub's named servers; empty for the user's default server
    server: str  # key of `servers` in the configuration
    environment: Mapping[str, str]  # what the hub tells the server
    command: tuple[str, ...]  # program and arguments
    account: str = later("")  # whose it is, whatever they are called: 32 hex digits; empty: an older hub
    account_since_s: float = later(
        0.0
    )  # when the account was made (unix time); 0: before anybody wrote that down


@dataclass(frozen=True)
class Create:
    """Create and start a container for this user's server. Answered by Started, or Refused.

    Started means that the container runs; the server in it may not answer yet.
    """

    user: str
    server_name: str
    server: str
    environment: Mapping[str, str]
    command: tuple[str, ...]
    port: int  # that the server will listen on
    account: str = later("")  # as in Claim
    account_since_s: float = later(0.0)


@dataclass(frozen=True)
class Started:
    id: str
    name: str
    address: str  # of the container on the network of user containers


@dataclass(frozen=True)
class Expect:
    """This user has signed in, and may ask for a server soon: make their home if it is new. Answered by Done at
    once; the home is made afterwards."""

    user: str
    account: str = later("")  # as in Claim
    account_since_s: float = later(0.0)


@dataclass(frozen=True)
class Person:
    """One user of the hub."""

    user: str
    account: str  # as in Claim
    account_since_s: float


@dataclass(frozen=True)
class Known:
    """The hub has these users: homes from before accounts were told apart are theirs. Nothing is made. Answered by
    Done."""

    people: tuple[Person, ...]


@dataclass(frozen=True)
class Gone:
    """This account was deleted. Its homes stay. Answered by Done."""

    user: str
    account: str


@dataclass(frozen=True)
class Inspect:
    """Answered by Inspected, also when there is no such container."""

    name: str


@dataclass(frozen=True)
class Inspected:
    present: bool
    id: str = ""
    running: bool = False
    exit_code: int = 0
    out_of_memory: bool = False
    address: str = ""


@dataclass(frozen=True)
class Stop:
    """End the container by SIGTERM, after 10 s by SIGKILL. An absent one is fine. Answered by Done."""

    name: str


@dataclass(frozen=True)
class Remove:
    """Remove the container, running or not, and all that belongs to it. Answered by Done."""

    name: str


@dataclass(frozen=True)
class Output:
    """The last lines that the container printed. Answered by Text."""

    name: str
    lines: int


@dataclass(frozen=True)
class Text:
    text: str


# Agent to homes helper, over Layout.homes_socket. `slot` is a slot's id: 12 hex digits.


@dataclass(frozen=True)
class Prepare:
    """Make the slot's folder, on which a home can be attached later. Answered by Prepared."""

    slot: str


@dataclass(frozen=True)
class Prepared:
    path: str  # on the host; what a container mounts with propagation `rslave`


@dataclass(frozen=True)
class Folder:
    """A folder of the host within a home."""

    source: str  # on the host
    target: str  # relative to the home
    read_only: bool


@dataclass(frozen=True)
class Attach:
    """Attach a home to the slot, nosuid and nodev, and these folders within it. Answered by Attached."""

    slot: str
    source: str  # the home on the host
    folders: tuple[Folder, ...]


@dataclass(frozen=True)
class Attached:
    device: int  # st_dev and st_ino of the home, for the guest to compare with what it sees
    inode: int


@dataclass(frozen=True)
class Detach:
    """Unmount whatever is attached to the slot and remove its folder; absent is fine. Answered by Done.

    Only after the slot's container is removed: one that runs would keep the home.
    """

    slot: str


@dataclass(frozen=True)
class ListSlots:
    """Answered by Slots."""


@dataclass(frozen=True)
class Slots:
    slots: tuple[str, ...]


# Agent to homes helper, as well. What these two ask for lasts as long as their connection: the death of either side
# ends it.


@dataclass(frozen=True)
class IdleDocker:
    """Let Docker's own services work only where a processor would rest, IDLE_AT_MOST_S at most. Answered by Done
    once it is so."""


@dataclass(frozen=True)
class Freeze:
    """Let this container stand still, FREEZE_AT_MOST_S at most. Answered by Done once it is told to."""

    container: str  # its id: 64 hex digits


IDLE_AT_MOST_S: Final = 2.0
"""Making a container takes less; who asks Docker for something else meanwhile must not wait for longer."""

FREEZE_AT_MOST_S: Final = 20.0


# Agent to guest, over GUEST_SOCKET in the slot's folder.


@dataclass(frozen=True)
class Ping:
    """Asked as often as wanted before the claim. Answered by Pong."""


@dataclass(frozen=True)
class Pong:
    ready: bool
    detail: str  # what it still waits for, or what did not become warm; for people
    kernels: Mapping[str, int]  # waiting kernels, by kernel name
    pluto: bool  # listens


@dataclass(frozen=True)
class Become:
    """Become this server. The first is the only one. Answered by Done once the server answers (warm), or as
    soon as the command is about to be executed (cold); or Refused."""

    environment: Mapping[str, str]
    command: tuple[str, ...]
    home: str  # path in the container: working directory of the server
    device: int  # of the home, as in Attached; 0 and 0 when the home was there from the beginning
    inode: int


WARM_PROCESSOR_S: Final = 300.0
"""What has used so much processor time and is not warm never will be (seconds): for a whole slot, and for each spare
kernel of a user's server. Julia without compiled packages takes a minute, on whatever machine."""

WARM_SILENT_S: Final = 300.0
"""Nor will what has computed nothing for so long (seconds)."""

KEEP_BUSY: Final = "HUBAGENT_KEEP_BUSY_S"
"""In Become's environment: for how many seconds a cell that computes counts as activity. Absent: not at all."""

LANDING: Final = "HUBAGENT_LANDING"
"""In Become's environment: one of LANDINGS, which the server turns into a page when a browser arrives at its root.
JUPYTERHUB_DEFAULT_URL is beside it, for a guest that does not know this."""

NEW_NOTEBOOK: Final = "new-notebook"
LAST_NOTEBOOK: Final = "last-notebook"
PLUTO_PAGE: Final = "pluto"
LANDINGS: Final = (NEW_NOTEBOOK, LAST_NOTEBOOK, PLUTO_PAGE)


@dataclass(frozen=True)
class Spares:
    """What still waits in a user's server; a line that the guest writes into the pipe GUEST_SPARES when it changes."""

    kernels: int
    plutos: int
    memory_bytes: int  # of all of them


# Answers of all.


@dataclass(frozen=True)
class Done:
    pass


@dataclass(frozen=True)
class Refused:
    reason: str  # one word of the closed set in REASONS
    message: str  # for the log and, where the hub shows it, for the user


REASONS: Final = (
    "message",  # not a message, or not one that this side answers
    "not_allowed",  # the configuration does not declare it, or it is not ours
    "no_slot",  # no ready slot for this server
    "image",  # the image is not on this machine, or cannot be used
    "absent",  # no such container
    "engine",  # Docker did not do it
    "home",  # the home cannot be attached
    "foreign_home",  # where the home would be is that of another account
    "guest",  # the container's launcher did not answer, or failed
    "claimed",  # this guest was claimed before
    "busy",  # too many requests at once
)


@dataclass(frozen=True)
class GuestSettings:
    """What a guest is told at its start: the file GUEST_SETTINGS, one frame's JSON without the length."""

    mode: str  # one of MODES
    modules: tuple[str, ...] = ()  # Python modules to import ahead; empty: the launcher's own short list
    # Waiting kernels wanted, by kernel name; cold: those that a slot would have, of which a new notebook has the first.
    kernels: Mapping[str, int] = field(default_factory=dict)
    pluto: bool = False
    home: str = "/home/jovyan/work"
    declared: tuple[str, ...] = later(
        ()
    )  # names of the variables that the configuration sets for this server


MODES: Final = (
    "warm",  # preload, wait for Become, be the server in this process
    "cold",  # wait for Become, execute the command
    "prove",  # start a server once, write down what it needed (GUEST_PROOF), end
)

GUEST_FOLDER: Final = "/run/hubagent"
"""The slot's own folder as the guest sees it."""

GUEST_FILES: Final = "/opt/hubagent"
"""The guest's program in every container, read-only."""

GUEST_SOCKET: Final = "guest.sock"
GUEST_SETTINGS: Final = "settings.json"
GUEST_PROOF: Final = "proof.json"

GUEST_SPARES: Final = "spares"
"""A named pipe: all that a user's server can leave on the machine there is what a pipe holds (pipe(7): 64 KiB)."""


@dataclass(frozen=True)
class Proof:
    """What a server of an image was seen to need and to offer; written by mode `prove`."""

    python: str  # path of the interpreter of jupyterhub-singleuser
    modules: tuple[str, ...]  # imported when it served, that may be imported before the user is known
    kernels: Mapping[str, str]  # language by kernel name
    pluto: str  # version; empty without Pluto
    ready_s: float  # from start to answer, seconds
    notebook: str = later("")  # folder of Notebook 7's package; empty without it, and with one too old


BY_NAME: Final[Mapping[str, Codec[Any]]] = {
    cls.__name__: Codec(cls, strict=True)
    for cls in (
        *(Claim, Create, Started, Expect, Known, Gone, Inspect, Inspected, Stop, Remove, Output, Text),
        *(Prepare, Prepared, Attach, Attached, Detach, ListSlots, Slots, IdleDocker, Freeze),
        *(Ping, Pong, Become, Done, Refused, GuestSettings, Proof, Spares),
    )
}
"""All that can be a frame, by the name that stands in its `verb`."""
