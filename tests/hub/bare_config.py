"""Configuration of a hub to compare with: JupyterHub and its own authenticator and spawner, none of ours."""

from jupyterhub.auth import DummyAuthenticator
from jupyterhub.spawner import SimpleLocalProcessSpawner

from hubagent.hub.loader import load

c = get_config()  # noqa: F821 - JupyterHub puts get_config into this namespace
load(c)
c.JupyterHub.authenticator_class = DummyAuthenticator
c.JupyterHub.spawner_class = SimpleLocalProcessSpawner
c.JupyterHub.template_paths = []
c.Authenticator.allow_all = True
c.Authenticator.post_auth_hook = None
