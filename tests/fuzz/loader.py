"""The configuration file: any bytes are a Config or a list of faults with places; what a Config asks for can be rendered."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hubagent.config.made.schema import schema_text
from hubagent.config.reading import loader
from hubagent.config.tree import MAX_FAULTS
from hubagent.errors import ConfigError, PreflightError
from tests.nginx.reading import parse
from tests.unit.converge.worlds import wished

_ROOT = Path(__file__).parents[2]
_PLACE = re.compile(r"f:(\d+):(\d+): ")
_TEMPLATE = (_ROOT / "conf/templates/nginx.conf.j2").read_text()
_DIRECTIVES = set(re.findall(r"(?m)(?:^|[{};%}])\s*([a-z_]+)(?=[ ;{])", _TEMPLATE))


def _directives(tree: list[dict[str, Any]]) -> Iterator[str]:
    for directive in tree:
        yield directive["directive"]
        if directive["directive"] not in ("map", "geo"):  # what is in there are values
            yield from _directives(directive.get("block", []))


class Loader:
    def seeds(self) -> list[bytes]:
        cases = (_ROOT / "tests/unit/config/messages.txt").read_text().split("\n\n")
        documents = [re.sub(r"(?m)^\d+:\d+: .*\n?", "", case) for case in cases]
        files = [_ROOT / "conf/hubagent.yaml", _ROOT / "tests/unit/config/example.yaml"]
        return [path.read_bytes() for path in files] + [document.encode() for document in documents]

    def words(self) -> list[str]:
        keys = re.findall(r'"([a-z_]+)": ', schema_text())
        values = [
            "1G",
            "10m",
            "0.5",
            "08:45",
            "mon-fri",
            "443",
            "self-signed",
            "files",
            "/etc/x",
            "hub.example.org",
        ]
        return (
            [f"{key}:" for key in dict.fromkeys(keys)] + values + ["{", "}", "[", "]", "- ", "\n  ", '"', "#"]
        )

    def one(self, data: bytes) -> None:
        try:
            config = loader.load(data, path="f")
        except ConfigError as error:
            self._judge(error.messages, lines=len(data.decode(errors="replace").splitlines()) + 1)
            return
        assert loader.load(data, path="f") == config
        try:
            generation = wished(config)
        except PreflightError:
            return  # refused in words before anything is touched
        assert wished(config).digest == generation.digest
        text = generation.file("nginx/hubagent.conf").content.decode()
        strange = set(_directives(parse(text))) - _DIRECTIVES
        assert not strange, f"no value is a directive of nginx's: {strange}"

    def _judge(self, messages: tuple[str, ...], *, lines: int) -> None:
        assert 0 < len(messages) <= MAX_FAULTS + 1
        for message in messages:
            assert len(message) < 1000
            assert message.isprintable(), message
            place = _PLACE.match(message)
            assert place or message.startswith("f: there are more errors"), message
            if place:
                assert 1 <= int(place[1]) <= lines, message
                assert int(place[2]) >= 1, message
