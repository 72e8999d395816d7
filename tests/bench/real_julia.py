"""The shipped server with the real Julia, IJulia and Pluto, through the product, in a browser; for before a release.

    make real-julia                 # the machine builds what /etc/hubagent.yaml asks for: needs the internet
    make real-julia IMAGE=x.tar     # an image that was built elsewhere (docker save), with Julia, IJulia and Pluto

Writes build/bench/real-julia.json: seconds from the click, each from a slot and without one, with all versions. Where
the image cannot be made it says what could not be reached or built, and ends with 1.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, Page, expect

from tests.bench.browser import forget, pool_is_full, signed_in
from tests.bench.figures import ROOT, Figure, Report, median
from tests.browser.chromium import chromium
from tests.machine.client import Person
from tests.machine.hub import Hub, install, until
from tests.machine.rig import Machine, Suite

BUILT_S: Final = 5400.0
"""For downloads and for compiling packages for several processors (seconds)."""

FULL_S: Final = 900.0
ANSWER_MS: Final = 600_000
_IMAGE: Final = "hubagent/julia"
_SERVERS: Final = """\
hub: {{signup: open, ask_email: true, stop_idle_after: 0}}
servers:
  warm: {{image: {image}{build}, memory: 4G, cpus: 2, warm: {{ready: 1, max: 1}}}}
  cold: {{image: {image}, memory: 4G, cpus: 2}}
"""
_VERSIONS: Final = (
    "using Pkg; for (_, one) in Pkg.dependencies();"
    ' one.name in ("IJulia", "Pluto") && println(one.name, " ", one.version); end;'
    ' println("Julia ", VERSION)'
)


@dataclass(frozen=True)
class Sample:
    """Seconds from the click."""

    lab_s: float
    notebook_cell_s: float  # first result of a Julia cell
    pluto_page_s: float  # in the same server, from a click of its own
    pluto_cell_s: float  # first result in a new notebook, from that click


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--image", type=Path, help="a file that `docker save` made")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured, in turns (3)")
    chosen = parser.parse_args()
    with Machine.boot(Suite.BOOKWORM) as machine:
        hub = install(machine, ROOT / "dist/repo")
        fault = _prepare(hub, chosen.image)
        if fault:
            print(f"not measured: {fault}", file=sys.stderr)
            return 1
        path = measure(hub, chosen.rounds).write()
        print(f"written: {path}")
    return 0


def _prepare(hub: Hub, image: Path | None) -> str:
    """Configure it and wait for a full slot; why that cannot be, or empty."""
    build = ", build: {}"
    if image is not None:
        with image.open("rb") as archive:
            loaded = hub.machine.run(["docker", "load", "-q"], input=archive, timeout_s=BUILT_S).stdout
        hub.machine.run(["docker", "tag", loaded.strip().rpartition(" ")[2], _IMAGE])
        build = ""
    hub.edit(_SERVERS.format(image=_IMAGE, build=build))
    hub.apply()
    until(lambda: _state(hub)["state"] in ("present", "failed"), BUILT_S, "the image")
    if _state(hub)["state"] == "failed":
        return f"{_state(hub)['detail']}\n{hub.machine.run(['tail', '-n', '20', _state(hub)['log']]).stdout}"
    hub.static_files_taken()
    return ""


def _state(hub: Hub) -> dict[str, Any]:
    found: dict[str, Any] = hub.status()["images"][0]
    return found


def measure(hub: Hub, rounds: int) -> Report:
    """Raises AssertionError where a page does not do what people expect of it."""
    account = Person(hub, "julia-bench")
    account.sign_up()
    account.log_in()
    samples: dict[str, list[Sample]] = {"warm": [], "cold": []}
    try:
        with chromium(hub) as browser:
            for _ in range(rounds):
                for server, found in samples.items():
                    until(lambda: pool_is_full(hub), FULL_S, "a full pool")
                    print(f"  {server} …", flush=True)
                    found.append(_visit(browser, account, server))
                    print(f"  {found[-1]}", flush=True)
                    forget(account)
                    account.stop()
    finally:
        account.close()
    said = hub.machine.run(
        ["docker", "run", "--rm", _IMAGE, "julia", "--startup-file=no", "-e", _VERSIONS]
    ).stdout
    lab = hub.machine.run(["docker", "run", "--rm", _IMAGE, "jupyter", "lab", "--version"]).stdout
    versions = dict(line.split() for line in (*said.splitlines(), f"JupyterLab {lab.strip()}"))
    figures = tuple(
        Figure(
            f"click to {what}, real Julia",
            "s",
            median([getattr(one, field) for one in samples["warm"]]),
            median([getattr(one, field) for one in samples["cold"]]),
            "without a slot",
            None,
            f"{rounds} times in turns, medians",
        )
        for field, what in (
            ("lab_s", "JupyterLab"),
            ("notebook_cell_s", "the first Julia cell"),
            ("pluto_page_s", "Pluto's page"),
            ("pluto_cell_s", "the first cell in Pluto"),
        )
    )
    seen = {name: [asdict(one) for one in found] for name, found in samples.items()}
    return Report("real-julia", figures, {"rounds": rounds, "versions": versions}, seen)


def _visit(browser: Browser, account: Person, server: str) -> Sample:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(ANSWER_MS)
    expect.set_options(timeout=ANSWER_MS)
    try:
        signed_in(context, account)
        page = context.new_page()
        begun_s = time.perf_counter()
        page.goto(f"{account.base}/hub/spawn?opt-server={server}")
        expect(page.locator(".jp-LauncherCard").first).to_be_visible()
        lab_s = time.perf_counter() - begun_s
        julia_cell(page)
        notebook_cell_s = time.perf_counter() - begun_s
        page.screenshot(path=_picture(f"{server}-notebook"))
        begun_s = time.perf_counter()
        page.goto(f"{account.base}{account.home}/pluto/")
        expect(page.locator("a[href='new']").first).to_be_visible()
        pluto_page_s = time.perf_counter() - begun_s
        pluto_cell(page)
        pluto_cell_s = time.perf_counter() - begun_s
        page.screenshot(path=_picture(f"{server}-pluto"))
        return Sample(lab_s, notebook_cell_s, pluto_page_s, pluto_cell_s)
    finally:
        context.close()


def julia_cell(page: Page) -> None:
    """From the launcher: a new notebook of Julia, and what its first cell gives."""
    page.locator(".jp-LauncherCard[data-category='Notebook']").filter(has_text="Julia").first.click()
    expect(page.locator(".jp-Notebook .cm-content").first).to_be_visible()
    expect(page.get_by_role("button", name="| Idle")).to_be_visible()
    page.locator(".jp-Notebook .cm-content").last.click()
    page.keyboard.insert_text("println(6 * 7)")
    page.keyboard.press("Shift+Enter")
    expect(page.locator(".jp-OutputArea-output").filter(has_text="42").first).to_be_visible()


def pluto_cell(page: Page) -> None:
    """From Pluto's first page: a new notebook, and what its first cell gives."""
    page.locator("a[href='new']").first.click()
    editor = page.locator("pluto-cell pluto-input .cm-content, pluto-cell pluto-input .CodeMirror").first
    editor.click()
    page.keyboard.insert_text("6 * 7")
    page.keyboard.press("Shift+Enter")
    expect(page.locator("pluto-cell pluto-output").filter(has_text="42").first).to_be_visible()


def _picture(name: str) -> Path:
    return ROOT / f"build/bench/real-julia-{name}.png"


if __name__ == "__main__":
    sys.exit(main())
