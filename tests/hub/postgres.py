"""A PostgreSQL of this test run's own, on loopback."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from running import free_ports

from tests.waiting import wait_until

PASSWORD = "of-the-database/50%"


@dataclass(frozen=True)
class Postgres:
    """`hub` and `other` are roles that may log in with PASSWORD."""

    port: int
    folder: Path

    def new(self, name: str, *, owner: str = "hub") -> str:
        """An empty database; its URL for hub.database."""
        self.run(f'create database "{name}" owner {owner}')
        return f"postgresql://{owner}@127.0.0.1:{self.port}/{name}"

    def run(self, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        with psycopg.connect(
            host=str(self.folder), port=self.port, user="postgres", dbname=database, autocommit=True
        ) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    bin_ = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    account = pwd.getpwnam("postgres")
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    os.chown(folder, account.pw_uid, account.pw_gid)
    (port,) = free_ports(1)
    as_postgres = ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]
    data = folder / "data"
    initdb = [str(bin_ / "initdb"), "-D", str(data), "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8"]
    initdb += ["--auth-local=trust", "--auth-host=scram-sha-256"]
    server = [str(bin_ / "postgres"), "-D", str(data), "-k", str(folder), "-p", str(port)]
    server += ["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]
    try:
        subprocess.run([*as_postgres, *initdb], cwd=folder, check=True, capture_output=True)
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen([*as_postgres, *server], cwd=folder, stdout=log, stderr=log)
        try:
            postgres = Postgres(port, folder)
            wait_until(lambda: _answers(postgres), "PostgreSQL")
            for role in ("hub", "other"):
                postgres.run(f"create role {role} login password '{PASSWORD}'")
            yield postgres
        finally:
            process.terminate()
            process.wait(60)
    finally:
        shutil.rmtree(folder)


def _answers(postgres: Postgres) -> bool:
    try:
        return postgres.run("select 1") == [(1,)]
    except psycopg.OperationalError:
        return False
