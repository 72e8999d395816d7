"""Which files a configuration needs beside itself: keys, certificates, passwords. It names them; nobody else."""

from __future__ import annotations

from pathlib import Path

from hubagent.config.model import Config, TlsMode
from hubagent.layout import Layout
from hubagent.render import hub_files


def named_files(config: Config, layout: Layout) -> tuple[Path, ...]:
    """Each once, sorted, below the layout's root."""
    tls, metrics, hub = config.tls, config.metrics.tls, config.hub
    found = [hub.database_password_file]
    if tls.mode is TlsMode.FILES:
        found += [tls.certificate, tls.key]
    if metrics is not None:
        found += [metrics.certificate, metrics.key]
    named = {Path(path) for path in found if path is not None}
    named |= {Path(path) for path in hub_files.named_files(hub.traits)}
    return tuple(sorted(layout.root.joinpath(*path.parts[1:]) for path in named))
