"""The reference of the configuration file in Markdown, made from the model.

`python -m hubagent.config.made.reference` prints it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from hubagent.config.kinds.composites import ListOf, Named, Section
from hubagent.config.kinds.scalars import Key, Kind, Word, keys_of
from hubagent.config.made.changes import flow
from hubagent.config.model import Config
from hubagent.ladder import Level

_INTRODUCTION: Final = """\
# Reference of /etc/hubagent.yaml

<!-- Made by `python -m hubagent.config.made.reference`; edit the model instead. -->

Every key is optional, unless it says *required*. `hubagent check` says with line and column what is wrong
with a file, `hubagent plan` what an edit would do. The file is YAML 1.2: `true` and `false` are the only
booleans; unknown and duplicate keys, anchors, aliases, tags and a second document are errors. It must be
root's, and nobody else may write it.

- A **size** is a number with k, M, G or T, in powers of 1024: `512M`, `4G`, `1.5G`.
- A **duration** is a number with s, m, h or d, also several of them: `90s`, `30m`, `1h30m`.
- A **path** is absolute and clean: no `..`, no `//`, no `/` at its end.
- A mapping under which nothing is written stands for its defaults, except `build`, `warm` and
  `metrics.tls`, whose presence means something: write `build: {}`.

What an edit interrupts:
"""


def reference_text() -> str:
    """The file that is shipped, byte for byte."""
    lines = [_INTRODUCTION, "| level | an edit causes | users notice |", "|---|---|---|"]
    lines += [f"| {level.value} | {level.title} | {level.notice} |" for level in Level]
    waits = " and ".join(f"`{level.title}`" for level in Level if level.drops_websockets)
    lines += ["", f"What causes a {waits} waits for permission, see `apply.disruptive`."]
    for title, cls, doc, inherited in _sections("", Section(Config), "", Level.NOTHING):
        lines += ["", f"## {title or 'The whole file'}", ""]
        lines += [doc, ""] if doc else []
        lines += ["| key | type | default | meaning | an edit causes |", "|---|---|---|---|---|"]
        lines += [_row(known, inherited) for known in keys_of(cls).values()]
    return "\n".join(lines) + "\n"


def _sections(path: str, kind: Kind, doc: str, level: Level) -> Iterator[tuple[str, type, str, Level]]:
    """Each mapping with fixed keys: its path, class, sentence, and what its keys' edits cause by default."""
    if isinstance(kind, Named):
        yield from _sections(f"{path}.NAME", kind.section, doc, level)
    elif isinstance(kind, ListOf):
        yield from _sections(f"{path}[]", kind.item, doc, level)
    elif isinstance(kind, Section):
        yield path, kind.cls, doc, level
        for name, known in keys_of(kind.cls).items():
            here = level if known.setting.interrupts is None else known.setting.interrupts
            yield from _sections(f"{path}.{name}" if path else name, known.kind, known.setting.doc, here)


def _row(known: Key, inherited: Level) -> str:
    level = inherited if known.setting.interrupts is None else known.setting.interrupts
    kind = known.kind.label
    if isinstance(known.kind, Word) and known.kind.example and known.default is None:
        kind += f", such as `{known.kind.example}`"
    cells = (
        f"`{known.name}`",
        kind,
        _default(known),
        known.setting.doc,
        f"{level.value}: {level.title}",
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _default(known: Key) -> str:
    if isinstance(known.kind, Section | Named):
        return "see below" if known.default is not None else "not set"
    if known.default is None:
        return known.setting.implied or ("*required*" if known.required else "not set")
    return f"`{flow(known.kind.write(known.default))}`"


if __name__ == "__main__":
    print(reference_text(), end="")
