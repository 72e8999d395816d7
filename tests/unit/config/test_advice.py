"""What is said of a valid file."""

from __future__ import annotations

from hubagent.config.reading.advice import advice
from tests.unit.config.reading import read


def test_pam_without_root_is_explained() -> None:
    (notice,) = advice(read("hub: {authenticator: pam}"))
    assert str(notice).startswith("hub.authenticator: the hub does not run as root")
    assert "authenticator: native" in notice.message


def test_nothing_is_said_of_accounts_of_the_hub() -> None:
    assert advice(read("hub: {authenticator: native}")) == ()


def said(text: str) -> list[str]:
    return [str(notice) for notice in advice(read(text))]


def test_classes_and_traits_that_are_not_there_are_named() -> None:
    assert said("hub: {traits: {JupyterHbu: {}, JupyterHub: {logo_fiel: /x}}}") == [
        "hub.traits.JupyterHbu: no such class in the hub's package; of another package it is taken, where that is"
        " installed; did you mean JupyterHub?",
        "hub.traits.JupyterHub.logo_fiel: JupyterHub has no such setting; the hub will refuse it; did you mean"
        " logo_file?",
    ]
    assert said("hub: {authenticator: github, traits: {GitHubOAuthenticator: {client_secrt_file: /x}}}") == [
        "hub.traits.GitHubOAuthenticator.client_secrt_file: GitHubOAuthenticator has no such setting; the hub will"
        " refuse it; did you mean client_secret?"
    ]


def test_a_class_that_is_not_in_use_is_named() -> None:
    traits = (
        "traits: {GitHubOAuthenticator: {client_id: a}, OAuthenticator: {client_id: b}, Authenticator: {}}"
    )
    assert said(f"hub: {{authenticator: github, {traits}}}") == []
    assert said(f"hub: {{authenticator: own.Class, {traits}}}") == []
    assert [line.split(": ")[0] for line in said(f"hub: {{{traits}}}")] == [
        "hub.traits.GitHubOAuthenticator",
        "hub.traits.OAuthenticator",
    ]


def test_an_authenticator_that_is_not_there_is_named() -> None:
    assert said("hub: {authenticator: githup}") == [
        "hub.authenticator: githup is not in the hub's package; did you mean github?"
    ]


def test_keys_that_do_nothing_beside_others_are_named() -> None:
    assert said("hub: {authenticator: github, passwords: {min_length: 20}, ask_email: false}") == [
        "hub.ask_email: has no effect: it is for accounts of the hub (authenticator: native)",
        "hub.passwords: has no effect: it is for accounts of the hub (authenticator: native)",
    ]
    assert said('apply: {window: "03:00-05:00"}') == [
        "apply.window: has no effect: it is for apply.disruptive: window"
    ]
