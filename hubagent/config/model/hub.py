"""The model of `hub`: JupyterHub and its users. Part of hubagent.config.model, which re-exports it."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from hubagent.config.kinds import grammars
from hubagent.config.kinds.composites import ListOf, Section
from hubagent.config.kinds.scalars import Boolean, Choice, Number, setting
from hubagent.config.kinds.traits import Traits
from hubagent.config.kinds.types import Username
from hubagent.ladder import Level


class Signup(enum.Enum):
    APPROVAL = "approval"
    OPEN = "open"
    CLOSED = "closed"


class Start(enum.Enum):
    ON_CLICK = "on_click"
    AT_LOGIN = "at_login"


@dataclass(frozen=True, slots=True)
class Passwords:
    min_length: int = field(
        default=10,
        metadata=setting(Number(8, 72), "The shortest password, in characters (bcrypt reads 72 bytes)."),
    )
    check_common: bool = field(
        default=True, metadata=setting(Boolean(), "Whether passwords from lists of common ones are refused.")
    )
    max_failed_logins: int = field(
        default=10,
        metadata=setting(Number(0, 1000), "Failed logins before the account waits; 0 means no limit."),
    )
    lockout_s: float = field(
        default=600.0,
        metadata=setting(grammars.duration("1s", "1d"), "How long it waits after too many failed logins."),
    )


@dataclass(frozen=True, slots=True)
class Hub:
    admins: tuple[Username, ...] = field(
        default=(Username("admin"),),
        metadata=setting(
            ListOf(grammars.USERNAME, minimum=1, plural="user names"),
            "Users with all rights. Created with a one-time password that `hubagent first-login` shows.",
        ),
    )
    authenticator: str = field(
        default="native",
        metadata=setting(
            grammars.AUTHENTICATOR,
            "How users log in: native (accounts of the hub), pam, github, google, or any JupyterHub"
            " authenticator that is installed.",
        ),
    )
    signup: Signup = field(
        default=Signup.APPROVAL,
        metadata=setting(
            Choice(Signup),
            "Who may create an account: anyone after an admin's approval, anyone at once, or nobody.",
        ),
    )
    ask_email: bool = field(
        default=True, metadata=setting(Boolean(), "Whether the sign-up form asks for an e-mail address.")
    )
    passwords: Passwords = field(
        default=Passwords(),
        metadata=setting(Section(Passwords), "Rules for passwords of the native authenticator."),
    )
    start: Start = field(
        default=Start.ON_CLICK,
        metadata=setting(
            Choice(Start),
            "When a server starts: when its user asks for it, or as soon as they have signed in and go on to it, but"
            " not on the way to another page such as the admin's. With several servers that is the one of last time."
            " One begun so to which nobody comes within a minute is stopped.",
            interrupts=Level.NEXT_SPAWN,
        ),
    )
    landing: str = field(
        default="/lab",
        metadata=setting(
            grammars.LANDING,
            "The page of the server that users see first: a path such as /lab or /tree, or a word. `new-notebook`: an"
            " empty one with the kernel that waits, else Julia's, else Python's. `last-notebook`: the one in their home"
            " that they changed last, else a new one. `pluto`. Where the image has nothing of that, /lab.",
            interrupts=Level.NEXT_SPAWN,
        ),
    )
    stop_idle_after_s: float = field(
        default=1800.0,
        metadata=setting(
            grammars.duration("1m", "365d", zero=True),
            "A server that nobody used for this long is stopped; 0 means never.",
        ),
    )
    keep_busy_s: float = field(
        default=28800.0,
        metadata=setting(
            grammars.duration("1m", "365d", zero=True),
            "A computing cell, of a notebook or of Pluto, counts as use for so long, with its page closed too;"
            " 0 is not at all.",
        ),
    )
    database: str = field(
        default="sqlite",
        metadata=setting(
            grammars.DATABASE,
            "The hub's database: sqlite, or postgresql://USER@HOST/NAME (without the password).",
        ),
    )
    database_password_file: PurePosixPath | None = field(
        default=None, metadata=setting(grammars.FILE, "The file that holds PostgreSQL's password.")
    )
    traits: Mapping[str, Mapping[str, object]] = field(
        default_factory=dict,
        metadata=setting(
            Traits(),
            "Anything else that JupyterHub can be told: class, trait, value. Secrets by file:"
            " `client_secret_file`.",
        ),
    )
