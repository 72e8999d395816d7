"""What can go wrong in the rig. A leaf; imports nothing of it."""

from __future__ import annotations

from collections.abc import Sequence


class RigError(RuntimeError):
    """Anything the rig could not do; the message says what and what to do."""


class HostUnfit(RigError):
    """This host lacks something that machines need; every lack is named."""

    def __init__(self, lacks: Sequence[str]) -> None:
        super().__init__(
            "this host cannot boot test machines:\n" + "\n".join(f"  - {lack}" for lack in lacks)
        )
        self.lacks = tuple(lacks)


class CommandFailed(RigError):
    """A command ended with another exit code than 0."""

    def __init__(self, argv: Sequence[str], rc: int, stdout: str, stderr: str) -> None:
        said = "\n".join(part.strip() for part in (stdout, stderr) if part.strip())
        super().__init__(f"exit code {rc} from {' '.join(argv)}\n{said[-4000:]}")
        self.rc, self.stdout, self.stderr = rc, stdout, stderr


class CommandTimeout(RigError):
    """A command ran longer than it was allowed to, and was killed."""


class WaitTimeout(RigError):
    """A condition did not come true within its deadline."""
