"""What the command `first-login` makes of the hub's files; delivery itself: tests/contract/test_first_login.py."""

from __future__ import annotations

import pytest

from hubagent.cli.first_login import FirstLogins, State
from hubagent.cli.status import waiting_logins
from hubagent.errors import UsageError
from hubagent.layout import Layout
from tests.fakes.files import MemoryFileStore

FOLDER = "/var/lib/jupyterhub/one-time"


@pytest.fixture
def files() -> MemoryFileStore:
    files = MemoryFileStore()
    files.put_folder("/var/lib/jupyterhub")
    return files


def _states(files: MemoryFileStore, own: tuple[str, ...] | None) -> list[State]:
    logins = FirstLogins(files, Layout(), ("Admin",))
    return [login.state for login in logins.logins(logins.chosen(()), lambda: own)]


def test_the_states_of_a_first_password(files: MemoryFileStore) -> None:
    assert _states(files, ()) == [State.NOT_YET], "the hub has not been up"
    files.put_folder(FOLDER)
    files.put(f"{FOLDER}/admin", "abcde\n")
    assert _states(files, ()) == [State.WAITS]
    FirstLogins(files, Layout(), ("admin",)).delivered("admin")
    assert _states(files, ()) == [State.SHOWN]
    assert _states(files, ("admin",)) == [State.USED]
    assert _states(files, None) == [State.SHOWN], "PostgreSQL is not asked"


def test_a_new_one_is_asked_for_as_the_hub_expects_it(files: MemoryFileStore) -> None:
    logins = FirstLogins(files, Layout(), ("admin",))
    logins.ask_for_new("admin")
    state = files.read(Layout().one_time_passwords / "admin", max_bytes=9)
    assert state is not None
    assert (state.content, state.mode, state.owner, state.group) == (b"", 0o600, "jupyterhub", "jupyterhub")
    assert _states(files, ("admin",)) == [State.USED]
    assert logins.password("admin") == ""
    assert waiting_logins(files, Layout()) == ("admin",)


def test_somebody_else_is_no_admin(files: MemoryFileStore) -> None:
    with pytest.raises(UsageError, match=r"eve: not among hub\.admins, which are ada, bob"):
        FirstLogins(files, Layout(), ("Ada", "bob")).chosen(("ada", "eve"))


def test_a_password_is_in_no_representation(files: MemoryFileStore) -> None:
    files.put_folder(FOLDER)
    files.put(f"{FOLDER}/admin", "abcde\n")
    logins = FirstLogins(files, Layout(), ("admin",))
    assert "abcde" not in repr(logins.logins(("admin",), lambda: ()))
