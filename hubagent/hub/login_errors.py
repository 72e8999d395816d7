"""Why a login is refused, where the person may know."""

from __future__ import annotations

from tornado import web


class LoginRefusedError(web.HTTPError):
    """A login that fails for a reason other than a wrong password. The message is shown."""

    def __init__(self, message: str, *, status: int = 403) -> None:
        super().__init__(status, message)
        self.message = message


class PasswordChangeNeededError(LoginRefusedError):
    """The one-time password was right; a new one must be chosen before anything else."""

    def __init__(self, name: str) -> None:
        super().__init__("Please choose a new password first.")
        self.name = name
