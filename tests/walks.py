"""Which modules one edit and one click pass, measured: `python -m tests.walks` prints both.

The edit is of `nginx.max_body`, made on the in-memory machine of the tests and acted on once. The click is a claim of a
ready slot. Counted is every module of the agent in which a function of its own runs meanwhile, in any thread; values that
are merely made do not count. `python -m tests.walks --write` brings the lists in docs/architecture.md up to date.
"""

from __future__ import annotations

import ast
import re
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Final

from hubagent import wire
from tests.unit.converge.world import CONFIG
from tests.unit.converge.world import World as ConvergingMachine
from tests.unit.pool.world import World as PoolMachine

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = ROOT / "docs/architecture.md"

_BEGIN: Final = "<!-- Made by `python -m tests.walks --write`. -->\n"
_END: Final = "<!-- End of the walks. -->\n"


def modules_passed(action: Callable[[], object]) -> list[str]:
    """Files of hubagent in which a function was entered, in the order of the first time, relative to the package."""
    passed: dict[str, None] = {}

    def enter(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_name != "<module>" and not code.co_filename.startswith("<"):
            path = Path(code.co_filename)
            if path.is_relative_to(ROOT / "hubagent"):
                passed.setdefault(str(path.relative_to(ROOT / "hubagent")))

    threading.setprofile(enter)
    sys.setprofile(enter)
    try:
        action()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return list(passed)


def edit() -> list[str]:
    """What an agent passes that has reconciled before, and finds another file."""
    machine = ConvergingMachine()
    machine.reconcile()
    machine.edit(CONFIG + "nginx: {max_body: 7M}\n")
    passed = modules_passed(machine.reconcile)
    assert machine.taken, "the edit took no step"
    return passed


def click() -> list[str]:
    """What a pool with ready slots passes."""
    machine = PoolMachine()
    machine.settle()
    answers: list[object] = []
    passed = modules_passed(lambda: answers.append(machine.claim("ada")))
    assert isinstance(answers[0], wire.Started), answers
    return passed


def walks() -> str:
    """Both, in Markdown: each module with the first sentence of its docstring."""
    parts = []
    for title, passed in (("An edit", edit()), ("A click", click())):
        rows = [
            f"{number}. [{path}](../hubagent/{path}): {_first_sentence(path)}"
            for number, path in enumerate(passed, start=1)
        ]
        parts.append(f"### {title}: {len(passed)} modules\n\n" + "\n".join(rows) + "\n")
    return "\n".join(parts)


def page() -> str:
    """The page with the lists as they are now."""
    before, rest = PAGE.read_text().split(_BEGIN)
    _, after = rest.split(_END)
    return f"{before}{_BEGIN}\n{walks()}\n{_END}{after}"


def _first_sentence(path: str) -> str:
    words = ast.get_docstring(ast.parse((ROOT / "hubagent" / path).read_text())) or ""
    paragraph = " ".join(words.split("\n\n")[0].split())
    return re.split(r"(?<=\.) ", paragraph)[0]


def main() -> None:
    if "--write" in sys.argv[1:]:
        PAGE.write_text(page())
    else:
        print(walks(), end="")


if __name__ == "__main__":
    main()
