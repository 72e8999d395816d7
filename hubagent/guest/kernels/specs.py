"""Which kernels the image has, and which of them a wanted name means."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .recipes import Recipe, UnknownCommandError, recipe_for


def wanted_recipes(wanted: Mapping[str, int]) -> tuple[dict[str, tuple[Recipe, int]], tuple[str, ...]]:
    """The recipe and count for each wanted name, and a line for each that cannot be kept waiting."""
    specs = _specs()
    found: dict[str, tuple[Recipe, int]] = {}
    faults = []
    for name, count in wanted.items():
        kernel = meant(name, {one: spec.language for one, spec in specs.items()})
        if kernel is None:
            faults.append(f"no kernel {name!r}: the image has {', '.join(sorted(specs)) or 'none'}")
            continue
        spec = specs[kernel]
        try:
            found[name] = recipe_for(tuple(spec.argv), spec.env), count
        except UnknownCommandError as error:
            faults.append(f"kernel {kernel!r} starts the ordinary way: {error}")
    return found, tuple(faults)


def meant(name: str, language: Mapping[str, str]) -> str | None:
    """The kernel that `name` means: one of that name, or else the newest one of that language."""
    if name in language:
        return name
    candidates = [one for one, spoken in language.items() if spoken.lower() == name.lower()]
    return max(candidates, key=_version, default=None)


def _version(name: str) -> tuple[tuple[int, ...], str]:
    return tuple(int(number) for number in re.findall(r"\d+", name)), name


def _specs() -> dict[str, Any]:
    # Not KernelSpecManager.get_kernel_spec: it makes the one factory of provisioners, before the server's own.
    from jupyter_client.kernelspec import NATIVE_KERNEL_NAME, KernelSpec, KernelSpecManager

    specs = {}
    for name, folder in KernelSpecManager().find_kernel_specs().items():
        try:
            specs[name] = KernelSpec.from_resource_dir(folder)
        except (OSError, ValueError):  # a broken kernel.json is no kernel, for Jupyter too
            if name == NATIVE_KERNEL_NAME:
                specs[name] = KernelSpec(resource_dir=folder, **_native())
    return specs


def _native() -> dict[str, Any]:
    from ipykernel.kernelspec import get_kernel_dict

    kernel: dict[str, Any] = get_kernel_dict()
    return kernel
