"""The way from bytes to a Config, or to all that is wrong with them at once.

The YAML that hubagent accepts is a subset: one UTF-8 document; plain scalars as in YAML 1.2's core schema (yes, no,
on, off are text); no anchors, aliases, merge keys, tags, directives or duplicate keys; bounded in size and depth. The
parser's events are read one by one, so that a refused construct is never expanded.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Final

import yaml

from hubagent.config.kinds.composites import Section
from hubagent.config.model import Config
from hubagent.config.reading.hints import explain, where_it_belongs
from hubagent.config.reading.rules import broken_rules
from hubagent.config.tree import (
    MAX_FAULTS,
    At,
    Entries,
    Fault,
    Items,
    Node,
    Path,
    Place,
    RefusedError,
    Text,
    TooManyFaultsError,
    UnreadableError,
    Walk,
    shown,
    spell,
)
from hubagent.errors import ConfigError
from hubagent.ports import FileState

_ROOT: Final = Section(Config)

MAX_BYTES: Final = 1024 * 1024
MAX_DEPTH: Final = 20
MAX_NODES: Final = 100_000  # about a second of work; five hundred servers have some ten thousand

_WRITABLE_BY_OTHERS: Final = 0o022


def load(content: bytes, *, path: str, in_force: bool = False) -> Config:
    """Read and check a configuration file. `path` is only for the messages. `in_force`: of a generation that serves,
    perhaps since an earlier hubagent that took more than this one.

    Raises ConfigError with one message for each fault, in the order of the file:
    `PATH:LINE:COLUMN: key.path: what is wrong; what to do`.
    """
    try:
        root = parse_document(content)
    except DocumentError as error:
        raise _config_error([Fault(place, (), message) for place, message in error.faults], path) from None
    walk = Walk(where_it_belongs, in_force)
    config = Config()
    try:
        config = _ROOT.read(root, At(walk))
    except (RefusedError, UnreadableError) as error:
        At(walk).report_all(root.place, error)
    except TooManyFaultsError:
        pass
    else:
        _apply_rules(config, walk)
    if walk.faults:
        raise _config_error(walk.faults, path)
    return config


def _apply_rules(config: Config, walk: Walk) -> None:
    """Report broken rules; one that looks at a faulty key is left for when that key is right."""
    faulty = {fault.path for fault in walk.faults}
    broken_now = (
        Fault(_nearest_place(walk, broken.path), broken.path, broken.message)
        for broken in broken_rules(config)
        if not (walk.in_force and broken.was_taken)
        and not any(_touches(about, path) for about in (broken.path, *broken.others) for path in faulty)
    )
    walk.faults.extend(itertools.islice(broken_now, MAX_FAULTS))


def _touches(one: Path, other: Path) -> bool:
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


def _nearest_place(walk: Walk, path: Path) -> Place:
    """Where the key is, or the nearest mapping around it that is in the file."""
    around = (walk.places.get(path[:length]) for length in range(len(path), 0, -1))
    return next(filter(None, around), Place(1, 1))


def _config_error(faults: list[Fault], path: str) -> ConfigError:
    ordered = sorted(faults, key=lambda fault: fault.place)
    messages = [
        f"{path}:{fault.place.line}:{fault.place.column}:"
        f" {spell(fault.path) + ': ' if fault.path else ''}{fault.message}"
        for fault in ordered
    ]
    if len(faults) >= MAX_FAULTS:
        messages.append(f"{path}: there are more errors; correct these {len(faults)} first")
    return ConfigError(tuple(messages))


class DocumentError(Exception):
    """The bytes are not an acceptable document; (place, message) for each fault found."""

    def __init__(self, faults: list[tuple[Place, str]]) -> None:
        super().__init__(faults)
        self.faults = faults


_FORBIDDEN: Final = re.compile(
    r"[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
_STYLE_PLAIN: Final = (None, "")


def parse_document(content: bytes) -> Node:
    """The tree, or DocumentError. Never expands, never recurses deeper than MAX_DEPTH."""
    text = _decode(content)
    parser = yaml.CSafeLoader(text)
    builder = _Builder(parser)
    try:
        return builder.document()
    except yaml.MarkedYAMLError as error:
        builder.faults.append(explain(error, text))
    except yaml.YAMLError as error:
        builder.faults.append(
            (Place(1, 1), f"is not YAML ({shown(str(error))}); save the file as plain UTF-8 text")
        )
    except _StopError:
        pass
    finally:
        parser.dispose()
    raise DocumentError(builder.faults)


def _decode(content: bytes) -> str:
    if len(content) > MAX_BYTES:
        raise DocumentError(
            [(Place(1, 1), f"the file has {len(content)} bytes; keep it under {MAX_BYTES} (1 MiB)")]
        )
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DocumentError([(Place(1, 1), "the file is UTF-16; save it as UTF-8")])
    content = content.removeprefix(b"\xef\xbb\xbf")
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        place = _place_of(content[: error.start].decode())
        raise DocumentError(
            [(place, f"byte 0x{content[error.start]:02x} is not UTF-8; save the file as UTF-8 text")]
        ) from None
    strange = _FORBIDDEN.search(text)
    if strange:
        what = "a NUL byte" if strange[0] == "\0" else f"the invisible character U+{ord(strange[0]):04X}"
        raise DocumentError(
            [
                (
                    _place_of(text[: strange.start()]),
                    f"contains {what}; remove it (in quoted text, \\x and \\u escapes can be written)",
                )
            ]
        )
    if not text.strip():
        raise DocumentError(
            [
                (
                    Place(1, 1),
                    "the file is empty; write at least one key, such as `host:`, or {} for all defaults",
                )
            ]
        )
    return text


def _place_of(before: str) -> Place:
    """The place right after this beginning of the file."""
    return Place(before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)


class _StopError(Exception):
    """Reading on would be useless or dangerous."""


class _Builder:
    """Builds nodes from parser events and notes every construct that is not accepted."""

    def __init__(self, parser: yaml.CSafeLoader) -> None:
        self.faults: list[tuple[Place, str]] = []
        self._parser = parser
        self._nodes = 0

    def document(self) -> Node:
        self._event()  # stream start
        start = self._event()
        if not isinstance(start, yaml.DocumentStartEvent):
            self._refuse(
                start,
                "the file holds no keys, only comments; write at least one key, or {} for all defaults",
                stop=True,
            )
        elif start.version or start.tags:
            self._refuse(start, "directives (%) are not accepted; remove the line", stop=True)
        root = self._node(self._event(), 1)
        self._event()  # document end
        after = self._event()
        if not isinstance(after, yaml.StreamEndEvent):
            self._refuse(after, "a second document starts here; keep one, and remove the --- line", stop=True)
        if self.faults:
            raise _StopError
        return root

    def _event(self) -> yaml.Event:
        event = self._parser.get_event()
        if event is None:
            raise TypeError("the parser's events ended before the stream did")
        return event

    def _refuse(self, event: yaml.Event, message: str, *, stop: bool = False) -> None:
        self.faults.append((_place(event), message))
        if stop or len(self.faults) >= MAX_FAULTS:
            raise _StopError

    def _node(self, event: yaml.Event, depth: int) -> Node:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            self._refuse(event, f"the file holds more than {MAX_NODES} values; write fewer", stop=True)
        if isinstance(event, yaml.AliasEvent):
            self._refuse(event, f"the alias {shown(f'*{event.anchor}')} is not accepted; write the value out")
            return Text(_place(event), "", plain=False)
        if not isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent):
            raise TypeError(f"the parser sent {event} where a value starts")
        if event.anchor is not None:
            self._refuse(
                event,
                f"the anchor {shown(f'&{event.anchor}')} is not accepted; remove it and write values out where"
                " they are used",
            )
        if event.tag is not None:
            self._refuse(event, f"the tag {shown(event.tag)} is not accepted; remove it")
        if isinstance(event, yaml.ScalarEvent):
            return Text(_place(event), event.value, plain=event.style in _STYLE_PLAIN)
        if depth > MAX_DEPTH:
            self._refuse(event, f"is nested deeper than {MAX_DEPTH} levels; write it flatter", stop=True)
        if isinstance(event, yaml.SequenceStartEvent):
            return Items(
                _place(event),
                tuple(self._node(item, depth + 1) for item in self._until(yaml.SequenceEndEvent)),
            )
        return Entries(_place(event), tuple(self._entries(depth)))

    def _until(self, end: type[yaml.Event]) -> Iterator[yaml.Event]:
        while not isinstance(event := self._event(), end):
            yield event

    def _entries(self, depth: int) -> Iterator[tuple[Text, Node]]:
        seen: dict[str, Place] = {}
        for event in self._until(yaml.MappingEndEvent):
            key = self._node(event, depth + 1)
            value = self._node(self._event(), depth + 1)
            if not isinstance(key, Text):
                self._refuse(event, "a list or mapping as key is not accepted; write a name")
                continue
            if key.plain and key.text == "<<":
                self._refuse(event, "the merge key << is not accepted; write the keys out")
            elif not isinstance(key.value, str):
                self._refuse(event, f"the key {key.text or 'without a name'} is not text; put it in quotes")
            elif key.text in seen:
                first = seen[key.text]
                self._refuse(
                    event, f"the key {shown(key.text)} appears twice, first on line {first.line}; remove one"
                )
            seen.setdefault(key.text, key.place)
            yield key, value


def _place(event: yaml.Event) -> Place:
    mark = event.start_mark
    return Place(mark.line + 1, mark.column + 1) if mark else Place(1, 1)


def check_ownership(state: FileState, path: str) -> str | None:
    """Why this file is not used, with the remedy; None when it is fine.

    Whoever can write it is root on this machine in effect, so it must be root's alone to write.
    """
    if state.owner != "root":
        return f"{path}: belongs to {state.owner}, who could use it to become root; run: chown root: {path}"
    if state.mode & _WRITABLE_BY_OTHERS:
        return f"{path}: is writable by users other than root (mode {state.mode:04o}); run: chmod go-w {path}"
    return None
