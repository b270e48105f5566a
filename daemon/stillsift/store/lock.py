"""Claims a store for one process."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from .errors import StoreInUse, os_errors_about, store_problem


class StoreLock:
    """Claims a store for this process. The kernel releases it however the process ends."""

    def __init__(self, root: Path) -> None:
        """Locks the store at `root`, which must exist.

        Raises StoreInUse where another process has it.
        """
        path = root / "lock"
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise store_problem(path, error) from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(self._descriptor, 32).decode(errors="replace").strip()
            os.close(self._descriptor)
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise store_problem(path, error) from error
            raise StoreInUse(
                f"{root}: in use by another stillsift (process {holder or 'unknown'}); stop "
                "that one or choose another store"
            ) from error
        try:
            os.truncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:
            # Only the process id of the holder is lost. A full disk must not stop retiring and
            # recovery, because they make room.
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                self.close()
                raise store_problem(path, error) from error

    def close(self) -> None:
        """Releases the store. Closing twice is no error."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def correcting(root: Path, *, waits: bool = True) -> Iterator[bool]:
    """Waits until no other process or thread corrects decisions in a store, and keeps others out.

    Gives whether it does keep them out: with `waits` false, it does not while another one corrects.
    A daemon may hold the `StoreLock` meanwhile. Raises StoreError.
    """
    path = root / "correcting"
    with os_errors_about(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        with os_errors_about(path):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if waits else fcntl.LOCK_NB))
                alone = True
            except BlockingIOError:
                alone = False
        yield alone
    finally:
        os.close(descriptor)
