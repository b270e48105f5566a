"""Opens the ledger, asks it, and turns SQLite's errors into `LedgerError`."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from ..problems import Problem
from . import schema

_BUSY_S = 30.0
_FULL_BELOW = 1 << 20


class LedgerError(Problem):
    """Says that the ledger could not be opened, read or written."""


class LedgerFull(LedgerError):
    """Says that the disk of the ledger is full and that nothing of the batch was recorded."""


class Connection:
    """Holds a ledger open for reading. Several threads may use one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            raise LedgerError(
                f"{path}: there is no ledger; is this a store that stillsift has written to? "
                "Name it with --store DIR"
            )
        with self._translated():
            self._db = self._open_for_reading()
            try:
                version = self._version()
                if version < len(schema.MIGRATIONS):
                    raise LedgerError(
                        f"{path}: schema {version} is older than this stillsift; start "
                        "`stillsift run` or `sift` on it once, which brings it up to date"
                    )
            except BaseException:
                self._db.close()
                raise
        self._lock = threading.RLock()

    def _open_for_reading(self) -> sqlite3.Connection:
        uri = path_uri(self.path)
        db = connected(f"{uri}?mode=ro")
        try:
            db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        except sqlite3.OperationalError:
            # In a directory that cannot be written (a snapshot, a mounted backup) a WAL ledger only
            # opens as immutable. It is immutable when no write-ahead log lies beside it.
            db.close()
            if Path(f"{self.path}-wal").exists():
                raise
            db = connected(f"{uri}?mode=ro&immutable=1")
        return db

    def _version(self) -> int:
        """Returns which step of the schema the tables have. Raises LedgerError for a newer one."""
        version = int(self._db.execute("PRAGMA user_version").fetchone()[0])
        application = int(self._db.execute("PRAGMA application_id").fetchone()[0])
        if version > len(schema.MIGRATIONS):
            raise LedgerError(
                f"{self.path}: written by a newer stillsift (schema {version}, this one knows "
                f"{len(schema.MIGRATIONS)}); use that version or another store"
            )
        if version and application != schema.APPLICATION_ID:
            raise LedgerError(f"{self.path}: a SQLite database, but not a stillsift ledger")
        return version

    def close(self) -> None:
        with self._lock, self._translated():
            self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _one(self, query: str, values: Sequence[object] = ()) -> tuple[Any, ...] | None:
        with self._reading() as db:
            row: tuple[Any, ...] | None = db.execute(query, values).fetchone()
            return row

    def _all(self, query: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        with self._reading() as db:
            return db.execute(query, values).fetchall()

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._translated():
            yield self._db

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._problem(error) from error

    def _problem(self, error: sqlite3.Error) -> LedgerError:
        """Turns an error of SQLite into one that tells a person what to do."""
        code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
        # SQLite reports a full disk as an I/O error when it enlarges its shared memory file.
        if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and self._no_room()):
            return LedgerFull(
                f"{self.path}: the disk is full; nothing was recorded and originals stay. "
                "Free some space or move the store"
            )
        match code:
            case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
                advice = f"another program has held it for {_BUSY_S:.0f} s; close that program"
            case sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_CORRUPT:
                advice = (
                    "not a SQLite database, or a damaged one; move it aside (kept frames stay "
                    "where they are) or bring back a copy"
                )
            case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
                advice = (
                    "check that this user may write the file and its directory, and that the disk "
                    "is not mounted read-only"
                )
            case _:
                advice = (
                    "the disk may be full or damaged, or a quota used up; free some space, or see "
                    "the system log"
                )
        return LedgerError(f"{self.path}: {error}: {advice}")

    def _no_room(self) -> bool:
        try:
            stat = os.statvfs(self.path.parent)
        except OSError:
            return False
        no_names = stat.f_files > 0 and stat.f_favail == 0
        return no_names or stat.f_bavail * stat.f_frsize < _FULL_BELOW


def path_uri(path: Path) -> str:
    """Returns the SQLite URI of a file, whatever characters its name has."""
    return path.absolute().as_uri()


def connected(uri: str) -> sqlite3.Connection:
    """Opens a connection that waits for others and begins no transaction by itself."""
    return sqlite3.connect(
        uri, uri=True, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
    )
