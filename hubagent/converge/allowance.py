"""How long something may take: longer after each time that was not enough, within bounds. Pure."""

from __future__ import annotations


class Allowance:
    """The time for one kind of work. One that ran out is multiplied; what work really took says how much is enough."""

    def __init__(self, first_s: float, *, most_s: float, factor: int = 2) -> None:
        self._first_s = first_s
        self._most_s = most_s
        self._factor = factor
        self._allowed_s = first_s

    @property
    def allowed_s(self) -> float:
        """For the next try, in seconds."""
        return self._allowed_s

    @property
    def is_at_its_end(self) -> bool:
        """It will not grow any more."""
        return self._allowed_s >= self._most_s

    def ran_out(self, over: str = "within") -> str:
        """What is said of it, after `over`: the time that was too short, and the one that the next try has."""
        before_s = self._allowed_s
        self._allowed_s = min(before_s * self._factor, self._most_s)
        return f"{over} {before_s:.0f} s, as happens on a busy machine; next try with {self._allowed_s:.0f} s"

    def met(self, took_s: float) -> None:
        """Done in time. A machine that is busy still keeps what it was found to need."""
        self._allowed_s = min(max(self._first_s, took_s * self._factor), self._most_s)
