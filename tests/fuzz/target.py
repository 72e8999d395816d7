"""One target under libFuzzer: `python -m tests.fuzz.target NAME FOLDER [libFuzzer's options…]`, see run.py."""

from __future__ import annotations

import importlib
import logging
import sys
from pathlib import Path
from typing import Final, Protocol

import atheris  # type: ignore[import-not-found]

TARGETS: Final = {
    "loader": ("tests.fuzz.loader", "Loader"),
    "spawn": ("tests.fuzz.spawn", "Spawn"),
    "homes": ("tests.fuzz.homes", "Homes"),
}


class Target(Protocol):
    def seeds(self) -> list[bytes]: ...

    def words(self) -> list[str]:
        """Pieces that inputs are likely to have."""
        ...

    def one(self, data: bytes) -> None:
        """Raises whatever was not expected."""
        ...


def main(name: str, folder: Path, options: list[str]) -> None:
    module, cls = TARGETS[name]
    with atheris.instrument_imports(include=["hubagent"]):
        loaded = importlib.import_module(module)
    target: Target = getattr(loaded, cls)()
    logging.disable(logging.CRITICAL)  # refusals are what it is about
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds()):
        (corpus / f"seed-{number:03}").write_bytes(seed)
    words = folder / "words"
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in target.words()))
    atheris.Setup([sys.argv[0], f"-dict={words}", *options, str(corpus)], target.one)
    atheris.Fuzz()


def _escaped(word: str) -> str:
    return "".join(c if c.isalnum() else f"\\x{ord(c):02x}" for c in word)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
