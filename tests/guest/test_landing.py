"""Where a browser lands at the root of a real server with a real JupyterLab, and what is there when it does."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from hubagent import wire
from tests.guest.conftest import Running, Starter
from tests.guest.container import USER
from tests.guest.hub import USER_TOKEN
from tests.waiting import wait_until

HEADERS = {"Authorization": f"token {USER_TOKEN}"}
LAB = "/user/ann/lab"
NEW = re.compile(r"/user/ann/lab/tree/(notebook-\d{4}-\d\d-\d\d(?:-\d)?\.ipynb)")


@pytest.fixture(params=["cold", "warm"])
def start(request: pytest.FixtureRequest, starter: Starter) -> Iterator[Callable[[str], Running]]:
    made: list[Running] = []

    def one(word: str) -> Running:
        made.append(starter(request.param, JUPYTERHUB_DEFAULT_URL="/lab", **{wire.LANDING: word}))
        assert "anew" not in made[-1].container.output
        return made[-1]

    yield one
    for running in made:
        running.container.end()


def lands(server: Running, query: str = "") -> str:
    answer = requests.get(f"{server.url}{query}", headers=HEADERS, allow_redirects=False)
    assert answer.status_code == 302, answer.text
    return answer.headers["Location"]


def in_new_notebook(server: Running) -> str:
    found = NEW.fullmatch(lands(server))
    assert found is not None, server.container.output
    return found[1]


def call(server: Running, method: str, path: str, body: object = None) -> Any:
    answer = requests.request(method, f"{server.url}api/{path}", headers=HEADERS, json=body)
    assert answer.ok, answer.text
    return answer.json()


def notebooks(server: Running) -> list[str]:
    return sorted(one for one in os.listdir(server.container.home) if one.endswith(".ipynb"))


def put(server: Running, path: str, changed_s: int, kernel: str = "python3") -> None:
    file = server.container.home / path
    file.parent.mkdir(exist_ok=True)
    metadata = {"kernelspec": {"name": kernel, "display_name": kernel, "language": "x"}}
    file.write_text(json.dumps({"cells": [], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}))
    os.utime(file, (changed_s, changed_s))
    subprocess.run(["chown", "-R", f"{USER}:{USER}", server.container.home], check=True)


def test_a_new_notebook_is_one_however_often_it_is_come_for(start: Callable[[str], Running]) -> None:
    server = start(wire.NEW_NOTEBOOK)
    name = in_new_notebook(server)
    assert requests.get(f"{server.url}lab/tree/{name}", headers=HEADERS).status_code == 200
    assert {in_new_notebook(server) for _ in range(9)} == {name}
    assert notebooks(server) == [name]
    session = wait_until(lambda: call(server, "GET", "sessions"), "a session")[0]
    assert (session["path"], session["type"], session["kernel"]["name"]) == (name, "notebook", "python3")
    # What a page asks for when it opens the notebook.
    wanted = {"path": name, "name": name, "type": "notebook", "kernel": {"name": "python3"}}
    assert call(server, "POST", "sessions", wanted)["kernel"]["id"] == session["kernel"]["id"]
    assert len(call(server, "GET", "kernels")) == 1

    content = call(server, "GET", f"contents/{name}")["content"]
    content["cells"][0]["source"] = "x = 1"
    call(server, "PUT", f"contents/{name}", {"type": "notebook", "format": "json", "content": content})
    second = in_new_notebook(server)
    assert second != name
    assert in_new_notebook(server) == second
    assert notebooks(server) == sorted([name, second])


def test_a_query_stays(start: Callable[[str], Running]) -> None:
    assert lands(start(wire.NEW_NOTEBOOK), "?reset=1").endswith(".ipynb?reset=1")


def test_the_last_notebook_is_opened_with_its_kernel(start: Callable[[str], Running]) -> None:
    server = start(wire.LAST_NOTEBOOK)
    put(server, "old.ipynb", 100)
    put(server, "week 2/a b.ipynb", 200)
    assert lands(server) == f"{LAB}/tree/week%202/a%20b.ipynb"
    session = wait_until(lambda: call(server, "GET", "sessions"), "a session")[0]
    assert (session["path"], session["kernel"]["name"]) == ("week 2/a b.ipynb", "python3")
    put(server, "of-another.ipynb", 300, kernel="fortran")
    assert lands(server) == f"{LAB}/tree/of-another.ipynb"
    assert len(call(server, "GET", "sessions")) == 1  # the page asks the person for another kernel


def test_who_has_no_notebook_gets_a_new_one(start: Callable[[str], Running]) -> None:
    server = start(wire.LAST_NOTEBOOK)
    assert in_new_notebook(server) == in_new_notebook(server)
    assert len(notebooks(server)) == 1


@pytest.mark.parametrize("word", [wire.PLUTO_PAGE, "word-of-a-later-version"])
def test_what_is_not_here_is_jupyterlab(start: Callable[[str], Running], word: str) -> None:
    server = start(word)
    assert lands(server).rstrip("?") == LAB
    assert notebooks(server) == []


def test_a_home_that_takes_no_file_keeps_nobody_out(start: Callable[[str], Running]) -> None:
    server = start(wire.NEW_NOTEBOOK)
    server.container.home.chmod(0o555)
    assert lands(server) == LAB
    assert "no new-notebook, but the usual page" in server.container.output


def test_nothing_is_made_for_who_is_not_signed_in(start: Callable[[str], Running]) -> None:
    server = start(wire.NEW_NOTEBOOK)
    answer = requests.get(server.url, allow_redirects=False)
    assert "/hub/api/oauth2/authorize" in answer.headers["Location"]
    assert notebooks(server) == []
