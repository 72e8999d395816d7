"""A generation's manifest: what makes a folder of files a Desired again. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from hubagent.config.model import Metrics, MetricsTls
from hubagent.config.types import ListenAddress
from hubagent.errors import StorageError
from hubagent.ports import CertificateFacts
from hubagent.state.desired import Desired, ManagedFile
from hubagent.state.model import Component

VERSION = 1


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
    return json.dumps(
        {
            "version": VERSION,
            "digest": desired.digest,
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
        },
        indent=1,
    ).encode()


def load(manifest: bytes, source: bytes, contents: Mapping[str, bytes]) -> Desired:
    """The Desired that `dump` wrote; StorageError when the manifest is damaged or of another version.

    `contents` maps relative paths to the bytes on disk; that they are still the written ones is for
    the caller to judge, by comparing `Desired.digest` with `digest_of`.
    """
    try:
        value = json.loads(manifest)
        if value["version"] != VERSION:
            raise StorageError(f"manifest of version {value['version']}, this hubagent reads {VERSION}")
        return Desired(
            source=source,
            files=tuple(
                ManagedFile(
                    PurePosixPath(file["path"]),
                    contents[file["path"]],
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
    except (ValueError, KeyError, TypeError, AssertionError) as error:
        raise StorageError(f"a generation's manifest is damaged ({error!r})") from error


def expected(manifest: bytes) -> tuple[str, Mapping[str, str]]:
    """Digest of the generation as written, and sha256 of each of its files by relative path."""
    try:
        value = json.loads(manifest)
        return str(value["digest"]), {file["path"]: file["sha256"] for file in value["files"]}
    except (ValueError, KeyError, TypeError) as error:
        raise StorageError(f"a generation's manifest is damaged ({error!r})") from error
