"""How long to wait before what has failed is tried again. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_DOUBLINGS: Final = 60  # more than any limit needs; a float cannot hold 2 to the power of many failures


@dataclass(frozen=True, slots=True)
class Backoff:
    """Twice as long after each failure in a row, up to a limit."""

    first_s: float
    most_s: float

    def delay_s(self, failures: int) -> float:
        """Seconds to wait after so many failures in a row (1 or more)."""
        return min(self.first_s * 2.0 ** min(failures - 1, _DOUBLINGS), self.most_s)
