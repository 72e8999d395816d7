"""What is counted of convergence as it happens."""

from __future__ import annotations

from typing import Protocol

from hubagent.state.model import Component


class Recorder(Protocol):
    """Told of what happens to a component."""

    def rollback(self, component: Component) -> None:
        """A change of it was taken back."""

    def drift(self, component: Component) -> None:
        """It was not as it should be, though nobody had edited the file."""
