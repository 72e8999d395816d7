"""What is valid, and perhaps not what was meant: said by `hubagent check`, one key at a time. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from hubagent.config.model import Apply, Config, Disruptive, Hub
from hubagent.config.tree import closest, spell
from hubagent.traits import known, verdict

_PAM: Final = (
    "the hub does not run as root, so PAM checks accounts of sssd or another service, but not passwords in"
    " /etc/shadow: users of this machine itself cannot log in. For those use accounts of the hub"
    " (authenticator: native)"
)
_NATIVE: Final = "native"
_ACCOUNTS: Final = "it is for accounts of the hub (authenticator: native)"
_BASE: Final = "Authenticator"


@dataclass(frozen=True, slots=True)
class Notice:
    """One key with what there is to know of it."""

    key: str
    message: str

    def __str__(self) -> str:
        return f"{self.key}: {self.message}"


def advice(config: Config) -> tuple[Notice, ...]:
    """In the order of the file's keys."""
    return (*_authenticator(config.hub), *_traits(config.hub), *_apply(config.apply))


def _authenticator(hub: Hub) -> Iterator[Notice]:
    if hub.authenticator == "pam":
        yield Notice("hub.authenticator", _PAM)
    elif "." not in hub.authenticator and known.authenticator(hub.authenticator) is None:
        meant = _meant(closest(hub.authenticator, known.authenticators()))
        yield Notice("hub.authenticator", f"{hub.authenticator} is not in the hub's package{meant}")

    if known.authenticator(hub.authenticator) != known.authenticator(_NATIVE):
        for name in ("ask_email", "passwords"):
            if getattr(hub, name) != getattr(Hub(), name):
                yield Notice(f"hub.{name}", f"has no effect: {_ACCOUNTS}")


def _apply(apply: Apply) -> Iterator[Notice]:
    if apply.window is not None and apply.disruptive is not Disruptive.WINDOW:
        yield Notice("apply.window", "has no effect: it is for apply.disruptive: window")


def _traits(hub: Hub) -> Iterator[Notice]:
    in_use = known.authenticator(hub.authenticator)
    for cls, values in hub.traits.items():
        key = ("hub", "traits", cls)
        reason = verdict.unknown(cls)
        if reason is not None:
            yield Notice(spell(key), f"{reason}{_meant(closest(cls, known.classes()))}")
            continue
        if in_use is not None and _BASE in known.ancestry(cls) and cls not in known.ancestry(in_use):
            yield Notice(
                spell(key), f"has no effect: hub.authenticator is {hub.authenticator}, which is another class"
            )
        there = known.traits(cls)
        for written in values:
            trait = verdict.secret_of(known.ancestry(cls), written, there) or written
            reason = verdict.unknown(cls, trait)
            if reason is not None:
                meant = _meant(closest(trait, there))
                yield Notice(spell((*key, written)), f"{reason}; the hub will refuse it{meant}")


def _meant(word: str | None) -> str:
    return f"; did you mean {word}?" if word else ""


def judge_host(host: str | None, addresses: Mapping[str, bool] | None) -> Notice | None:
    """`addresses` that the name leads to, and whether each is this machine's; None when nobody could tell in time.

    Nothing here is an error: a machine may be set up offline, or stand behind another one's address."""
    if host is None:
        return None
    if addresses is None:
        return Notice("host", f"could not look up {host}; other names will get no answer")
    if not addresses:
        return Notice(
            "host",
            f"{host} has no DNS entry that this machine can see, and other names and addresses will get no answer "
            "(444): create the DNS entry first, or remove the line until then",
        )
    if any(addresses.values()):
        return None
    return Notice(
        "host",
        f"{host} resolves to {', '.join(sorted(addresses))}, which is not this machine. That is correct behind NAT or"
        " another proxy that passes the name on; otherwise people reach another machine",
    )
