"""Making an account for oneself."""

from __future__ import annotations

from tornado import web

from hubagent.hub import usernames
from hubagent.hub.accounts import MAX_WAITING, email_problem
from hubagent.hub.pages.base import Page
from hubagent.hub.passwords import TooBusyError


class SignupPage(Page):
    """404 when sign-up is closed."""

    async def prepare(self) -> None:
        await super().prepare()
        if not self.native.enable_signup:
            raise web.HTTPError(404, "Accounts are created by an administrator here; please ask one.")

    async def get(self) -> None:
        await self._form()

    async def post(self) -> None:
        name = self.native.normalize_username(self.field("username"))
        email = self.field("email") if self.native.ask_email_on_signup else None
        password = self.secret("password")
        problem = self._problem(name, email, password)
        if problem is not None:
            await self._form(problem, status=400)
            return
        try:
            password_hash = await self.native.hasher.hash(password)
        except TooBusyError as error:
            await self._form(str(error), status=503)
            return
        # Again, without awaiting between check and change: another request may have taken the name meanwhile.
        problem = self._name_problem(name)
        if problem is not None:
            await self._form(problem, status=400)
            return
        approved = self.native.approved_at_signup(name)
        self.native.accounts.store(name, password_hash, approved=approved, email=email)
        self.log.info("New account %s, %s", name, "approved" if approved else "waiting for approval")
        await self.show("native-signed-up.html", username=name, approved=approved)

    def _problem(self, name: str, email: str | None, password: str) -> str | None:
        if password != self.secret("password_again"):
            return "The two passwords differ. Please type the same one twice."
        return (
            self._name_problem(name)
            or (email_problem(email) if email is not None else None)
            or self.native.policy.problem(password, name)
        )

    def _name_problem(self, name: str) -> str | None:
        problem = usernames.problem(name)
        if problem is not None:
            return problem
        if not self.native.validate_username(name):
            return "This user name is not allowed here; please ask an administrator which names are."
        if self.native.name_taken(name):
            return "This user name is taken. Please choose another one."
        if not self.native.approved_at_signup(name) and self.native.accounts.waiting() >= MAX_WAITING:
            return "Very many accounts are waiting for approval. Please try again later."
        return None

    async def _form(self, problem: str | None = None, *, status: int = 200) -> None:
        await self.show(
            "native-signup.html",
            status=status,
            problem=problem,
            username=self.field("username")[: usernames.MAX_CHARACTERS],
            email=self.field("email")[:128],
            ask_email=self.native.ask_email_on_signup,
            approval=not self.native.open_signup,
            min_length=self.native.policy.min_length,
        )
