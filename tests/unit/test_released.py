"""What release 0.1.0 wrote is read, and what is written now has all that 0.1.0 reads: upgrades go both ways.

The files in `released` are that release's own, byte by byte (a newline added where it wrote none).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hubagent import wire
from hubagent.codec import Codec
from hubagent.config.reading.loader import load
from hubagent.render import manifest
from hubagent.render.hub_files import secrets_json, server_digest, servers_json
from tests.documents import codecs
from tests.unit.converge.worlds import SECRETS

RELEASED = Path(__file__).parent / "released/0.1.0"
MESSAGES = (RELEASED / "messages.jsonl").read_bytes().splitlines()

FILES = {
    "backup-manifest.json": "hubagent.backup.manifest._MANIFEST",
    "hub.json": "hubagent.hub_documents.HUB",
    "order.json": "hubagent.converge.requests._ORDER",
    "quarantine.json": "hubagent.converge.retry._HELD",
    "rollouts.json": "hubagent.images.store._ROLLOUTS",
    "secrets.json": "hubagent.hub_documents.SECRETS",
    "servers.json": "hubagent.hub_documents.SERVERS",
    "slot.json": "hubagent.pool.slots._STATE",
    "status.json": "hubagent.state.status_json._STATUS",
    "switch.json": "hubagent.converge.generations._SWITCH",
}


@pytest.fixture(scope="module")
def found() -> dict[str, Codec[Any]]:
    return codecs("hubagent", without=("hub",))


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_the_release_is_read_and_written_again(name: str, found: dict[str, Codec[Any]]) -> None:
    codec, content = found[FILES[name]], (RELEASED / name).read_bytes()
    before, after = json.loads(content), json.loads(codec.dumps(codec.loads(content)))
    before.pop("degraded", None)  # of the status, for readers alone
    assert _has_all_of(after, before)


@pytest.mark.parametrize("body", MESSAGES, ids=lambda body: json.loads(body)["verb"])
def test_a_message_of_the_release_is_read_and_sent_byte_by_byte(body: bytes) -> None:
    cls = getattr(wire, json.loads(body)["verb"])
    assert wire.to_json(wire.from_json(body, cls)) == body


def test_every_message_of_the_release_is_here() -> None:
    """But for the younger ones, which it does not know."""
    released = {json.loads(body)["verb"] for body in MESSAGES}
    assert wire.messages.BY_NAME.keys() - released == {"Known", "Gone", "Spares"}


def test_a_generation_of_the_release_is_whole() -> None:
    content, source = (RELEASED / name for name in ("manifest.json", "hubagent.yaml"))
    written = json.loads(content.read_bytes())
    digest, files = manifest.expected(content.read_bytes())
    assert (digest, files.pop(manifest.SOURCE_FILE)) == (written["digest"], written["source_sha256"])
    assert files == {file["path"]: file["sha256"] for file in written["files"]}
    contents = dict.fromkeys(files, b"")
    loaded = manifest.load(content.read_bytes(), source.read_bytes(), contents)
    again = json.loads(manifest.dump(loaded))
    for one in (*written["files"], *again["files"]):
        del one["sha256"]
    for key in ("digest", "sha256"):  # of the contents, which are not here
        del written[key], again[key]
    assert again == written


def test_the_hub_of_the_release_is_given_what_it_was_given() -> None:
    """It refuses what it does not know, and reads servers.json at every start, also in the middle of an upgrade."""
    config = load((RELEASED / "hubagent.yaml").read_bytes(), path="hubagent.yaml")
    assert (
        servers_json(config.servers, landing=config.hub.landing) == (RELEASED / "servers.json").read_bytes()
    )
    assert secrets_json(SECRETS) == (RELEASED / "secrets.json").read_bytes()


def test_servers_that_run_are_not_stale_after_an_upgrade() -> None:
    """Their containers have these digests on a label."""
    config = load((RELEASED / "hubagent.yaml").read_bytes(), path="hubagent.yaml")
    written = json.loads((RELEASED / "servers.json").read_bytes())["servers"]
    assert {one.name: server_digest(one) for one in config.servers} == {
        name: entry["digest"] for name, entry in written.items()
    }


def _has_all_of(after: Any, before: Any) -> bool:
    if isinstance(before, dict):
        return all(key in after and _has_all_of(after[key], value) for key, value in before.items())
    if isinstance(before, list):
        return len(after) == len(before) and all(map(_has_all_of, after, before))
    return bool(after == before)
