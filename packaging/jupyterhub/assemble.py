#!/usr/bin/python3
"""Assemble the hub's environment as the package ships it:  assemble.py FOLDER

One folder serves every Python in PYTHONS (docs/adr/0003): a wheel that fits all of them is
unpacked once, below lib/python3; the others below lib/python3.N, beside a path file that adds the
shared folder. The interpreter is the machine's own, so its security updates come from Debian.
"""

from __future__ import annotations

import shutil
import sys
import zipfile
from pathlib import Path, PurePosixPath

sys.path.insert(0, str(Path(__file__).resolve().parent))
from wheels import wheels

PYTHONS = ("3.11", "3.13")  # Debian 12, Debian 13
PREFIX = "/usr/lib/hubagent-jupyterhub"  # where the folder lies in the end
ROOT = Path(__file__).resolve().parents[2]

SCRIPTS = {"jupyterhub": "hubagent.hub.application", "jupyterhub-idle-culler": "jupyterhub_idle_culler"}
SCRIPT = """\
#!{prefix}/bin/python3
import sys

from {module} import main

sys.exit(main())
"""

# What no page of the hub loads: sources of the icon font (40 MB in 5,800 files) and of scripts that
# are loaded as built files.
COMPONENTS = "/share/jupyterhub/static/components/"
ICONS = "@fortawesome/fontawesome-free/"
UNUSED = tuple(
    COMPONENTS + folder
    for folder in (
        *(
            f"{ICONS}{kind}/"
            for kind in ("js", "metadata", "scss", "sprites", "sprites-full", "svgs", "svgs-full")
        ),
        "moment/src/",
        "jquery/src/",
        "requirejs/bin/",
    )
)


def unpack(wheel: Path, site_packages: Path, prefix: Path) -> None:
    """Unpack a wheel as the binary distribution format says (PEP 427), less its scripts."""
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            parts = PurePosixPath(name).parts
            if name.endswith("/") or ".." in parts or any(folder in name for folder in UNUSED):
                continue
            target = site_packages / name
            if parts[0].endswith(".data"):
                scheme, inner = parts[1], Path(*parts[2:])
                if scheme in ("scripts", "headers"):
                    continue
                target = (prefix if scheme == "data" else site_packages) / inner
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(archive.read(name))


def assemble(prefix: Path) -> None:
    """Make the whole folder anew."""
    shutil.rmtree(prefix, ignore_errors=True)
    chosen = {python: {wheel.name: wheel for wheel in wheels(python).glob("*.whl")} for python in PYTHONS}
    shared = set.intersection(*(set(names) for names in chosen.values()))
    for name in sorted(shared):
        unpack(chosen[PYTHONS[0]][name], prefix / "lib/python3/site-packages", prefix)
    for python, names in chosen.items():
        site_packages = prefix / f"lib/python{python}/site-packages"
        for name in sorted(set(names) - shared):
            unpack(names[name], site_packages, prefix)
        (site_packages / "hubagent-jupyterhub.pth").write_text(
            f"{PREFIX}/lib/python3/site-packages\n{PREFIX}/share/python\n"
        )

    binaries = prefix / "bin"
    binaries.mkdir()
    (binaries / "python3").symlink_to("/usr/bin/python3")
    (prefix / "pyvenv.cfg").write_text("home = /usr/bin\ninclude-system-site-packages = false\n")
    for command, module in SCRIPTS.items():
        script = binaries / command
        script.write_text(SCRIPT.format(prefix=PREFIX, module=module))
        script.chmod(0o755)

    code = prefix / "share/python/hubagent"
    unwanted = shutil.ignore_patterns("__pycache__")
    for package in ("codec", "hub", "traits", "wire"):
        shutil.copytree(ROOT / "hubagent" / package, code / package, ignore=unwanted)
    leaves = (
        "__init__",
        "backoff",
        "errors",
        "hub_documents",
        "layout",
        "log_priority",
        "naming",
        "request_log",
    )
    for leaf in leaves:
        shutil.copy(ROOT / "hubagent" / f"{leaf}.py", code)
    compiler = prefix / "compile"
    shutil.copy(ROOT / "packaging/jupyterhub/compile", compiler)
    compiler.chmod(0o755)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    assemble(Path(sys.argv[1]))
