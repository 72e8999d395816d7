"""Debian's Chromium in a network namespace of its own, driven by Playwright."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.machine.rig.client import client_network

FLAGS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def installed() -> Path:
    """Debian's Chromium, installed if it was not."""
    subprocess.run(["packaging/apt_install.sh", "chromium"], check=True)
    return Path("/usr/bin/chromium")


@contextmanager
def chromium() -> Iterator[Browser]:
    program = installed()
    with (
        tempfile.TemporaryDirectory(prefix="chromium-") as folder,
        client_network() as network,
        sync_playwright() as playwright,
    ):
        wrapper = Path(folder, "chromium")
        wrapper.write_text(f'#!/bin/sh\nexec nsenter --net={network.path} {program} "$@"\n')
        wrapper.chmod(0o755)
        browser = playwright.chromium.launch(
            executable_path=wrapper, args=list(FLAGS), chromium_sandbox=False
        )
        yield browser
        browser.close()
