"""docs/reliability.md, made from cases.py: `python -m tests.faults.page` prints it."""

from __future__ import annotations

from itertools import groupby

from tests.faults.cases import CHAPTERS, Case, Chapter
from tests.faults.named import all_cases, all_tests

_INTRODUCTION = """\
# What hubagent lives through

<!-- Made by `python -m tests.faults.page`; edit tests/faults/cases.py instead. -->

{cases} faults, what is expected of hubagent under each, and the {tests} tests that try to make it fail. `make test-faults`
runs exactly these tests and ends with their count; a named test that does not exist, is skipped or does not run fails it.
`make fuzz` looks for more, for as long as it is given: files and messages on both sockets, guided by the branches that they reach.

The promises behind them, which [tests/faults/test_promises.py](../tests/faults/test_promises.py) also holds among
random edits, faults, restarts and jumps of time:

1. A bad file never changes a running service.
2. After any crash or power cut the machine runs generation N or N+1, never a mix.
3. What does not serve as asked is rolled back to the last good generation automatically.
4. `hubagent plan` is what is then done.
5. Applying twice is applying once.
6. Once what was broken works again, everything comes to where the file says, without a restart of the agent.

`make soak` lets many of them happen at random on one booted machine, among people who work there: [what it showed](soak.md).

| tests in | are run on |
|---|---|
| tests/unit, tests/faults | fakes that fail as told, each held to the real thing by tests/contract; the agent's own process |
| tests/contract, tests/nginx, tests/hub, tests/guest | the real systemd, D-Bus, Docker, file systems, nginx, JupyterHub, guest |
| tests/machine | booted Debian 12 and 13 machines with everything installed |
| tests/packages | the packages and units as they are shipped |
"""


def page_text() -> str:
    """The page that is shipped, byte for byte."""
    lines = [_INTRODUCTION.format(cases=len(all_cases()), tests=len(all_tests()))]
    for chapter in CHAPTERS:
        lines += [f"## {chapter.title}", "", *table(chapter, ("fault", "expected")), ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def table(chapter: Chapter, heads: tuple[str, str]) -> list[str]:
    """The lines of a chapter's table; `heads` stand above what a case is and what is expected."""
    return [
        f"| | {heads[0]} | {heads[1]} | shown by |",
        "|---|---|---|---|",
        *(_row(case) for case in chapter.cases),
    ]


def _row(case: Case) -> str:
    files = groupby(case.tests, key=lambda test: test.partition("::")[0])
    shown = (
        f"[{file.removeprefix('tests/').removesuffix('.py')}](../{file}): "
        + ", ".join(_words(test) for test in tests)
        for file, tests in files
    )
    cells = (case.id, case.fault, case.expected, "<br>".join(shown))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _words(test: str) -> str:
    return test.partition("::")[2].removeprefix("test_").replace("_", " ")


if __name__ == "__main__":
    print(page_text(), end="")
