"""A browser as far as forms, cookies and redirects go."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin

import requests


@dataclass
class Form:
    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)


class Page(HTMLParser):
    """An answer: its forms and its text."""

    def __init__(self, html: str, url: str, status: int = 200) -> None:
        super().__init__()
        self.status = status
        self.url = url
        self.html = html
        self.forms: list[Form] = []
        self.alerts: list[str] = []
        self.ids: dict[str, str] = {}
        self._alert = False
        self._id: str | None = None
        self.feed(html)

    @classmethod
    def of(cls, answer: requests.Response) -> Page:
        return cls(answer.text, answer.url, answer.status_code)

    @property
    def alert(self) -> str:
        return " ".join(" ".join(self.alerts).split())

    @property
    def path(self) -> str:
        return self.url.split("/", 3)[3]

    def form(self, action: str = "") -> Form:
        """The form whose action contains `action`."""
        return next(form for form in self.forms if action in form.action)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if tag == "form":
            action = urljoin(self.url, attributes.get("action") or self.url)
            self.forms.append(Form(action, attributes.get("method") or "get"))
        elif tag == "input" and self.forms and attributes.get("name"):
            self.forms[-1].fields[str(attributes["name"])] = attributes.get("value") or ""
        self._alert = attributes.get("role") == "alert"
        self._id = attributes.get("id")

    def handle_data(self, data: str) -> None:
        if self._alert:
            self.alerts.append(data)
        if self._id:
            self.ids[self._id] = self.ids.get(self._id, "") + data.strip()

    def handle_endtag(self, tag: str) -> None:
        self._alert = False
        self._id = None


class Browser:
    """One person's browser."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.session = requests.Session()
        self.session.headers["Sec-Fetch-Mode"] = "navigate"

    def open(self, path: str) -> Page:
        return Page.of(self.session.get(urljoin(self.url, path), timeout=60))

    def submit(self, form: Form, **fields: str) -> Page:
        answer = self.session.post(form.action, data={**form.fields, **fields}, timeout=60)
        return Page.of(answer)

    def sign_in(self, username: str, password: str, *, following: str = "/hub/home") -> Page:
        page = self.open(f"/hub/login?next={following}")
        return self.submit(page.form("/hub/login"), username=username, password=password)

    def sign_up(
        self, username: str, password: str, *, email: str = "a@example.org", again: str | None = None
    ) -> Page:
        page = self.open("/hub/signup")
        form = page.form("/hub/signup")
        fields = {"username": username, "password": password}
        fields["password_again"] = password if again is None else again
        if "email" in form.fields:
            fields["email"] = email
        return self.submit(form, **fields)

    @property
    def signed_in(self) -> bool:
        page = self.open("/hub/home")
        return page.status == 200 and page.path == "hub/home"
