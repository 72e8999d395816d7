"""What of Docker and of the kernel is not as users' servers need it, and is not hubagent's to change."""

from __future__ import annotations

from hubagent.config.model import Config
from hubagent.converge import networks, observed_firewall
from hubagent.converge.observed_docker import DockerFacts
from hubagent.converge.ports import Ports
from hubagent.ports import EngineFacts
from hubagent.state.model import Component
from hubagent.state.status import Problem, Reason


def problems(
    ports: Ports, docker: DockerFacts, engine: EngineFacts | None, config: Config
) -> tuple[Problem, ...]:
    """With what to do about it. `engine` None: Docker does not answer, which is said elsewhere."""
    said = docker.problems(engine) + networks.problems(ports, config)
    unwatched = observed_firewall.problems(ports, docker_answers=engine is not None)
    return (
        *(Problem(Component.DOCKER, Reason.DOCKER, words) for words in said),
        *(Problem(Component.FIREWALL, Reason.UNIT, words) for words in unwatched),
    )
