"""Kernels that wait: started before the user comes, handed over when the user starts one.

`start` is for the guest; the user's server finds `provisioner` through the entry point in `entry`.
"""

from __future__ import annotations

from hubagent import wire

from .companion import Kernels


def start(settings: wire.GuestSettings) -> Kernels:
    """Begin to warm the kernels that the settings ask for; returns at once."""
    return Kernels(settings.kernels)
