"""Which file system a folder lies on, by /proc/self/mountinfo."""

from __future__ import annotations

from pathlib import Path

import pytest

from hubagent.guest.databases import is_on_network

LINE = (
    "{number} 1 0:{number} {root} {point} rw,nosuid shared:7 master:2 - {kind} source:/export rw,vers=4.2\n"
)


def table(*mounts: tuple[str, str]) -> str:
    points = [("/", "overlay"), ("/proc", "proc"), *mounts]
    return "".join(
        LINE.format(number=30 + number, root="/", point=point, kind=kind)
        for number, (point, kind) in enumerate(points)
    )


@pytest.mark.parametrize(
    ("mounts", "expected"),
    [
        ([], False),
        ([("/home/ann", "ext4")], False),
        ([("/home/ann", "fuseblk")], False),
        *(
            [
                ([("/home/ann", kind)], True)
                for kind in ("nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "fuse.sshfs")
            ]
        ),
        ([("/home", "nfs4")], True),
        ([("/home/ann/data", "nfs4")], False),
        ([("/home/an", "nfs4")], False),
        ([("/home/ann", "xfs"), ("/home/ann", "nfs4")], True),  # the home is attached above the folder for it
        ([("/home", "nfs4"), ("/home/ann", "ext4")], False),
        ([("/", "nfs")], True),
    ],
)
def test_kinds(mounts: list[tuple[str, str]], expected: bool) -> None:
    assert is_on_network("/home/ann", table(*mounts)) == expected


def test_names_with_characters_that_are_escaped() -> None:
    assert is_on_network("/home/ann b/ü", table(("/home/ann\\040b/ü", "nfs4")))


def test_the_file_systems_of_this_machine(tmp_path: Path) -> None:
    assert not is_on_network(str(tmp_path), Path("/proc/self/mountinfo").read_text())
    assert not is_on_network("/nowhere/at/all", "nonsense\n")
