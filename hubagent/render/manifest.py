"""A generation's manifest: what makes a folder of files a Desired again. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

from hubagent.codec import Codec, CodecError, json_object
from hubagent.config.kinds.types import ListenAddress
from hubagent.config.model import Metrics, MetricsTls
from hubagent.config.reading.loader import load as load_config
from hubagent.errors import ConfigError, StorageError
from hubagent.ports import CertificateFacts
from hubagent.render.generation import AGENT_FILE, AGENT_FILE_VERSION, Desired, ManagedFile, agent_json
from hubagent.state.model import Component

SOURCE_FILE = "hubagent.yaml"
"""The configuration that a generation was made from, in its folder."""


@dataclass(frozen=True, slots=True)
class _File:
    path: str  # relative to the generation's folder
    mode: int
    owner: str
    group: str
    sha256: str


@dataclass(frozen=True, slots=True)
class _Metrics:
    host: str
    port: int
    tls: tuple[PurePosixPath, PurePosixPath] | None  # certificate and key
    users: Mapping[str, str]  # bcrypt hashes


@dataclass(frozen=True, slots=True)
class _Manifest:
    digest: str
    files: tuple[_File, ...]
    markers: Mapping[Component, str]
    gateway: str
    certificate: CertificateFacts
    self_signed: bool
    host: str | None
    metrics: _Metrics
    source_sha256: str | None = None  # the first versions did not write it


_MANIFEST: Final = Codec(_Manifest, strict=False, mark=("version", 1))


def dump(desired: Desired) -> bytes:
    """manifest.json of a generation."""
    metrics = desired.metrics
    manifest = _Manifest(
        digest=desired.digest,
        source_sha256=desired.source_sha256,
        files=tuple(
            _File(str(file.path), file.mode, file.owner, file.group, file.sha256) for file in desired.files
        ),
        markers=desired.markers,
        gateway=desired.gateway,
        certificate=desired.certificate,
        self_signed=desired.self_signed,
        host=desired.host,
        metrics=_Metrics(
            metrics.listen.host,
            metrics.listen.port,
            (metrics.tls.certificate, metrics.tls.key) if metrics.tls else None,
            metrics.users,
        ),
    )
    value = _MANIFEST.plain(manifest)
    return json.dumps({**value, "sha256": _sha256(value)}, indent=1).encode()


def load(manifest: bytes, source: bytes, contents: Mapping[str, bytes]) -> Desired:
    """The Desired that `dump` wrote; StorageError when the manifest is damaged or of another version.

    `contents` maps relative paths to the bytes on disk; that they are still the written ones is for
    the caller to judge, by `expected`.
    """
    found = _read(manifest)
    try:
        files = tuple(
            ManagedFile(
                PurePosixPath(file.path),
                _today(file.path, contents[file.path], source),
                file.mode,
                file.owner,
                file.group,
            )
            for file in found.files
        )
    except KeyError as error:
        raise StorageError(f"a generation's manifest is damaged ({error!r})") from error
    metrics = found.metrics
    return Desired(
        source=source,
        files=files,
        markers=found.markers,
        gateway=found.gateway,
        certificate=found.certificate,
        self_signed=found.self_signed,
        host=found.host,
        metrics=Metrics(
            listen=ListenAddress(metrics.host, metrics.port),
            tls=MetricsTls(*metrics.tls) if metrics.tls else None,
            users=dict(metrics.users),
        ),
    )


def _read(manifest: bytes) -> _Manifest:
    """Raises StorageError when it is not as it was written; manifests from before there was a sum have none."""
    try:
        value = json_object(manifest)
        if value.pop("sha256", None) not in (None, _sha256(value)):
            raise CodecError("its sum is another")
        return _MANIFEST.typed(value)
    except CodecError as error:
        raise StorageError(f"a generation's manifest is damaged ({error})") from error


def _today(path: str, content: bytes, source: bytes) -> bytes:
    """What this hubagent would have written: a generation of an earlier one that says the same is no other."""
    if path != AGENT_FILE:
        return content
    try:
        if json_object(content).get("version") == AGENT_FILE_VERSION:
            return content
        return agent_json(load_config(source, path=SOURCE_FILE, in_force=True).servers)
    except (CodecError, ConfigError):  # damaged; or the source has keys that have gone since
        return content


def _sha256(value: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def expected(manifest: bytes) -> tuple[str, Mapping[str, str]]:
    """Digest of the generation as written, and sha256 of each of its files by relative path."""
    found = _read(manifest)
    files = {file.path: file.sha256 for file in found.files}
    if found.source_sha256 is not None:
        files[SOURCE_FILE] = found.source_sha256
    return found.digest, files
