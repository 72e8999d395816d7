"""Configuration of the other side in bench_login.py: our hub, with NativeAuthenticator as it comes."""

from jupyterhub.handlers import BaseHandler
from nativeauthenticator import NativeAuthenticator

from hubagent.hub.loader import load


class _Timer:
    """What is left of the statsd client that JupyterHub 6 removed."""

    def timer(self, name):
        return self

    def start(self):
        return self

    def stop(self, *, send):
        return self


BaseHandler.statsd = _Timer()
c = get_config()  # noqa: F821 - JupyterHub puts get_config into this namespace
load(c)
c.JupyterHub.authenticator_class = NativeAuthenticator
c.JupyterHub.template_paths = []
c.Authenticator.allow_all = True
