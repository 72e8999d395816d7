"""The status page: what it says, and that no value can become markup."""

from __future__ import annotations

import dataclasses
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubagent.config.made.changes import Change
from hubagent.ladder import Level
from hubagent.state.model import Component, Step, Verb
from hubagent.state.status import (
    CertificateStatus,
    ComponentStatus,
    ImageState,
    ImageStatus,
    PoolStatus,
    Problem,
    Reason,
    RenewalStatus,
    Result,
    Status,
)
from hubagent.web import page

from . import samples
from .shipped import PAGE

VOID = {"meta", "link", "br"}


class Outline(HTMLParser):
    """Tags with attributes, and the text, as a browser would see them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.text = ""
        self.links: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(name for name, _ in attrs)))
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "action")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def filled(text: str) -> Status:
    """A Status with `text` wherever a text can be."""
    return Status(
        version=text,
        pid=1,
        looks=1,
        looked_at_s=0.0,
        result=Result.FAILED,
        url=text,
        config_errors=(text,),
        generation=1,
        components=(ComponentStatus(Component.HUB, text, text, healthy=False, detail=text),),
        problems=(Problem(Component.HUB, Reason.UNIT, text),),
        steps=(Step(Component.HUB, Verb.RESTART, Level.HUB_RESTART, text),),
        pending=(Step(Component.PROXY, Verb.RESTART, Level.PROXY_RESTART, text),),
        pending_changes=(Change(text, text, text),),
        certificate=CertificateStatus(
            9e9, (text,), self_signed=True, renewal=RenewalStatus(text, (text,), 1.0, text, 2.0)
        ),
        pools=(PoolStatus(text, desired=1, memory_bytes=1, last_failure=text, backing_off_until_s=5.0),),
        images=(ImageStatus(text, text, ImageState.FAILED, detail=text),),
        last_failure=text,
    )


PLAIN = Outline(PAGE.render(filled("plain"), now_s=1.0))
HOSTILE = st.text() | st.lists(
    st.sampled_from(
        ["<", ">", '"', "'", "&", "</script>", "<script>", "</style>", "<!--", "-->", "{{", "}}", "{%", "`", "\0",
         "javascript:alert(1)", "&lt;", "\ud800", "\u202e", "\r\n", "<img src=x onerror=alert(1)>"]
    )
).map("".join)  # fmt: skip


@given(HOSTILE)
def test_hostile_values_never_become_markup(text: str) -> None:
    html = PAGE.render(filled(text or "x"), now_s=1.0)
    outline = Outline(html)
    assert outline.open == []
    # the same elements, but for what stands between backticks (set as code) and a URL that is no link
    assert [tag for tag in outline.tags if tag[0] not in ("code", "a")] == [
        tag for tag in PLAIN.tags if tag[0] not in ("code", "a")
    ]
    assert all(names == () for tag, names in outline.tags if tag == "code")
    assert not any(link.lower().lstrip().startswith(("javascript:", "data:text")) for link in outline.links)
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]", html)


@given(
    st.text(
        alphabet=st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_characters="`\x7f"), min_size=1
    )
)
def test_values_are_shown_as_they_are(text: str) -> None:
    if any(0x7F <= ord(char) <= 0x9F for char in text):
        return
    shown = Outline(PAGE.render(filled(text), now_s=1.0)).text
    assert shown.count(text) >= 8


@pytest.mark.parametrize(
    ("url", "is_link"),
    [
        ("https://hub.example.org", True),
        ("http://192.0.2.1", True),
        ("javascript:alert(1)", False),
        ("data:text/html,x", False),
        ("//hub.example.org", False),
        ("xhttps://hub", False),
    ],
)
def test_only_web_addresses_are_links(url: str, *, is_link: bool) -> None:
    links = Outline(PAGE.render(dataclasses.replace(samples.healthy(), url=url), now_s=samples.NOW_S)).links
    assert (url in links) is is_link


@pytest.mark.parametrize("status", [samples.healthy(), samples.degraded(), samples.refused(), None])
def test_nothing_is_loaded_from_elsewhere(status: Status | None) -> None:
    html = PAGE.render(status, now_s=samples.NOW_S)
    outline = Outline(html)
    own = {"/metrics", "/status.json", status.url if status else None}
    assert [
        link for link in outline.links if link not in own and not link.startswith("data:image/svg+xml,")
    ] == []
    assert "@import" not in html
    assert "url(" not in html


def test_the_policy_names_the_style_and_script_that_are_in_it() -> None:
    policy = dict(PAGE.headers)["Content-Security-Policy"]
    html = PAGE.render(samples.healthy(), now_s=samples.NOW_S)
    for tag, directive in (("style", "style-src"), ("script", "script-src")):
        content = html.partition(f"<{tag}>")[2].partition(f"</{tag}>")[0]
        assert f"{directive} {page._source(content)};" in policy
    assert not re.search(r"\son\w+=|\sstyle=", html)


def text_of(status: Status | None) -> str:
    return " ".join(Outline(PAGE.render(status, now_s=samples.NOW_S)).text.split())


def test_what_a_lecturer_wants_when_all_is_well() -> None:
    text = text_of(samples.healthy())
    for phrase in (
        "Up and running", "https://hub.example.org", "Generation 42 is in force", "checked 8 s ago", "28",
        "3 from before the last change", "2.45 s", "61 days", "212 GiB", "✓ active", "nobody is interrupted",
    ):  # fmt: skip
        assert phrase in text
    assert "problem" not in text
    assert "Waiting for your permission" not in text


def test_what_a_lecturer_wants_when_it_is_not() -> None:
    text = text_of(samples.degraded())
    for phrase in (
        "Down: hub", "2 problems", "systemctl disable --now apache2", "proxy.error_target", "http://10.0.0.1/error",
        "hubagent apply --allow-disruption", "✗ failed", "exited with code 1", "Last failure, 95 s ago",
        "bind() to 0.0.0.0:443 failed", "5 days", "self-signed", "was rolled back",
    ):  # fmt: skip
        assert phrase in text


def test_a_refused_file_lists_its_errors_and_stays_up() -> None:
    text = text_of(samples.refused())
    assert "Up, but needs attention" in text
    assert "/etc/hubagent.yaml:12:3: hub.admin: unknown key" in text
    assert "/etc/hubagent.yaml:31:13:" in text


def test_before_the_first_look() -> None:
    assert "The agent has not checked the machine yet." in text_of(None)


def test_no_generation_and_degraded_is_not_up() -> None:
    status = dataclasses.replace(samples.refused(), generation=None)
    assert "Not up yet" in text_of(status)
    assert "No generation is in force" in text_of(status)


def test_accessible_landmarks() -> None:
    html = PAGE.render(samples.degraded(), now_s=samples.NOW_S)
    assert '<html lang="en">' in html
    assert "<main>" in html
    assert '<meta name="viewport"' in html
    assert html.count("<h1") == 1
    assert 'scope="row"' in html
    assert 'role="status"' in html
