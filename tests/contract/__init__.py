"""The same promises asked of the fakes and of the real adapters, and what only the real ones can show."""

import warnings

with warnings.catch_warnings():
    # Debian 12's python3-gi and python3-docker use what later Pythons dropped; on Debian each fits its Python.
    warnings.simplefilter("ignore")
    import docker  # noqa: F401
    import gi.repository.Gio  # noqa: F401
