"""The status page as it is shipped."""

from __future__ import annotations

from pathlib import Path

from hubagent.web.page import Sources, StatusPage

_FOLDER = Path(__file__).parents[3] / "conf/templates"

PAGE = StatusPage(
    Sources(
        template=(_FOLDER / "status.html.j2").read_text("utf-8"),
        style=(_FOLDER / "status.css").read_text("utf-8"),
        script=(_FOLDER / "status.js").read_text("utf-8"),
    )
)
