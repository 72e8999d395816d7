"""Static files of an image, as a page on a real machine gets them: from nginx, compressed, the same for everybody."""

from __future__ import annotations

import gzip
import html
import json
import re
from typing import Any

import pytest

from tests.machine import notebook_image
from tests.machine.client import ANSWER_S, Person
from tests.machine.hub import until
from tests.machine.test_pool import FILL_S, Lecture, lecture, nobody_is_left

__all__ = ["lecture", "nobody_is_left"]


def _page(person: Person, path: str = "/lab") -> tuple[dict[str, Any], list[str]]:
    """What this page of this person's server is told, and the addresses of its scripts."""
    text = person.open(f"{person.home}{path}").text
    config = re.search(r'<script id="jupyter-config-data" type="application/json">(.*?)</script>', text, re.S)
    assert config is not None, text[:2000]
    told = json.loads(html.unescape(config[1]))
    return told, re.findall(r'<script [^>]*src="([^"?]+)', text)


def _ahead(person: Person, path: str) -> list[str]:
    """Addresses that this page of the hub offers to be fetched ahead; empty without any."""
    offered = re.search(
        r'<script type="application/json" id="first-page">(.*?)</script>', person.open(path).text, re.S
    )
    if offered is None:
        return []
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
        _missing_is_the_servers(person, "/lab", told, "/static/lab")
        _fetched_ahead(person, "/lab", _ahead(person, "/hub/home"))
        person.stop()
    assert len(addresses) == 1, "who starts warm and who starts cold share what the browser has"
    images = {one["server"]: one for one in lecture.hub.status()["images"]}
    assert images["course"]["slow_pages"] == ""


def test_notebooks_pages_get_theirs(lecture: Lecture) -> None:
    """Where people land on one of them, of an image that has Notebook 7."""
    notebook_image.build(lecture.hub.machine)
    before = lecture.hub.replace("image: hubagent/julia", f"image: {notebook_image.NAME}")
    lecture.hub.replace("hub: {", "hub: {landing: /tree, ")
    try:
        lecture.hub.apply()
        person = lecture.person("olga")
        ahead: list[str] = []

        def offered() -> bool:
            ahead[:] = _ahead(person, "/hub/home")
            return any("/static/notebook/" in one for one in ahead)

        until(offered, FILL_S, "the files of Notebook's pages")
        assert not [one for one in ahead if "/static/lab/" in one]
        person.start()
        for path in ("/tree", "/notebooks/a.ipynb"):
            told, scripts = _page(person, path)
            assert told["fullStaticUrl"].endswith("/static/notebook")
            assert [one for one in scripts if one.startswith(f"{told['fullStaticUrl']}/")]
            _missing_is_the_servers(person, path, told, "/static/notebook")
            _fetched_ahead(person, path, ahead)
        person.stop()
    finally:
        lecture.hub.edit(before)
        lecture.hub.apply()


def _missing_is_the_servers(person: Person, page: str, told: dict[str, Any], own: str) -> None:
    missing = person.session.get(
        f"{person.base}{told['fullStaticUrl']}/missing.js",
        headers={"Referer": f"{person.base}{person.home}{page}"},
        timeout=ANSWER_S,
        allow_redirects=False,
    )
    assert missing.status_code == 302
    assert missing.headers["Location"] == f"{person.home}{own}/missing.js"


def _fetched_ahead(person: Person, page: str, ahead: list[str]) -> None:
    assert f'src="{ahead[0]}"' in person.open(f"{person.home}{page}").text, (
        "the very address, or it is fetched twice"
    )
    assert len(ahead) > 10
    for address in ahead:
        answer = person.session.get(person.base + address, timeout=ANSWER_S, allow_redirects=False)
        assert (answer.status_code, "immutable" in answer.headers["Cache-Control"]) == (200, True), address
