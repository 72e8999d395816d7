"""The recipe as it is shipped."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from hubagent.images.recipe import Material

FOLDER: Final = Path(__file__).parents[3] / "conf/image"
FILES: Final = {
    str(path.relative_to(FOLDER)): path.read_bytes() for path in FOLDER.rglob("*") if path.is_file()
}
MATERIAL: Final = Material(FILES, hub_version="6.1.1")
