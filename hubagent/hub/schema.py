"""The schema of the hub's database: brought to the one that JupyterHub wants before the hub opens the database.

JupyterHub's own `upgrade_db` changes the database in place, so that a start that is interrupted leaves half of it,
and copies it aside once more at every start that fails. Here a copy is changed, and becomes the database in one
transaction.
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final
from urllib.parse import quote

import alembic.command
import jupyterhub
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from jupyterhub.dbutil import ALEMBIC_DIR, write_alembic_ini
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError
from traitlets.log import get_logger

from hubagent.hub.database import engine_of, reason_of
from hubagent.hub.reading import SettingsError

_PATIENCE_S: Final = 30.0
_COPY: Final = re.compile(r"\.\d{4}-\d\d-\d\d-\d{6}$")


def refuse_later(url: str) -> None:
    """Raises SettingsError when a later JupyterHub than this one has used the database; changes nothing."""
    _behind(make_url(url))


def bring_up_to_date(url: str) -> None:
    """Give the database the schema of this JupyterHub, if it has an earlier one.

    What an SQLite file held before is kept beside it as FILE.DATE-TIME (UTC). Raises SettingsError when it cannot be
    done; an SQLite file is then as it was, a database server is as its last whole migration has left it.
    """
    place = make_url(url)
    file = _file(place)
    if file is not None:
        _leftovers(file)
    revision = _behind(place)
    if revision is None:
        return
    to = f"from revision {revision} to {_head()}, of JupyterHub {jupyterhub.__version__}"
    shown = place.render_as_string(hide_password=True)
    get_logger().warning("The schema of %s is brought up to date: %s", shown, to)
    try:
        if file is None:
            _migrate(url)
        else:
            get_logger().warning("The database as it was is kept as %s", _replace(file))
    except Exception as error:  # a migration is JupyterHub's program, and may raise anything
        raise SettingsError(
            f"hub.database: the schema of {shown} could not be brought up to date {to}: {reason_of(error)}; "
            f"{'the database is as it was' if file is not None else 'restore it from a dump if need be'}"
        ) from error


def is_behind(url: str) -> bool:
    """Whether an earlier JupyterHub has made the schema. Raises SettingsError for a later one's."""
    return _behind(make_url(url)) is not None


def snapshot(file: Path, into: sqlite3.Connection) -> None:
    """An SQLite database as it is at one moment, also while somebody writes to it. Raises sqlite3.Error."""
    with closing(_open(file)) as live:
        live.backup(into)


def set_aside(file: Path) -> Path:
    """Give an SQLite database that nobody uses any more a name with the time (UTC). Raises sqlite3.Error, OSError."""
    with closing(sqlite3.connect(file, timeout=_PATIENCE_S)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")  # one file, without a log beside it
    now = datetime.now(UTC)
    while (aside := file.with_name(f"{file.name}.left-{now:%Y-%m-%d-%H%M%S}")).exists():
        now += timedelta(seconds=1)
    file.rename(aside)
    return aside


def copies(file: Path) -> tuple[Path, ...]:
    """What was kept of an SQLite database before its schema was changed, the oldest first."""
    found = file.parent.glob(f"{file.name}.*")
    return tuple(sorted(one for one in found if _COPY.search(one.name)))


def _behind(place: URL) -> str | None:
    """The revision of the schema that the database has, if it is an earlier one than this JupyterHub's; None if it is
    that one, or the database is empty. Raises SettingsError for one that this JupyterHub does not know."""
    revision = _revision(place)
    if revision is None or revision == _head():
        return None
    if revision in {script.revision for script in _scripts().walk_revisions()}:
        return revision
    file = _file(place)
    kept = copies(file) if file is not None else ()
    back = f"the copy from before the upgrade ({kept[-1]})" if kept else "a copy from before the upgrade"
    raise SettingsError(
        f"hub.database: a later JupyterHub than {jupyterhub.__version__} has used "
        f"{place.render_as_string(hide_password=True)} (schema {revision}); install the packages again that it was "
        f"used with, or put back {back}: see 'Upgrades, and the way back' in the guide"
    )


def _scripts() -> ScriptDirectory:
    return ScriptDirectory(ALEMBIC_DIR)


def _head() -> str | None:
    return _scripts().get_current_head()


def _file(place: URL) -> Path | None:
    is_file = place.get_backend_name() == "sqlite" and place.database is not None
    return Path(str(place.database)) if is_file else None


def _revision(place: URL) -> str | None:
    """None for a database that has no tables, or does not exist."""
    file = _file(place)
    if file is not None and not file.exists():
        return None
    try:
        if file is not None:
            with closing(_open(file)) as connection:
                return _of_file(connection)
        with engine_of(place).connect() as server:
            return MigrationContext.configure(server).get_current_revision()
    except (SQLAlchemyError, sqlite3.Error) as error:
        shown = place.render_as_string(hide_password=True)
        raise SettingsError(f"hub.database: {shown} cannot be read: {reason_of(error)}") from error


def _of_file(connection: sqlite3.Connection) -> str | None:
    tables = {str(name) for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    if "alembic_version" not in tables:
        return None
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(row[0]) if row else None


def _open(file: Path) -> sqlite3.Connection:
    """For reading, also where nothing can be written beside it and nobody else has it open (sqlite.org/wal.html)."""
    uri = f"file:{quote(str(file))}?mode=ro"
    connection = sqlite3.connect(uri, uri=True, timeout=_PATIENCE_S)
    try:
        connection.execute("SELECT name FROM sqlite_master")
    except sqlite3.OperationalError:
        connection.close()
        return sqlite3.connect(f"{uri}&immutable=1", uri=True)
    return connection


def _replace(file: Path) -> Path:
    """Change a copy and make it the database; the name under which the database before is kept."""
    work, before = _upgrading(file), _keeping(file)
    try:
        with closing(sqlite3.connect(file, timeout=_PATIENCE_S)) as live:
            with _new(before) as copy:
                live.backup(copy)
            shutil.copy(before, work)
            _migrate(f"sqlite:///{work}")
            kept = file.with_name(f"{file.name}.{datetime.now(UTC):%Y-%m-%d-%H%M%S}")
            sync(before)
            before.rename(kept)
            with closing(sqlite3.connect(work)) as changed:
                changed.backup(live)  # one transaction: all of it or nothing, whatever happens
    finally:
        _leftovers(file)
    return kept


@contextmanager
def _new(file: Path) -> Iterator[sqlite3.Connection]:
    """An empty database that others cannot read, and that is one file when it is closed."""
    os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    with closing(sqlite3.connect(file)) as connection:
        yield connection
        connection.execute("PRAGMA journal_mode=DELETE")


def sync(file: Path) -> None:
    """Let a power cut not undo what was written to this file, or its name. Raises OSError."""
    for path in (file, file.parent):
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _upgrading(file: Path) -> Path:
    return file.with_name(f"{file.name}.upgrading")


def _keeping(file: Path) -> Path:
    return file.with_name(f"{file.name}.keeping")


def _leftovers(file: Path) -> None:
    """Remove what an interrupted start has left."""
    for path in (_upgrading(file), _keeping(file)):
        for ending in ("", "-journal", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                path.with_name(f"{path.name}{ending}").unlink()


def _migrate(url: str) -> None:
    with TemporaryDirectory() as folder:  # the URL may hold a password; only this user can read it
        ini = Path(folder, "alembic.ini")
        write_alembic_ini(str(ini), url)
        alembic.command.upgrade(Config(str(ini)), "head")
