"""Static files of an image, as a page on a real machine gets them: from nginx, compressed, the same for everybody."""

from __future__ import annotations

import gzip
import html
import json
import re
from typing import Any

import pytest

from tests.machine.client import ANSWER_S, Person
from tests.machine.test_pool import Lecture, lecture, nobody_is_left

__all__ = ["lecture", "nobody_is_left"]


def _page(person: Person) -> tuple[dict[str, Any], list[str]]:
    """What the first page of this person's JupyterLab is told, and the addresses of its scripts."""
    text = person.open(f"{person.home}/lab").text
    config = re.search(r'<script id="jupyter-config-data" type="application/json">(.*?)</script>', text, re.S)
    assert config is not None, text[:2000]
    told = json.loads(html.unescape(config[1]))
    return told, re.findall(r'<script [^>]*src="([^"?]+)', text)


def _ahead(person: Person, path: str) -> list[str]:
    """Addresses that this page of the hub offers to be fetched ahead."""
    offered = re.search(
        r'<script type="application/json" id="first-page">(.*?)</script>', person.open(path).text, re.S
    )
    assert offered is not None
    addresses = json.loads(offered[1])
    assert isinstance(addresses, list)
    return addresses


@pytest.mark.each_release
def test_a_page_gets_its_files_from_nginx(lecture: Lecture) -> None:
    lecture.hub.static_files_taken()
    addresses = set()
    for how in ("warm", "cold"):
        person = getattr(lecture, how)("olga")
        told, scripts = _page(person)
        addresses.add(told["fullStaticUrl"])
        (bundle,) = (script for script in scripts if "/main." in script)
        assert bundle.startswith(f"{told['fullStaticUrl']}/")
        assert bundle.startswith("/hubagent-static/")
        for coding, decode in (("gzip, br", gzip.decompress), ("identity", bytes)):
            answer = person.session.get(
                person.base + bundle, headers={"Accept-Encoding": coding}, timeout=ANSWER_S, stream=True
            )
            assert answer.status_code == 200
            assert "immutable" in answer.headers["Cache-Control"]
            own = person.jupyter("GET", f"/static/lab/{bundle.rpartition('/')[2]}")
            assert decode(answer.raw.read(decode_content=False)) == own.content
        missing = person.session.get(
            f"{person.base}{told['fullStaticUrl']}/missing.js",
            headers={"Referer": f"{person.base}{person.home}/lab"},
            timeout=ANSWER_S,
            allow_redirects=False,
        )
        assert missing.status_code == 302
        assert missing.headers["Location"] == f"{person.home}/static/lab/missing.js"
        ahead = _ahead(person, "/hub/home")
        assert f'src="{ahead[0]}"' in person.open(f"{person.home}/lab").text, (
            "the very address, or it is fetched twice"
        )
        assert len(ahead) > 10
        for address in ahead:
            answer = person.session.get(person.base + address, timeout=ANSWER_S, allow_redirects=False)
            assert (answer.status_code, "immutable" in answer.headers["Cache-Control"]) == (200, True), (
                address
            )
        person.stop()
    assert len(addresses) == 1, "who starts warm and who starts cold share what the browser has"
    images = {one["server"]: one for one in lecture.hub.status()["images"]}
    assert images["course"]["slow_pages"] == ""
