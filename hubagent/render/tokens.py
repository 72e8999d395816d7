"""The tokens between agent, hub and proxy in a generation that was rendered before: pure."""

from __future__ import annotations

import dataclasses
import hashlib

from hubagent.render import hub_files
from hubagent.render.generation import HUB_FILE, HUB_SECRETS_FILE, PROXY_FILE, PROXY_TOKEN_FILE, Desired
from hubagent.state.model import Component


def with_tokens_of(earlier: Desired, in_force: Desired) -> Desired:
    """`earlier` with the tokens that are in use: going back to it shall not bring back a token that has been
    replaced, and hub and proxy take another one only together. Raises ValueError for files that are damaged."""
    token = in_force.file(PROXY_TOKEN_FILE).content
    secrets = hub_files.with_tokens(
        earlier.file(HUB_SECRETS_FILE).content, in_force.file(HUB_SECRETS_FILE).content
    )
    changed = {PROXY_TOKEN_FILE: token, HUB_SECRETS_FILE: secrets}
    if all(earlier.file(path).content == content for path, content in changed.items()):
        return earlier
    changed[HUB_FILE] = hub_files.with_secrets_digest(
        earlier.file(HUB_FILE).content, hashlib.sha256(secrets).hexdigest()
    )
    changed[PROXY_FILE] = hub_files.with_token_digest(earlier.file(PROXY_FILE).content, token.decode())
    return dataclasses.replace(
        earlier,
        files=tuple(
            dataclasses.replace(file, content=changed.get(str(file.path), file.content))
            for file in earlier.files
        ),
        markers={
            **earlier.markers,
            Component.HUB: hashlib.sha256(changed[HUB_FILE]).hexdigest(),
            Component.PROXY: hashlib.sha256(changed[PROXY_FILE]).hexdigest(),
        },
    )
