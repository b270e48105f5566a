"""Moves and copies files so that a power cut leaves whole files or none; overwrites none."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import BinaryIO

CANNOT_LINK = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL})

_CANNOT_COPY_RANGE = frozenset(
    {errno.EXDEV, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EBADF, errno.EPERM}
)

_CANNOT_SYNC_FOLDER = frozenset({errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF})


def move_without_overwrite(source: Path, target: Path) -> None:
    """Renames a file within a file system; raises FileExistsError where `target` exists.

    After a crash in between, the file has one name or both, never none.
    """
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in CANNOT_LINK:
            raise
        # FAT and some network file systems have no hard links, and the kernel refuses to link files
        # of other users. The store's lock keeps other writers away, so it is enough to look first.
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from error
        source.rename(target)
        return
    try:
        source.unlink()
    except OSError:
        target.unlink()
        raise


def copy_data(source: BinaryIO, target: BinaryIO) -> None:
    """Copies a whole file and syncs it to the disk; by reflink where the file system can."""
    size = os.fstat(source.fileno()).st_size
    copied = 0
    try:
        while copied < size:
            n = os.copy_file_range(source.fileno(), target.fileno(), size - copied, copied, copied)
            if n == 0:
                break
            copied += n
    except OSError as error:
        if error.errno not in _CANNOT_COPY_RANGE:
            raise
    source.seek(copied)
    target.seek(copied)
    while chunk := source.read(1 << 20):
        target.write(chunk)
    target.flush()
    os.fsync(target.fileno())


def sync_folder(folder: Path) -> None:
    """Syncs the names in a folder to the disk, where its file system supports that."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC_FOLDER:
            raise
    finally:
        os.close(descriptor)


def nearest_existing(path: Path) -> Path:
    """Returns the path itself, or the nearest of its parents that exists."""
    return next(parent for parent in (path, *path.parents) if parent.exists())
