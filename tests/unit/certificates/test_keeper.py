"""From a wish in the file to the authority's certificate in force, on a machine in memory."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable

import pytest

from hubagent.certificates import pairs
from hubagent.certificates.keeper import CertificateKeeper, CertificatePorts, InForce
from hubagent.certificates.messages import ANSWER, REQUEST, AcmeProblem, Answer, Request
from hubagent.certificates.schedule import LETS_ENCRYPT
from hubagent.converge.doctor import examine
from hubagent.converge.in_force import Declared
from hubagent.errors import PreflightError, TemporaryError
from hubagent.layout import CERTBOT
from hubagent.ports import ActiveState, CertificateFacts, UnitVerb
from hubagent.state import words
from hubagent.state.model import Component
from hubagent.state.status import Reason, RenewalStatus, Result, Status
from hubagent.web.page import view
from hubagent.web.state_metrics import families
from tests.fakes.certificates import certificate_text, key_text
from tests.fakes.files import PowerLost
from tests.fakes.memory_tree import Survivors
from tests.unit.converge.world import CONFIG, World

DAY = 86400.0
LETSENCRYPT = CONFIG + "tls: {mode: letsencrypt}\n"
REFUSED = Answer(problems=(AcmeProblem("connection", "timeout", "hub.example.org"),))


class Authority:
    """certbot's unit, and the authority behind it."""

    def __init__(self, world: World, *, lifetime_s: float = 90 * DAY) -> None:
        self.world = world
        self.lifetime_s = lifetime_s
        self.requests: list[Request] = []
        self.answers: Callable[[Request], Answer] = self.certify
        self.names: tuple[str, ...] | None = None  # that it certifies, whatever was asked
        self.changes = 0
        world.units.add(CERTBOT)
        world.units.on(CERTBOT, self._start)
        self.start_agent()

    def start_agent(self) -> None:
        """A new process, as far as the authority goes."""
        world = self.world
        declared = Declared(world.generations)

        def in_force() -> InForce:
            desired = world.generations.desired()
            return InForce(declared.config(), desired.certificate.fingerprint_sha256 if desired else None)

        self.keeper = CertificateKeeper(
            CertificatePorts(world.units, world.files, world.ports.certificates, world.clock),
            world.layout,
            in_force=in_force,
            on_change=self._changed,
        )
        world.survey._authority = self.keeper

    def certify(self, request: Request) -> Answer:
        asked, now_s = json.loads(request.csr), self.world.clock.time()
        names = asked["names"] if self.names is None else self.names
        text = certificate_text(
            *names, key=asked["key"], not_before_s=now_s, not_after_s=now_s + self.lifetime_s
        )
        return Answer(chain=text.decode())

    def refuse(self, answer: Answer) -> None:
        self.answers = lambda _: answer

    def _changed(self) -> None:
        self.changes += 1

    def _start(self, verb: UnitVerb) -> None:
        layout, files = self.world.layout, self.world.files
        state = files.read(layout.certbot_request, max_bytes=1 << 20)
        assert state is not None
        assert verb is UnitVerb.START
        assert state.mode == 0o600
        self.requests.append(REQUEST.loads(state.content))
        self.world.units.change(CERTBOT, active=ActiveState.INACTIVE)  # a oneshot is done when it has ended
        files.write(layout.certbot_answer, ANSWER.dumps(self.answers(self.requests[-1])), mode=0o644)

    # What happens over time.

    def check(self) -> Status:
        """The agent's loop, as long as there is something to do."""
        for _ in range(4):
            before = self.changes
            outcome = self.world.reconcile()
            self.keeper.check()
            if self.changes == before and outcome.result is Result.NOOP:
                break
        return self.world.survey.status(self.world.reconcile())

    def sleep(self, seconds: float) -> Status:
        self.world.clock.advance(seconds)
        return self.check()


@pytest.fixture
def world() -> World:
    return World(LETSENCRYPT)


@pytest.fixture
def authority(world: World) -> Authority:
    return Authority(world)


def renewal(status: Status) -> RenewalStatus:
    assert status.certificate is not None
    assert status.certificate.renewal is not None
    return status.certificate.renewal


def problems(status: Status) -> list[str]:
    return [one.message for one in status.problems if one.reason is Reason.CERTIFICATE]


def serves(world: World, status: Status) -> tuple[bool, tuple[str, ...]]:
    """Whether what is in force is self-signed, and for whom; nginx has loaded that."""
    desired = world.generations.desired()
    assert desired is not None
    assert status.certificate is not None
    assert f"# certificate {desired.certificate.fingerprint_sha256}" in world.served
    assert ("Strict-Transport-Security" in world.served) != desired.self_signed
    assert status.certificate.self_signed == desired.self_signed
    return desired.self_signed, desired.certificate.names


def test_a_self_signed_one_serves_with_the_folder_for_challenges_before_anybody_is_asked(
    world: World, authority: Authority
) -> None:
    assert world.reconcile().result is Result.OK
    status = world.survey.status(world.reconcile())
    assert serves(world, status) == (True, ("hub.example.org",))
    assert 'root "/var/lib/hubagent/acme"' in world.served
    assert (authority.requests, problems(status)) == ([], [])


def test_the_certificate_comes_into_force_by_a_reload(world: World, authority: Authority) -> None:
    world.reconcile()
    authority.keeper.check()
    assert [(one.directory, one.email, one.webroot) for one in authority.requests] == [
        (LETS_ENCRYPT, None, "/var/lib/hubagent/acme")
    ]
    assert world.reconcile().result is Result.OK
    assert world.taken == [(Component.NGINX, "reload")]
    status = authority.check()
    assert serves(world, status) == (False, ("hub.example.org",))
    assert problems(status) == []
    folder = world.files.read(world.layout.certificate_tries, max_bytes=9999)
    assert folder is not None
    assert folder.mode == 0o600


def test_certbot_is_never_given_the_key(world: World, authority: Authority) -> None:
    authority.check()
    (request,) = authority.requests
    key = world.files.read(world.layout.tls / "letsencrypt.key", max_bytes=9999)
    assert key is not None
    assert key.mode == 0o600
    assert key.content.decode() not in REQUEST.dumps(request).decode()


def test_nothing_is_asked_while_the_certificate_is_young(world: World, authority: Authority) -> None:
    authority.check()
    for _ in range(50):
        authority.sleep(DAY)
    assert len(authority.requests) == 1


@pytest.mark.parametrize("lifetime_s", [6 * DAY, 90 * DAY])
def test_it_is_renewed_in_time_again_and_again_with_a_key_of_its_own(world: World, lifetime_s: float) -> None:
    authority = Authority(world, lifetime_s=lifetime_s)
    seen = set()
    for _ in range(40):
        status = authority.sleep(lifetime_s / 10)
        assert status.certificate is not None
        assert status.certificate.not_after_s - world.clock.time() > lifetime_s / 5
        assert (serves(world, status)[0], problems(status)) == (False, [])
        seen.add(status.certificate.not_after_s)
    assert 4 <= len(seen) == len(authority.requests) == len({one.csr for one in authority.requests})


def test_a_refusal_is_a_problem_with_words_and_the_self_signed_one_serves(
    world: World, authority: Authority
) -> None:
    authority.refuse(REFUSED)
    status = authority.check()
    assert serves(world, status)[0]
    (message,) = problems(status)
    assert (
        "a self-signed certificate serves, of which browsers warn: Let's Encrypt: it could not reach port 80"
        in message
    )
    assert "next try in 15 min, or at once by hubagent apply" in message
    assert renewal(status).tried_at_s is not None
    assert len(authority.requests) == 1
    authority.sleep(60)
    assert len(authority.requests) == 1
    authority.answers = authority.certify
    status = authority.sleep(900)
    assert (serves(world, status)[0], problems(status)) == (False, [])


def test_doctor_page_and_metrics_tell_of_it(world: World, authority: Authority) -> None:
    authority.refuse(REFUSED)
    status = authority.check()
    now_s = world.clock.time()
    found = {one.check: one for one in examine(world.ports, world.reconciler, status)}["certificate"]
    assert not found.ok
    assert "could not reach port 80" in found.found
    assert "hubagent apply" in found.remedy
    (tile,) = (one for one in view(status, now_s=now_s).tiles if one.name == "Certificate")
    assert "next try in 15 min" in tile.note
    assert _metric(status, "last_try_failed") == 1
    assert _metric(status, "last_try_timestamp_seconds") == renewal(status).tried_at_s
    assert _metric(status, "next_try_timestamp_seconds") == renewal(status).next_try_s
    authority.answers = authority.certify
    status = authority.sleep(1000)
    assert {one.check: one.ok for one in examine(world.ports, world.reconciler, status)}["certificate"]
    assert _metric(status, "last_try_failed") == 0
    assert _metric(status, "lifetime_seconds") == 90 * DAY


def _metric(status: Status, name: str) -> float | None:
    samples = [one for family in families(status) for one in family.samples]
    return next((one.value for one in samples if one.name == f"hubagent_certificate_{name}"), None)


def test_apply_asks_at_once_but_not_past_a_limit(world: World, authority: Authority) -> None:
    authority.refuse(REFUSED)
    authority.check()
    authority.keeper.check(asked=True)
    assert len(authority.requests) == 2
    authority.refuse(Answer(problems=(AcmeProblem("rateLimited", retry_after="7200"),)))
    authority.keeper.check(asked=True)
    authority.keeper.check(asked=True)
    assert len(authority.requests) == 3
    (message,) = problems(authority.check())
    assert message.endswith("takes no more requests for now; next try in 2 h") or message.endswith(
        "in 120 min"
    )
    authority.sleep(7100)
    assert len(authority.requests) == 3
    authority.answers = authority.certify
    authority.sleep(200)
    assert len(authority.requests) == 4


def test_tries_by_hand_do_not_make_the_next_one_later(world: World, authority: Authority) -> None:
    authority.refuse(REFUSED)
    authority.check()
    for _ in range(8):
        authority.keeper.check(asked=True)
    assert "next try in 15 min" in problems(authority.check())[0]
    assert "next try in 30 min" in problems(authority.sleep(901))[0]


def test_an_agent_that_is_started_again_and_again_does_not_ask_again_and_again(
    world: World, authority: Authority
) -> None:
    authority.refuse(REFUSED)
    authority.check()
    for _ in range(5):
        world.reboot_agent()
        authority.start_agent()
        status = authority.check()
    assert len(authority.requests) == 1
    assert "could not reach port 80" in renewal(status).failure


def test_an_authority_that_is_away_at_the_renewal_is_no_problem_until_time_runs_out(
    world: World, authority: Authority
) -> None:
    authority.check()
    authority.refuse(Answer(said="Connection refused"))
    status = authority.sleep(64 * DAY)
    assert (len(authority.requests), problems(status)) == (2, [])
    assert "failed" in words.certificate(status, world.clock.time())
    status = authority.sleep(6 * DAY)
    assert serves(world, status)[0] is False
    (message,) = problems(status)
    assert message.startswith("the certificate expires in 20 days: Let's Encrypt gave no answer")


def test_an_expired_one_is_replaced_by_a_self_signed_one_until_there_is_another(
    world: World, authority: Authority
) -> None:
    authority.check()
    authority.refuse(REFUSED)
    status = authority.sleep(91 * DAY)
    assert (serves(world, status)[0], len(problems(status))) == (True, 1)
    authority.answers = authority.certify
    status = authority.sleep(DAY)
    assert (serves(world, status)[0], problems(status)) == (False, [])


def test_another_host_gets_another_certificate_and_the_first_ones_is_kept(
    world: World, authority: Authority
) -> None:
    authority.check()
    world.edit(LETSENCRYPT.replace("hub.", "other."))
    status = authority.check()
    assert serves(world, status) == (False, ("other.example.org",))
    world.edit(LETSENCRYPT)
    status = authority.check()
    assert serves(world, status) == (False, ("hub.example.org",))
    assert len(authority.requests) == 2


def test_there_and_back_to_a_self_signed_one(world: World, authority: Authority) -> None:
    authority.check()
    world.edit(CONFIG)
    status = authority.check()
    assert serves(world, status)[0]
    assert status.certificate is not None
    assert status.certificate.renewal is None
    assert "acme-challenge" not in world.served
    world.edit(LETSENCRYPT)
    assert serves(world, authority.check())[0] is False
    assert len(authority.requests) == 1


def test_there_and_back_to_files_of_ones_own(world: World, authority: Authority) -> None:
    authority.check()
    world.files.put("/etc/ssl/a.crt", certificate_text("hub.example.org", key="own"), mode=0o644)
    world.files.put("/etc/ssl/a.key", key_text("own"), mode=0o600)
    world.edit(CONFIG + "tls: {mode: files, certificate: /etc/ssl/a.crt, key: /etc/ssl/a.key}\n")
    status = authority.check()
    assert serves(world, status)[0] is False
    assert status.certificate is not None
    assert status.certificate.not_after_s == 1_830_000_000
    assert status.certificate.renewal is None
    world.edit(LETSENCRYPT)
    status = authority.check()
    assert renewal(status).failure == ""
    assert status.certificate is not None
    assert status.certificate.not_after_s < 1_830_000_000
    assert len(authority.requests) == 1


def test_what_does_not_work_is_taken_back_to_the_pair_before(world: World, authority: Authority) -> None:
    """The pair in force is never overwritten by the next."""
    authority.check()
    before = world.generations.desired()
    assert before is not None
    world.clock.advance(65 * DAY)
    authority.keeper.check()
    assert len(authority.requests) == 2
    world.other_certificate = "00" * 32
    assert world.reconcile().result is Result.FAILED
    fingerprints = {
        world.ports.certificates.inspect(*place).fingerprint_sha256 for place in pairs.places(world.layout)
    }
    assert before.certificate.fingerprint_sha256 in fingerprints
    assert f"# certificate {before.certificate.fingerprint_sha256}" in world.served
    world.other_certificate = ""
    authority.check()
    assert len(authority.requests) == 2


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("another name", "is not valid now by this machine's clock, or not for this name"),
        ("expired", "is not valid now by this machine's clock, or not for this name"),
        ("nonsense", "holds no readable PEM certificate"),
        ("another key", "does not belong to the key"),
        ("no answer", "ended (done) without an answer"),
        ("half an answer", "ended (done) without an answer"),
        ("no certbot", "apt install certbot"),
        ("no unit", "not found"),
    ],
)
def test_nothing_wrong_comes_into_force(world: World, authority: Authority, fault: str, said: str) -> None:
    match fault:
        case "another name":
            authority.names = ("evil.example.org",)
        case "expired":
            authority.lifetime_s = -1.0
        case "nonsense":
            authority.refuse(Answer(chain="nonsense"))
        case "another key":
            now_s = world.clock.time()
            text = certificate_text(
                "hub.example.org", key="other", not_before_s=now_s, not_after_s=now_s + DAY
            )
            authority.refuse(Answer(chain=text.decode()))
        case "no answer":
            world.units.on(CERTBOT, lambda _: world.files.remove(world.layout.certbot_answer))
        case "half an answer":
            world.units.on(CERTBOT, lambda _: world.files.put(world.layout.certbot_answer, '{"chain": "x'))
        case "no certbot":
            authority.refuse(Answer(is_missing=True))
        case "no unit":
            del world.units._units[CERTBOT]
    status = authority.check()
    assert serves(world, status)[0]
    assert said in " ".join(problems(status))
    asked = len(authority.requests)
    authority.sleep(840)
    assert len(authority.requests) <= asked + (fault == "no certbot") * 5, "what it certifies, it counts"


def test_certbot_that_still_runs_for_an_agent_that_was_killed_is_waited_for(
    world: World, authority: Authority
) -> None:
    world.reconcile()
    world.units.change(CERTBOT, active=ActiveState.ACTIVATING)
    with pytest.raises(TemporaryError, match="still runs"):
        authority.keeper.check()
    assert (authority.requests, world.files.read(world.layout.certificate_tries, max_bytes=9)) == ([], None)
    world.units.change(CERTBOT, active=ActiveState.INACTIVE)
    assert serves(world, authority.check())[0] is False


def test_an_agent_that_is_killed_in_the_middle_does_not_ask_again_at_once(
    world: World, authority: Authority
) -> None:
    world.reconcile()

    def die(_request: Request) -> Answer:
        raise KeyboardInterrupt

    authority.answers = die
    with pytest.raises(KeyboardInterrupt):
        authority.keeper.check()
    world.reboot_agent()
    authority.start_agent()
    authority.answers = authority.certify
    status = authority.check()
    assert len(authority.requests) == 1
    assert "the last try was broken off" in " ".join(problems(status))
    assert serves(world, authority.sleep(1000))[0] is False
    assert len(authority.requests) == 2


def test_a_restored_machine_goes_on_with_the_certificate_that_it_got(
    world: World, authority: Authority
) -> None:
    """A backup has the pairs, and not when the last try was."""
    authority.check()
    world.files.remove(world.layout.certificate_tries)
    authority.start_agent()
    assert serves(world, authority.check())[0] is False
    assert len(authority.requests) == 1


def test_a_damaged_note_of_the_last_try_is_none(world: World, authority: Authority) -> None:
    authority.check()
    world.files.put(world.layout.certificate_tries, "{")
    authority.start_agent()
    authority.check()
    assert len(authority.requests) == 1


def _due_for_renewal() -> tuple[World, Authority]:
    world = World(LETSENCRYPT)
    authority = Authority(world)
    authority.check()
    world.clock.advance(65 * DAY)
    return world, authority


@pytest.mark.parametrize("survivors", list(Survivors))
def test_wherever_the_agent_dies_a_whole_pair_serves_and_the_next_try_ends_well(survivors: Survivors) -> None:
    world, authority = _due_for_renewal()
    before = world.files.steps
    authority.keeper.check()
    steps = world.files.steps - before
    assert steps > 10
    for after in range(steps):
        world, authority = _due_for_renewal()
        world.files.cut_power_after(after)
        with pytest.raises(PowerLost):
            authority.keeper.check()
        world.files.reboot(survivors)
        world.units.change(CERTBOT, active=ActiveState.INACTIVE)
        world.reboot_agent()
        authority.start_agent()
        desired = world.generations.desired()
        assert desired is not None
        assert desired.certificate in _whole(world)
        assert serves(world, authority.check())[0] is False
        status = authority.sleep(DAY)
        assert status.certificate is not None
        assert serves(world, status)[0] is False
        assert status.certificate.not_after_s - world.clock.time() > 85 * DAY


def _whole(world: World) -> list[CertificateFacts]:
    found = []
    for place in pairs.places(world.layout):
        with contextlib.suppress(PreflightError):
            found.append(world.ports.certificates.inspect(*place))
    return found
