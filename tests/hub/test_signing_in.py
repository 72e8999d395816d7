"""Signing up, approval and signing in, through the proxy, by the forms."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import requests
from browser import Browser
from conftest import ADMIN_PASSWORD
from running import RunningHub

PASSWORD = "a rather long password"


@pytest.fixture
def someone(hub: RunningHub) -> Browser:
    return Browser(hub.url)


def approve(admin: Browser, name: str) -> None:
    page = admin.open("/hub/authorize")
    page = admin.submit(page.form(f"authorize/{requests.utils.quote(name, safe='')}"))
    assert (page.status, page.path) == (200, "hub/authorize")


def test_the_way_of_a_student(admin: Browser, someone: Browser) -> None:
    page = someone.sign_up(" Student@Example.ORG ", PASSWORD)
    assert page.status == 200
    assert "waits for approval" in page.html
    page = someone.sign_in("student@example.org", PASSWORD)
    assert (page.status, page.alert) == (403, "Your account is waiting for approval by an administrator.")
    assert not someone.signed_in

    assert "student@example.org" in admin.open("/hub/authorize").html
    assert "waiting for approval" in admin.open("/hub/home").html
    approve(admin, "student@example.org")
    assert "waiting for approval</span>" not in admin.open("/hub/home").html

    page = someone.sign_in("STUDENT@example.org", PASSWORD)
    assert (page.status, page.path) == (200, "hub/home")
    assert someone.signed_in


def test_a_wrong_password_is_refused(admin: Browser, someone: Browser) -> None:
    someone.sign_up("wrong", PASSWORD)
    approve(admin, "wrong")
    page = someone.sign_in("wrong", "another long password")
    assert (page.status, page.alert) == (403, "User name or password is wrong.")
    assert page.form("/hub/login").fields["username"] == "wrong"
    page = someone.sign_in("wrong", PASSWORD + "x" * 100)
    assert (page.status, page.alert) == (403, "User name or password is wrong.")
    assert not someone.signed_in


def test_unicode_names(admin: Browser, someone: Browser) -> None:
    someone.sign_up("Жанна", PASSWORD)
    approve(admin, "жанна")
    assert someone.sign_in("ЖАННА", PASSWORD).path == "hub/home"


@pytest.mark.parametrize(
    ("name", "password", "email", "message"),
    [
        ("short", "short", "a@b.org", "too short: use at least 10 characters"),
        ("long", "é" * 40, "a@b.org", "too long: use at most 72 bytes"),
        ("common", "1234567890", "a@b.org", "most common"),
        ("a/b", PASSWORD, "a@b.org", "letters, digits and"),
        ("a\x01b", PASSWORD, "a@b.org", "letters, digits and"),
        ("x" * 200, PASSWORD, "a@b.org", "too long"),
        ("mail", PASSWORD, "nonsense", "valid e-mail address"),
        ("ADMIN", PASSWORD, "a@b.org", "This user name is taken"),
    ],
)
def test_sign_up_says_what_is_wrong(
    someone: Browser, name: str, password: str, email: str, message: str
) -> None:
    page = someone.sign_up(name, password, email=email)
    assert page.status == 400
    assert message in page.alert
    assert PASSWORD not in page.html


def test_two_different_passwords_are_refused(someone: Browser) -> None:
    page = someone.sign_up("typo", PASSWORD, again=PASSWORD + "x")
    assert "two passwords differ" in page.alert


def test_a_taken_name_stays_with_its_owner(admin: Browser, someone: Browser) -> None:
    someone.sign_up("owner", PASSWORD)
    page = someone.sign_up("Owner", "another long password")
    assert "This user name is taken" in page.alert
    approve(admin, "owner")
    assert someone.sign_in("owner", PASSWORD).path == "hub/home"


def test_forms_need_their_token(hub: RunningHub, someone: Browser) -> None:
    form = someone.open("/hub/signup").form("/hub/signup")
    del form.fields["_xsrf"]
    fields = {"username": "forged", "password": PASSWORD, "password_again": PASSWORD, "email": "a@b.org"}
    assert someone.submit(form, **fields).status == 403
    form = someone.open("/hub/login").form("/hub/login")
    form.fields["_xsrf"] = "forged"
    page = someone.submit(form, username="admin", password=ADMIN_PASSWORD)
    assert page.status == 403
    assert not someone.signed_in


def test_failed_logins_lock_a_name_known_or_not(hub: RunningHub, someone: Browser, admin: Browser) -> None:
    someone.sign_up("guessed", PASSWORD)
    approve(admin, "guessed")
    for name in ("guessed", "unknown"):
        for _ in range(10):
            assert someone.sign_in(name, "guess guess guess").status == 403
        page = someone.sign_in(name, PASSWORD)
        assert page.status == 429
        assert "Too many failed attempts" in page.alert
        assert "10 minutes" in page.alert
    assert not someone.signed_in
    assert admin.signed_in


def test_unknown_names_take_as_long(hub: RunningHub, admin: Browser, someone: Browser) -> None:
    """In the hub's own processor time, which other work on the machine does not lengthen much."""
    someone.sign_up("timed", PASSWORD)
    approve(admin, "timed")
    taken: dict[str, list[float]] = {"timed": [], "nobody": []}
    for _ in range(5):
        for name, times in taken.items():
            form = someone.open("/hub/login").form("/hub/login")
            before_s = _cpu_s(hub.hub_pid)
            someone.submit(form, username=name, password="guess guess guess")
            times.append(_cpu_s(hub.hub_pid) - before_s)
    known, unknown = (min(taken[name]) for name in ("timed", "nobody"))
    assert known > 0.05, "a password is hashed"
    assert unknown == pytest.approx(known, rel=0.5)


def _cpu_s(pid: int) -> float:
    """Of all threads of a process (proc(5), utime and stime)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_pages_of_the_admin_are_for_admins(admin: Browser, someone: Browser) -> None:
    assert someone.open("/hub/authorize").path.startswith("hub/login")
    someone.sign_up("curious", PASSWORD)
    approve(admin, "curious")
    someone.sign_in("curious", PASSWORD)
    assert someone.open("/hub/authorize").status in {403, 404}
    home = someone.open("/hub/home").html
    assert 'href="/hub/authorize"' not in home
    token = admin.open("/hub/authorize").form("authorize").fields["_xsrf"]
    url = f"{someone.url}/hub/authorize"
    answer = someone.session.post(url, data={"username": "made", "_xsrf": token}, timeout=60)
    assert answer.status_code in {403, 404}


def test_nothing_changes_by_get(admin: Browser, someone: Browser) -> None:
    someone.sign_up("waiting", PASSWORD)
    for action in ("authorize", "withdraw", "discard", "change-password"):
        page = admin.open(f"/hub/{action}/waiting")
        assert page.status == 200
        assert page.form(f"{action}/waiting").method == "post"
    assert "waiting for approval" in someone.sign_in("waiting", PASSWORD).alert
    form = admin.open("/hub/authorize").form("authorize/waiting")
    del form.fields["_xsrf"]
    assert admin.submit(form).status == 403
    assert "waiting for approval" in someone.sign_in("waiting", PASSWORD).alert


def test_a_discarded_account_is_gone_and_its_name_free(admin: Browser, someone: Browser) -> None:
    someone.sign_up("spam", PASSWORD)
    page = admin.open("/hub/discard/spam")
    assert admin.submit(page.form("discard/spam")).path == "hub/authorize"
    assert someone.sign_in("spam", PASSWORD).alert == "User name or password is wrong."
    assert "waits for approval" in someone.sign_up("spam", PASSWORD).html
    assert admin.open("/hub/discard/nobody-at-all").status == 404


def test_an_approved_account_is_not_discarded_but_withdrawn(admin: Browser, someone: Browser) -> None:
    someone.sign_up("leaver", PASSWORD)
    approve(admin, "leaver")
    someone.sign_in("leaver", PASSWORD)
    assert admin.open("/hub/discard/leaver").status == 409
    admin.submit(admin.open("/hub/withdraw/leaver").form("withdraw"))
    other = Browser(someone.url)
    assert "waiting for approval" in other.sign_in("leaver", PASSWORD).alert
    assert admin.open("/hub/withdraw/admin").status == 409


def test_an_admin_makes_and_resets_accounts(admin: Browser, someone: Browser) -> None:
    page = admin.open("/hub/authorize")
    page = admin.submit(page.forms[-1], username="Made@Example.org")
    first = page.ids["one-time-password"]
    page = someone.sign_in("made@example.org", first)
    assert page.path.startswith("hub/new-password")
    page = someone.submit(page.form(), password=PASSWORD, password_again=PASSWORD)
    assert page.path == "hub/home"

    page = admin.open("/hub/change-password/made@example.org")
    page = admin.submit(page.form("change-password"))
    second = page.ids["one-time-password"]
    assert second != first
    assert not someone.signed_in, "a reset signs out everywhere"
    assert someone.sign_in("made@example.org", PASSWORD).status == 403
    assert someone.sign_in("made@example.org", second).path.startswith("hub/new-password")

    page = admin.open("/hub/authorize")
    page = admin.submit(page.forms[-1], username="made@example.org")
    assert (page.status, page.alert) == (400, "There is an account with this user name already.")


def test_changing_ones_password(admin: Browser, someone: Browser) -> None:
    someone.sign_up("changer", PASSWORD)
    approve(admin, "changer")
    someone.sign_in("changer", PASSWORD)
    elsewhere = Browser(someone.url)
    elsewhere.sign_in("changer", PASSWORD)

    form = someone.open("/hub/change-password").form("change-password")
    new = "quite another password"
    page = someone.submit(form, old_password="not the old one", password=new, password_again=new)
    assert (page.status, page.alert) == (400, "The current password is wrong.")
    page = someone.submit(form, old_password=PASSWORD, password="x" * 73, password_again="x" * 73)
    assert "too long" in page.alert
    page = someone.submit(form, old_password=PASSWORD, password=new, password_again=new)
    assert "Your password was changed" in page.html
    assert someone.signed_in
    assert not elsewhere.signed_in
    assert elsewhere.sign_in("changer", PASSWORD).status == 403
    assert elsewhere.sign_in("changer", new).path == "hub/home"


def test_nobody_is_sent_elsewhere_after_signing_in(admin: Browser, hub: RunningHub) -> None:
    browser = Browser(hub.url)
    page = browser.sign_in("admin", ADMIN_PASSWORD, following="https://evil.example.org/")
    assert page.url.startswith(hub.url)


def test_one_time_password_must_be_changed_first(admin: Browser, hub: RunningHub) -> None:
    page = admin.submit(admin.open("/hub/authorize").forms[-1], username="newcomer")
    one_time = page.ids["one-time-password"]

    browser = Browser(hub.url)
    page = browser.sign_in("newcomer", one_time)
    assert page.path.startswith("hub/new-password")
    assert not browser.signed_in, "nothing else is open before the password is changed"
    assert browser.open("/hub/spawn").path.startswith("hub/login")
    for password, message in ((one_time, "other than the one-time"), ("short", "too short")):
        page = browser.open("/hub/new-password")
        page = browser.submit(page.form(), password=password, password_again=password)
        assert message in page.alert
    page = browser.submit(page.form(), password=PASSWORD, password_again=PASSWORD)
    assert browser.signed_in

    late = Browser(hub.url)
    assert late.sign_in("newcomer", one_time).alert == "User name or password is wrong."
    assert late.open("/hub/new-password").path.startswith("hub/login"), "without the cookie there is no page"


def test_closed_sign_up_and_open_sign_up(hub: RunningHub) -> None:
    browser = Browser(hub.url)
    assert 'href="/hub/signup"' in browser.open("/hub/login").html
    hub.settings.update(signup="closed")
    hub.restart_hub()
    assert browser.open("/hub/signup").status == 404
    assert 'href="/hub/signup"' not in browser.open("/hub/login").html
    hub.settings.update(signup="open", ask_email=False)
    hub.restart_hub()
    form = browser.open("/hub/signup").form("signup")
    assert "email" not in form.fields
    page = browser.sign_up("walk-in", PASSWORD)
    assert "Your account is ready" in page.html
    assert browser.sign_in("walk-in", PASSWORD).path == "hub/home"
    assert "taken" in browser.sign_up("admin", PASSWORD).alert


def test_open_sign_up_does_not_hand_out_a_user_who_exists(hub: RunningHub) -> None:
    admin = Browser(hub.url)
    admin.sign_in("admin", ADMIN_PASSWORD)
    page = admin.open("/hub/home")
    headers = {"X-XSRFToken": admin.open("/hub/authorize").form("authorize").fields["_xsrf"]}
    assert page.status == 200
    for name, is_admin in (("teacher", False), ("boss", True)):
        answer = admin.session.post(
            f"{hub.url}/hub/api/users/{name}", json={"admin": is_admin}, headers=headers, timeout=10
        )
        assert answer.status_code == 201, answer.text
    browser = Browser(hub.url)
    assert "waits for approval" in browser.sign_up("teacher", PASSWORD).html
    assert "taken" in browser.sign_up("boss", PASSWORD).alert
