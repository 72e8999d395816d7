"""The names everything agrees on: paths, units, ports. A leaf; imports nothing of hubagent."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

NGINX: Final = "nginx.service"
HUB: Final = "jupyterhub.service"
PROXY: Final = "configurable-http-proxy.service"
FIREWALL: Final = "hubagent-firewall.service"
DOCKER: Final = "docker.service"
AGENT: Final = "hubagent.service"
HOMES: Final = "hubagent-homes.service"
PORT_HOLDER: Final = "hubagent-port-holder@{port}.service"
FIREWALL_WATCH: Final = "hubagent-firewall-watch.service"
NGINX_TEST: Final = "hubagent-nginx-test@{}.service"
HUB_TEST: Final = "hubagent-hub-test@{}.service"
CERTBOT: Final = "hubagent-certbot.service"

NETWORK: Final = "hubagent"
BRIDGE: Final = "hubagent0"
BRIDGES: Final = "hubagent"
"""How the bridge of every network of ours begins: what comes in by one is a user container's."""

PROXY_PORT: Final = 8000
PROXY_API_PORT: Final = 8001
PROXY_METRICS_PORT: Final = 8002
HUB_PORT: Final = 8081

HUB_USER: Final = "jupyterhub"
CERTBOT_USER: Final = "hubagent-certbot"

LABEL_SERVER: Final = "hubagent.server"
LABEL_DIGEST: Final = "hubagent.digest"
LABEL_USER: Final = "hubagent.user"
LABEL_ACCOUNT: Final = "hubagent.account"
"""Of a home's volume: the account that it was made for. A volume's labels cannot be changed; who has it now is in
Layout.home_owners."""
LABEL_PATTERN: Final = "hubagent.pattern"
"""Of a home's volume: the entry of `servers.*.volume` that it was made for."""
LABEL_VOLUME: Final = "hubagent.volume"
"""Of a container with a home in it: the home's volume."""
LABEL_GUEST: Final = "hubagent.guest"
"""Of every container of ours: its guest's id, which names its folder under Layout.guests."""
LABEL_KEPT: Final = "hubagent.kept"
"""A server in which HOME is the kept folder; those of before have things of their users beside it."""

LABEL_SLOT: Final = "hubagent.slot"
"""Of warm slots alone: the recipe they were made from; one with another recipe than today's is retired."""

LABEL_PROOF: Final = "hubagent.proof"
"""Of a container that only proves an image: the image's id. It is neither a slot nor a user's."""
LABEL_TRIAL: Final = "hubagent.trial"
"""Of a container, and its volume, that only shows that a server starts with an entry's settings: its name."""
LABEL_STATIC: Final = "hubagent.static"
"""Of a container that is only read, and never started: the image's id."""
LABEL_IMAGE: Final = "hubagent.image"
"""Of images that were built here: their name without a tag."""
LABEL_BUILD: Final = "hubagent.build"
"""Of everything that a build leaves, finished or not (conf/image/Dockerfile)."""

GUEST_PROGRAM: Final = Path("/usr/share/hubagent/guest")
"""What every container of ours has, read-only, at wire.GUEST_FILES."""


def network_of(entry: str, *, own: bool) -> str:
    """The Docker network of the containers of an entry of `servers`. `own`: it opens private networks, so its
    containers are in a network that no others are in, and the packet filter tells them by its bridge."""
    return f"{NETWORK}-{entry}" if own else NETWORK


def bridge_of(entry: str, *, own: bool) -> str:
    """The bridge of that network, a name of at most 15 bytes (IFNAMSIZ)."""
    return f"{BRIDGES}-{hashlib.sha256(entry.encode()).hexdigest()[:6]}" if own else BRIDGE


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything lies; tests pass another root."""

    root: Path = Path("/")

    @property
    def config(self) -> Path:
        return self.root / "etc/hubagent.yaml"

    @property
    def state(self) -> Path:
        return self.root / "var/lib/hubagent"

    @property
    def generations(self) -> Path:
        return self.state / "generations"

    @property
    def current(self) -> Path:
        """Symbolic link to the generation in force; every consumer reads through it."""
        return self.state / "current"

    @property
    def secrets(self) -> Path:
        return self.state / "secrets"

    @property
    def tls(self) -> Path:
        return self.state / "tls"

    @property
    def certbot_state(self) -> Path:
        """certbot's accounts at authorities, with their keys; CERTBOT_USER's alone. The agent never reads there."""
        return self.state / "certbot"

    @property
    def acme_webroot(self) -> Path:
        """Where certbot puts what an authority asks nginx for."""
        return self.state / "acme"

    @property
    def certificate_tries(self) -> Path:
        """How the last try to get a certificate ended."""
        return self.state / "letsencrypt.json"

    @property
    def certbot(self) -> Path:
        return self.root / "usr/bin/certbot"

    @property
    def certbot_request(self) -> Path:
        """Standard input of CERTBOT: certificates.messages.Request."""
        return self.run / "certbot-request.json"

    @property
    def certbot_answer(self) -> Path:
        """Its standard output: certificates.messages.Answer."""
        return self.run / "certbot-answer.json"

    @property
    def run(self) -> Path:
        return self.root / "run/hubagent"

    @property
    def port_holder(self) -> Path:
        """What the last run of PORT_HOLDER found, in words."""
        return self.run / "port-holder.txt"

    @property
    def spawn_socket(self) -> Path:
        """Where the hub asks the agent for servers."""
        return self.run / "spawn.sock"

    @property
    def guests(self) -> Path:
        """One folder for each container of ours: state file, and `socket/` that the container sees."""
        return self.run / "guests"

    @property
    def homes_socket(self) -> Path:
        """Where the agent asks the homes helper."""
        return self.root / "run/hubagent-homes/socket"

    @property
    def homes_loans(self) -> Path:
        """What the homes helper has changed for a moment, and has to give back."""
        return self.root / "run/hubagent-homes/loans"

    @property
    def homes(self) -> Path:
        """One folder for each warm slot, on which a home is attached. A mount of its own, shared; touched by
        the homes helper alone. Nothing here is ever removed but by rmdir."""
        return self.root / "run/hubagent-homes/slots"

    @property
    def images(self) -> Path:
        """What is known of images: proofs by image id, build logs by tag."""
        return self.state / "images"

    @property
    def static_sets(self) -> Path:
        """Static files of images, one folder for each set: what nginx serves."""
        return self.state / "static"

    @property
    def static_index(self) -> Path:
        """Which sets were taken out of which image."""
        return self.state / "static.json"

    @property
    def first_pages(self) -> Path:
        """What the hub's pages let browsers fetch ahead (hub_documents.FirstPages)."""
        return self.state / "first-pages.json"

    @property
    def home_owners(self) -> Path:
        """One file for each home: whose it is."""
        return self.state / "homes"

    @property
    def home_archives(self) -> Path:
        """Homes that nobody has any more, each as one file."""
        return self.state / "archive"

    @property
    def trials(self) -> Path:
        """Which entries of `servers` have been seen to start a server, by what they are made from."""
        return self.state / "trials.json"

    @property
    def hub_state(self) -> Path:
        return self.root / "var/lib/jupyterhub"

    @property
    def one_time_passwords(self) -> Path:
        """One file for each seeded admin, written by the hub; removed once `hubagent first-login` has delivered it."""
        return self.hub_state / "one-time"

    @property
    def nginx_include(self) -> Path:
        return self.root / "etc/nginx/conf.d/hubagent.conf"

    @property
    def nginx_main_include(self) -> Path:
        """Read at nginx's main level, where `worker_shutdown_timeout` belongs."""
        return self.root / "etc/nginx/modules-enabled/90-hubagent.conf"

    @property
    def docker_socket(self) -> Path:
        """Where the homes helper asks Docker where its data lies."""
        return self.root / "run/docker.sock"

    @property
    def docker_config(self) -> Path:
        return self.root / "etc/docker/daemon.json"
