"""The digest of what a database holds is the same for every version: it is written down, and compared years later."""

from __future__ import annotations

import datetime
import uuid
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from hubagent.hub.tables import contents, row_bytes

TIME = datetime.datetime(2026, 2, 3, 4, 5, 6, tzinfo=None)  # noqa: DTZ001 - as JupyterHub stores it
BERLIN = datetime.timezone(datetime.timedelta(hours=1))

TABLE = """
create table grades (id integer primary key, who varchar(40), points float, at datetime, raw blob, passed boolean);
insert into grades values (7, 'ü 🎓 ''\\', 0.1, '2026-01-02 03:04:05.000006', x'00ff', 1);
insert into grades values (8, null, 1e300, null, x'', 0);
"""


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, "null"),
        (True, "true"),
        (1, "1"),
        (1.0, "1.0"),
        (0.1, "0.1"),
        ("1", '"1"'),
        ("ü\n\ud800", '"\\u00fc\\n\\ud800"'),
        (b"\0\xff", '{"bytes":"00ff"}'),
        (memoryview(b"\0\xff"), '{"bytes":"00ff"}'),
        (TIME, '{"time":"2026-02-03T04:05:06.000000"}'),
        (TIME.replace(tzinfo=BERLIN), '{"time":"2026-02-03T03:05:06.000000+00:00"}'),
        (TIME.date(), '{"time":"2026-02-03"}'),
        (Decimal("1.50"), '{"Decimal":"1.50"}'),
        (uuid.UUID(int=1), '{"UUID":"00000000-0000-0000-0000-000000000001"}'),
        (["a", {"b": 1}], '["a",{"b":1}]'),
    ],
    ids=repr,
)
def test_a_value_is_written_as_it_is_written_down_here(value: object, written: str) -> None:
    assert row_bytes({"b": value, "a": 0}) == f'{{"a":0,"b":{written}}}'.encode()


def test_a_digest_is_that_of_every_other_version(tmp_path: Path) -> None:
    """A change of it makes every copy look like one that was used since, which is then refused."""
    engine = create_engine(f"sqlite:///{tmp_path}/hub.sqlite")
    with engine.begin() as connection:
        for statement in TABLE.strip().splitlines():
            connection.exec_driver_sql(statement.rstrip(";"))
        found = contents(connection, ["grades", "absent"])
    engine.dispose()
    assert found.rows == {"grades": 2, "absent": 0}
    assert found.digest == "0cc2530237ffe6ca56fafac0c0a6c3a2d9f53e552a1f0022ef7f03c510b795e0"
