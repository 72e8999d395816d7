"""Reading JSON that hubagent wrote once, and that a crash, a disk or a person may have changed since. Pure."""

from __future__ import annotations

import json
from typing import Any


def json_object(content: bytes) -> dict[str, Any]:
    """The object in these bytes; ValueError for whatever else they are, however deep."""
    try:
        value = json.loads(content)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    if not isinstance(value, dict):
        raise ValueError(f"{type(value).__name__} instead of an object")
    return value
