"""The hub's session with its database: JupyterHub's, which asks less for the same answers.

More than half of what the hub computes for a click is in SQLAlchemy. A part of it is asked for nothing:

- JupyterHub's mapping of users loads roles, groups and shares with each user that is looked up, by three more
  questions, and drops the answers for a user whom the session has already, as all are who are signed in. Here the one
  user of a lookup has them loaded when they are wanted, as SQLAlchemy does by default. Lists of users are as before.
- OAuth looks up one and the same client eighteen times in a click, by a name that is its own for as long as the hub
  runs. Nobody else writes to the hub's database, so a client that the session has is the one in the database.
- A connection is tried before each transaction, since the server of a database may have gone. SQLite has no server.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final
from weakref import WeakValueDictionary

from jupyterhub import orm
from sqlalchemy import create_engine, inspect
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Query, Session, defaultload, lazyload, sessionmaker
from sqlalchemy.orm.interfaces import ORMOption

_BESIDE_A_USER: Final = tuple(
    lazyload(beside) for beside in (orm.User.roles, orm.User.groups, orm.User.shared_with_me)
)
_WHEN_WANTED: Final[Mapping[object, tuple[ORMOption, ...]]] = {
    orm.User: _BESIDE_A_USER,
    orm.OAuthCode: (defaultload(orm.OAuthCode.user).options(*_BESIDE_A_USER),),
}
_CLIENTS: Final = "hubagent.oauth_clients"


class HubQuery(Query[Any]):
    """What `Session.query` makes."""

    def __init__(self, entities: Any, session: Session | None = None) -> None:
        super().__init__(entities, session)
        first, *more = entities if isinstance(entities, tuple | list) else (entities,)
        self._entity: object = first if isinstance(first, type) and not more else None

    def first(self) -> Any:
        options = _WHEN_WANTED.get(self._entity)
        return Query.first(self.options(*options)) if options else super().first()

    def filter_by(self, **criteria: Any) -> Any:
        query = super().filter_by(**criteria)
        if self._entity is orm.OAuthClient and criteria.keys() == {"identifier"}:
            return _OneClient(query, criteria["identifier"])
        return query


class _OneClient:
    """A query for the OAuth client of this name; whatever else is wanted of it is the query's."""

    def __init__(self, query: Query[Any], name: str) -> None:
        self._query = query
        self._name = name

    def first(self) -> Any:
        return self._known() or self._learn(self._query.first)

    def one_or_none(self) -> Any:
        return self._known() or self._learn(self._query.one_or_none)

    def one(self) -> Any:
        """Raises NoResultFound."""
        return self._known() or self._learn(self._query.one)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._query)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._query, name)

    @property
    def _clients(self) -> WeakValueDictionary[str, Any]:
        clients: WeakValueDictionary[str, Any] = self._query.session.info.setdefault(
            _CLIENTS, WeakValueDictionary()
        )
        return clients

    def _known(self) -> Any:
        """The client as the session has it; None where the database has to be asked, as after a rollback."""
        client, session = self._clients.get(self._name), self._query.session
        if client is None or client in session.deleted:
            return None
        state = inspect(client)
        if not state.persistent or state.expired or state.session is not session:
            return None
        return client if client.identifier == self._name else None

    def _learn(self, ask: Callable[[], Any]) -> Any:
        client = ask()
        if client is not None:
            self._clients[self._name] = client
        return client


def new_session(factory: sessionmaker[Session], url: str, **engine_arguments: Any) -> Session:
    """A session of JupyterHub's factory, which makes such sessions from now on. `engine_arguments` are what JupyterHub
    made its engine with."""
    factory.configure(query_cls=HubQuery)
    if make_url(url).get_backend_name() == "sqlite" and not url.endswith(":memory:"):
        arguments = {"connect_args": {"check_same_thread": False}, **engine_arguments}
        engine = create_engine(url, **arguments)
        orm.register_foreign_keys(engine)
        factory.kw["bind"].dispose()
        factory.configure(bind=engine)
    return factory()
