"""The hub's session: what it asks the database, and that its answers are JupyterHub's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from jupyterhub import orm, roles
from sqlalchemy import event, text
from sqlalchemy.engine import Engine
from sqlalchemy.exc import NoResultFound
from sqlalchemy.orm import Session

from hubagent.hub.session import new_session


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    url = f"sqlite:///{tmp_path / 'hub.sqlite'}"
    factory = orm.new_session_factory(url)
    with new_session(factory, url) as made:
        for role in roles.get_default_roles():
            roles.create_role(made, role)
        for name in ("alice", "bob"):
            user = orm.User(name=name)
            made.add(user)
            roles.assign_default_roles(made, user)
        made.add(orm.OAuthClient(identifier="known", secret="x"))
        made.commit()
        yield made
        made.get_bind().dispose()  # type: ignore[union-attr]


@contextmanager
def asked(session: Session) -> Iterator[list[str]]:
    """The statements that the database is given meanwhile."""
    statements: list[str] = []

    def note(_c: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(" ".join(statement.split()))

    engine = session.get_bind()
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(engine, "before_cursor_execute", note)


def client(session: Session, name: str = "known") -> Any:
    return session.query(orm.OAuthClient).filter_by(identifier=name)


@pytest.mark.parametrize("is_known", [True, False], ids=["known", "new"])
def test_a_user_who_is_looked_up_is_one_question(session: Session, is_known: bool) -> None:
    held = orm.User.find(session, "alice")
    if not is_known:
        session.expunge_all()
    with asked(session) as statements:
        user = orm.User.find(session, "alice")
    assert len(statements) == 1, statements
    assert (user is held) == is_known
    assert [role.name for role in user.roles] == ["user"], "loaded when they are wanted"
    assert user.groups == user.all_shared_with_me == []


def test_a_role_that_was_given_since_is_seen(session: Session) -> None:
    user = orm.User.find(session, "alice")
    assert [role.name for role in user.roles] == ["user"]
    roles.grant_role(session, user, "admin")
    assert {role.name for role in orm.User.find(session, "alice").roles} == {"user", "admin"}
    roles.strip_role(session, user, "admin")
    assert {role.name for role in orm.User.find(session, "alice").roles} == {"user"}


def test_the_user_of_a_code_is_one_question_with_it(session: Session) -> None:
    session.add(
        orm.OAuthCode(code="c", expires_at=2**31, user=orm.User.find(session, "alice"), client_id="known")
    )
    session.commit()
    session.expunge_all()
    with asked(session) as statements:
        code = orm.OAuthCode.find(session, "c")
        assert code.user.name == "alice"
    assert len(statements) == 1, statements
    assert [role.name for role in code.user.roles] == ["user"]


def test_a_list_of_users_has_its_roles_by_one_question_for_all(session: Session) -> None:
    session.expunge_all()
    with asked(session) as statements:
        listed = session.query(orm.User).all()
        assert [[role.name for role in user.roles] for user in listed] == [["user"], ["user"]]
    assert len([one for one in statements if "user_role_map" in one]) == 1, statements


def test_an_oauth_client_that_is_known_is_not_asked_for_again(session: Session) -> None:
    held = client(session).one()
    with asked(session) as statements:
        assert client(session).first() is client(session).one_or_none() is client(session).one() is held
    assert statements == []


def test_an_oauth_client_that_has_changed_is_the_changed_one(session: Session) -> None:
    held = client(session).one()
    held.secret = "y"
    session.commit()
    assert client(session).one().secret == "y"


@pytest.mark.parametrize("is_flushed", [True, False], ids=["flushed", "not flushed"])
def test_an_oauth_client_that_was_deleted_is_gone(session: Session, is_flushed: bool) -> None:
    held = client(session).one()
    session.delete(held)
    if is_flushed:
        session.flush()
    assert client(session).first() is None
    session.commit()
    assert client(session).one_or_none() is None
    with pytest.raises(NoResultFound):
        client(session).one()
    session.add(orm.OAuthClient(identifier="known", secret="z"))
    assert client(session).one().secret == "z", "another of this name"


def test_an_oauth_client_that_was_taken_back_is_gone(session: Session) -> None:
    made = orm.OAuthClient(identifier="new", secret="x")
    session.add(made)
    assert client(session, "new").one() is made
    session.rollback()
    assert client(session, "new").first() is None


def test_an_oauth_client_is_asked_for_after_a_rollback(session: Session) -> None:
    held = client(session).one()
    held.secret = "never written"
    session.rollback()
    assert client(session).one().secret == "x"


def test_other_questions_about_oauth_clients_are_asked(session: Session) -> None:
    held = client(session).one()
    assert client(session).count() == 1
    assert list(client(session)) == [held]
    assert client(session).filter_by(secret="other").first() is None
    assert session.query(orm.OAuthClient).filter_by(identifier="known", secret="other").first() is None
    assert session.query(orm.OAuthClient.secret).filter_by(identifier="known").first() == ("x",)


def test_a_file_is_not_tried_before_each_transaction_and_keeps_its_foreign_keys(session: Session) -> None:
    session.commit()
    with asked(session) as statements:
        assert session.execute(text("pragma foreign_keys")).scalar() == 1
    assert statements == ["pragma foreign_keys"]


@pytest.mark.parametrize("url", ["postgresql+psycopg://localhost/hub", "sqlite:///:memory:"])
def test_other_databases_keep_the_engine_of_jupyterhub_which_tries_them_first(url: str) -> None:
    factory = orm.new_session_factory("sqlite:///:memory:")
    engine: Engine = factory.kw["bind"]
    with new_session(factory, url) as made, asked(made) as statements:
        assert made.get_bind() is engine
        made.execute(text("select 2"))
    assert statements == ["SELECT 1", "select 2"]
    engine.dispose()
