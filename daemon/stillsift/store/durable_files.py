"""Moves and copies files so that a power cut leaves whole files or none; overwrites none."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path
from typing import BinaryIO

_LIBC = ctypes.CDLL(None, use_errno=True)
_READ_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_RENAME_NOREPLACE = 1
_RENAME_EXCHANGE = 2
_AT_FDCWD = -100
_CANNOT_RENAME_SO = frozenset({errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP})
"""The C library, the kernel or the file system has no rename that replaces nothing."""

_CANNOT_LINK = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL})

_CANNOT_COPY_RANGE = frozenset(
    {errno.EXDEV, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EBADF, errno.EPERM}
)

_CANNOT_SYNC_FOLDER = frozenset({errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF})


def move_without_overwrite(
    source: Path | str,
    target: Path | str,
    *,
    source_folder: int | None = None,
    target_folder: int | None = None,
) -> None:
    """Renames a file within a file system; raises FileExistsError where `target` exists.

    After a crash in between, the file has one name or both, never none.

    Args:
        source_folder: descriptor of the open folder that `source` is a name in; None: it is a path.
        target_folder: the same of `target`.
    """
    if _renamed(source, target, source_folder, target_folder):
        return
    try:
        os.link(
            source,
            target,
            src_dir_fd=source_folder,
            dst_dir_fd=target_folder,
            follow_symlinks=False,
        )
    except OSError as error:
        if error.errno not in _CANNOT_LINK:
            raise
        # FAT and some network file systems have no hard links, and the kernel refuses to link files
        # of other users. What is left is to look first.
        if _exists(target, target_folder):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from error
        os.rename(source, target, src_dir_fd=source_folder, dst_dir_fd=target_folder)
        return
    try:
        os.unlink(source, dir_fd=source_folder)
    except OSError:
        os.unlink(target, dir_fd=target_folder)
        raise


def _renamed(
    source: Path | str, target: Path | str, source_folder: int | None, target_folder: int | None
) -> bool:
    """Renames in one step by renameat2(2); returns False where that is not possible here."""
    if not hasattr(_LIBC, "renameat2"):
        return False
    done = _LIBC.renameat2(
        _AT_FDCWD if source_folder is None else source_folder,
        os.fsencode(source),
        _AT_FDCWD if target_folder is None else target_folder,
        os.fsencode(target),
        _RENAME_NOREPLACE,
    )
    if done == 0:
        return True
    code = ctypes.get_errno()
    if code in _CANNOT_RENAME_SO:
        return False
    raise OSError(code, os.strerror(code), str(target))


def exchange(one: str, other: str, folder: int) -> bool:
    """Swaps two files of an open folder in one step; returns False where that is not possible here.

    Raises OSError, FileNotFoundError where one of them is missing.
    """
    if not hasattr(_LIBC, "renameat2"):
        return False
    names = (os.fsencode(one), os.fsencode(other))
    if _LIBC.renameat2(folder, names[0], folder, names[1], _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in _CANNOT_RENAME_SO:
        return False
    raise OSError(code, os.strerror(code), other)


def _exists(name: Path | str, folder: int | None) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


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


def make_folder(folder: Path) -> None:
    """Makes a folder and its parents, and syncs them to the disk."""
    if folder.is_dir():
        return
    for missing in reversed([folder, *folder.parents]):
        if not missing.is_dir():
            missing.mkdir(exist_ok=True)
            sync_folder(missing.parent)


def sync_folder(folder: Path) -> None:
    """Syncs the names in a folder to the disk, where its file system supports that."""
    _sync(os.open(folder, _READ_FOLDER))


def sync_open_folder(folder: int) -> None:
    """Syncs the names in an open folder (also one opened by O_PATH), as `sync_folder` does."""
    _sync(os.open(".", _READ_FOLDER, dir_fd=folder))


def _sync(descriptor: int) -> None:
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
