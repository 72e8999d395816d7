"""Why there is no certificate, in words, and how long to wait."""

from __future__ import annotations

import pytest

from hubagent.certificates import certbot_log, faults
from hubagent.certificates.messages import AcmeProblem, Answer
from hubagent.certificates.schedule import LETS_ENCRYPT

NOW = 1_800_000_000.0
NAMES = ("hub.example.org",)


def fault(answer: Answer, *, failures: int = 1, directory: str = LETS_ENCRYPT) -> faults.Fault:
    return faults.fault(answer, names=NAMES, directory=directory, failures=failures, now_s=NOW)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("dns", "create the DNS entry, or correct `host`"),
        ("connection", "could not reach port 80 of hub.example.org; open that port"),
        ("unauthorized", "another server than this one answered"),
        ("caa", "CAA record in the DNS forbids it to certify hub.example.org"),
        ("rejectedIdentifier", "certifies no name such as hub.example.org"),
        ("invalidContact", "correct tls.email"),
        ("unsupportedContact", "correct tls.email"),
        ("rateLimited", "takes no more requests for now"),
        ("externalAccountRequired", "hubagent cannot use"),
        ("serverInternal", "a fault of its own"),
        ("somethingNew", "it refused (somethingNew)"),
    ],
)
def test_a_refusal_says_who_what_and_what_to_do(kind: str, words: str) -> None:
    found = fault(Answer(problems=(AcmeProblem(kind, "because \x1b[31mof this", "hub.example.org"),)))
    assert found.message.startswith("Let's Encrypt: ")
    assert words in found.message
    assert "it says: because " in found.message
    assert "\x1b" not in found.message
    assert found.again_at_s > NOW


@pytest.mark.parametrize(
    "directory", ["https://acme-v02.api.letsencrypt.org/directory", "https://ca.example.org/d"]
)
def test_the_authority_has_a_name(directory: str) -> None:
    found = fault(Answer(problems=(AcmeProblem("dns"),)), directory=directory)
    assert found.message.startswith("Let's Encrypt: " if "letsencrypt" in directory else "ca.example.org: ")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("… certificate verify failed: certificate is not yet valid (_ssl.c:992)", "set the clock"),
        ("… certificate verify failed: certificate has expired (_ssl.c:992)", "set the clock"),
        ("[SSL: CERTIFICATE_VERIFY_FAILED] … self-signed certificate (_ssl.c:992)", "update-ca-certificates"),
        ("ValueError: Requesting localhost/dir: Connection refused", "Connection refused; is it reachable?"),
        ("", "is it reachable?"),
    ],
)
def test_no_answer_is_told_from_a_refusal(said: str, words: str) -> None:
    assert words in fault(Answer(said=said)).message


def test_without_certbot_the_remedy_is_to_install_it_and_that_is_looked_at_soon() -> None:
    found = fault(Answer(is_missing=True))
    assert found.message.endswith("apt install certbot")
    assert found.again_at_s <= NOW + 60


def test_it_waits_longer_after_each_failure() -> None:
    answer = Answer(problems=(AcmeProblem("connection"),))
    waits = [fault(answer, failures=n).again_at_s - NOW for n in (1, 2, 3, 50)]
    assert waits == [900, 1800, 3600, 86400]


@pytest.mark.parametrize(
    ("problem", "wait_s"),
    [
        (AcmeProblem("rateLimited", retry_after="7200"), 7200),
        (AcmeProblem("rateLimited", retry_after="Fri, 15 Jan 2027 10:00:00 GMT"), 7200),
        (
            AcmeProblem(
                "rateLimited", "too many certificates: retry after 2027-01-15 10:00:00 UTC: see https://x"
            ),
            7200,
        ),
        (AcmeProblem("rateLimited", "too many"), 3600),
        (AcmeProblem("rateLimited", retry_after="999999999"), faults.MOST_S),
        (AcmeProblem("rateLimited", "retry after 2027-99-99 10:00:00"), 3600),
    ],
)
def test_a_limit_lasts_as_long_as_the_authority_says(problem: AcmeProblem, wait_s: float) -> None:
    found = fault(Answer(problems=(problem,)))
    assert (found.again_at_s - NOW, found.is_limit) == (wait_s, True)


def test_any_refusal_waits_at_least_as_long_as_the_authority_says() -> None:
    found = fault(Answer(problems=(AcmeProblem("serverInternal", retry_after="5000"),)))
    assert (found.again_at_s - NOW, found.is_limit) == (5000, False)


LIMITED = """2026-12-01 12:16:30,753:DEBUG:acme.client:Received response:
HTTP 429
Server: nginx
Retry-After: 1234
Content-Type: application/problem+json

{
  "type": "urn:ietf:params:acme:error:rateLimited",
  "detail": "too many certificates",
  "status": 429
}
2026-12-01 12:16:30,754:DEBUG:certbot._internal.log:Exiting abnormally:
AttributeError: can't set attribute
"""
NONCE = """HTTP 400

{
   "type": "urn:ietf:params:acme:error:badNonce",
   "detail": "JWS has an invalid anti-replay nonce: x"
}
"""
CHALLENGE = """HTTP 200
Content-Type: application/json; charset=utf-8

{
   "status": "invalid",
   "identifier": {"type": "dns", "value": "hub.example.org"},
   "challenges": [
      {"type": "http-01", "error": {"type": "urn:ietf:params:acme:error:connection", "detail": "refused", "status": 400}}
   ]
}
"""
COMPOUND = """HTTP 403

{"type": "urn:ietf:params:acme:error:malformed", "detail": "some were rejected", "subproblems": [
 {"type": "urn:ietf:params:acme:error:caa", "detail": "forbidden", "identifier": {"type": "dns", "value": "b.example.org"}}
]}
"""


@pytest.mark.parametrize(
    ("log", "found"),
    [
        ("", ()),
        ("{no json\n{\n" + "[" * 100_000, ()),
        (NONCE, ()),
        (LIMITED, (AcmeProblem("rateLimited", "too many certificates", retry_after="1234"),)),
        (CHALLENGE * 3, (AcmeProblem("connection", "refused", "hub.example.org"),)),
        (COMPOUND, (AcmeProblem("caa", "forbidden", "b.example.org"),)),
        (
            LIMITED + NONCE + CHALLENGE,
            (
                AcmeProblem("rateLimited", "too many certificates", retry_after="1234"),
                AcmeProblem("connection", "refused", "hub.example.org"),
            ),
        ),
    ],
)
def test_what_the_authority_said_is_found_in_certbots_log(log: str, found: tuple[AcmeProblem, ...]) -> None:
    assert certbot_log.problems(log) == found
