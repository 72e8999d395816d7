"""What a person should know of images, of users' servers, and of a check that the machine kept from finishing. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Final

from hubagent import limits
from hubagent.converge.intent import Intent, Outcome
from hubagent.errors import ContainerError, DeadlineError, HubagentError, StorageError, UnitError
from hubagent.state.model import Component
from hubagent.state.status import (
    CertificateStatus,
    ImageState,
    ImageStatus,
    PoolStatus,
    Problem,
    Reason,
    Result,
)
from hubagent.state.words import duration, next_try

_DOING: Final = {
    ImageState.BUILDING: "is not on this machine yet: it is being built",
    ImageState.PULLING: "is not on this machine yet: it is being pulled",
    ImageState.PROVING: "is not in use yet: it is being tested",
}

_TIME_FOR_MORE_TRIES: Final = 1 / 4
"""Of a certificate's lifetime; the first try is at a third."""

_REASONS: Final = {  # the first that fits
    DeadlineError: Reason.BUSY,
    UnitError: Reason.DBUS,
    ContainerError: Reason.DOCKER,
    StorageError: Reason.DISK,
}


def image_problems(
    declared: Mapping[str, str],
    images: Sequence[ImageStatus] | None,
    absent: Collection[str],
) -> tuple[Problem, ...]:
    """One for each server that cannot start, or whose image is not what was asked for. `declared` are the
    images of the servers in force, `absent` the images that are not on this machine; `images` is None where nobody
    looks after them."""
    known = {image.server: image for image in images or ()}
    found = []
    for name, image in declared.items():
        status = known.get(name)
        if status is None or status.image != image or status.state is ImageState.MISSING:
            advice = "; docker pull or docker load it" if images is None else ""
            words = f"{image} is not on this machine{advice}" if image in absent else None
        else:
            words = _words(status)
        if words is not None:
            found.append(Problem(Component.DOCKER, Reason.IMAGE, f"servers.{name}.image: {words}"))
    return tuple(found)


def _words(status: ImageStatus) -> str | None:
    """None while servers start from what was asked for, or from the one before until that is ready."""
    if status.state is ImageState.FAILED:
        return f"{status.detail}; {_MEANWHILE[status.usable]}"
    if status.usable or status.state is ImageState.PRESENT:
        return None
    progress = f" ({status.progress})" if status.progress else ""
    return f"{status.image} {_DOING[status.state]}{progress}; servers start once that is done"


_MEANWHILE: Final = {
    True: "servers start from the existing image; retried automatically, or at once by `hubagent apply`",
    False: "no server of this kind can start; retried automatically, or at once by `hubagent apply`",
}


def server_problems(
    fault: str, pools: Sequence[PoolStatus], trials: Mapping[str, str], *, homes_waiting: int = 0
) -> tuple[Problem, ...]:
    """`fault` is why the hub cannot ask for servers at all, empty when it can; `trials` why none starts, by the
    name of the entry. `homes_waiting` is how many homes somebody asks for whose they are not."""
    unasked = Problem(Component.HUB, Reason.SPAWN, f"no server can be started: {fault}")
    cold = (
        Problem(Component.DOCKER, Reason.POOL, f"servers.{pool.server}.warm: {_why_cold(pool)}")
        for pool in pools
        if pool.is_in_trouble
    )
    many = "1 home is waiting" if homes_waiting == 1 else f"{homes_waiting} homes are waiting"
    foreign = Problem(  # without names: anybody on the machine may read this
        None,
        Reason.HOME,
        f"{many} for a decision: users whose name an earlier account had cannot start a server. "
        "`hubagent homes` lists them; `hubagent homes keep`, `archive` or `set-aside` settles it",
    )
    broken = (
        Problem(
            Component.DOCKER, Reason.SERVER, f"servers.{name}: no server starts with these settings: {why}"
        )
        for name, why in trials.items()
    )
    return (*((unasked,) if fault else ()), *broken, *cold, *((foreign,) if homes_waiting else ()))


def certificate_problems(certificate: CertificateStatus, now_s: float) -> tuple[Problem, ...]:
    """One at most. A renewal that fails is none as long as there is time for many more tries."""
    left_s = certificate.not_after_s - now_s
    renewal = certificate.renewal
    ends = f"the certificate expires in {duration(left_s)}" if left_s >= 0 else "the certificate has expired"
    if renewal is not None and renewal.failure:
        if not certificate.self_signed and left_s >= certificate.lifetime_s * _TIME_FOR_MORE_TRIES:
            return ()
        serves = (
            "a self-signed certificate serves, of which browsers warn" if certificate.self_signed else ends
        )
        message = f"{serves}: {renewal.failure}; {next_try(renewal, now_s)}"
    elif limits.certificate_left_s(certificate.lifetime_s).verdict(left_s):
        is_ours = certificate.self_signed or renewal is not None
        message = f"{ends}; {'hubagent has not renewed it, see its log' if is_ours else 'renew it'}"
    else:
        return ()
    return (Problem(Component.NGINX, Reason.CERTIFICATE, message),)


def _why_cold(pool: PoolStatus) -> str:
    if pool.claims_fail is not None:
        return f"no slot can become a user's server, so every start is cold: {pool.claims_fail}"
    return f"no slot can be made, so every start is cold: {pool.last_failure}"


def reason_of(error: HubagentError) -> Reason:
    """Of an error while a generation was put in force, or repaired."""
    return Reason.BUSY if isinstance(error, DeadlineError) else Reason.VERIFY


def unable(error: HubagentError, intent: Intent | None, path: Path) -> Outcome:
    """`intent` is today's, None where it was not even found out: the file at `path` is judged all the same."""
    why = next((why for kind, why in _REASONS.items() if isinstance(error, kind)), Reason.UNIT)
    problems = (Problem(None, why, str(error)), *(intent.problems if intent else ()))
    if intent is not None and intent.is_new:
        problems += (Problem(None, why, f"{path} is valid, and waits until it can be applied"),)
    return Outcome(Result.FAILED, problems=problems, failure=str(error), retry=True, intent=intent)
