"""The JSON Schema of the configuration file, for editors (draft 7, which YAML language servers know best).

`python -m hubagent.config.made.schema` prints it. It accepts all that the loader accepts; rules over several keys,
and the finer points of some grammars, are the loader's alone.
"""

from __future__ import annotations

import json

from hubagent.config.kinds.composites import Section
from hubagent.config.kinds.scalars import Schema
from hubagent.config.model import Config


def json_schema() -> Schema:
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "/etc/hubagent.yaml",
        "description": "The whole of a hubagent server, in one file.",
        **Section(Config).schema(),
    }


def schema_text() -> str:
    """The file that is shipped, byte for byte."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    print(schema_text(), end="")
