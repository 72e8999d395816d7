"""From the file on disk to the generation that is wished for; what is in force stands in for a bad file.

And the values of one check: what was ordered, what was found out, how it ended.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from hubagent.config.made.changes import Change, changes
from hubagent.config.model import Config
from hubagent.config.reading.loader import MAX_BYTES, check_ownership, load
from hubagent.converge.generations import Generations
from hubagent.converge.ports import Ports
from hubagent.converge.prerequisites import gather, read_secrets
from hubagent.converge.retry import Postponed, Quarantine
from hubagent.converge.surroundings import docker_config
from hubagent.errors import ConfigError, PreflightError, StorageError, TemporaryError
from hubagent.ports import EngineFacts
from hubagent.render import firewall
from hubagent.render.generation import FIREWALL_FILE, Desired, Facts, desired, with_tokens_of
from hubagent.render.hub_files import Secrets
from hubagent.state import words
from hubagent.state.model import Component, Observed, Plan
from hubagent.state.status import Problem, Reason, Result

_REMEMBERED = 4  # parsed files: today's, the one in force, and room for an edit
_CLOSING = (
    "from now on users' servers cannot reach private networks, such as a database or licence server on the local "
    "network, except those listed in servers.*.networks; the internet stays open"
)
_INCLUDE = "# Written by hubagent; edit /etc/hubagent.yaml instead.\ninclude {current}/{folder}/*.conf;\n"


@dataclass(frozen=True, slots=True)
class Intent:
    """What is wished for now. `desired` is None only before the first generation."""

    config: Config  # of the wished generation
    desired: Desired | None
    is_new: bool  # made from today's file, not the one in force
    source_sha256: str | None = None  # of the file on disk, None when unreadable
    errors: tuple[str, ...] = ()  # why the file on disk is not used
    problems: tuple[Problem, ...] = ()
    changes: tuple[Change, ...] = ()
    news: Mapping[Component, str] = field(default_factory=dict)  # what is new beyond keys of the file
    retry: bool = False  # the machine did not answer; check again soon
    postponed: bool = False  # the file is valid, and tried again later


class Intents:
    """Reads and renders; changes nothing but what hubagent owns alone (see gather)."""

    def __init__(
        self, ports: Ports, generations: Generations, quarantine: Quarantine, postponed: Postponed
    ) -> None:
        self._ports = ports
        self._postponed = postponed
        self._generations = generations
        self._quarantine = quarantine
        self._parsed: dict[tuple[bytes, bool], Config] = {}
        self._rendered: tuple[tuple[bytes, Facts, Secrets], Desired] | None = None

    def today(self, *, new_tokens: bool = False) -> Intent:
        """The generation that today's file asks for, or the one in force with the reasons why not."""
        in_force, damage = self._in_force()
        try:
            source = self._source()
        except ConfigError as error:
            return self._stay(in_force, None, errors=error.messages, problems=damage)
        sha256 = hashlib.sha256(source).hexdigest()
        try:
            config = self._parse(source)
        except ConfigError as error:
            return self._stay(in_force, sha256, errors=error.messages, problems=damage)
        try:
            candidate = self._render(config, source, in_force, new_tokens=new_tokens)
        except PreflightError as error:
            problem = Problem(None, Reason.PREFLIGHT, str(error))
            return self._stay(in_force, sha256, errors=(str(error),), problems=(*damage, problem))
        except TemporaryError as error:
            problem = Problem(None, Reason.UNIT, str(error))
            return self._stay(in_force, sha256, problems=(*damage, problem), retry=True)
        held = self._quarantine.held(sha256, candidate.digest)
        left_s = held.left_s(self._ports.clock.time()) if held is not None else None
        if held is not None and in_force is not None and left_s is not None and left_s > 0:
            message = f"{held.reason}; it is tried again in {words.duration(left_s)}, or by hubagent apply"
            problem = Problem(None, Reason.VERIFY, message)
            return self._stay(in_force, sha256, problems=(*damage, problem), postponed=True)
        if held is not None and in_force is not None and left_s is None:
            problem = Problem(None, Reason.VERIFY, f"not tried again until the file changes: {held.reason}")
            return self._stay(in_force, sha256, errors=(held.reason,), problems=(*damage, problem))
        waits = self._postponed.message(candidate.digest)
        if waits and in_force is not None:
            problem = Problem(None, Reason.BUSY, f"{self._ports.layout.config} is valid, and waits: {waits}")
            return self._stay(in_force, sha256, problems=(*damage, problem), postponed=True)
        return Intent(
            config=config,
            desired=candidate,
            is_new=in_force is None or candidate.digest != in_force.digest,
            source_sha256=sha256,
            problems=damage,
            changes=changes(self._config_of(in_force), config) if in_force else (),
            news=_news(in_force, candidate),
        )

    def earlier(self, number: int) -> Intent:
        """Generation `number` as it was, but for the tokens, and never with private networks open again.
        StorageError when it is not whole on disk any more."""
        wished, (in_force, _) = self._generations.load(number), self._in_force()
        if in_force is not None:
            wished = _closed_as(with_tokens_of(wished, in_force), in_force)
        return Intent(
            config=self._config_of(wished), desired=wished, is_new=True, source_sha256=wished.source_sha256
        )

    def statics(self, engine: EngineFacts | None) -> dict[str, bytes]:
        """Files outside the generations that hubagent keeps, by absolute path. `engine` None: Docker is silent."""
        layout = self._ports.layout
        kept = {
            str(layout.nginx_include): _INCLUDE.format(current=layout.current, folder="nginx").encode(),
            str(layout.nginx_main_include): _INCLUDE.format(
                current=layout.current, folder="nginx-main"
            ).encode(),
        }
        docker = docker_config(self._ports, engine)
        if docker is not None:
            kept[str(layout.docker_config)] = docker
        return kept

    def _source(self) -> bytes:
        path = self._ports.layout.config
        try:
            state = self._ports.files.read(path, max_bytes=MAX_BYTES)
        except StorageError as error:
            raise ConfigError((str(error),)) from error
        if state is None:
            raise ConfigError(
                (f"{path}: does not exist; the shipped one is in /usr/share/hubagent/hubagent.yaml",)
            )
        fault = check_ownership(state, str(path))
        if fault:
            raise ConfigError((fault,))
        return state.content

    def _parse(self, source: bytes, *, in_force: bool = False) -> Config:
        """The Config of these bytes; remembered, since most checks find the bytes of the check before."""
        made_from = (source, in_force)
        if made_from not in self._parsed:
            if len(self._parsed) >= _REMEMBERED:
                self._parsed.clear()
            self._parsed[made_from] = load(source, path=str(self._ports.layout.config), in_force=in_force)
        return self._parsed[made_from]

    def _render(
        self, config: Config, source: bytes, in_force: Desired | None, *, new_tokens: bool
    ) -> Desired:
        facts = gather(config, self._ports, in_force=in_force, config_in_force=self._config_of(in_force))
        secrets = read_secrets(config.hub, self._ports, in_force, new_tokens=new_tokens)
        made_from = (source, facts, secrets)
        if self._rendered is None or self._rendered[0] != made_from:
            templates, layout = self._ports.templates, self._ports.layout
            wished = desired(config, facts, secrets, source=source, templates=templates, layout=layout)
            self._rendered = (made_from, wished)
        return self._rendered[1]

    def _in_force(self) -> tuple[Desired | None, tuple[Problem, ...]]:
        try:
            return self._generations.desired(), ()
        except StorageError as error:
            return None, (Problem(None, Reason.DRIFT, str(error)),)

    def _stay(
        self,
        in_force: Desired | None,
        sha256: str | None,
        *,
        errors: tuple[str, ...] = (),
        problems: tuple[Problem, ...],
        retry: bool = False,
        postponed: bool = False,
    ) -> Intent:
        bad = tuple(Problem(None, Reason.CONFIG, message) for message in errors if not problems)
        return Intent(
            config=self._config_of(in_force),
            desired=in_force,
            is_new=False,
            source_sha256=sha256,
            errors=errors,
            problems=problems + bad,
            retry=retry,
            postponed=postponed,
        )

    def _config_of(self, generation: Desired | None) -> Config:
        if generation is None:
            return Config()
        try:
            return self._parse(generation.source, in_force=True)
        except ConfigError:  # written by an older hubagent whose keys have gone since
            return Config()


def _news(in_force: Desired | None, candidate: Desired) -> dict[Component, str]:
    """What an upgrade of hubagent itself brings that people may notice."""
    before, after = (
        firewall.closes_private_networks(one.file(FIREWALL_FILE).content) if one else True
        for one in (in_force, candidate)
    )
    return {Component.FIREWALL: _CLOSING} if after and not before else {}


def _closed_as(wished: Desired, in_force: Desired) -> Desired:
    """An earlier generation, with today's packet filter where its own left private networks open."""
    rules = in_force.file(FIREWALL_FILE)
    before = wished.file(FIREWALL_FILE).content
    if firewall.closes_private_networks(before) or not firewall.closes_private_networks(rules.content):
        return wished
    return dataclasses.replace(
        wished,
        files=tuple(rules if file.path == rules.path else file for file in wished.files),
        markers={**wished.markers, Component.FIREWALL: rules.sha256},
    )


@dataclass(frozen=True, slots=True)
class Order:
    """What a person asked for beyond "check again"."""

    allow_disruption: bool = False
    rollback_to: int | None = None
    retry: bool = False  # try again what is in quarantine
    new_tokens: bool = False  # between agent, hub and proxy; only with allow_disruption


@dataclass(frozen=True, slots=True)
class Prepared:
    """Everything a check knows before it touches anything; `hubagent plan` prints this."""

    intent: Intent
    observed: Observed
    plan: Plan
    statics: dict[str, bytes]
    problems: tuple[Problem, ...]
    refused: str = ""  # why the order is not carried out, apart from the file

    @property
    def errors(self) -> tuple[str, ...]:
        """Why the file on disk is not used, and why the order is not carried out."""
        return (*self.intent.errors, self.refused) if self.refused else self.intent.errors


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one check ended."""

    result: Result
    prepared: Prepared | None = None
    problems: tuple[Problem, ...] = ()
    failure: str | None = None
    candidate: int | None = None
    retry: bool = False
    intent: Intent | None = None  # of a check that got no further
