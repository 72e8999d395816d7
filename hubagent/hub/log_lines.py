"""The lines of the hub's log, each with its priority where the journal reads them."""

from __future__ import annotations

import logging

from jupyterhub.log import CoroutineLogFormatter

from hubagent.log_priority import PriorityFormatter, is_journal, marked


class LineFormatter(PriorityFormatter, CoroutineLogFormatter):  # type: ignore[misc]  # jupyterhub is untyped
    """JupyterHub's own lines."""

    has_colours = True


def install() -> None:
    """For what is logged beside JupyterHub's own log (by asyncio, plugins, the database's library), warnings of Python
    among it."""
    handler = logging.StreamHandler()
    handler.setFormatter(LineFormatter(fmt="[%(levelname)1.1s %(asctime)s %(name)s] %(message)s"))
    logging.getLogger().addHandler(handler)
    logging.captureWarnings(capture=True)


def last_words(text: str) -> str:
    """What the program says on standard error as it ends for that reason."""
    return marked(text, logging.CRITICAL) if is_journal() else text
