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
(NOTEBOOK,) = VENV.glob("lib/python3*/site-packages/notebook/static")
NOTEBOOK_URL = f"/hubagent-static/{'c' * 32}/static/notebook"
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
        told(NOTEBOOK, NOTEBOOK_URL),
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


PAGES = {
    **dict.fromkeys(("lab", "lab/tree/a%20b.ipynb", "doc", "lab/workspaces/auto-k"), (LAB_URL, LAB)),
    **dict.fromkeys(("tree", "tree?x=lab", "notebooks/a%20b.ipynb", "edit/a.py"), (NOTEBOOK_URL, NOTEBOOK)),
    **dict.fromkeys(("consoles/a", "terminals/1"), (NOTEBOOK_URL, NOTEBOOK)),
}


@pytest.mark.parametrize("path", PAGES)
def test_a_page_gets_its_bundle_from_nginx(server: Running, path: str) -> None:
    url, folder = PAGES[path]
    text, config = page(server, path)
    assert config["fullStaticUrl"] == url
    scripts = re.findall(r'<script[^>]* src="([^"]+)"', text)
    assert scripts
    assert all(one.startswith(f"{url}/") for one in scripts)
    assert all((folder / one.removeprefix(f"{url}/").partition("?")[0]).is_file() for one in scripts)
    assert config["hubUser"] == "ann"  # JupyterHub's own hook is called as before


@pytest.mark.parametrize("path", ["lab", "tree"])
def test_an_extension_comes_from_nginx_where_nginx_has_it(server: Running, path: str) -> None:
    _, config = page(server, path)
    base = config["fullLabextensionsUrl"]
    assert base == "/user/ann/lab/extensions"
    # As JupyterLab's bootstrap puts it together, and a browser reads it.
    urls = {
        one["name"]: urljoin(f"{server.url}{path}", f"{base}/{one['name']}/{one['load']}")
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
    for path, url in (("lab", LAB_URL), ("tree", NOTEBOOK_URL)):
        text, _ = page(server, path)
        scripts = re.findall(rf'src="{url}/([^"]+)"', text)
        assert scripts
        for script in scripts:
            own = f"{server.url}static/{url.rpartition('/')[2]}/{script}"
            assert requests.get(own).status_code == 200
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
def test_a_bundle_of_another_version_keeps_its_address(starter: Starter, how: str) -> None:
    folders = (told(LAB, LAB_URL, more=1), told(NOTEBOOK, NOTEBOOK_URL, more=1))
    running = starter(how, **{wire.STATIC_FILES: wire.tell_static_files(folders)})
    for path, name in (("lab", "lab"), ("tree", "notebook")):
        _, config = page(running, path)
        assert config["fullStaticUrl"] == f"/user/ann/static/{name}"
    running.container.end()


def test_programs_of_the_user_do_not_see_it() -> None:
    assert server_extensions.without({wire.STATIC_FILES: "[]", "HOME": "/x"}) == {"HOME": "/x"}
