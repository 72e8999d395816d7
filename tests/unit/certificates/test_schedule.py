"""When an authority is asked: a function of what is held and how the last try ended."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubagent.certificates.faults import MOST_S
from hubagent.certificates.schedule import LETS_ENCRYPT, TRIES, Tries, Wanted, next_try_s, renewal_s, wanted
from hubagent.ports import CertificateFacts
from tests.unit.config.reading import read

NOW = 1_800_000_000.0
DAY = 86400.0
WISH = Wanted(("hub.example.org",), LETS_ENCRYPT)


def facts(*, left_s: float, lifetime_s: float = 90 * DAY, serial: str = "a") -> CertificateFacts:
    return CertificateFacts(serial * 64, NOW + left_s - lifetime_s, NOW + left_s, WISH.names)


def failed(**changes: object) -> Tries:
    values: dict[str, object] = {"wanted": WISH, "at_s": NOW - 60, "failures": 1, "again_at_s": NOW + 840}
    return Tries(**{**values, **changes})  # type: ignore[arg-type]


def test_the_first_is_asked_for_at_once() -> None:
    assert next_try_s(WISH, None, None, now_s=NOW) <= NOW


@given(
    lifetime_s=st.sampled_from([6 * DAY, 45 * DAY, 90 * DAY, 365 * DAY]),
    serial=st.sampled_from("0123456789abcdef"),
)
def test_it_is_renewed_at_about_a_third_of_its_lifetime_each_a_little_later(
    lifetime_s: float, serial: str
) -> None:
    one = facts(left_s=lifetime_s, lifetime_s=lifetime_s, serial=serial)
    left_s = one.not_after_s - renewal_s(one)
    assert lifetime_s * 0.3 <= left_s <= lifetime_s / 3
    assert next_try_s(WISH, one, None, now_s=NOW) == renewal_s(one) > NOW


def test_servers_that_were_set_up_together_do_not_come_together() -> None:
    times = {renewal_s(facts(left_s=90 * DAY, serial=serial)) for serial in "0123456789abcdef"}
    assert len(times) == 16


def test_what_failed_waits_and_a_person_does_not() -> None:
    last = failed()
    assert next_try_s(WISH, None, last, now_s=NOW) == NOW + 840
    assert next_try_s(WISH, None, last, now_s=NOW, asked=True) <= NOW


def test_a_limit_of_the_authority_holds_for_a_person_too() -> None:
    last = failed(is_limit=True)
    assert next_try_s(WISH, None, last, now_s=NOW, asked=True) == NOW + 840


@pytest.mark.parametrize(
    "before",
    [
        Wanted(("other.example.org",), LETS_ENCRYPT),
        Wanted(WISH.names, "https://acme.example.org/directory"),
        Wanted(WISH.names, LETS_ENCRYPT, "typo@example.org"),
    ],
)
def test_another_wish_does_not_wait_for_what_became_of_the_one_before(before: Wanted) -> None:
    assert next_try_s(WISH, None, failed(wanted=before), now_s=NOW) <= NOW


def test_a_person_who_asks_renews_nothing_early() -> None:
    one = facts(left_s=80 * DAY)
    assert next_try_s(WISH, one, failed(), now_s=NOW, asked=True) == renewal_s(one) > NOW


def test_another_authority_is_asked_although_the_first_ones_certificate_is_good() -> None:
    one = facts(left_s=80 * DAY)
    last = Tries(WISH, NOW - DAY, fingerprint=one.fingerprint_sha256)
    assert next_try_s(WISH, one, last, now_s=NOW) > NOW
    other = Wanted(WISH.names, "https://acme.example.org/directory")
    assert next_try_s(other, one, last, now_s=NOW) <= NOW


def test_another_address_for_mail_needs_no_new_certificate() -> None:
    one = facts(left_s=80 * DAY)
    last = Tries(WISH, NOW - DAY, fingerprint=one.fingerprint_sha256)
    assert next_try_s(Wanted(WISH.names, LETS_ENCRYPT, "a@example.org"), one, last, now_s=NOW) > NOW


def test_a_clock_that_was_set_back_makes_nobody_wait_for_years() -> None:
    assert next_try_s(WISH, None, failed(again_at_s=NOW + 900 * DAY), now_s=NOW) <= NOW + MOST_S


def test_what_is_kept_can_be_read_again() -> None:
    last = failed(failure="why", is_limit=True, fingerprint="ab")
    assert TRIES.loads(TRIES.dumps(last)) == last


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("host: a.example.org\n", None),
        ("host: a.example.org\ntls: {mode: letsencrypt}\n", Wanted(("a.example.org",), LETS_ENCRYPT)),
        (
            "host: a.example.org\n"
            "tls: {mode: letsencrypt, email: a@example.org, acme_directory: https://acme.example.org/directory}\n",
            Wanted(("a.example.org",), "https://acme.example.org/directory", "a@example.org"),
        ),
    ],
)
def test_what_the_file_asks_for(text: str, found: Wanted | None) -> None:
    assert wanted(read(text)) == found
    assert wanted(None) is None
