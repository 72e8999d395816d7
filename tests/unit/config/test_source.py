"""Who may own and write the file."""

from __future__ import annotations

import pytest

from hubagent.config.reading.loader import check_ownership
from hubagent.ports import FileState

PATH = "/etc/hubagent.yaml"


def state(mode: int, owner: str = "root") -> FileState:
    return FileState(content=b"", mode=mode, owner=owner, group="root")


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o640, 0o644, 0o755])
def test_a_file_that_only_root_can_write_is_fine(mode: int) -> None:
    assert check_ownership(state(mode), PATH) is None


@pytest.mark.parametrize(
    ("mode", "shown"), [(0o620, "0620"), (0o602, "0602"), (0o666, "0666"), (0o777, "0777")]
)
def test_a_file_that_others_can_write_is_refused_with_the_remedy(mode: int, shown: str) -> None:
    assert (
        check_ownership(state(mode), PATH)
        == f"{PATH}: is writable by users other than root (mode {shown}); run: chmod go-w {PATH}"
    )


def test_a_file_of_somebody_else_is_refused_with_the_remedy() -> None:
    assert (
        check_ownership(state(0o600, owner="eve"), PATH)
        == f"{PATH}: belongs to eve, who could use it to become root; run: chown root: {PATH}"
    )
