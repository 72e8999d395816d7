"""Everything between a browser and a notebook, on this machine."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from hubagent.render.nginx import NginxSite

from .client import Answer, ask
from .front import HOST, Front
from .upstream import Proxy, Upstream


@dataclass(frozen=True, slots=True)
class Stack:
    front: Front
    site: NginxSite
    proxy: Proxy
    hub: Upstream
    user: Upstream

    def get(self, path: str, **how: Any) -> Answer:
        """One request over TLS to the site; `how` as for `ask`."""
        return ask(self.site.https_port, path, host=HOST, **how)

    def seen(self, path: str, **how: Any) -> dict[str, Any]:
        """What the server behind everything says it was asked."""
        answer = self.get(path, **how)
        assert answer.status == 200, answer
        told: dict[str, Any] = json.loads(answer.body)
        told["headers"] = dict(told["headers"])
        return told
