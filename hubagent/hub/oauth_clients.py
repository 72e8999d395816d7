"""OAuth's clients in the hub, of which each user's server is one.

JupyterHub keeps of a client's secret what 16,384 rounds of SHA-512 make of it, for secrets that people choose. The
secret of a user's server is the token that JupyterHub has just made for it, of 128 random bits, and the table of tokens
has the same token after one round, which is enough for such. Here it is one round for both: the others cost the hub's
one thread as much as two requests, at each start and at each sign-in to the server, and keep nothing from anybody.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from jupyterhub import orm
from jupyterhub.oauth.provider import JupyterHubOAuthServer
from jupyterhub.utils import hash_token

_OF_SERVERS: Final = "jupyterhub-user-"
"""How JupyterHub begins the names of the clients that are users' servers; those of services begin otherwise."""


class OAuthServer(JupyterHubOAuthServer):  # type: ignore[misc]  # jupyterhub is untyped
    def add_client(
        self,
        client_id: str,
        client_secret: str,
        redirect_uri: str,
        allowed_scopes: Iterable[str] | None = None,
        description: str = "",
    ) -> orm.OAuthClient:
        """As JupyterHub does. That of a server is committed by whoever starts the server, together with the server's
        own row, which names it next."""
        if not client_id.startswith(_OF_SERVERS) or not client_secret:
            return super().add_client(client_id, client_secret, redirect_uri, allowed_scopes, description)
        client = self.db.query(orm.OAuthClient).filter_by(identifier=client_id).one_or_none()
        if client is None:
            client = orm.OAuthClient(identifier=client_id)
            self.db.add(client)
        client.secret = hash_token(
            client_secret,
            salt=orm.APIToken.generated_salt_bytes,
            rounds=orm.APIToken.generated_rounds,
            algorithm=orm.APIToken.algorithm,
        )
        client.redirect_uri = redirect_uri
        client.description = description or client_id
        client.allowed_scopes = list(allowed_scopes or ())
        return client


def oauth_server(made: Any, token_expires_in_s: int) -> OAuthServer:
    """In the place of the one that JupyterHub has made."""
    return OAuthServer(made.db, made.request_validator, token_expires_in=token_expires_in_s)
