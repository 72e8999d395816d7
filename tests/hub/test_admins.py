"""Admins come from hub.json, with one-time passwords, and never by signing up first."""

from __future__ import annotations

import stat

from browser import Browser
from conftest import ADMIN_PASSWORD, choose_first_password
from running import RunningHub, running_hub

PASSWORD = "a rather long password"


def is_admin(browser: Browser) -> bool:
    return 'href="/hub/authorize"' in browser.open("/hub/home").html


def test_the_life_of_admins(tmp_path) -> None:
    with running_hub(tmp_path / "hub") as hub:
        folder = hub.folder / "state" / "one-time"
        file = folder / "admin"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        first = hub.one_time_password()
        assert first not in hub.log

        # A restart before the first login changes nothing.
        hub.restart_hub()
        assert hub.one_time_password() == first
        admin = choose_first_password(hub)
        assert is_admin(admin)
        assert not file.exists()

        # Two users; one is approved, the other waits.
        for name in ("approved", "squatter"):
            Browser(hub.url).sign_up(name, PASSWORD)
        admin.submit(admin.open("/hub/authorize").form("authorize/approved"))
        user = Browser(hub.url)
        user.sign_in("approved", PASSWORD)
        assert not is_admin(user)

        # Named as admins: the approved one is promoted, whoever waits under the third name is not.
        hub.settings["admins"] = ["approved", "squatter", "New@Example.org"]
        hub.restart_hub()
        assert sorted(path.name for path in folder.iterdir()) == ["new@example.org", "squatter"]
        assert user.signed_in, "sessions outlive a restart"
        assert is_admin(user)
        assert Browser(hub.url).sign_in("squatter", PASSWORD).status == 403
        assert is_admin(choose_first_password(hub, "squatter"))
        assert is_admin(choose_first_password(hub, "new@example.org"))

        # No longer named: a user like any other, who keeps their password.
        former = Browser(hub.url)
        assert former.sign_in("admin", ADMIN_PASSWORD).path == "hub/home"
        assert not is_admin(former)

        # An empty file asks for a new one-time password.
        (folder / "approved").touch()
        hub.restart_hub()
        assert Browser(hub.url).sign_in("approved", PASSWORD).status == 403
        assert is_admin(choose_first_password(hub, "approved"))
        assert sorted(folder.iterdir()) == []


def test_an_admins_name_cannot_be_taken_before_the_admin_comes(hub: RunningHub) -> None:
    browser = Browser(hub.url)
    page = browser.sign_up("Admin", PASSWORD)
    assert page.status == 400
    assert "taken" in page.alert
    assert browser.sign_in("admin", PASSWORD).status == 403
