"""A notification socket that remembers."""

from __future__ import annotations


class FakeNotifier:
    """`ports.Notifier`; `journal` holds (call, text)."""

    def __init__(self, *, watchdog_interval_s: float | None = None) -> None:
        self._watchdog_interval_s = watchdog_interval_s
        self.journal: list[tuple[str, str]] = []

    def ready(self, status: str) -> None:
        self.journal.append(("ready", status))

    def status(self, status: str) -> None:
        self.journal.append(("status", status))

    def reloading(self) -> None:
        self.journal.append(("reloading", ""))

    def stopping(self) -> None:
        self.journal.append(("stopping", ""))

    def watchdog(self) -> None:
        self.journal.append(("watchdog", ""))

    @property
    def watchdog_interval_s(self) -> float | None:
        return self._watchdog_interval_s

    @property
    def last_status(self) -> str:
        """The text that `systemctl status` would show."""
        texts = [text for call, text in self.journal if call in ("ready", "status")]
        return texts[-1] if texts else ""
