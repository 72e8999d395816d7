"""A PostgreSQL of this test run's own, on loopback."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from running import free_ports

from tests.waiting import wait_until

PASSWORD = "of-the-database/50%"


class Postgres:
    """`hub` and `other` are roles that may log in with PASSWORD."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (self.port,) = free_ports(1)
        self._process: subprocess.Popen[bytes] | None = None

    def make(self) -> None:
        """The empty cluster, and start it."""
        initdb = ["initdb", "-D", self._data, "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8"]
        initdb += ["--auth-local=trust", "--auth-host=scram-sha-256"]
        subprocess.run(_as_postgres(*initdb), cwd=self.folder, check=True, capture_output=True)
        self.start()
        for role in ("hub", "other"):
            self.run(f"create role {role} login password '{PASSWORD}'")

    def start(self) -> None:
        server = ["postgres", "-D", self._data, "-k", str(self.folder), "-p", str(self.port)]
        server += ["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(_as_postgres(*server), cwd=self.folder, stdout=log, stderr=log)
        wait_until(self._answers, "PostgreSQL")

    def stop(self) -> None:
        """Whoever is connected is cut off."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)  # fast shutdown, pg_ctl(1)
            self._process.wait(60)
            self._process = None

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Its processes are stopped by a signal: the kernel takes what is sent to them, and nobody answers."""
        assert self._process is not None
        server = self._process.pid
        children = Path(f"/proc/{server}/task/{server}/children")
        pids = [server, *map(int, children.read_text().split())]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    @contextmanager
    def unreachable(self) -> Iterator[None]:
        """Packets to it are lost, as when its host has lost its power or the network a cable."""
        table = f"unreachable-{self.port}"
        rules = f"table ip {table} {{ chain in {{ type filter hook input priority 0; tcp dport {self.port} drop; }}; }}"
        subprocess.run(["nft", rules], check=True)
        try:
            yield
        finally:
            subprocess.run(["nft", "delete", "table", "ip", table], check=True)

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

    @property
    def _data(self) -> str:
        return str(self.folder / "data")

    def _answers(self) -> bool:
        try:
            return self.run("select 1") == [(1,)]
        except psycopg.OperationalError:
            return False


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    account = pwd.getpwnam("postgres")
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    os.chown(folder, account.pw_uid, account.pw_gid)
    postgres = Postgres(folder)
    try:
        postgres.make()
        yield postgres
    finally:
        postgres.stop()
        shutil.rmtree(folder)


def _as_postgres(program: str, *arguments: str) -> list[str]:
    bin_ = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    account = pwd.getpwnam("postgres")
    ids = [f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]
    return ["setpriv", *ids, str(bin_ / program), *arguments]
