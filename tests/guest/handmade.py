"""A Python package that needs no index."""

from __future__ import annotations

import zipfile
from pathlib import Path


def handmade(folder: Path) -> Path:
    """Put a package of one module and one program there, as a user may have it from a colleague; its file."""
    path = folder / "handmade-1.0-py3-none-any.whl"
    files = {
        "handmade.py": "def main():\n    print('made by hand')\n",
        "handmade-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: handmade\nVersion: 1.0\n",
        "handmade-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "handmade-1.0.dist-info/entry_points.txt": "[console_scripts]\nhandmade = handmade:main\n",
        "handmade-1.0.dist-info/RECORD": "",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path
