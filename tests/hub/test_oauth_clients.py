"""OAuth's clients: how their secrets are kept, and who is taken for one."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from jupyterhub import orm
from jupyterhub.oauth.provider import make_provider
from jupyterhub.utils import new_token
from sqlalchemy.orm import Session

from hubagent.hub.oauth_clients import OAuthServer, oauth_server

SERVER = "jupyterhub-user-alice"
SECRET = new_token()


@pytest.fixture
def provider() -> Iterator[OAuthServer]:
    session: Session = orm.new_session_factory("sqlite:///:memory:")()
    made = make_provider(
        lambda: session, url_prefix="/hub/api/oauth2", login_url="/hub/login", token_expires_in=7
    )
    yield oauth_server(made, 7)
    session.close()
    session.get_bind().dispose()  # type: ignore[union-attr]


def is_taken(provider: OAuthServer, name: str, secret: str | None) -> bool:
    request = SimpleNamespace(client_id=name, client_secret=secret)
    taken: bool = provider.request_validator.authenticate_client(request)
    return taken


def rounds(client: orm.OAuthClient) -> int:
    return int(client.secret.split(":")[1])


def test_the_secret_of_a_server_is_kept_as_the_token_that_it_is(provider: OAuthServer) -> None:
    client = provider.add_client(SERVER, SECRET, "/user/alice/oauth_callback", ["inherit"], "Server at …")
    provider.db.commit()
    assert SECRET not in client.secret
    assert rounds(client) == orm.APIToken.generated_rounds
    assert (client.redirect_uri, client.description) == ("/user/alice/oauth_callback", "Server at …")
    assert client.allowed_scopes == ["inherit"]
    assert is_taken(provider, SERVER, SECRET)
    for wrong in (None, "", new_token(), SECRET[:-1], client.secret):
        assert not is_taken(provider, SERVER, wrong)


def test_a_server_that_is_started_again_has_its_new_secret_alone(provider: OAuthServer) -> None:
    first = provider.add_client(SERVER, SECRET, "/")
    provider.db.commit()
    again = new_token()
    assert provider.add_client(SERVER, again, "/") is first
    provider.db.commit()
    assert is_taken(provider, SERVER, again)
    assert not is_taken(provider, SERVER, SECRET)


def test_the_secret_of_a_service_is_kept_as_one_that_a_person_chose(provider: OAuthServer) -> None:
    client = provider.add_client("service-mine", "chosen by a person", "/services/mine/oauth_callback")
    assert rounds(client) == 16384
    assert is_taken(provider, "service-mine", "chosen by a person")


def test_a_server_without_a_secret_is_nobody(provider: OAuthServer) -> None:
    provider.add_client(SERVER, "", "/")
    assert not is_taken(provider, SERVER, "")
    assert provider.fetch_by_client_id(SERVER) is None


def test_a_server_of_before_is_taken_by_what_is_kept_of_it(provider: OAuthServer) -> None:
    """The hub was upgraded while it ran."""
    super(OAuthServer, provider).add_client(SERVER, SECRET, "/")
    assert is_taken(provider, SERVER, SECRET)


def test_tokens_expire_as_the_hub_says(provider: OAuthServer) -> None:
    assert provider.default_token_type.expires_in == 7
