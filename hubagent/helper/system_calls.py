"""System calls that neither Python nor Debian 12's C library has: openat2(2) and the new mount calls.

open_tree, mount_setattr and move_mount rather than mount(2): a mount made in two steps (bind, then remount
with flags) reaches the container without its flags, because flags do not propagate afterwards. Descriptors
are plain ints that the caller closes; an open one keeps its mount busy. Everything raises OSError.
"""

from __future__ import annotations

import ctypes
import os
from typing import Final

# Of asm-generic/unistd.h: these four have the same number on every architecture.
_OPEN_TREE: Final = 428
_MOVE_MOUNT: Final = 429
_OPENAT2: Final = 437
_MOUNT_SETATTR: Final = 442

# linux/fcntl.h, linux/mount.h
_AT_EMPTY_PATH: Final = 0x1000
_AT_RECURSIVE: Final = 0x8000
_OPEN_TREE_CLONE: Final = 1
_MOVE_FROM_DESCRIPTOR: Final = 0x04  # MOVE_MOUNT_F_EMPTY_PATH
_MOVE_TO_DESCRIPTOR: Final = 0x40  # MOVE_MOUNT_T_EMPTY_PATH
_UMOUNT_NOFOLLOW: Final = 8

READ_ONLY: Final = 0x1  # MOUNT_ATTR_RDONLY and the next ones
NO_SUID: Final = 0x2
NO_DEVICES: Final = 0x4
NO_EXEC: Final = 0x8

PRIVATE: Final = 1 << 18  # MS_PRIVATE, MS_SHARED
SHARED: Final = 1 << 20

# linux/openat2.h
_NO_XDEV: Final = 0x01
_NO_MAGICLINKS: Final = 0x02
_NO_SYMLINKS: Final = 0x04
_BENEATH: Final = 0x08

_ANY_FOLDER: Final = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC

_libc: Final = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_libc.umount2.argtypes = (ctypes.c_char_p, ctypes.c_int)


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


class _MountAttributes(ctypes.Structure):
    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


def open_folder(path: str | os.PathLike[str]) -> int:
    """A folder by its path, symbolic links followed: for paths that only an admin has a say in."""
    return os.open(path, _ANY_FOLDER)


def open_beneath(folder: int, path: str, *, same_mount: bool = False) -> int:
    """A folder beneath a folder, wherever a user may have put something on the way: a symbolic link raises
    ELOOP, anything else that is no folder ENOTDIR, and with `same_mount` a mount point EXDEV."""
    resolve = _BENEATH | _NO_SYMLINKS | _NO_MAGICLINKS | (_NO_XDEV if same_mount else 0)
    how = _OpenHow(_ANY_FOLDER, 0, resolve)
    return _call(_OPENAT2, folder, os.fsencode(path), ctypes.byref(how), ctypes.sizeof(how))


def clone(folder: int, *, recursive: bool) -> int:
    """A new mount of this folder, attached nowhere; `recursive` takes along what is mounted below it. It is
    gone when the descriptor is closed before `attach`."""
    flags = _AT_EMPTY_PATH | _OPEN_TREE_CLONE | os.O_CLOEXEC | (_AT_RECURSIVE if recursive else 0)
    return _call(_OPEN_TREE, folder, b"", flags)


def change(mount: int, *, attributes: int = 0, propagation: int = 0, recursive: bool = False) -> None:
    """Add attributes (READ_ONLY and so on) to a mount and set its propagation; 0 leaves it as it is."""
    wanted = _MountAttributes(attr_set=attributes, propagation=propagation)
    flags = _AT_EMPTY_PATH | (_AT_RECURSIVE if recursive else 0)
    _call(_MOUNT_SETATTR, mount, b"", flags, ctypes.byref(wanted), ctypes.sizeof(wanted))


def attach(mount: int, folder: int) -> None:
    """Attach a clone on a folder."""
    _call(_MOVE_MOUNT, mount, b"", folder, b"", _MOVE_FROM_DESCRIPTOR | _MOVE_TO_DESCRIPTOR)


def unmount(folder: int, name: str) -> None:
    """Unmount what is mounted on `name` in a folder. Never lazily: EBUSY says that somebody is in there."""
    # The last component is not followed if it is a link, and what comes before is the descriptor itself.
    path = os.fsencode(f"/proc/self/fd/{folder}/{name}")
    if _libc.umount2(path, _UMOUNT_NOFOLLOW) != 0:
        _raise()


def _call(number: int, *arguments: object) -> int:
    # Numbers as longs: a variadic function does not widen them by itself.
    result: int = _libc.syscall(
        ctypes.c_long(number), *(ctypes.c_long(one) if isinstance(one, int) else one for one in arguments)
    )
    if result < 0:
        _raise()
    return result


def _raise() -> None:
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number))
