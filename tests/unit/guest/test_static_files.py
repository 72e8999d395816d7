"""What a page is told of static files, on servers that are made otherwise, and whatever the server was told."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hubagent import wire
from hubagent.guest.static_files import StaticFiles

URL = f"/hubagent-static/{'a' * 32}/static/lab"
OWN = "/user/ann/static/lab"


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    folder = tmp_path / "lab/static"
    (folder / "deep").mkdir(parents=True)
    (folder / "main.1.js").write_bytes(b"x" * 10)
    (folder / "deep/2.js").write_bytes(b"x" * 20)
    return folder


def told(folder: Path) -> StaticFiles:
    listing = wire.listing_of({"main.1.js": 10, "deep/2.js": 20})
    return StaticFiles((wire.StaticFolder(str(folder), listing, URL),))


def handler(folder: Path, **changes: Any) -> Any:
    app = {
        "name": "lab",
        "static_paths": [str(folder)],
        "extra_labextensions_path": [],
        "labextensions_path": [],
    }
    return SimpleNamespace(static_url_prefix=f"{OWN}/", extensionapp=SimpleNamespace(**{**app, **changes}))


def test_a_page_is_told_of_nginx(lab: Path) -> None:
    config = {"fullStaticUrl": OWN, "other": 1}
    assert told(lab).page(handler(lab), config) == {"fullStaticUrl": URL, "other": 1}
    assert config == {"fullStaticUrl": OWN, "other": 1}  # it is the server's own, and of the next page too


def test_an_address_of_an_administrators_stays(lab: Path) -> None:
    config = {"fullStaticUrl": "https://cdn.example.org/lab"}
    assert told(lab).page(handler(lab), config) == config


def test_another_program_of_the_same_folder_is_none_of_ours(lab: Path) -> None:
    config = {"fullStaticUrl": OWN}
    assert told(lab).page(handler(lab, name="retro"), config) == config
    assert told(lab).page(handler(lab, static_paths=[]), config) == config


def test_a_folder_that_changes_is_the_servers_again(lab: Path) -> None:
    files = told(lab)
    assert files.url(str(lab)) == URL
    (lab / "main.9.js").write_bytes(b"y")
    assert files.url(str(lab)) is None
    (lab / "main.9.js").unlink()
    assert files.url(str(lab)) == URL
    (lab / "main.1.js").rename(lab.parent / "moved.js")
    assert files.url(str(lab)) is None


@pytest.mark.parametrize("target", ["/etc", "deep", "nowhere"])
def test_a_folder_with_a_link_is_another(lab: Path, target: str) -> None:
    (lab / "link").symlink_to(target)
    assert told(lab).url(str(lab)) is None


def test_a_folder_by_another_name_is_the_same(lab: Path, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(lab)
    assert told(lab).url(str(tmp_path / "alias")) == URL


def test_a_folder_that_is_not_there(lab: Path, tmp_path: Path) -> None:
    assert told(tmp_path / "nowhere").url(str(tmp_path / "nowhere")) is None
    assert told(lab).url("/etc") is None


@pytest.mark.parametrize("load", ["remoteEntry.js", "static/../../x.js", "other/remoteEntry.js"])
def test_an_extension_that_loads_from_elsewhere_keeps_its_address(tmp_path: Path, load: str) -> None:
    extension = tmp_path / "one"
    (extension / "static").mkdir(parents=True)
    (extension / "package.json").write_text("{}")
    (extension / "static/remoteEntry.js").write_bytes(b"x")
    folder = wire.StaticFolder(
        str(extension / "static"), wire.listing_of({"remoteEntry.js": 1}), "/hubagent-static/s/e"
    )
    files = StaticFiles((folder,))
    asking = handler(tmp_path, labextensions_path=[str(tmp_path)])
    base = {"fullStaticUrl": "", "fullLabextensionsUrl": "/user/ann/lab/extensions"}
    plain = {**base, "federated_extensions": [{"name": "one", "load": load}]}
    assert files.page(asking, plain) == plain
    good = {**base, "federated_extensions": [{"name": "one", "load": "static/remoteEntry.js"}]}
    (one,) = files.page(asking, good)["federated_extensions"]
    assert one["load"] == "../../../../../hubagent-static/s/e/remoteEntry.js"


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '[{"folder": 1}]', "[" * 10_000, "\udcff"])
def test_whatever_a_server_is_told(text: str) -> None:
    assert wire.static_files_told(text) == ()


def test_what_is_told_is_understood() -> None:
    folders = (wire.StaticFolder("/opt/x", "ab" * 32, URL), wire.StaticFolder("/opt/ü", "cd" * 32, URL))
    assert wire.static_files_told(wire.tell_static_files(folders)) == folders
