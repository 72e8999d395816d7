"""Gets a certificate from the authority and renews it, in a thread of its own; puts nothing in force.

It goes by the configuration in force, so nginx already serves what the authority asks for. What it has got is a pair
of files, which the next check of the machine finds and puts in force as any other change: tested, verified, taken
back if it does not work.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hubagent.certificates import faults, pairs, schedule
from hubagent.certificates.faults import Fault
from hubagent.certificates.messages import ANSWER, MAX_ANSWER_BYTES, REQUEST, Answer, Request
from hubagent.certificates.schedule import TRIES, Tries, Wanted
from hubagent.codec import CodecError
from hubagent.config.model import Config
from hubagent.errors import PreflightError, StorageError, TemporaryError, UnitError
from hubagent.layout import CERTBOT, CERTBOT_USER, Layout
from hubagent.ports import ActiveState, CertificateStore, Clock, FileStore, UnitManager, UnitVerb
from hubagent.state.status import RenewalStatus
from hubagent.worker import Worker

log = logging.getLogger(__name__)

_DONE_S: Final = 660.0
"""Longer than the unit's own TimeoutStartSec."""
_BROKEN_OFF: Final = "the last try was broken off, since hubagent or the machine was stopped"
_MAX_TRIES_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class CertificatePorts:
    units: UnitManager
    files: FileStore
    certificates: CertificateStore
    clock: Clock


@dataclass(frozen=True, slots=True)
class InForce:
    """What of the generation in force this goes by."""

    config: Config | None
    fingerprint: str | None  # of its certificate


class CertificateKeeper(Worker):
    """`in_force` may be asked by any thread; `on_change` is called, from a thread, when there is a new pair or
    `status` says something else."""

    def __init__(
        self,
        ports: CertificatePorts,
        layout: Layout,
        *,
        in_force: Callable[[], InForce],
        on_change: Callable[[], None],
    ) -> None:
        super().__init__(name="certificates")
        self._ports = ports
        self._layout = layout
        self._in_force = in_force
        self._on_change = on_change
        self._status: RenewalStatus | None = None
        self._last: Tries | None = None
        self._is_read = False

    def status(self) -> RenewalStatus | None:
        """None where no authority is asked."""
        return self._status

    def check(self, *, asked: bool = False) -> None:
        """Ask the authority if it is time. Raises HubagentError. certbot's unit goes on when the agent ends."""
        now, now_s = self._in_force(), self._ports.clock.time()
        wish = schedule.wanted(now.config)
        if wish is None:
            self._tell(None)
            return
        last = self._last_tries()
        if self._next_try_s(wish, last, asked=asked) <= now_s:
            self._tell(self._said(wish, last, is_trying=True))
            last = self._try(wish, last, now.fingerprint)
            self._keep(last)
            if last.failure:
                log.warning("no certificate for %s: %s", ", ".join(wish.names), last.failure)
            else:
                log.info("got a certificate for %s", ", ".join(wish.names))
        self._tell(self._said(wish, last))

    def _try(self, wish: Wanted, last: Tries | None, in_use: str | None) -> Tries:
        clock, started_s = self._ports.clock, self._ports.clock.time()
        failures = 1
        if (
            last is not None and last.wanted == wish
        ):  # who tries by hand, and in vain, does not make it wait longer
            failures = max(1, last.failures + (started_s >= last.again_at_s))
        earlier = last.fingerprint if last is not None and last.wanted.directory == wish.directory else ""

        def failed(why: Fault) -> Tries:
            return Tries(wish, started_s, failures, why.message, why.again_at_s, why.is_limit, earlier)

        try:
            place, csr = self._prepare(wish, in_use)
        except (PreflightError, StorageError, UnitError) as error:
            return failed(faults.here(str(error), failures=failures, now_s=clock.time()))
        # Noted before: an agent that is killed again and again in the middle of it must not ask each time.
        self._keep(failed(faults.in_vain(_BROKEN_OFF, failures=failures, now_s=clock.time())))
        try:
            answer = self._ask(Request(csr, wish.directory, wish.email, str(self._layout.acme_webroot)))
            if answer.chain:
                return Tries(wish, started_s, fingerprint=self._adopt(wish, place, answer.chain))
        except (PreflightError, StorageError, UnitError) as error:
            return failed(faults.in_vain(str(error), failures=failures, now_s=clock.time()))
        return failed(
            faults.fault(
                answer,
                names=wish.names,
                directory=wish.directory,
                failures=failures,
                now_s=clock.time(),
            )
        )

    def _prepare(self, wish: Wanted, in_use: str | None) -> tuple[tuple[Path, Path], str]:
        """Where the next pair goes, whose key is there already, and the request for its certificate."""
        ports, layout = self._ports, self._layout
        if ports.units.unit(CERTBOT).active is ActiveState.ACTIVATING:
            raise TemporaryError(f"{CERTBOT} still runs for an agent that has ended")
        place = certificate, key = pairs.place_for_next(layout, ports.certificates, in_use)
        ports.files.remove(certificate)
        csr = ports.certificates.create_request(key, names=wish.names)
        ports.files.make_dir(layout.acme_webroot, mode=0o755, owner=CERTBOT_USER, group=CERTBOT_USER)
        ports.files.remove(layout.certbot_answer)
        return place, csr

    def _ask(self, request: Request) -> Answer:
        """Have certbot ask the authority."""
        files, layout = self._ports.files, self._layout
        files.write(layout.certbot_request, REQUEST.dumps(request), mode=0o600)
        done = self._ports.units.run(UnitVerb.START, CERTBOT, timeout_s=_DONE_S)
        state = files.read(layout.certbot_answer, max_bytes=MAX_ANSWER_BYTES)
        try:
            return ANSWER.loads(state.content if state is not None else b"")
        except CodecError:
            words = f"{CERTBOT} ended ({done.value}) without an answer; journalctl -u {CERTBOT} -n 50"
            raise PreflightError(words) from None

    def _adopt(self, wish: Wanted, place: tuple[Path, Path], chain: str) -> str:
        certificate, key = place
        self._ports.files.write(certificate, chain.encode(), mode=0o644)
        facts = self._ports.certificates.inspect(certificate, key)
        if not pairs.serves(facts, wish.names, now_s=self._ports.clock.time()):
            raise PreflightError(
                f"{faults.authority(wish.directory)} gave a certificate that is not valid now by this machine's clock,"
                " or not for this name; see timedatectl"
            )
        return facts.fingerprint_sha256

    def _next_try_s(self, wish: Wanted, last: Tries | None, *, asked: bool = False) -> float:
        now_s = self._ports.clock.time()
        pair = pairs.held(self._layout, self._ports.certificates, wish.names, now_s=now_s)
        return schedule.next_try_s(wish, pair.facts if pair else None, last, now_s=now_s, asked=asked)

    def _said(self, wish: Wanted, last: Tries | None, *, is_trying: bool = False) -> RenewalStatus:
        is_of_this = last is not None and last.wanted == wish
        return RenewalStatus(
            authority=faults.authority(wish.directory),
            names=wish.names,
            tried_at_s=last.at_s if last is not None and is_of_this else None,
            failure=last.failure if last is not None and is_of_this else "",
            next_try_s=max(self._next_try_s(wish, last), self._ports.clock.time()) if not is_trying else None,
            is_limit=last.is_limit if last is not None and is_of_this else False,
            is_trying=is_trying,
        )

    def _tell(self, status: RenewalStatus | None) -> None:
        changed = status != self._status
        self._status = status
        if changed:
            self._on_change()

    def _last_tries(self) -> Tries | None:
        """None before the first try, and for a file that is damaged: then what is held decides alone."""
        if not self._is_read:
            state = self._ports.files.read(self._layout.certificate_tries, max_bytes=_MAX_TRIES_BYTES)
            with contextlib.suppress(CodecError):
                self._last = TRIES.loads(state.content) if state is not None else None
            self._is_read = True
        return self._last

    def _keep(self, tries: Tries) -> None:
        self._last = tries
        try:
            self._ports.files.write(self._layout.certificate_tries, TRIES.dumps(tries), mode=0o600)
        except StorageError as error:  # a full disk: then at least this process knows
            log.error("%s", error)
