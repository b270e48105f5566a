"""Turns errors of the disk into messages that a person can act on."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..problems import Problem


class StoreError(Problem):
    """Says that the store could not be read or written.

    The frame was not kept and its original stays.
    """


class StoreUnavailable(StoreError):
    """Says that the store's disk takes no files now; the same frame may be placed later."""


class StoreFull(StoreUnavailable):
    """Says that the store has no room, or less than what must stay free."""


class StoreInUse(StoreError):
    """Says that another stillsift is writing to this store."""

    exit_status = 75


class OriginalChanged(StoreError):
    """Says that a still has changed since it was decided about; it will be offered again."""


@contextmanager
def os_errors_about(path: Path) -> Iterator[None]:
    """Turns an OSError about `path` into a `StoreError` that a person can act on."""
    try:
        yield
    except OSError as error:
        raise store_problem(path, error) from error


_ADVICE = {
    errno.EROFS: "the file system is read-only; mount it writable or choose another store",
    errno.EACCES: "this user may not write there; give it the directory or choose another store",
    errno.EPERM: "this user may not do that; give it the directory or choose another store",
    errno.ENOTDIR: "a part of the path is a file; choose another store",
    errno.EEXIST: "a part of the path is a file; move it away or choose another store",
    errno.EIO: "the disk does not work as it should; see the system log",
    errno.ENOENT: "it is gone; was it moved, or a disk unmounted?",
    errno.EFBIG: "larger than this process may write; raise LimitFSIZE or ulimit -f",
    errno.EMFILE: "too many open files; raise LimitNOFILE or ulimit -n",
}


def store_problem(path: Path, error: OSError) -> StoreError:
    """Returns the error of the store for an OSError about `path`, with what a person can do."""
    reason = os.strerror(error.errno) if error.errno else str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        what = "quota" if error.errno == errno.EDQUOT else "disk (or its inodes)"
        return StoreFull(
            f"{path}: {reason}: the {what} is used up; nothing more is kept and originals stay. "
            "Free some space or move the store"
        )
    advice = _ADVICE.get(error.errno or 0, "see the system log")
    return StoreUnavailable(f"{path}: {reason}: {advice}")
