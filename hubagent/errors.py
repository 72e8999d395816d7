"""The tree of errors. Every message says where, what, and what to do."""

from __future__ import annotations


class HubagentError(Exception):
    """Root of everything hubagent raises on purpose."""


class ConfigError(HubagentError):
    """The configuration file cannot be used; holds one message for each fault."""

    def __init__(self, messages: tuple[str, ...]) -> None:
        super().__init__("\n".join(messages))
        self.messages = messages


class StopRequested(BaseException):
    """The agent was told to end, and breaks off what it does where it is. No fault: nothing that handles faults may
    hold it up."""


class TemporaryError(HubagentError):
    """Something outside is not available now; the next try may succeed."""


class DeadlineError(TemporaryError):
    """Something was not done within its time, as happens on a busy machine. It says nothing about the file; the next
    try has more time."""


class UnitError(TemporaryError):
    """systemd or D-Bus did not do what was asked."""


class JobDeadlineError(UnitError, DeadlineError):
    """A job of systemd's was not finished within its time."""


class ContainerError(TemporaryError):
    """The container engine did not answer, or refused."""


class StorageError(TemporaryError):
    """A file could not be read or written (full disk, permissions, wrong type)."""


class PreflightError(HubagentError):
    """The candidate generation would not work; nothing was changed."""


class VerifyError(HubagentError):
    """The new generation was applied, but does not serve as asked."""


class BusyError(HubagentError):
    """Another hubagent process holds the lock."""


class EngineAbsentError(ContainerError):
    """The container engine did not answer at all, or not in time."""


class NameTakenError(ContainerError):
    """A container of this name exists already."""


class HomeError(TemporaryError):
    """The homes helper did not answer, or could not attach or detach a home."""


class GuestError(TemporaryError):
    """The launcher in a container did not answer in time, refused, or failed."""


class ImageError(TemporaryError):
    """An image could not be built, pulled or proven."""


class BackupError(HubagentError):
    """A backup is not whole, not one of hubagent's, or not for this version; nothing was changed."""


class UsageError(HubagentError):
    """The command line asks for what cannot be, or must not be without another option; nothing was changed."""


class DeliveryError(HubagentError):
    """What is shown once may not have been seen by anybody."""
