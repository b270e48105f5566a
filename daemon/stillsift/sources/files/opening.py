"""Opens files without following a symbolic link, and tells whether somebody still writes to one.

Whoever may write into a watched directory can put a link in the place of a folder or file at any
moment between two calls. So every folder on the way is opened by itself and must be no link; what
follows uses the descriptors and not the path. A symbolic link that the operator has on the way to a
watched directory is resolved once, before (`tree.trees`).
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import signal
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""Without waiting: opening a named pipe would else wait for its writer."""
_F_SETSIG = 10
_LEASE_UNKNOWN = frozenset(
    {errno.EACCES, errno.EPERM, errno.EINVAL, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS}
)
_LIBC = ctypes.CDLL(None)
_LOCAL = frozenset(
    {
        *(0xEF53, 0x58465342, 0x9123683E, 0xF2F52010, 0x2FC12FC1, 0xCA451A4E),
        # ext2 to ext4, XFS, Btrfs, F2FS, ZFS, bcachefs
        *(0x01021994, 0x858458F6, 0x794C7630),  # tmpfs, ramfs, overlay
        *(0x4D44, 0x2011BAB0, 0x7366746E, 0x3153464A, 0x52654973, 0x24051905, 0x72B6, 0x3434),
        # FAT, exFAT, NTFS of the kernel, JFS, ReiserFS, UBIFS, JFFS2, NILFS
    }
)
"""Types of local file systems (f_type, see statfs(2)); those of others are not believed."""


@contextmanager
def opened_folder(folder: Path, *, make: bool = False) -> Iterator[int]:
    """Opens an absolute folder step by step; gives a descriptor for `dir_fd`.

    With `make`, what is missing of it is made. Raises OSError; ELOOP or ENOTDIR where a symbolic
    link is on the way.
    """
    descriptor = os.open(folder.anchor or "/", _FOLDER)
    try:
        for part in folder.parts[1:]:
            if make:
                with suppress(FileExistsError):
                    os.mkdir(part, dir_fd=descriptor)
            inner = os.open(part, _FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        yield descriptor
    finally:
        os.close(descriptor)


def open_beneath(folder: int, name: str) -> int:
    """Opens a regular file in an open folder for reading; returns its descriptor.

    Raises OSError; ELOOP for a symbolic link, EINVAL for what is no regular file.
    """
    descriptor = os.open(name, _FILE, dir_fd=folder)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "is no regular file", name)
    return descriptor


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Opens a regular file for reading, without a symbolic link on the way. Raises OSError."""
    with opened_folder(path.parent) as folder:
        file = os.fdopen(open_beneath(folder, path.name), "rb")
    with file:
        yield file


def path_of(file: BinaryIO) -> str:
    """Returns a path that opens this very file again, whatever its name stands for by now."""
    return f"/proc/self/fd/{file.fileno()}"


def being_written(descriptor: int) -> bool | None:
    """Tells whether somebody has this file open for writing.

    None: it cannot be known, as on network file systems and FUSE, where the writer may be another
    machine or process that the kernel knows nothing of, or for a file of another user without the
    right to lease it (CAP_LEASE). See fcntl(2), F_SETLEASE: a read lease is refused while a file is
    open for writing. NFS and SMB refuse it, too, whenever their server has not delegated the file.
    """
    if not _is_local(descriptor):
        return None
    try:
        # Who opens the file for writing while the lease stands waits for its end, and the holder is
        # sent a signal. SIGURG is ignored unless somebody asks for it; SIGIO would end the process.
        fcntl.fcntl(descriptor, _F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EBUSY):
            return True
        if error.errno in _LEASE_UNKNOWN:
            return None
        raise
    with suppress(OSError):
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False


def _is_local(descriptor: int) -> bool:
    """Tells whether the kernel itself keeps the file, so that it knows of everybody who writes."""
    found = (ctypes.c_long * 32)()  # struct statfs; its first member is f_type
    if _LIBC.fstatfs(descriptor, found):
        return False
    return found[0] & 0xFFFFFFFF in _LOCAL


def is_being_written(path: Path) -> bool:
    """Tells whether somebody is known to have a file open for writing. Raises OSError."""
    with opened(path) as file:
        return being_written(file.fileno()) is True
