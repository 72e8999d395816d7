"""The archive as a stream: whatever is written comes back, whatever was changed is refused."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from hubagent.backup import archive, manifest
from hubagent.backup.entries import LATEST_NS, Entry, Kind
from hubagent.backup.manifest import Database, Manifest
from hubagent.backup.members import MANIFEST, from_member
from hubagent.errors import BackupError

VERSION = "1.2.0"
PARTS = ("files", "state", "hub", "volumes/home-ada", "volumes/home-bob")

_NAMES = some.text(alphabet="ab. \n\t-é漢🙂\\", min_size=1, max_size=140).filter(
    lambda name: name not in (".", "..")
)
# Names are bytes on disk; what is no UTF-8 reaches Python as lone surrogates.
_RAW_NAMES = (
    some.binary(min_size=1, max_size=80)
    .filter(lambda name: name not in (b".", b"..") and not set(name) & {0, 0x2F})
    .map(lambda name: name.decode("utf-8", "surrogateescape"))
)
_PATHS = some.lists(_NAMES | _RAW_NAMES, min_size=1, max_size=6).map(tuple)
_CONTENTS = some.binary(max_size=3000)


@some.composite
def _things(draw: some.DrawFn) -> tuple[Entry, bytes]:
    kind = draw(some.sampled_from(Kind))
    content = draw(_CONTENTS) if kind is Kind.FILE else b""
    target = "/".join(draw(_PATHS)) if kind is Kind.SYMLINK else ""
    entry = Entry(
        path=draw(_PATHS),
        kind=kind,
        mode=draw(some.integers(0, 0o7777)),
        uid=draw(some.integers(0, 2**32 - 2)),
        gid=draw(some.integers(0, 2**32 - 2)),
        mtime_ns=draw(some.integers(0, LATEST_NS)),
        size=len(content),
        target=target,
        linked=draw(_PATHS) if kind is Kind.HARD_LINK else (),
    )
    return entry, content


Things = list[tuple[Entry, bytes]]


def _made(parts: dict[str, Things], *, version: str = VERSION, users: dict[str, str] | None = None) -> bytes:
    sink = io.BytesIO()
    writer = archive.Writer(sink)
    for name, things in parts.items():
        with writer.part(name) as part:
            for entry, content in things:
                part.add(entry, io.BytesIO(content))
    volumes = [name.removeprefix("volumes/") for name in parts if name.startswith("volumes/")]
    writer.finish(
        Manifest(
            version=version,
            made_s=1.7e9,
            host="hub",
            database=Database.SQLITE,
            homes=True,
            parts=writer.parts,
            users=users if users is not None else dict.fromkeys(volumes, "ada"),
            left_out=(),
        )
    )
    return sink.getvalue()


def _verify(backup: bytes) -> Manifest:
    return archive.verify(io.BytesIO(backup), version=VERSION)[0]


@given(parts=some.dictionaries(some.sampled_from(PARTS), some.lists(_things(), max_size=4)))
def test_what_is_written_comes_back(parts: dict[str, Things]) -> None:
    backup = _made(parts)
    _verify(backup)
    back: dict[str, Things] = {name: [] for name in parts}
    for part, entry, content in archive.read(io.BytesIO(backup)):
        back[part].append((entry, content.read() if content else b""))
    assert back == parts


@given(cut=some.integers(0, 10**6), things=some.lists(_things(), min_size=1, max_size=3))
def test_a_backup_that_ends_early_is_refused(cut: int, things: Things) -> None:
    backup = _made({"hub": things})
    with pytest.raises(BackupError):
        _verify(backup[: cut % len(backup)])


@given(
    where=some.integers(0, 10**6),
    bit=some.integers(0, 7),
    things=some.lists(_things(), min_size=1, max_size=3),
)
def test_a_changed_bit_of_what_is_inside_is_noticed(where: int, bit: int, things: Things) -> None:
    """With gzip's own checksum made right again, so that it is ours that notices."""
    inside = bytearray(gzip.decompress(_made({"hub": things})))
    place = where % _end_of_parts(bytes(inside))
    inside[place] ^= 1 << bit
    try:
        found = [
            (entry, content.read() if content else b"")
            for _, entry, content in archive.read(io.BytesIO(gzip.compress(bytes(inside))))
        ]
    except BackupError:
        found = None
    if found == things:  # in the padding, or in a name that nobody reads
        return
    with pytest.raises(BackupError):
        _verify(gzip.compress(bytes(inside)))


def _end_of_parts(inside: bytes) -> int:
    with tarfile.open(fileobj=io.BytesIO(inside)) as tar:
        return tar.getmember(MANIFEST).offset


def test_a_file_that_shrinks_or_grows_while_it_is_read_keeps_the_size_it_had() -> None:
    shrunk = Entry(("shrunk",), Kind.FILE, size=10)
    grown = Entry(("grown",), Kind.FILE, size=3)
    backup = _made({"volumes/home-ada": [(shrunk, b"abc"), (grown, b"abcdef")]})
    _verify(backup)
    contents = [content.read() for _, _, content in archive.read(io.BytesIO(backup)) if content]
    assert contents == [b"abc" + bytes(7), b"abc"]


@pytest.mark.parametrize("mtime", ["inf", "nan", "-1.5", "9e99", "99999999999999999999.5", "x", "1.x", "²"])
def test_a_time_that_there_is_not_is_no_reason_to_fail(mtime: str) -> None:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w:gz", format=tarfile.PAX_FORMAT) as tar:
        member = tarfile.TarInfo("hub/one")
        member.pax_headers = {"mtime": mtime}
        tar.addfile(member)
    [(_, entry, _)] = archive.read(io.BytesIO(sink.getvalue()))
    assert 0 <= entry.mtime_ns <= LATEST_NS


def test_tar_unpacks_a_backup() -> None:
    backup = _made({"hub": [(Entry(("cookie_secret",), Kind.FILE, size=3), b"abc")]})
    with tarfile.open(fileobj=io.BytesIO(backup), mode="r:gz") as tar:
        assert tar.getnames() == ["hub/cookie_secret", MANIFEST]


@pytest.mark.parametrize("version", ["1.2.1", "1.10", "2"])
def test_a_backup_of_a_newer_version_is_refused(version: str) -> None:
    with pytest.raises(BackupError, match=f"made by hubagent {version}, which is newer"):
        _verify(_made({}, version=version))


@pytest.mark.parametrize("version", ["1.2.0", "1.1.9", "0.9"])
def test_a_backup_of_this_or_an_older_version_is_taken(version: str) -> None:
    assert _verify(_made({}, version=version)).version == version


def _raw(*members: tuple[str, bytes]) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w:gz") as tar:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return sink.getvalue()


def _manifest(**changes: Any) -> bytes:
    plain = {
        "format": 1,
        "hubagent": VERSION,
        "made_s": 1,
        "host": "hub",
        "database": "sqlite",
        "homes": True,
        "parts": [],
        "users": {},
        "left_out": [],
    }
    return json.dumps({**plain, **changes}).encode()


def test_members_of_a_newer_format_are_told_from_an_attack() -> None:
    backup = _raw(("networks/one", b""), (MANIFEST, _manifest(format=2)))
    with pytest.raises(BackupError, match="newer than this one"):
        _verify(backup)
    with pytest.raises(BackupError, match="does not know"):
        _verify(_raw(("networks/one", b""), (MANIFEST, _manifest())))


@pytest.mark.parametrize(
    ("backup", "message"),
    [
        (b"", "incomplete"),
        (b"no gzip at all", "not a backup"),
        (gzip.compress(b"no tar at all"), "not a backup"),
        (zlib.compress(b""), "not a backup"),
        (_raw(), "its end is missing"),
        (_raw(("hub/cookie_secret", b"x")), "its end is missing"),
        (_raw((MANIFEST, b"[]")), "manifest cannot be read"),
        (_raw((MANIFEST, b"{")), "manifest cannot be read"),
        (_raw((MANIFEST, _manifest(database="oracle"))), "manifest cannot be read"),
        (_raw((MANIFEST, _manifest(users={"home-ada": "ada"}))), "who owns the homes"),
        (_raw(("hub/cookie_secret", b"x"), (MANIFEST, _manifest())), "its manifest does not know"),
        (_raw((MANIFEST, _manifest()), ("hub/cookie_secret", b"x")), "goes on after its manifest"),
        (_raw(("hub/a", b""), ("state/b", b""), ("hub/c", b"")), "more than once"),
    ],
)
def test_what_is_no_backup_is_refused(backup: bytes, message: str) -> None:
    with pytest.raises(BackupError, match=message):
        _verify(backup)


def test_a_missing_part_is_noticed() -> None:
    part = manifest.Part("hub", 1, 0, "0" * 64)
    listed = [{"name": part.name, "members": 1, "bytes": 0, "sha256": part.sha256}]
    with pytest.raises(BackupError, match="hub is not as it was written"):
        _verify(_raw((MANIFEST, _manifest(parts=listed))))


_HOSTILE_WORDS = some.sampled_from(
    [
        "",
        ".",
        "..",
        "a",
        "hub",
        "files",
        "volumes",
        "home-ada",
        "-rf",
        "...",
        "~",
        "\0",
        "a\0b",
        "etc",
        "\\..",
        "..\n",
    ]
)
_HOSTILE_NAMES = some.lists(_HOSTILE_WORDS, min_size=1, max_size=7).map("/".join)
_TYPES = some.sampled_from([bytes([number]) for number in range(256)])


@given(name=_HOSTILE_NAMES, link=_HOSTILE_NAMES, kind=_TYPES)
def test_every_member_is_refused_or_inside(name: str, link: str, kind: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.linkname, member.type = link, kind
    try:
        part, entry = from_member(member)
    except BackupError:
        return
    assert kind in (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE)
    for path in (entry.path, entry.linked):
        assert not [word for word in path if word in ("", ".", "..") or "/" in word or "\0" in word]
    folder, _, volume = part.partition("/")
    assert (folder in ("files", "state", "hub") and not volume) or (folder == "volumes" and volume)
    assert volume not in (".", "..")
    assert "/".join((part, *entry.path)) == name
