"""The command `check`: is a configuration file valid? It reads that file, and asks the name servers for `host`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from hubagent.adapters.files.store import LocalFileStore
from hubagent.adapters.net import name_lookup
from hubagent.cli import console
from hubagent.config.model import Config, TlsMode
from hubagent.config.reading.advice import Notice, advice, judge_host
from hubagent.config.reading.loader import MAX_BYTES, load
from hubagent.errors import ConfigError
from hubagent.layout import Layout
from hubagent.text import clean


def check(arguments: argparse.Namespace, layout: Layout) -> int:
    path: Path = arguments.file or layout.config
    if str(path) == "-":
        content = sys.stdin.buffer.read(MAX_BYTES + 1)
    else:
        state = LocalFileStore().read(path, max_bytes=MAX_BYTES)
        if state is None:
            raise ConfigError((f"{path}: does not exist",))
        content = state.content
    config = load(content, path=str(path))
    for notice in advice(config):
        console.complain(f"{path}: {notice}")
    say_where_it_leads(config)
    say_what_is_missing(config, layout)
    print(clean(f"{path}: valid"))
    return console.OK


def say_what_is_missing(config: Config, layout: Layout) -> None:
    """Only of this machine; the file is valid without it."""
    if config.tls.mode is TlsMode.LETSENCRYPT and not layout.certbot.exists():
        message = "needs certbot, which is not installed on this machine: apt install certbot"
        console.complain(Notice("tls.mode", message))


def say_where_it_leads(config: Config) -> None:
    """Before people are locked out under every other name."""
    notice = judge_host(config.host, name_lookup.addresses(config.host)) if config.host else None
    if notice is not None:
        console.complain(notice)
