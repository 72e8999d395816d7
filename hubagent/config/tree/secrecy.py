"""Which names hold secrets. A leaf."""

from __future__ import annotations

import re
from typing import Final

_SECRET_NAME: Final = re.compile(
    r"(?:secret|password|passwd|token|api_?key|private_?key|credentials?)s?$", re.IGNORECASE
)


def names_secret(name: str) -> bool:
    """Whether a value under this name is a secret: client_secret, GITHUB_TOKEN; not client_secret_file."""
    return bool(_SECRET_NAME.search(name))
