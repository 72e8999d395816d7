"""What the pool is told by the rest of the agent: of the configuration, the images, the homes and the machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from hubagent import wire
from hubagent.config.model import Config, Server
from hubagent.pool.owners import Account
from hubagent.pool.policy import Memory
from hubagent.pool.ports import ContainerSpec, ImageFacts
from hubagent.pool.volumes import Home

Prove = Callable[[str], wire.Proof | None]
"""What is known of an image, by its id; None while it is not proven."""


Told = Mapping[str, Mapping[str, str]]
"""Variables that the agent adds to the environment of servers, by their entry of `servers`. Another thread changes it,
an entry at once."""


class HomeOf(Protocol):
    """An account's home for this server. One that is new is made and filled as at a cold start. Raises
    HubagentError."""

    def __call__(self, server: Server, account: Account) -> Home: ...


class SlotSpec(Protocol):
    """What the container of a slot is made from. `guest_folder` and `home_folder` are on the host."""

    def __call__(
        self,
        server: Server,
        image: ImageFacts,
        *,
        guest: str,
        recipe: str,
        guest_folder: str,
        home_folder: str,
    ) -> ContainerSpec: ...


@dataclass(frozen=True, slots=True)
class PoolInputs:
    """Each is asked whenever it is needed, from any thread."""

    config: Callable[[], Config | None]  # in force; None while there is none
    spec: SlotSpec
    home_of: HomeOf
    proof: Prove
    memory: Callable[[], Memory]
    program: str  # version of the guest's program: slots with another one are replaced
    told: Told = field(default_factory=dict)
