"""What images are built from: equal inputs give equal bytes, anything else another tag, and values stay data."""

from __future__ import annotations

import dataclasses
import io
import json
import re
import tarfile
from pathlib import PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubagent.config.kinds import grammars
from hubagent.config.model import Build
from hubagent.config.model.servers import Sysimage
from hubagent.errors import ImageError
from hubagent.images.recipe import DEBIAN, JULIA_VERSIONS, Material, newest, recipe, repository
from tests.unit.images.shipped import FILES, MATERIAL

TABLE = json.loads(FILES[JULIA_VERSIONS])


def contents(context: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(context)) as archive:
        return {
            one.name: archive.extractfile(one).read()  # type: ignore[union-attr]
            for one in archive.getmembers()
            if one.isfile()
        }


# Far more than the grammar of the configuration lets through.
VALUES = st.lists(
    st.one_of(
        st.sampled_from(
            ["'; rm -rf / #", "$(reboot)", "`id`", "RUN id", "../../x", "--help", "${BASE_IMAGE}"]
        ),
        st.text(st.characters(blacklist_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1, max_size=8),
    ),
    max_size=3,
).map(tuple)
words = {
    "base": st.sampled_from(
        ["debian:bookworm-slim", "registry.example.org/jupyter/base-notebook:latest", "localhost:5000/x"]
    ),
    "julia": st.sampled_from(["1.12", "1.10", "1.10.4", "1.6.7", DEBIAN]),
    "packages": VALUES,
    "sysimage": st.sampled_from(Sysimage),
    "apt": VALUES,
    "pip": VALUES,
}
builds = st.builds(Build, **words)


@settings(max_examples=25)
@given(build=builds)
def test_equal_inputs_are_equal_bytes(build: Build) -> None:
    first = recipe("hubagent/julia", build, MATERIAL)
    backwards = dict(reversed(MATERIAL.files.items()))
    second = recipe(
        "hubagent/julia", dataclasses.replace(build), dataclasses.replace(MATERIAL, files=backwards)
    )
    assert first == second
    assert re.fullmatch(r"hubagent/julia:[0-9a-f]{12}", first.tag)


@settings(max_examples=25)
@given(build=builds, other=builds)
def test_two_recipes_have_one_tag_only_when_they_are_the_same(build: Build, other: Build) -> None:
    one, two = recipe("x", build, MATERIAL), recipe("x", other, MATERIAL)

    def resolved(asked: Build) -> Build:
        found = asked.julia if asked.julia == DEBIAN else newest(asked.julia, TABLE["versions"])
        return dataclasses.replace(asked, julia=found or "")

    assert (one.tag == two.tag) == (resolved(build) == resolved(other))


@settings(max_examples=25)
@given(build=builds)
def test_no_value_is_part_of_a_program(build: Build) -> None:
    """Whatever the configuration says, the Dockerfile and the scripts are those that were shipped."""
    made = contents(recipe("hubagent/julia", build, MATERIAL).context)
    for name, content in FILES.items():
        if name != JULIA_VERSIONS:
            assert made.pop(name) == content
    assert {PurePosixPath(name).parts[0] for name in made} == {"recipe"}
    assert made["recipe/apt.txt"].decode().split("\n")[:-1] == list(build.apt)
    assert made["recipe/pip.txt"].decode().split("\n")[:-1] == list(build.pip)
    assert made["recipe/packages.txt"].decode().split("\n")[:-1] == list(build.packages)


@pytest.mark.parametrize("name", sorted(set(FILES) - {JULIA_VERSIONS}))
def test_each_shipped_file_counts(name: str) -> None:
    changed = dataclasses.replace(MATERIAL, files={**FILES, name: FILES[name] + b"\n"})
    assert recipe("x", Build(), changed).tag != recipe("x", Build(), MATERIAL).tag


def test_the_hubs_version_and_the_authorities_count() -> None:
    tags = {
        recipe("x", Build(), one).tag
        for one in (
            MATERIAL,
            dataclasses.replace(MATERIAL, hub_version="6.1.2"),
            dataclasses.replace(MATERIAL, authorities={"0.crt": b"one"}),
            dataclasses.replace(MATERIAL, authorities={"0.crt": b"two"}),
        )
    }
    assert len(tags) == 4
    made = contents(recipe("x", Build(), dataclasses.replace(MATERIAL, hub_version="6.1.2")).context)
    assert made["recipe/jupyterhub.txt"] == b"jupyterhub==6.1.2\n"


def test_a_new_julia_rebuilds_what_follows_it_alone() -> None:
    versions = {"1.12.99": {"x86_64": "0" * 64}, **TABLE["versions"]}
    table = json.dumps({**TABLE, "versions": versions}).encode()
    newer = dataclasses.replace(MATERIAL, files={**FILES, JULIA_VERSIONS: table})
    for julia, is_new in (("1.12", True), ("1.12.7", False), ("1.10", False), (DEBIAN, False)):
        build = Build(julia=julia)
        assert (recipe("x", build, newer).tag != recipe("x", build, MATERIAL).tag) == is_new


def test_the_newest_is_by_number() -> None:
    assert newest("1.12", {"1.12.9": 1, "1.12.10": 1, "1.1.99": 1}) == "1.12.10"
    assert newest("1.1", {"1.12.9": 1, "1.12.10": 1, "1.1.99": 1}) == "1.1.99"
    assert newest("1.12.9", {"1.12.9": 1, "1.12.90": 1}) == "1.12.9"
    assert newest("2.0", {"1.12.9": 1}) is None


def test_julia_is_downloaded_by_checksum() -> None:
    made = contents(recipe("x", Build(julia="1.10.4"), MATERIAL).context)
    julia = json.loads(made["recipe/julia.json"])
    assert julia["version"] == "1.10.4"
    assert julia["binaries"]["x86_64"] == {
        "path": "linux/x64/1.10/julia-1.10.4-linux-x86_64.tar.gz",
        "sha256": TABLE["versions"]["1.10.4"]["x86_64"],
    }
    assert julia["binaries"]["aarch64"]["path"] == "linux/aarch64/1.10/julia-1.10.4-linux-aarch64.tar.gz"


def test_the_table_of_julias_is_whole() -> None:
    assert newest(Build().julia, TABLE["versions"])  # the default can be had
    seen: set[str] = set()
    for version, binaries in TABLE["versions"].items():
        assert re.fullmatch(grammars._JULIA_PATTERN, version)
        assert binaries.keys() == {"x86_64", "aarch64"}
        for sha256 in binaries.values():
            assert re.fullmatch("[0-9a-f]{64}", sha256)
            assert sha256 not in seen
            seen.add(sha256)


def test_a_julia_that_nobody_knows_is_one_clear_error() -> None:
    with pytest.raises(
        ImageError, match=r"Julia 7\.3 is not known .* write one of 1\.6, .*1\.12, .* or debian"
    ):
        recipe("x", Build(julia="7.3"), MATERIAL)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("hubagent/julia", "hubagent/julia"),
        ("hubagent/julia:1", "hubagent/julia"),
        ("localhost:5000/a/b", "localhost:5000/a/b"),
        ("localhost:5000/a/b:c", "localhost:5000/a/b"),
    ],
)
def test_repository(image: str, expected: str) -> None:
    assert repository(image) == expected
    assert recipe(image, Build(julia=DEBIAN), Material(FILES, "6")).tag.rpartition(":")[0] == expected
