"""Numbers, states and images in words, the same on the status page and in `hubagent status`."""

from __future__ import annotations

from typing import Final

from hubagent import limits
from hubagent.layout import AGENT
from hubagent.state.status import (
    ImageState,
    ImageStatus,
    PoolStatus,
    Problem,
    Reason,
    RenewalStatus,
    Result,
    Status,
)

_UNITS: Final = ("KiB", "MiB", "GiB", "TiB", "PiB")

_UNDER_WAY: Final = (ImageState.BUILDING, ImageState.PULLING, ImageState.PROVING)


def duration(seconds: float) -> str:
    """In the largest fitting unit, for people: `8 s`, `3 min`, `5 h`, `12 days`."""
    seconds = max(0.0, seconds)
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 100 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.0f} h"
    return f"{seconds / 86400:.0f} days"


def ago(then_s: float, now_s: float) -> str:
    return f"{duration(now_s - then_s)} ago"


def checked(status: Status, now_s: float) -> str:
    """When the agent last checked; too long ago with where to find out why."""
    age_s = now_s - status.looked_at_s
    if limits.LAST_CHECK_AGE_S.verdict(age_s):
        return f"has not checked for {duration(age_s)}: see journalctl -u {AGENT} -n 50"
    return f"checked {ago(status.looked_at_s, now_s)}"


def size(count: int) -> str:
    """Binary units with three digits: `512 B`, `1.50 GiB`."""
    if count < 1024:
        return f"{count} B"
    value = float(count)
    for unit in _UNITS:
        value /= 1024
        if value < 1000 or unit == _UNITS[-1]:
            break
    return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f} {unit}"


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def certificate(status: Status, now_s: float) -> str:
    """The certificate in one phrase; empty when there is none."""
    found = status.certificate
    if found is None:
        return ""
    left_s = found.not_after_s - now_s
    ends = f"expired {duration(-left_s)} ago" if left_s < 0 else f"valid for {duration(left_s)}"
    told = f"{ends}, self-signed" if found.self_signed else ends
    return f"{told}; {renewal(found.renewal, now_s)}" if found.renewal is not None else told


def renewal(found: RenewalStatus, now_s: float) -> str:
    """Last try and next try to get a certificate, without why it failed."""
    if found.is_trying:
        return f"asking {found.authority} now"
    parts = []
    if found.tried_at_s is not None:
        how = "failed" if found.failure else "gave it"
        parts.append(f"{found.authority} {how} {ago(found.tried_at_s, now_s)}")
    if found.next_try_s is not None:
        verb = "next try" if found.failure or found.tried_at_s is None else "renewed"
        parts.append(f"{verb} in {duration(found.next_try_s - now_s)}")
    return ", ".join(parts)


def next_try(found: RenewalStatus, now_s: float) -> str:
    """After a failure."""
    if found.is_trying or found.next_try_s is None:
        return "it is tried again now"
    again = f"next try in {duration(found.next_try_s - now_s)}"
    return again if found.is_limit else f"{again}, or at once by hubagent apply"


def servers(status: Status) -> str:
    """How many run, and how many of them are of an earlier definition."""
    stale = sum(server.stale for server in status.servers)
    running = f"{len(status.servers)} running"
    if not stale:
        return running
    return f"{running}, {stale} started before the last change to `servers` (new at their next start)"


def pool_ready(pool: PoolStatus) -> str:
    return f"{pool.ready} of {pool.desired}"


def pool_detail(pool: PoolStatus, now_s: float) -> str:
    """What is under way, or wrong; empty when all wanted slots wait."""
    parts = []
    if pool.claims_fail is not None:
        since = "" if pool.claims_fail_since_s is None else f" (since {ago(pool.claims_fail_since_s, now_s)})"
        parts.append(f"users get none{since}: {pool.claims_fail}")
    if pool.creating + pool.warming:
        parts.append(f"{pool.creating + pool.warming} warming up")
    if pool.dead:
        parts.append(f"{pool.dead} being removed")
    if pool.last_failure is not None:
        parts.append(_failure(pool, now_s))
    elif pool.ready < pool.desired and not parts:
        parts.append("waiting: users' servers are starting, or memory is short")
    if pool.lacks is not None:
        parts.append(f"not everything is warm: {pool.lacks}")
    if pool.spare_kernels + pool.spare_plutos:
        kernels, plutos = counted(pool.spare_kernels, "kernel"), counted(pool.spare_plutos, "Pluto")
        parts.append(f"{kernels} and {plutos} still wait in users' servers ({size(pool.spare_bytes)})")
    return ", ".join(parts)


def _failure(pool: PoolStatus, now_s: float) -> str:
    failure = pool.last_failure if pool.ready else f"no slot became ready: {pool.last_failure}"
    if pool.backing_off_until_s is None:
        return str(failure)
    return f"{failure}; next try in {duration(pool.backing_off_until_s - now_s)}"


def problems_to_tell(status: Status) -> tuple[Problem, ...]:
    """Without that the file was refused, where its errors are listed themselves."""
    if not status.config_errors:
        return status.problems
    return tuple(problem for problem in status.problems if problem.reason is not Reason.CONFIG)


HEADLINES: Final = {
    Result.NOOP: "Everything is as the file says.",
    Result.OK: "The last edit is in force.",
    Result.FAILED: "The last change could not be finished; it is retried within half a minute, or when a problem "
    "below says.",
    Result.ROLLED_BACK: "The last edit was rolled back; the previous configuration serves until the file changes.",
    Result.REJECTED: "The last edit was refused; nothing was changed.",
}
"""How the last check ended, in one sentence."""


def headline(status: Status) -> str:
    """How the last check ended; what ran out of time waits for no other file."""
    if status.result is Result.ROLLED_BACK and status.is_late:
        return "The last edit was rolled back for now and is retried automatically; until then the previous one serves."
    return HEADLINES[status.result]


def spawn_mean_s(status: Status) -> float | None:
    """Mean duration of a server start since the hub started, None before the first."""
    figures = status.figures
    if not figures.hub_spawn_count or figures.hub_spawn_duration_sum_s is None:
        return None
    return figures.hub_spawn_duration_sum_s / figures.hub_spawn_count


def image_tone(image: ImageStatus) -> str:
    """good, warn or bad: whether users can start, and whether what is asked for is there."""
    if image.state is ImageState.PRESENT:
        return "good"
    return "warn" if image.usable or image.state in _UNDER_WAY else "bad"


def image_state(image: ImageStatus) -> str:
    return f"{image.state.value}, {image.progress}" if image.progress else image.state.value


def image_detail(image: ImageStatus, now_s: float) -> str:
    """What it is about, with since when where that matters."""
    if image.state is ImageState.PRESENT:
        slow = (
            f"; pages load static files from users' servers: {image.slow_pages}" if image.slow_pages else ""
        )
        return f"{image.image}{slow}"
    serving = "; the earlier image serves meanwhile" if image.usable else ""
    since = duration(now_s - image.since_s)
    return f"{image.detail or image.image}{serving} (for {since})"
