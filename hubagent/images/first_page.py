"""Which files of a folder the first page needs: what a browser may fetch before anybody starts a server.

Read from what JupyterLab's builders leave, webpack (up to JupyterLab 4.5) and rspack (from 4.6): the page names its
script; the script has a table of the shared modules that each of its chunks needs, and of the chunks that each of those
comes from, and asks for some chunks at once. Files are named by chunk and content. A script that is made otherwise
gives fewer files, never wrong ones: all that is named here is in the folder.
"""

from __future__ import annotations

import collections
import itertools
import re
from collections.abc import Iterable
from typing import Final

_PAGE: Final = "index.html"
_PAGE_BYTES: Final = 1024**2
_SCRIPT: Final = re.compile(r"(?:main|remoteEntry)\.[\w.-]{1,80}\.js|remoteEntry\.js")
_SCRIPT_BYTES: Final = 2 * 1024**2
"""Of a script that is read. That of JupyterLab 4.6 has 240 kB."""
_MOST_SCRIPTS: Final = 4
"""Of one folder, that are kept in memory until all of it was seen. JupyterLab has one."""
_MOST_FILES: Final = 200
"""Of one folder. JupyterLab 4.6 has 39."""

_SPACIOUS: Final = "/******/"
"""In a script that webpack left as people read it, such as that of Notebook 7.3 to 7.5."""
_LETTERS: Final = "latin-1"  # a byte for each character; what is looked for is ASCII
_BETWEEN: Final = re.compile(r"/\*[^*\n]{0,80}\*/|/\*{6}/|[ \t\r\n]{1,1000}")

# An image may be anybody's: all repetitions are bounded, or begin at something that is rare.
_ID: Final = r'(?:\d{1,9}|"[^"\\]{1,80}")'
_ASKED: Final = rf"\w{{1,40}}\.e\({_ID}\)"
_CHUNK: Final = re.compile(rf"\.e\(({_ID})\)")
_NAMED: Final = re.compile(r'[{,(](\d{1,9})(?:===\w{1,40}\?|:)"([A-Za-z][\w~-]{0,80})"')
_NAMED_BACKWARDS: Final = re.compile(r'\w===(\d{1,9})\?"([A-Za-z][\w~-]{0,80})"')
_MODULES: Final = re.compile(rf"({_ID}):\[({_ID}(?:,{_ID})*)\]")
_MODULE: Final = re.compile(rf"[{{,]({_ID}):(?=\{{shareScope|\(\)=>)")
_SOURCE: Final = re.compile(rf"{_ASKED}(?:,{_ASKED})*")
_SOURCE_WITHIN: Final = 8000  # characters after the module's name; there may be a hundred chunks
_IMPORT: Final = re.compile(r"\.then\(\w{1,40}(?:\.t)?\.bind\(")
_MOST_IMPORTS: Final = 500  # that of JupyterLab 4.6 has one
_ALL: Final = "Promise.all(["
_IMPORTED: Final = re.compile(rf"{re.escape(_ALL)}{_ASKED}(?:,{_ASKED})*\]\)")
_IMPORTED_ALONE: Final = re.compile(rf"(?<![,\[\w]){_ASKED}$")
_ALONE_WITHIN: Final = 140
_FILE: Final = re.compile(r"([\w~-]{1,80})\.([0-9a-f]{8,32})\.js")
_OF_PAGE: Final = re.compile(
    r"(?:src|href)=\"\{\{ ?page_config\.fullStaticUrl ?\}\}/([\w.~-]{1,120})(\?v=\w{1,64})?\""
)
_VERSIONED: Final = ".js?v="  # in the script, where the addresses of chunks repeat the hash


class FirstPage:
    """Looks at the files of one folder as they pass. `page` is its page, where that lies elsewhere."""

    def __init__(self, page: bytes = b"") -> None:
        self._page = page.decode(_LETTERS)
        self._scripts: dict[str, str] = {}

    def reads(self, path: str, size_bytes: int) -> bool:
        """Whether it wants to see the content of this file, whose path is from the folder."""
        if path == _PAGE:
            return size_bytes <= _PAGE_BYTES
        is_script = _SCRIPT.fullmatch(path) is not None and len(self._scripts) < _MOST_SCRIPTS
        return is_script and size_bytes <= _SCRIPT_BYTES

    def see(self, path: str, content: bytes) -> None:
        text = content.decode(_LETTERS)
        if path == _PAGE:
            self._page = text
        else:
            self._scripts[path] = _BETWEEN.sub("", text) if _SPACIOUS in text else text

    def addresses(self, paths: Iterable[str]) -> tuple[str, ...]:
        """Relative to the folder, with their queries, the script first; `paths` are the files that it has. Empty where
        nothing is recognised."""
        there = frozenset(paths)
        found: dict[str, str] = {}  # by path: the query
        named = [(path, query) for path, query in _OF_PAGE.findall(self._page) if path in there]
        entries = [path for path in self._scripts if path.startswith("remoteEntry")]
        if named:
            found.update(named)
            for path, _ in named:
                script = self._scripts.get(path, "")
                found.update(_files(script, _at_once(script), there))
        elif len(entries) == 1:
            script = self._scripts[entries[0]]
            found = {entries[0]: "", **_files(script, _exposed(script), there)}
        return tuple(f"{path}{query}" for path, query in list(found.items())[:_MOST_FILES])


def _at_once(script: str) -> list[str]:
    """The chunks that a page's script asks for by itself, and all that come with them."""
    modules: dict[str, list[str]] = {}
    for chunk, listed in _MODULES.findall(script):
        modules.setdefault(_plain(chunk), []).extend(_plain(one) for one in re.findall(_ID, listed))
    sources = _sources(script)
    waiting = collections.deque(_imported(script))
    seen: dict[str, None] = {}
    while waiting:
        chunk = waiting.popleft()
        if chunk not in seen:
            seen[chunk] = None
            for module in modules.get(chunk, ()):
                waiting += sources.pop(module, ())  # once: many chunks may need many times the same
    return list(seen)


def _exposed(script: str) -> list[str]:
    """The chunks of what an extension gives JupyterLab. What they share with it comes from JupyterLab."""
    return [chunk for name, chunks in _sources(script).items() if name.startswith("./") for chunk in chunks]


def _imported(script: str) -> list[str]:
    found: list[str] = []
    for place in itertools.islice(_IMPORT.finditer(script), _MOST_IMPORTS):
        before = script[max(0, place.start() - _SOURCE_WITHIN) : place.start()]
        asked = _IMPORTED.fullmatch(before, max(0, before.rfind(_ALL))) or _IMPORTED_ALONE.search(
            before, max(0, len(before) - _ALONE_WITHIN)
        )
        if asked is not None:
            found += [_plain(one) for one in _CHUNK.findall(asked[0])]
    return found


def _sources(script: str) -> dict[str, list[str]]:
    """The chunks that a module comes from, by its id."""
    found: dict[str, list[str]] = {}
    places = list(_MODULE.finditer(script))
    ends = [*(place.start() for place in places[1:]), len(script)]
    for place, end in zip(places, ends, strict=False):
        asked = _SOURCE.search(script, place.end(), min(end, place.end() + _SOURCE_WITHIN))
        if asked is not None:
            found[_plain(place[1])] = [_plain(one) for one in _CHUNK.findall(asked[0])]
    return found


def _files(script: str, chunks: Iterable[str], there: frozenset[str]) -> dict[str, str]:
    """The files of chunks, each with its query."""
    names: dict[str, list[str]] = {}  # by chunk; among them what only looks like one
    for chunk, name in [*_NAMED.findall(script), *_NAMED_BACKWARDS.findall(script)]:
        names.setdefault(chunk, []).append(name)
    by_chunk = {match[1]: match for path in there if (match := _FILE.fullmatch(path))}
    is_versioned = _VERSIONED in script
    found: dict[str, str] = {}
    for chunk in chunks:
        for match in filter(None, map(by_chunk.get, (*names.get(chunk, ()), chunk))):
            found[match[0]] = f"?v={match[2]}" if is_versioned else ""
    return found


def _plain(name: str) -> str:
    return name.strip('"')
