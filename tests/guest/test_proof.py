"""What a proof says of an image, and that nothing in its list depends on the user."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hubagent import wire
from hubagent.guest.preload import NEVER
from tests.guest.container import IMAGE, ROOT, VENV, Container

PREFIXES = ("JUPYTERHUB_", "JPY_")


def test_what_a_proof_says(proof: wire.Proof) -> None:
    assert Path(proof.python).parent == VENV / "bin"
    assert proof.kernels == {"python3": "python"}
    assert proof.ready_s > 0
    (package,) = VENV.glob("lib/python3*/site-packages/notebook")
    assert Path(proof.notebook) == package.resolve()
    assert {
        "jupyter_server.serverapp",
        "jupyterlab.labapp",
        "tornado.web",
        "httpx",
        "jupyter_client.manager",
    } <= set(proof.modules)


def test_what_is_never_imported_ahead(proof: wire.Proof) -> None:
    found = set(proof.modules)
    assert not found & {
        "jupyterhub.services.auth",
        "jupyterhub.singleuser",
        "jupyterhub.singleuser.extension",
        "__main__",
    }
    assert not {name.partition(".")[0] for name in found} & NEVER
    assert not found & NEVER
    assert not [name for name in found if name.startswith(("hubagent", "jupyterhub.singleuser."))]


@pytest.mark.parametrize(
    ("files", "is_told"),
    [
        ({"app.py": 'self.settings.get("page_config_hook")'}, True),
        ({"app.py": "# of Notebook 7.2"}, False),
        ({"notebookapp.py": "# of Notebook 6"}, False),
        ({"app.py": b"\xff page_config_hook"}, False),
        (None, False),
    ],
)
def test_a_notebook_is_one_whose_pages_can_be_told(
    tmp_path: Path, files: dict[str, str | bytes] | None, is_told: bool
) -> None:
    package = tmp_path / "real/notebook"
    package.mkdir(parents=True)
    for name, content in {"__init__.py": "", **(files or {})}.items():
        (package / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    (tmp_path / "packages").mkdir()
    if files is not None:
        (tmp_path / "packages/notebook").symlink_to(package)
    script = f"import sys; sys.path[:] = [{str(tmp_path / 'packages')!r}, *[one for one in sys.path if 'site-packages' not in one]];"
    script += "from hubagent.guest import proof; print(proof.notebook())"
    done = subprocess.run(
        [VENV / "bin/python", "-c", script], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == (str(package) if is_told else "")


def test_the_grammar_of_iris_is_left_out_and_can_be_had_later() -> None:
    """It is most of what the imports cost, and no server uses it."""
    script = (
        "import sys; from hubagent.guest import preload; done = preload.preload(preload.COMMON);"
        "print('lark' in sys.modules, done.faults, 'jsonschema' in sys.modules); import rfc3987_syntax"
    )
    done = subprocess.run(
        [VENV / "bin/python", "-c", script], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    )
    assert done.stdout == "False () True\n"


def test_nothing_imported_ahead_reads_the_hubs_variables(proof: wire.Proof) -> None:
    """Read from the sources, where a proof watches: a new reading in a new version fails here."""
    found = {name: list(read_at_import(name)) for name in proof.modules}
    assert {name: variables for name, variables in found.items() if variables} == {}


def test_the_reading_of_sources_finds_what_is_known() -> None:
    assert "JUPYTERHUB_SERVICE_PREFIX" in list(read_at_import("jupyterhub.services.auth"))
    assert "JUPYTERHUB_SINGLEUSER_EXTENSION" in list(read_at_import("jupyterhub.singleuser"))


def test_an_order_in_which_they_can_be_imported(proof: wire.Proof, new: Callable[..., Container]) -> None:
    """By a warm guest, none failing; and none of them brings in what must not be there."""
    container = new()
    container.start(wire.GuestSettings(mode="warm", modules=proof.modules))
    assert container.ask(wire.Ping()) == wire.Pong(True, "", {}, False)


def test_an_image_without_jupyterhub(new: Callable[..., Container]) -> None:
    container = new()
    container.start(wire.GuestSettings(mode="prove"), {**IMAGE, "PATH": "/usr/bin:/bin"})
    assert container.wait() == 1
    assert container.output.startswith("hubagent: cannot prove this image: ")
    assert container.output.count("\n") == 1


def test_an_image_without_python(new: Callable[..., Container]) -> None:
    container = new()
    container.start(wire.GuestSettings(mode="warm"), {**IMAGE, "PATH": "/nowhere"})
    assert container.wait() == 1
    assert container.output.startswith("hubagent: this image has neither jupyterhub-singleuser")
    assert container.output.count("\n") == 1


def read_at_import(name: str) -> Iterator[str]:
    """The hub's variables that a module's own code names as it is imported: anywhere but in functions."""
    with warnings.catch_warnings(action="ignore"):  # packages are imported for it
        spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return
    todo: list[ast.AST] = [ast.parse(Path(spec.origin).read_bytes())]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            todo += [*node.decorator_list, *node.args.defaults, *filter(None, node.args.kw_defaults)]
        elif isinstance(node, ast.Lambda):
            todo += [*node.args.defaults, *filter(None, node.args.kw_defaults)]
        elif isinstance(node, ast.Call | ast.Subscript) and names(node) & {"environ", "getenv", "_bool_env"}:
            words = [one.value for one in ast.walk(node) if isinstance(one, ast.Constant)]
            yield from (word for word in words if isinstance(word, str) and word.startswith(PREFIXES))
            todo += ast.iter_child_nodes(node)
        else:
            todo += ast.iter_child_nodes(node)


def names(node: ast.Call | ast.Subscript) -> set[str]:
    """The parts of the dotted name that is called or indexed."""
    found = set()
    part = node.func if isinstance(node, ast.Call) else node.value
    while isinstance(part, ast.Attribute):
        found.add(part.attr)
        part = part.value
    return found | ({part.id} if isinstance(part, ast.Name) else set())
