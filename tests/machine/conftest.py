"""What the machine tests share."""

from __future__ import annotations

from tests.machine.fixtures import hub, pristine

__all__ = ["hub", "pristine"]
