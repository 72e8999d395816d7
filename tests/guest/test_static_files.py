"""Pages of a real JupyterLab name nginx's address for what nginx has, and their own server's for everything else."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
import requests

from hubagent import wire
from hubagent.guest import server_extensions
from tests.guest.conftest import Running, Starter
from tests.guest.container import VENV
from tests.guest.hub import USER_TOKEN

HEADERS = {"Authorization": f"token {USER_TOKEN}"}
LAB = VENV / "share/jupyter/lab/static"
PROXY = VENV / "share/jupyter/labextensions/@jupyterhub/jupyter-server-proxy/static"
PYGMENTS = VENV / "share/jupyter/labextensions/jupyterlab_pygments/static"
LAB_URL = f"/hubagent-static/{'a' * 32}/static/lab"
PROXY_URL = f"/hubagent-static/{'b' * 32}/lab/extensions/@jupyterhub/jupyter-server-proxy/static"


def told(folder: Path, url: str, *, more: int = 0) -> wire.StaticFolder:
    """As the agent tells of this folder; `more` bytes that are not there."""
    sizes = {
        os.path.relpath(f"{top}/{name}", folder): os.stat(f"{top}/{name}").st_size + more
        for top, _, names in os.walk(folder)
        for name in names
    }
    return wire.StaticFolder(str(folder), wire.listing_of(sizes), url)


@pytest.fixture(scope="module", params=["cold", "warm"])
def server(request: pytest.FixtureRequest, starter: Starter) -> Iterator[Running]:
    folders = (
        told(LAB, LAB_URL),
        told(PROXY, PROXY_URL),
        told(PYGMENTS, "/hubagent-static/not/this", more=1),
    )
    running = starter(request.param, **{wire.STATIC_FILES: wire.tell_static_files(folders)})
    assert "anew" not in running.container.output
    yield running
    running.container.end()


def page(server: Running, path: str = "lab") -> tuple[str, dict[str, Any]]:
    """A page, and what it is told."""
    answer = requests.get(f"{server.url}{path}", headers=HEADERS)
    assert answer.status_code == 200, answer.text
    found = re.search(r'<script id="jupyter-config-data"[^>]*>(.*?)</script>', answer.text, re.DOTALL)
    assert found is not None, answer.text
    return answer.text, json.loads(unescape(found[1]))


@pytest.mark.parametrize("path", ["lab", "lab/tree/a%20b.ipynb", "doc", "lab/workspaces/auto-k"])
def test_a_page_gets_its_bundle_from_nginx(server: Running, path: str) -> None:
    text, config = page(server, path)
    assert config["fullStaticUrl"] == LAB_URL
    scripts = re.findall(r'<script[^>]* src="([^"]+)"', text)
    assert scripts
    assert all(one.startswith(f"{LAB_URL}/") for one in scripts)
    assert all((LAB / one.removeprefix(f"{LAB_URL}/").partition("?")[0]).is_file() for one in scripts)
    assert config["hubUser"] == "ann"  # JupyterHub's own hook is called as before


def test_an_extension_comes_from_nginx_where_nginx_has_it(server: Running) -> None:
    _, config = page(server)
    base = config["fullLabextensionsUrl"]
    assert base == "/user/ann/lab/extensions"
    # As JupyterLab's bootstrap puts it together, and a browser reads it.
    urls = {
        one["name"]: urljoin(f"{server.url}lab", f"{base}/{one['name']}/{one['load']}")
        for one in config["federated_extensions"]
    }
    site = f"http://127.0.0.1:{server.port}"
    name = urls["@jupyterhub/jupyter-server-proxy"].rpartition("/")[2]
    assert urls["@jupyterhub/jupyter-server-proxy"] == f"{site}{PROXY_URL}/{name}"
    assert (PROXY / name).is_file()
    assert urls["jupyterlab_pygments"].startswith(
        f"{site}/user/ann/lab/extensions/jupyterlab_pygments/static/"
    )
    assert requests.get(urls["jupyterlab_pygments"], headers=HEADERS).status_code == 200


def test_the_server_has_all_of_it_as_before(server: Running) -> None:
    """For what nginx has not, and for pages that were made before."""
    text, _ = page(server)
    for script in re.findall(rf'src="{LAB_URL}/([^"]+)"', text):
        assert requests.get(f"{server.url}static/lab/{script}").status_code == 200
    (remote,) = PROXY.glob("remoteEntry.*.js")
    url = f"{server.url}lab/extensions/@jupyterhub/jupyter-server-proxy/static/{remote.name}"
    assert requests.get(url, headers=HEADERS).content == remote.read_bytes()


def test_every_page_says_the_same(server: Running) -> None:
    """What is told of one page must not be the beginning of the next one's."""
    first, second = page(server)[1], page(server)[1]
    for one in (first, second):
        one.pop("store_id")
    assert first == second


@pytest.mark.parametrize("how", ["cold", "warm"])
def test_a_lab_of_another_version_keeps_its_address(starter: Starter, how: str) -> None:
    running = starter(how, **{wire.STATIC_FILES: wire.tell_static_files((told(LAB, LAB_URL, more=1),))})
    _, config = page(running)
    assert config["fullStaticUrl"] == "/user/ann/static/lab"
    running.container.end()


def test_programs_of_the_user_do_not_see_it() -> None:
    assert server_extensions.without({wire.STATIC_FILES: "[]", "HOME": "/x"}) == {"HOME": "/x"}
