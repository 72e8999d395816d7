"""The model of `servers`: what users can start. Part of hubagent.config.model, which re-exports it."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final

from hubagent.config.kinds import grammars
from hubagent.config.kinds.composites import ListOf, MapOf, Section
from hubagent.config.kinds.places import OpenNetwork
from hubagent.config.kinds.scalars import Boolean, Choice, Number, setting
from hubagent.config.kinds.types import ServerName, TimeOfDay


class MountMode(enum.Enum):
    READ_ONLY = "ro"
    READ_WRITE = "rw"


class Sysimage(enum.Enum):
    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


DEFAULT_HOME: Final = PurePosixPath("/home/jovyan/work")


@dataclass(frozen=True, slots=True)
class Build:
    """How an image is made."""

    base: str = field(
        default="debian:bookworm-slim",
        metadata=setting(grammars.IMAGE, "The image to start from; any that is based on Debian or Ubuntu."),
    )
    julia: str = field(
        default="1.12",
        metadata=setting(
            grammars.JULIA,
            "Julia's version: the official binary, checked by checksum. `debian` takes the distribution's"
            " own.",
        ),
    )
    packages: tuple[str, ...] = field(
        default=("IJulia", "Pluto", "PlutoUI", "Plots"),
        metadata=setting(
            ListOf(grammars.JULIA_PACKAGE, plural="Julia packages"),
            "Julia packages to install and precompile.",
        ),
    )
    sysimage: Sysimage = field(
        default=Sysimage.AUTO,
        metadata=setting(
            Choice(Sysimage),
            "Whether to bake the packages into a system image; `auto` does where it pays: Julia before 1.9.",
        ),
    )
    apt: tuple[str, ...] = field(
        default=(),
        metadata=setting(
            ListOf(grammars.APT_PACKAGE, plural="Debian packages"), "Debian packages to install."
        ),
    )
    pip: tuple[str, ...] = field(
        default=(),
        metadata=setting(
            ListOf(grammars.PIP_REQUIREMENT, plural="Python requirements"), "Python packages to install."
        ),
    )


@dataclass(frozen=True, slots=True)
class Mount:
    source: PurePosixPath = field(
        metadata=setting(grammars.HOST_FOLDER, "The folder on this machine.", name="from")
    )  # YAML key `from`
    target: PurePosixPath = field(
        metadata=setting(grammars.CONTAINER_PATH, "Where users see it.", name="to")
    )  # YAML key `to`
    mode: MountMode = field(
        default=MountMode.READ_ONLY,
        metadata=setting(Choice(MountMode), "Read-only (ro) or writable by every user (rw)."),
    )


@dataclass(frozen=True, slots=True)
class Lecture:
    """One line of `warm.schedule`: from when to when, on which days, how many slots."""

    days: tuple[int, ...] = field(metadata=setting(grammars.DAYS, "Days of the week."))  # 0 is Monday
    start: TimeOfDay = field(
        metadata=setting(grammars.TIME, "From when, local time.", name="from")
    )  # YAML key `from`
    end: TimeOfDay = field(
        metadata=setting(grammars.TIME, "Until when, the same day.", name="to")
    )  # YAML key `to`
    ready: int = field(metadata=setting(Number(0, 10000), "Slots kept ready in that time."))


@dataclass(frozen=True, slots=True)
class Warm:
    """Containers that are started before the user is known."""

    ready: int = field(default=2, metadata=setting(Number(0, 10000), "Slots kept ready."))
    max: int = field(
        default=40,
        metadata=setting(
            Number(0, 10000),
            "No more slots than this, whatever the schedule says; free memory is a limit too.",
        ),
    )
    kernels: Mapping[str, int] | None = field(
        default=None,
        metadata=setting(
            MapOf(
                grammars.parse_kernel, Number(0, 16), "mapping of kernel to number", grammars.KERNEL_PATTERN
            ),
            "Waiting kernels in each slot, by kernel name, such as {julia: 1, python3: 1}. {} for none.",
            implied="`{julia: 1}` where the image has such a kernel",
        ),
    )
    pluto: bool = field(default=True, metadata=setting(Boolean(), "Whether Pluto waits in each slot too."))
    max_age_s: float = field(
        default=21600.0,
        metadata=setting(
            grammars.duration("5m", "7d"), "A slot that waited for longer is replaced by a fresh one."
        ),
    )
    schedule: tuple[Lecture, ...] = field(
        default=(),
        metadata=setting(
            ListOf(Section(Lecture), plural="mappings"),
            "Lectures: more slots are warm before the students come.",
        ),
    )


@dataclass(frozen=True, slots=True)
class Server:
    """One entry of `servers`: a kind of server that users can start."""

    name: ServerName
    title: str = field(metadata=setting(grammars.TITLE, "What users see.", implied="the entry's name"))
    image: str = field(
        default="hubagent/julia",
        metadata=setting(
            grammars.IMAGE,
            "The container image. With `build` it is made here under this name; without, it is pulled and"
            " checked.",
        ),
    )
    build: Build | None = field(
        default=None,
        metadata=setting(Section(Build), "How to make the image here. Not set: the image is pulled."),
    )
    memory_bytes: int = field(
        default=4 * 1024**3,
        metadata=setting(
            grammars.size("64M", "64T"), "Memory for each server; a server that takes more is stopped."
        ),
    )
    cpus: float = field(
        default=2.0, metadata=setting(Number(0.05, 4096, whole=False), "Processors for each server.")
    )
    processes: int = field(
        default=512, metadata=setting(Number(32, 4194304), "Processes and threads for each server, at most.")
    )
    home: PurePosixPath = field(
        default=DEFAULT_HOME,
        metadata=setting(
            grammars.CONTAINER_PATH,
            "Where the user's volume is mounted in the container, and HOME there; only this is kept.",
        ),
    )
    volume: str = field(
        default="jupyterhub-user-{username}",
        metadata=setting(
            grammars.VOLUME, "The Docker volume of each user. Entries with the same name share the home."
        ),
    )
    mounts: tuple[Mount, ...] = field(
        default=(),
        metadata=setting(
            ListOf(Section(Mount), plural="mappings"), "Folders of this machine that users see."
        ),
    )
    environment: Mapping[str, str] = field(
        default_factory=dict,
        metadata=setting(
            MapOf(
                grammars.parse_variable,
                grammars.VARIABLE_VALUE,
                "mapping of name to text",
                grammars.VARIABLE_PATTERN,
            ),
            "Environment variables of each server.",
        ),
    )
    ai: bool = field(
        default=False,
        metadata=setting(
            Boolean(),
            "Whether Pluto offers its features that send what users write to a service outside, for a model to answer.",
        ),
    )
    networks: tuple[OpenNetwork, ...] = field(
        default=(),
        metadata=setting(
            ListOf(grammars.OPEN_NETWORK, plural="networks"),
            'Private networks that its containers may reach, such as 10.1.2.0/24 or "192.168.7.5:5432" (TCP;'
            " /udp for UDP). All others are closed to them; the internet is open.",
        ),
    )
    warm: Warm | None = field(
        default=None,
        metadata=setting(
            Section(Warm), "Servers started before the user is known. Not set: each starts cold."
        ),
    )
