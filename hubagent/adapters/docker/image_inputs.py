"""What this machine gives to the images that are built on it: the shipped files, its authorities, its proxies."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from hubagent.errors import StorageError
from hubagent.images.recipe import Material

RECIPE: Final = Path("/usr/share/hubagent/image")
AUTHORITIES: Final = Path("/usr/local/share/ca-certificates")
HUB: Final = Path("/usr/lib/hubagent-jupyterhub")

ARGUMENTS: Final = (
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
    *("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST", "JULIA_PKG_SERVER", "JULIA_DOWNLOADS"),
)
"""Taken from the agent's own environment, where it has them."""


class LocalInputs:
    """`images.ports.Inputs` from this machine's files and the agent's environment."""

    def __init__(self, *, recipe: Path = RECIPE, authorities: Path = AUTHORITIES, hub: Path = HUB) -> None:
        self._recipe = recipe
        self._authorities = authorities
        self._hub = hub

    def material(self) -> Material:
        try:
            files = {
                str(path.relative_to(self._recipe)): path.read_bytes()
                for path in self._recipe.rglob("*")
                if path.is_file()
            }
            authorities = sorted(path.read_bytes() for path in self._authorities.rglob("*.crt"))
        except OSError as error:
            raise StorageError(
                f"{error.filename}: cannot be read: {error.strerror}; reinstall hubagent"
            ) from error
        if "Dockerfile" not in files:
            raise StorageError(f"{self._recipe}: has no Dockerfile; reinstall hubagent")
        return Material(
            files=files,
            hub_version=self._hub_version(),
            authorities={f"{number}.crt": content for number, content in enumerate(authorities)},
        )

    def arguments(self) -> Mapping[str, str]:
        return {name: os.environ[name] for name in ARGUMENTS if os.environ.get(name)}

    def _hub_version(self) -> str:
        """As installed; the agent cannot import the hub's packages."""
        for folder in sorted(self._hub.glob("lib/python3*/site-packages/jupyterhub-*.dist-info")):
            return folder.name.removeprefix("jupyterhub-").removesuffix(".dist-info")
        raise StorageError(f"{self._hub}: has no JupyterHub; reinstall hubagent-jupyterhub")
