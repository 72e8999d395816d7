"""From an image to what its servers are told: what is taken, what is refused, and every way in which it can go wrong."""

from __future__ import annotations

import dataclasses
import gzip
import io
import json
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import brotli
import pytest

from hubagent import wire
from hubagent.adapters.docker.image_files import entries
from hubagent.adapters.files.static_sets import LocalSets
from hubagent.config.kinds.types import ServerName
from hubagent.config.model import Server
from hubagent.errors import ContainerError, StorageError
from hubagent.guest.static_files import StaticFiles as GuestsView
from hubagent.images import static_folder, static_search
from hubagent.images.static_files import StaticFiles
from hubagent.images.static_folder import encodings
from hubagent.images.static_ports import StaticPorts, Visitor
from hubagent.layout import LABEL_STATIC, Layout
from hubagent.pool.ports import ContainerSpec, ImageFacts
from hubagent.ports import HttpAnswer
from tests.fakes.clock import ManualClock
from tests.fakes.containers_pool import FakeContainers
from tests.fakes.files import MemoryFileStore
from tests.fakes.http import FakeHttpProbe, Request

LAB = "/opt/conda/share/jupyter/lab/static"
EXTENSIONS = "/opt/conda/share/jupyter/labextensions"
PACKAGE = "/opt/conda/lib/python3.11/site-packages/notebook"
NOTEBOOK = f"{PACKAGE}/static"
PROOF = wire.Proof(
    python="/opt/conda/bin/python3.11", modules=(), kernels={}, pluto="", ready_s=2, notebook=PACKAGE
)
SCRIPT = b"console.log('a bundle');\n" * 100
IMAGE: Mapping[str, bytes] = {
    f"{LAB}/index.html": b'<script src="{{page_config.fullStaticUrl}}/main.0123.js?v=0123"></script>',
    f"{LAB}/main.0123.js": SCRIPT,
    f"{LAB}/a.woff2": b"a font",
    f"{PACKAGE}/app.py": b"page_config_hook",
    f"{PACKAGE}/templates/tree.html": b'<script src="{{page_config.fullStaticUrl}}/main.4567.js?v=4567"></script>',
    f"{NOTEBOOK}/main.4567.js": SCRIPT + b"//notebook",
    f"{EXTENSIONS}/one/package.json": b"{}",
    f"{EXTENSIONS}/one/static/remoteEntry.1.js": SCRIPT + b"//one",
    f"{EXTENSIONS}/@org/two/package.json": b"{}",
    f"{EXTENSIONS}/@org/two/static/remoteEntry.2.js": SCRIPT + b"//two",
    f"{EXTENSIONS}/@org/two/static/deep/3.css": b"p {}" * 100,
}
ALL = {LAB, NOTEBOOK, f"{EXTENSIONS}/one/static", f"{EXTENSIONS}/@org/two/static"}
BUNDLES = pytest.mark.parametrize("bundle", [LAB, NOTEBOOK], ids=["lab", "notebook"])

Change = Callable[[tarfile.TarInfo], None]


class FakeImageFiles:
    """Docker's archives, made of files by their path; `also` adds entries of any kind to the archive of a folder."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = dict(files)
        self.also: dict[str, list[tuple[tarfile.TarInfo, bytes]]] = {}
        self.cut_bytes: int | None = None  # an archive ends after so many
        self.visited: list[str] = []

    def add(
        self, folder: str, name: str, content: bytes = b"", *, kind: bytes = tarfile.REGTYPE, link: str = ""
    ) -> None:
        member = tarfile.TarInfo(f"{folder.rpartition('/')[2]}/{name}")
        member.type, member.linkname, member.size = kind, link, len(content)
        self.also.setdefault(folder, []).append((member, content))

    def visit(self, container: str, folder: str, visitor: Visitor) -> bool:
        self.visited.append(folder)
        below = {path: content for path, content in self.files.items() if path.startswith(f"{folder}/")}
        if not below and folder not in self.also:
            return False
        buffer = io.BytesIO()
        top = folder.rpartition("/")[2]
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            folders = {str(parent) for path in below for parent in Path(path).parents} | {folder}
            for path in sorted({*below, *(one for one in folders if f"{one}/".startswith(f"{folder}/"))}):
                member = tarfile.TarInfo(f"{top}{path.removeprefix(folder)}")
                member.type = tarfile.REGTYPE if path in below else tarfile.DIRTYPE
                member.size = len(below.get(path, b""))
                archive.addfile(member, io.BytesIO(below.get(path, b"")))
            for member, content in self.also.get(folder, ()):
                archive.addfile(member, io.BytesIO(content))
        whole = buffer.getvalue()[: self.cut_bytes]
        chunks = [whole[at : at + 700] for at in range(0, len(whole), 700)]
        for entry in entries(chunks, f"cannot read {folder} of {container}"):
            visitor(entry)
        return True


class World:
    """Static files of a machine, on a real disk behind a front in memory; `restart` is a kill -9 and a start."""

    def __init__(self, folder: Path) -> None:
        self.servers: tuple[Server, ...] = (server(),)
        self.layout = Layout(folder)
        self.layout.state.mkdir(parents=True)
        self.clock = ManualClock()
        self.files = MemoryFileStore()
        self.files.put_folder(self.layout.state)
        self.containers = FakeContainers({"hubagent/julia": facts(1)}, now=self.clock.time)
        self.image_files = FakeImageFiles(IMAGE)
        self.sets = RoomySets(self.layout.static_sets)
        self.probe = FakeHttpProbe(clock=self.clock)
        self.serves = True
        self.proven = True
        self.proof = PROOF
        self.changes = 0
        self.restart()

    def restart(self) -> None:
        self.static = StaticFiles(
            StaticPorts(
                containers=self.containers,
                image_files=self.image_files,
                sets=self.sets,
                probe=self,
                files=self.files,
                clock=self.clock,
            ),
            servers=lambda: self.servers,
            choice=lambda server: server.image,
            proof=lambda _image: self.proof if self.proven else None,
            address=lambda: "hub.example.org",
            layout=self.layout,
            on_change=self._changed,
        )

    def _changed(self) -> None:
        self.changes += 1

    def request(self, url: str, **how: object) -> HttpAnswer:
        """nginx, as it is configured."""
        self.probe.journal.append(Request("GET", url))
        assert how["connect_to"] == "127.0.0.1"
        path = url.removeprefix("https://hub.example.org/hubagent-static/")
        name, _, file = path.partition("/")
        found = self.layout.static_sets / name / "gzip" / file
        coding = (("content-encoding", "gzip"),)
        if not found.exists():
            found, coding = self.layout.static_sets / name / "plain" / file, ()
        if not self.serves or not found.exists():
            return HttpAnswer(404, b"")
        return HttpAnswer(200, found.read_bytes(), headers=coding)

    def told(self, name: str = "julia") -> dict[str, wire.StaticFolder]:
        """What servers are told, by folder."""
        text = self.static.told.get(name, {}).get(wire.STATIC_FILES)
        return {} if text is None else {one.folder: one for one in wire.static_files_told(text)}

    def first_page(self, name: str = "julia") -> list[str] | None:
        """What the hub reads for its pages; None when it knows nothing of this server."""
        document = json.loads(self.files.text(self.layout.first_pages))
        assert document["version"] == 1
        addresses: list[str] | None = document["servers"].get(name)
        return addresses

    def file(self, url: str) -> bytes:
        """What nginx has at this address."""
        name, _, path = url.removeprefix("/hubagent-static/").partition("/")
        return (self.layout.static_sets / name / "plain" / path).read_bytes()

    def on_disk(self) -> set[str]:
        return {one.name for one in self.layout.static_sets.iterdir()}


class RoomySets(LocalSets):
    """On a disk that is as full as a test says."""

    free = 10**10
    fails_at = ""  # the name of the file that does not fit any more

    def free_bytes(self) -> int:
        return self.free

    def begin(self):  # type: ignore[no-untyped-def]
        writer, sets = super().begin(), self
        write = writer.write

        def may_fail(path: str, content: bytes) -> None:
            if sets.fails_at and path.endswith(sets.fails_at):
                raise StorageError(f"{path}: No space left on device")
            write(path, content)

        writer.write = may_fail  # type: ignore[method-assign]
        return writer


def server(name: str = "julia", image: str = "hubagent/julia") -> Server:
    return Server(name=ServerName(name), title=name, image=image)


def facts(number: int) -> ImageFacts:
    return ImageFacts(id=f"sha256:{number:064x}", user="jovyan", command=())


@pytest.fixture
def world() -> Iterator[World]:
    """In memory: each set is synced, which a busy disk takes seconds for."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield World(Path(folder))


def test_an_image_is_taken_out_once_and_its_servers_are_told(world: World) -> None:
    world.static.check()
    told = world.told()
    assert told.keys() == ALL
    assert told[LAB].url.endswith("/static/lab")
    assert told[NOTEBOOK].url.endswith("/static/notebook")
    assert told[f"{EXTENSIONS}/@org/two/static"].url.endswith("/lab/extensions/@org/two/static")
    assert world.file(f"{told[LAB].url}/main.0123.js") == SCRIPT
    assert world.file(f"{told[NOTEBOOK].url}/main.4567.js") == SCRIPT + b"//notebook"
    assert world.file(f"{told[f'{EXTENSIONS}/@org/two/static'].url}/deep/3.css") == b"p {}" * 100
    assert world.static.why_not("julia") == ""
    assert world.containers.containers == {}
    assert "start" not in {call for call, _ in world.containers.journal}
    visited = len(world.image_files.visited)
    world.static.check()
    world.restart()
    world.static.check()
    assert len(world.image_files.visited) == visited
    assert world.told() == told


def test_what_is_taken_is_what_a_guest_sees(world: World, tmp_path: Path) -> None:
    """The same listing from both sides, with what is not taken in it."""
    world.static.check()
    root = tmp_path / "container"
    for path, content in IMAGE.items():
        (root / path[1:]).parent.mkdir(parents=True, exist_ok=True)
        (root / path[1:]).write_bytes(content)
    told = [dataclasses.replace(one, folder=f"{root}{one.folder}") for one in world.told().values()]
    guest = GuestsView(tuple(told))
    assert [guest.url(one.folder) for one in told] == [one.url for one in told]
    (root / LAB[1:] / "index.html").write_bytes(b"another version")
    (root / LAB[1:] / "more.js").write_bytes(b"")
    assert guest.url(f"{root}{LAB}") is None
    assert guest.url(f"{root}{EXTENSIONS}/one/static") is not None


def test_everything_is_compressed_ahead_the_same_each_time(world: World) -> None:
    world.static.check()
    (name,) = {one.url.split("/")[2] for one in world.told().values() if one.folder == LAB}
    whole = world.layout.static_sets / name
    compressed = (whole / "gzip/static/lab/main.0123.js").read_bytes()
    assert gzip.decompress(compressed) == SCRIPT
    assert brotli.decompress((whole / "br/static/lab/main.0123.js").read_bytes()) == SCRIPT
    assert compressed[4:8] == b"\0\0\0\0"  # no time in it (RFC 1952, 2.3)
    assert not (whole / "gzip/static/lab/a.woff2").exists()
    assert not list(whole.rglob("index.html"))


def test_nginx_may_read_exactly_the_sets(world: World) -> None:
    world.static.check()
    for path in [world.layout.static_sets, *world.layout.static_sets.rglob("*")]:
        assert path.stat().st_mode & 0o7777 == (0o755 if path.is_dir() else 0o644), path
    assert world.files.mode(world.layout.static_index) == 0o600


def test_images_with_the_same_lab_have_one_set(world: World) -> None:
    world.containers.images["other:1"] = facts(2)
    world.servers = (server(), server("other", "other:1"))
    world.static.check()
    assert world.told() == world.told("other")
    assert len(world.on_disk()) == 4


def test_sets_go_with_their_images_and_no_earlier(world: World) -> None:
    world.static.check()
    old = world.told()
    world.image_files.files[f"{LAB}/main.0123.js"] = b"newer" + SCRIPT
    world.containers.images |= {"hubagent/julia": facts(2), "<none>": facts(1)}
    world.static.check()
    new = world.told()
    assert new[LAB].url != old[LAB].url
    assert world.file(f"{old[LAB].url}/main.0123.js") == SCRIPT  # pages of before go on
    del world.containers.images["<none>"]
    world.static.check()
    assert world.told() == new
    assert world.on_disk() == {one.url.split("/")[2] for one in new.values()}


def test_an_image_that_is_not_proven_is_left_alone(world: World) -> None:
    world.proven = False
    world.static.check()
    assert (world.told(), world.image_files.visited, world.static.why_not("julia")) == ({}, [], "")


def test_an_image_without_a_notebook(world: World) -> None:
    """Also one that was proven before proofs said where it is."""
    world.proof = dataclasses.replace(PROOF, notebook="")
    world.static.check()
    assert (world.told().keys(), world.static.why_not("julia")) == (ALL - {NOTEBOOK}, "")
    assert not [one for one in world.first_page() or [] if "notebook" in one]


def test_an_image_without_a_lab(world: World) -> None:
    world.image_files.files = {}
    world.static.check()
    assert world.told() == {}
    assert world.static.why_not("julia") == "no JupyterLab is where hubagent looks for it"
    visited = len(world.image_files.visited)
    world.static.check()
    assert len(world.image_files.visited) == visited


@pytest.mark.parametrize(
    ("name", "how", "why"),
    [
        ("../../../../etc/cron.d/x.js", {}, "it has a file named"),
        ("a/../../x.js", {}, "it has a file named"),
        ("/etc/x.js", {}, "it has a file named"),
        ("a\nb.js", {}, "it has a file named"),
        ("a\\..\\b.js", {}, "it has a file named"),
        ("out.js", {"kind": tarfile.SYMTYPE, "link": "/etc/shadow"}, "out.js is a link or a special file"),
        ("in.js", {"kind": tarfile.SYMTYPE, "link": "main.0123.js"}, "in.js is a link or a special file"),
        ("hard.js", {"kind": tarfile.LNKTYPE, "link": "static/main.0123.js"}, "hard.js is a link"),
        ("fifo.js", {"kind": tarfile.FIFOTYPE}, "fifo.js is a link or a special file"),
        ("null.js", {"kind": tarfile.CHRTYPE}, "null.js is a link or a special file"),
    ],
)
@BUNDLES
def test_a_folder_with_an_attack_is_refused_whole(
    world: World, bundle: str, name: str, how: dict[str, object], why: str
) -> None:
    world.image_files.add(bundle, name, **how)  # type: ignore[arg-type]
    world.static.check()
    assert world.told().keys() == ALL - {bundle}
    assert f"{bundle}: {why}" in world.static.why_not("julia")
    assert len(world.on_disk()) == 3
    outside = world.layout.root / "etc"
    assert not outside.exists()
    assert "\n" not in world.static.why_not("julia")


@BUNDLES
def test_a_folder_that_is_a_link_itself(world: World, bundle: str) -> None:
    world.image_files.files = {
        path: content for path, content in IMAGE.items() if not path.startswith(bundle)
    }
    member = tarfile.TarInfo("static")
    member.type, member.linkname = tarfile.SYMTYPE, "/etc"
    world.image_files.also[bundle] = [(member, b"")]
    world.static.check()
    assert f"{bundle}: it is a link" in world.static.why_not("julia")
    assert world.told().keys() == ALL - {bundle}


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.FIFOTYPE])
@pytest.mark.parametrize("name", ["", "tree.html"])
def test_templates_that_are_links_are_not_read(world: World, kind: bytes, name: str) -> None:
    """They only tell what may be fetched ahead."""
    templates = f"{PACKAGE}/templates"
    del world.image_files.files[f"{templates}/tree.html"]
    world.image_files.add(templates, name, kind=kind, link="/etc/shadow")
    world.static.check()
    assert (world.told().keys(), world.static.why_not("julia")) == (ALL, "")
    assert not [one for one in world.first_page() or [] if "/static/notebook/" in one]


def test_templates_without_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(static_search, "_MOST_BYTES", 10_000)
    world.image_files.add(f"{PACKAGE}/templates", "tree.html", b"x" * 10_000)
    world.static.check()
    assert f"{PACKAGE}/templates: there are more files" in world.static.why_not("julia")
    assert world.told().keys() == {LAB}
    monkeypatch.undo()
    monkeypatch.setattr(static_search, "_TEMPLATE_BYTES", 10)
    world.static.check(asked=True)
    assert (world.told().keys(), world.static.why_not("julia")) == (ALL, "")
    assert not [one for one in world.first_page() or [] if "/static/notebook/" in one]


@pytest.mark.parametrize(
    "package",
    ["", "notebook", "/", "/etc", "/opt/../etc/notebook", "/opt/a\nb/notebook", "/opt/notebook/.."],
)
def test_wherever_an_image_says_its_notebook_is(world: World, package: str) -> None:
    world.proof = dataclasses.replace(PROOF, notebook=package)
    world.static.check()
    assert (world.told().keys(), world.static.why_not("julia")) == (ALL - {NOTEBOOK}, "")
    assert not [one for one in world.image_files.visited if "share/jupyter" not in one]


def test_an_extension_that_is_a_link_leaves_the_others_alone(world: World) -> None:
    """As `jupyter labextension develop` makes it."""
    world.image_files.add(EXTENSIONS, "linked", kind=tarfile.SYMTYPE, link="/src/linked")
    world.image_files.add(EXTENSIONS, "three/static", kind=tarfile.SYMTYPE, link="/src/three")
    world.static.check()
    assert world.told().keys() == ALL
    assert world.static.why_not("julia") == f"{EXTENSIONS}/three/static: it is a link or a special file"


def test_an_extension_with_a_strange_name_is_not_taken(world: World) -> None:
    for name in ("..", ".hidden", "a b", "a$b", "@org/..", "ü"):
        world.image_files.add(EXTENSIONS, f"{name}/static/x.js", b"x")
    world.static.check()
    assert len(world.on_disk()) == 4


@pytest.mark.parametrize(
    "name", ["page.html", "x.htm", "x.xhtml", "x.xml", "x.js.gz", "x.php", "x", ".hidden.js", "a b.js"]
)
@BUNDLES
def test_what_no_page_loads_is_left_in_the_image(world: World, bundle: str, name: str) -> None:
    world.image_files.add(bundle, name, b"<script>")
    world.static.check()
    assert world.static.why_not("julia") == ""
    names = {one.name for one in world.layout.static_sets.rglob("*") if one.is_file()}
    assert name not in names


@BUNDLES
def test_too_many_files_and_too_large_ones(
    world: World, bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        world.image_files.add(bundle, f"{number}.js", b"x")
    monkeypatch.setattr(static_folder, "MOST_FILES", 3)
    world.static.check()
    assert world.static.why_not("julia") == f"{bundle}: it has more than 3 files"
    assert world.told().keys() == ALL - {bundle}
    monkeypatch.undo()
    monkeypatch.setattr(static_folder, "MOST_FILE_BYTES", 100)
    world.static.check(asked=True)
    assert f"{bundle}: main." in world.static.why_not("julia")
    assert "is larger than" in world.static.why_not("julia")
    assert world.told() == {}


def test_a_full_disk_leaves_nothing_half(world: World) -> None:
    world.sets.fails_at = "deep/3.css"
    world.static.check()
    assert world.told() == {}
    assert "No space left on device" in world.static.why_not("julia")
    assert world.on_disk() == set()
    assert world.containers.containers == {}
    world.sets.fails_at = ""
    world.static.check()
    assert world.told() == {}  # not at once again
    world.clock.advance(61)
    world.static.check()
    assert (len(world.told()), world.static.why_not("julia")) == (4, "")


def test_nothing_is_begun_on_a_disk_that_is_nearly_full(world: World) -> None:
    world.sets.free = 100 * 1024**2
    world.static.check()
    assert "only 100 MiB are free" in world.static.why_not("julia")
    assert world.image_files.visited == []


def test_an_archive_that_ends_early_is_no_set(world: World) -> None:
    world.image_files.cut_bytes = 3000
    world.static.check()
    assert world.told() == {}
    assert "cannot read" in world.static.why_not("julia")
    assert world.on_disk() == set()


def test_what_a_killed_agent_left_is_cleared_away(world: World) -> None:
    world.layout.static_sets.mkdir()
    (world.layout.static_sets / ".new-0123").mkdir()
    (world.layout.static_sets / ("f" * 32)).mkdir()
    spec = ContainerSpec(
        name="hubagent-static-0123",
        image="hubagent/julia",
        command=(),
        environment={},
        labels={LABEL_STATIC: "sha256:1"},
        network="none",
        memory_bytes=1,
        cpus=1,
        processes=1,
    )
    world.containers.create(spec)
    world.static.check()
    assert world.containers.containers == {}
    assert world.on_disk() == {one.url.split("/")[2] for one in world.told().values()}


def test_the_hub_knows_what_a_first_page_needs(world: World) -> None:
    world.static.check()
    told = world.told()
    assert world.first_page() == [
        f"{told[LAB].url}/main.0123.js?v=0123",
        f"{told[NOTEBOOK].url}/main.4567.js?v=4567",
        f"{told[f'{EXTENSIONS}/@org/two/static'].url}/remoteEntry.2.js",
        f"{told[f'{EXTENSIONS}/one/static'].url}/remoteEntry.1.js",
    ]
    assert world.files.mode(world.layout.first_pages) == 0o644
    writes = len(world.files.journal)
    world.static.check()
    assert len(world.files.journal) == writes
    world.image_files.files[f"{EXTENSIONS}/three/static/remoteEntry.3.js"] = b"three"
    world.containers.images["hubagent/julia"] = facts(2)
    world.static.check()
    assert len(world.first_page() or []) == 5
    world.restart()
    world.static.check()
    assert len(world.first_page() or []) == 5


def test_the_hub_knows_nothing_that_servers_are_not_told(world: World) -> None:
    world.static.check()
    world.serves = False
    world.static.check()
    assert world.first_page() is None
    world.serves = True
    for number in range(80):
        name = f"extension-{number}-{'x' * 150}"
        world.image_files.files[f"{EXTENSIONS}/{name}/static/remoteEntry.js"] = str(number).encode()
    world.containers.images["hubagent/julia"] = facts(2)
    world.static.check()
    assert {one.rpartition("/")[0] for one in world.first_page() or []} == {
        one.url for one in world.told().values()
    }


def test_a_hub_that_cannot_be_told_is_told_later(world: World) -> None:
    world.files.fail("write", world.layout.first_pages)
    world.static.check()
    assert len(world.told()) == 4
    assert world.files.read(world.layout.first_pages, max_bytes=1000) is None
    world.files.heal()
    world.static.check()
    assert len(world.first_page() or []) == 4


def test_nobody_is_told_while_nginx_does_not_serve(world: World) -> None:
    """An older generation may be in force again, or the folder be out of nginx's reach."""
    world.serves = False
    world.static.check()
    assert world.told() == {}
    assert "nginx does not serve them: it answers 404" in world.static.why_not("julia")
    world.serves = True
    world.static.check()
    assert len(world.told()) == 4
    world.serves = False
    world.static.check()
    assert world.told() == {}


def test_a_set_that_somebody_changed_is_not_told_of(world: World) -> None:
    world.static.check()
    for one in world.layout.static_sets.rglob("set.json"):
        one.write_bytes(b"{}")
    world.static.check()
    assert world.told() == {}
    assert "as they are" in world.static.why_not("julia")


def test_sets_that_somebody_removed_are_taken_again(world: World) -> None:
    world.static.check()
    told = world.told()
    for one in told.values():
        world.sets.remove(one.url.split("/")[2])
    world.static.check()
    assert world.told() == told
    assert world.file(f"{told[LAB].url}/main.0123.js") == SCRIPT


def test_an_index_that_cannot_be_read_costs_one_more_look(world: World) -> None:
    world.static.check()
    told = world.told()
    for content in ("", "{", json.dumps({"format": 99}), json.dumps({"format": 1, "sha256:1": {"taken": 1}})):
        world.files.put(world.layout.static_index, content)
        world.restart()
        world.static.check()
        assert world.told() == told


def test_an_engine_that_is_away_changes_nothing(world: World) -> None:
    world.static.check()
    told = world.told()
    world.containers.stop_engine()
    with pytest.raises(ContainerError):
        world.static.check()
    assert world.told() == told
    assert len(world.on_disk()) == 4


def test_a_change_is_told_once(world: World) -> None:
    world.static.check()
    before = world.changes
    world.static.check()
    assert world.changes == before


def test_without_brotli_there_is_gzip(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing installs it by itself."""
    assert encodings().keys() == {"gzip", "br"}
    monkeypatch.setitem(sys.modules, "brotli", None)
    assert encodings().keys() == {"gzip"}


def test_a_server_is_not_told_more_than_an_environment_takes(world: World) -> None:
    for number in range(80):
        name = f"extension-{number}-{'x' * 150}"
        world.image_files.files[f"{EXTENSIONS}/{name}/static/x.js"] = str(number).encode()
    world.static.check()
    text = world.static.told["julia"][wire.STATIC_FILES]
    assert len(text) <= 32 * 1024
    assert LAB in world.told()


@pytest.mark.parametrize("python", ["python3", "/../../x/python", "/bin/python3", "/a\nb/bin/python3"])
def test_wherever_an_image_says_its_python_is(world: World, python: str) -> None:
    world.proof = dataclasses.replace(PROOF, python=python)
    world.static.check()
    assert all(
        one.startswith("/") and ".." not in one and "\n" not in one for one in world.image_files.visited
    )
    assert "/usr/local/share/jupyter/lab/static" in world.image_files.visited


def test_what_pages_use_stays_when_another_look_fails(world: World) -> None:
    world.image_files.add(LAB, "out.js", kind=tarfile.SYMTYPE, link="/etc/shadow")
    world.static.check()
    told = world.told()
    assert told
    world.image_files.cut_bytes = 3000
    world.static.check(asked=True)
    assert {one.url.split("/")[2] for one in told.values()} <= world.on_disk()
    world.image_files.cut_bytes = None
    world.image_files.also.clear()
    world.static.check(asked=True)
    assert (len(world.told()), world.static.why_not("julia")) == (4, "")
