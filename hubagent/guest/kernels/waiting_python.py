"""Waits to become an ipykernel:  python waiting_python.py REPORT MODULE

Imports what a kernel needs, writes `w` to file number REPORT, and blocks in one read of standard input, in which
the message of spare.py comes. Then it is `python -m MODULE ...`. A script of its own, run by whichever interpreter
the kernelspec names; standard library until the kernel's own imports.
"""

import sys

del sys.path[0]  # this folder; `python -m` has the working directory there, and ipykernel removes it

import importlib  # noqa: E402
import importlib.machinery  # noqa: E402
import os  # noqa: E402
import runpy  # noqa: E402
import site  # noqa: E402

MAGIC = b"hubagent 1"
END = b"end\n"

# What a kernel of ipykernel 6 and 7 imports until its first result; found by comparing sys.modules, which
# tests/guest_kernels does for the installed versions. Names that an image does not have are left out.
MODULES = (
    "ipykernel.kernelapp",
    "ipykernel.ipkernel",
    "ipykernel.zmqshell",
    "ipykernel.debugger",
    "IPython.core.completer",
    "IPython.core.completerlib",
    "IPython.core.debugger",
    "IPython.core.logger",
    "IPython.core.oinspect",
    "IPython.extensions.storemagic",
    "faulthandler",
    "pdb",
    "psutil",
    "resource",
    "sqlite3",
    "tornado.platform.asyncio",
)


def main() -> None:
    report, module = int(sys.argv[1]), sys.argv[2]
    before, variables = frozenset(sys.modules), dict(os.environb)
    for name in MODULES:
        try:
            importlib.import_module(name)
        except ImportError:
            continue
    preloaded = frozenset(sys.modules) - before
    own = {name: value for name, value in os.environb.items() if variables.get(name) != value}
    os.write(report, b"w")
    os.close(report)
    parts = _message()
    if parts[0] != MAGIC or parts[-1] != END:
        sys.exit(0)  # the server ended, and its pipe with it
    count = int(parts[3])
    command = [os.fsdecode(word) for word in parts[4 : 4 + count]]
    os.environb.clear()
    for pair in parts[4 + count : -1]:
        variable, _, value = pair.partition(b"=")
        os.environb[variable] = value
    for variable, value in own.items():  # that the imports set, as debugpy's does
        os.environb.setdefault(variable, value)
    os.umask(int(parts[1], 8))
    os.chdir(parts[2])
    if _user_has_own(preloaded):
        os.execvp(command[0], command)  # noqa: S606
    _become(module, command[command.index(module) + 1 :])


def _message() -> "list[bytes]":
    """All of standard input, then it is at its end, as a kernel's is."""
    read = []
    while part := os.read(0, 1 << 16):
        read.append(part)
    return b"".join(read).split(b"\0")


def _user_has_own(preloaded: "frozenset[str]") -> bool:
    """Take the user's own packages onto sys.path, as at the start of an interpreter; whether one of what is
    imported already would now come from there."""
    if not site.ENABLE_USER_SITE:
        return False
    site.USER_BASE = site.USER_SITE = None
    folder = site.getusersitepackages()
    if not os.path.isdir(folder):
        return False
    _add(folder)
    importlib.invalidate_caches()
    return not all(_is_loaded_from_path(name) for name in {name.partition(".")[0] for name in preloaded})


def _add(folder: str) -> None:
    """In its place (site.main): after a virtual environment's packages, before those of the interpreter itself."""
    before = [path for path in sys.path if path != folder]
    general = set(site.getsitepackages([sys.base_prefix, sys.base_exec_prefix]))
    at = next((index for index, path in enumerate(before) if path in general), len(before))
    sys.path[:] = before[:at]
    site.addsitedir(folder)
    sys.path.extend(path for path in before[at:] if path not in sys.path)


def _is_loaded_from_path(name: str) -> bool:
    """Whether an import would find now what is imported already; also when it would find nothing, as with what
    debugpy loads from a folder of its own."""
    origin = getattr(sys.modules.get(name), "__file__", None)
    spec = importlib.machinery.PathFinder.find_spec(name) if origin else None
    return spec is None or spec.origin == origin


def _become(module: str, arguments: "list[str]") -> None:
    """As `python -m MODULE ARGUMENTS` goes on after its imports."""
    sys.argv[1:] = arguments
    sys.path.insert(0, os.getcwd())
    runpy.run_module(module, run_name="__main__", alter_sys=True)


main()
