"""The web pages of native accounts."""

from __future__ import annotations

from tornado.web import RequestHandler

from hubagent.hub.pages.accounts import AccountPage, AccountsPage
from hubagent.hub.pages.login import LoginPage
from hubagent.hub.pages.passwords import NewPasswordPage, OwnPasswordPage
from hubagent.hub.pages.signup import SignupPage


def handlers() -> list[tuple[str, type[RequestHandler]]]:
    """Routes below the hub's base URL. Those that NativeAuthenticator has keep its paths."""
    return [
        (r"/login", LoginPage),
        (r"/signup", SignupPage),
        (r"/new-password", NewPasswordPage),
        (r"/change-password", OwnPasswordPage),
        (r"/authorize", AccountsPage),
        (r"/(authorize|withdraw|discard|change-password)/([^/]+)", AccountPage),
    ]
