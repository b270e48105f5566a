"""Holds small pictures of dropped frames, up to a size and an age, in an SQLite file of their own.

They are for people to look at once the frame itself is gone. Nothing depends on them: a power cut
may take the last ones, and a disk that takes none is no reason to stop.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Self

import cv2

from ..decisions import Decision
from ..frames import Picture

log = logging.getLogger(__name__)

NAME = "thumbnails.sqlite"
_WIDTH = 256
"""Pixels of the longer side: as large as the review shows it among others."""
_QUALITY = 70
_BUSY_S = 1.0
_TABLE = """
CREATE TABLE IF NOT EXISTS thumbnails (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    lifetime_ns INTEGER NOT NULL,
    jpeg BLOB NOT NULL
)
"""


class Thumbnails:
    """Takes thumbnails in and lets the oldest go. Several threads may use it."""

    def __init__(
        self, path: Path, max_size: int, max_age_ns: int, lifetime_ns: Callable[[], int]
    ) -> None:
        """`max_size` in bytes of pictures; ages are told from the ledger's lifetime."""
        self._max_size = max_size
        self._max_age_ns = max_age_ns
        self._lifetime_ns = lifetime_ns
        self._lock = threading.Lock()
        self._failed = False
        self._db = sqlite3.connect(
            path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
        )
        try:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")  # no fsync for each; kill -9 loses none
            self._db.execute(_TABLE)
            row = self._db.execute("SELECT COALESCE(sum(length(jpeg)), 0) FROM thumbnails")
            self._size = int(row.fetchone()[0])
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        with self._lock, suppress(sqlite3.Error):
            self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def put(self, dropped: Iterable[tuple[Decision, Picture]]) -> None:
        """Takes in the pictures of dropped frames; where that fails, it is logged once."""
        rows = [(one.id, self._lifetime_ns(), small(picture)) for one, picture in dropped]
        if rows:
            self._write(rows)

    def tidy(self) -> None:
        """Lets go what is too old; where that fails, it is logged once."""
        self._write([])

    def _write(self, rows: list[tuple[str, int, bytes]]) -> None:
        with self._lock:
            size = self._size
            try:
                self._db.execute("BEGIN IMMEDIATE")
                for row in rows:
                    self._let_in(row)
                self._let_go()
                self._db.execute("COMMIT")
                self._failed = False
            except sqlite3.Error as error:
                self._size = size
                if not self._failed:
                    log.warning("thumbnails of dropped frames are not written: %s", error)
                self._failed = True
                with suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")

    def _let_in(self, row: tuple[str, int, bytes]) -> None:
        gone = self._db.execute(
            "DELETE FROM thumbnails WHERE id = ? RETURNING length(jpeg)", row[:1]
        ).fetchall()
        self._db.execute("INSERT INTO thumbnails (id, lifetime_ns, jpeg) VALUES (?, ?, ?)", row)
        self._size += len(row[2]) - sum(size for (size,) in gone)

    def _let_go(self) -> None:
        before_ns = self._lifetime_ns() - self._max_age_ns
        while True:
            oldest = self._db.execute(
                "SELECT seq, length(jpeg), lifetime_ns FROM thumbnails ORDER BY seq LIMIT 1"
            ).fetchone()
            if oldest is None or (self._size <= self._max_size and oldest[2] >= before_ns):
                return
            self._db.execute("DELETE FROM thumbnails WHERE seq = ?", (oldest[0],))
            self._size -= oldest[1]


def opened_thumbnails(
    folder: Path, max_size: int, max_age_ns: int, lifetime_ns: Callable[[], int]
) -> Thumbnails | None:
    """Opens the thumbnails in a folder, as `Thumbnails`; None: that fails, and is logged."""
    path = folder / NAME
    try:
        return Thumbnails(path, max_size, max_age_ns, lifetime_ns)
    except sqlite3.Error as error:
        log.warning("%s: no thumbnails are written: %s; move the file away", path, error)
        return None


def small(picture: Picture) -> bytes:
    """Returns a picture as a small JPEG."""
    share = min(1.0, _WIDTH / max(picture.width, picture.height))
    size = (max(1, round(picture.width * share)), max(1, round(picture.height * share)))
    pixels = cv2.cvtColor(picture.rgb(*size), cv2.COLOR_RGB2BGR)
    made, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    assert made
    return data.tobytes()


def thumbnail_of(path: Path, id: str) -> bytes | None:
    """Returns the thumbnail of a frame as JPEG; None: there is none. Any process may ask."""
    if not path.is_file():
        return None
    try:
        db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY_S)
    except sqlite3.Error:
        return None
    try:
        row = db.execute("SELECT jpeg FROM thumbnails WHERE id = ?", (id,)).fetchone()
        return None if row is None else bytes(row[0])
    except sqlite3.Error:
        return None
    finally:
        db.close()
