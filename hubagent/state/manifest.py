"""A generation's manifest: what makes a folder of files a Desired again. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from hubagent.config.loader import load as load_config
from hubagent.config.model import Metrics, MetricsTls
from hubagent.config.types import ListenAddress
from hubagent.errors import ConfigError, StorageError
from hubagent.ports import CertificateFacts
from hubagent.state.desired import AGENT_FILE, AGENT_FILE_VERSION, Desired, ManagedFile, agent_json
from hubagent.state.json_object import json_object
from hubagent.state.model import Component

VERSION = 1
SOURCE_FILE = "hubagent.yaml"
"""The configuration that a generation was made from, in its folder."""


def metrics_to_json(metrics: Metrics) -> dict[str, object]:
    """The metrics endpoint as JSON; users hold bcrypt hashes."""
    return {
        "host": metrics.listen.host,
        "port": metrics.listen.port,
        "tls": [str(metrics.tls.certificate), str(metrics.tls.key)] if metrics.tls else None,
        "users": dict(metrics.users),
    }


def _metrics_from_json(value: Mapping[str, object]) -> Metrics:
    tls, users = value["tls"], value["users"]
    assert isinstance(users, dict)
    return Metrics(
        listen=ListenAddress(str(value["host"]), int(str(value["port"]))),
        tls=MetricsTls(PurePosixPath(tls[0]), PurePosixPath(tls[1])) if isinstance(tls, list) else None,
        users={str(name): str(hashed) for name, hashed in users.items()},
    )


def _certificate_to_json(facts: CertificateFacts) -> dict[str, object]:
    return {
        "fingerprint_sha256": facts.fingerprint_sha256,
        "not_before_s": facts.not_before_s,
        "not_after_s": facts.not_after_s,
        "names": list(facts.names),
    }


def _certificate_from_json(value: Mapping[str, Any]) -> CertificateFacts:
    return CertificateFacts(
        value["fingerprint_sha256"], value["not_before_s"], value["not_after_s"], tuple(value["names"])
    )


def dump(desired: Desired) -> bytes:
    """manifest.json of a generation."""
    value: dict[str, object] = {
        "version": VERSION,
        "digest": desired.digest,
        "source_sha256": desired.source_sha256,
        "files": [
            {
                "path": str(file.path),
                "mode": file.mode,
                "owner": file.owner,
                "group": file.group,
                "sha256": file.sha256,
            }
            for file in desired.files
        ],
        "markers": {component.value: marker for component, marker in desired.markers.items()},
        "gateway": desired.gateway,
        "certificate": _certificate_to_json(desired.certificate),
        "self_signed": desired.self_signed,
        "host": desired.host,
        "metrics": metrics_to_json(desired.metrics),
    }
    return json.dumps({**value, "sha256": _sha256(value)}, indent=1).encode()


def load(manifest: bytes, source: bytes, contents: Mapping[str, bytes]) -> Desired:
    """The Desired that `dump` wrote; StorageError when the manifest is damaged or of another version.

    `contents` maps relative paths to the bytes on disk; that they are still the written ones is for
    the caller to judge, by `expected`.
    """
    try:
        value = _checked(manifest)
        if value["version"] != VERSION:
            raise StorageError(f"manifest of version {value['version']}, this hubagent reads {VERSION}")
        return Desired(
            source=source,
            files=tuple(
                ManagedFile(
                    PurePosixPath(file["path"]),
                    _today(file["path"], contents[file["path"]], source),
                    file["mode"],
                    file["owner"],
                    file["group"],
                )
                for file in value["files"]
            ),
            markers={Component(name): marker for name, marker in value["markers"].items()},
            gateway=value["gateway"],
            certificate=_certificate_from_json(value["certificate"]),
            self_signed=value["self_signed"],
            host=value["host"],
            metrics=_metrics_from_json(value["metrics"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, AssertionError) as error:
        raise StorageError(f"a generation's manifest is damaged ({error!r})") from error


def _today(path: str, content: bytes, source: bytes) -> bytes:
    """What this hubagent would have written: a generation of an earlier one that says the same is no other."""
    if path != AGENT_FILE or json_object(content).get("version") == AGENT_FILE_VERSION:
        return content
    try:
        return agent_json(load_config(source, path=SOURCE_FILE, in_force=True).servers)
    except ConfigError:  # it has keys that have gone since
        return content


def _checked(manifest: bytes) -> dict[str, Any]:
    """Raises ValueError when it is not as it was written; manifests from before there was a sum have none."""
    value = json_object(manifest)
    if value.pop("sha256", None) not in (None, _sha256(value)):
        raise ValueError("its sum is another")
    return value


def _sha256(value: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def expected(manifest: bytes) -> tuple[str, Mapping[str, str]]:
    """Digest of the generation as written, and sha256 of each of its files by relative path."""
    try:
        value = _checked(manifest)
        files = {file["path"]: file["sha256"] for file in value["files"]}
        if "source_sha256" in value:  # the first versions did not write it
            files[SOURCE_FILE] = value["source_sha256"]
        return str(value["digest"]), files
    except (ValueError, KeyError, TypeError) as error:
        raise StorageError(f"a generation's manifest is damaged ({error!r})") from error
