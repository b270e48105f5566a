"""Writes the ledger: what was decided about every frame, in one SQLite file that survives kill -9.

One `Batch` is one transaction: its decisions, kept frames, checkpoints and galleries are all
recorded, or none is. `reader` holds the questions to the ledger.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..decisions import Decision, Outcome, Reason, outcome_of
from ..sources import FileIdentity
from . import schema
from .reader import LedgerReader, connected, path_uri
from .records import Batch, Checkpoint, FileRecord, FileState, GalleryNow, KeptFile, Quarantined
from .rows import (
    END_ALARMS,
    PUT_ALARM,
    PUT_DECISION,
    PUT_FILE,
    PUT_KEPT,
    SAME_FILE,
    alarm_row,
    decision_row,
    file_row,
    kept_row,
    key_of,
    path_in,
    text_in,
)

_MOST_FORGOTTEN = 5000
"""Most rows of one source and reason per call: more than come in a minute, and quickly deleted."""


class Ledger(LedgerReader):
    """Writes a store's ledger as its only writer; opening it makes or updates the tables."""

    def __init__(self, path: Path, clock: Callable[[], int] = time.time_ns) -> None:
        """Opens the ledger and brings its tables up to date.

        `clock` gives nanoseconds since 1970, for the times at which things are recorded.
        """
        self.path = path
        self._clock = clock
        self._lock = threading.RLock()
        self._config_keys: dict[str, int] = {}
        self._model_keys: dict[str, int] = {}
        with self._translated():
            self._db = connected(path_uri(path))
            try:
                self._prepare()
            except BaseException:
                self._db.close()
                raise
            self._adopted = {row[0] for row in self._all("SELECT id FROM kept WHERE adopted = 1")}

    def _prepare(self) -> None:
        # With FULL, a commit in WAL mode is on the disk before it returns. Otherwise a power cut
        # could take back a record because of which an original was already retired.
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA journal_size_limit = 67108864")
        for version in range(self._check_version(), len(schema.MIGRATIONS)):
            self._db.executescript(
                f"BEGIN IMMEDIATE; {schema.MIGRATIONS[version]}"
                f"PRAGMA application_id = {schema.APPLICATION_ID};"
                f"PRAGMA user_version = {version + 1}; COMMIT;"
            )

    def commit(self, batch: Batch) -> tuple[Path, ...]:
        """Records everything in `batch`, or nothing; on return it is on the disk.

        A new decision about an id replaces its row, except that a kept frame stays kept. A decision
        completes the record of a file that recovery adopted, or supersedes the file. Returns the
        files in the store (relative paths) that no row needs any more; `Quarantine.retire` removes
        them.
        """
        now = self._clock()
        with self._writing() as db:
            config = self._config_key(db, batch.config_hash, now) if batch.config_hash else None
            model = self._model_key(db, batch.model) if batch.model else None
            superseded: list[Path] = []
            completed: list[str] = []
            rows: list[tuple[object, ...]] = []
            for decision, kept in batch.decisions:
                if decision.id in self._adopted:
                    if decision.outcome in (Outcome.FAILED, Outcome.LOST):
                        continue  # its file was written before this attempt failed
                    superseded += _end_adoption(db, decision.id, kept)
                    completed.append(decision.id)
                elif kept is not None and (standing := _standing(db, decision, superseded)):
                    superseded += [kept.path] if kept.path != standing else []
                    continue
                if kept is not None:
                    db.execute(PUT_KEPT, kept_row(kept, adopted=False))
                rows.append(decision_row(decision, kept, now, config, model))
            db.executemany(PUT_DECISION, rows)
            first_kept = _first_kept(batch.decisions)
            db.executemany(PUT_FILE, (file_row(c, first_kept, now) for c in batch.checkpoints))
            db.executemany(
                "INSERT INTO gaps (source, from_ns, to_ns, cause) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (source, from_ns) DO UPDATE SET"
                " to_ns = excluded.to_ns, cause = excluded.cause",
                ((gap.source, gap.from_ns, gap.to_ns, text_in(gap.cause)) for gap in batch.gaps),
            )
            db.executemany(PUT_ALARM, map(alarm_row, batch.alarms))
            db.executemany(
                "INSERT OR REPLACE INTO source_state VALUES (?, ?, ?)",
                ((source, state, now) for source, state in batch.states.items()),
            )
            for source, gallery in batch.galleries.items():
                _put_gallery(db, source, batch.model, gallery)
            _put_superseded(db, superseded)
        self._adopted.difference_update(completed)
        return tuple(superseded)

    def record_config(self, hash: str, yaml: str) -> None:
        """Records the configuration (YAML) that has this hash. It must not hold secrets."""
        with self._writing() as db:
            db.execute(
                "INSERT INTO configs (hash, yaml, first_seen_ns) VALUES (?, ?, ?)"
                " ON CONFLICT (hash) DO UPDATE SET yaml = excluded.yaml",
                (hash, yaml, self._clock()),
            )

    def end_alarms(self, sources: Iterable[str]) -> None:
        """Ends the open alarms of these sources at their last frame, because no more frames come.

        An alarm that is recorded again goes on.
        """
        with self._writing() as db:
            db.executemany(END_ALARMS, ((source,) for source in sources))

    def left_alone(self, source: str, kinds: Mapping[str, int]) -> None:
        """Records what a source finds among its footage and does not read, instead of the last."""
        with self._writing() as db:
            db.execute("DELETE FROM left_alone WHERE source = ?", (source,))
            db.executemany(
                "INSERT INTO left_alone VALUES (?, ?, ?)",
                ((source, kind, n) for kind, n in kinds.items()),
            )

    def adopt(self, found: Sequence[tuple[Decision, KeptFile]]) -> None:
        """Records files that recovery found in the store without a row."""
        now = self._clock()
        with self._writing() as db:
            for decision, kept in found:
                db.execute("DELETE FROM decisions WHERE id = ?", (decision.id,))
                db.execute("DELETE FROM kept WHERE id = ?", (kept.id,))
                db.execute(PUT_KEPT, kept_row(kept, adopted=True))
                db.execute(PUT_DECISION, decision_row(decision, kept, now, None, None))
        self._adopted.update(kept.id for _, kept in found)

    def mark_missing(self, gone: Iterable[KeptFile], *, missing: bool = True) -> None:
        """Records that the files of kept frames are gone, or are there again."""
        with self._writing() as db:
            for kept in gone:
                db.execute(
                    "UPDATE kept SET missing = ?, listed = 0 WHERE id = ?", (missing, kept.id)
                )
                _mark_stale(db, kept.path.parent)

    def mark_listed(self, ids: Iterable[str], folders: Mapping[Path, int | None]) -> None:
        """Records kept frames whose lines are safe in their metadata.jsonl.

        `folders` are their day folders, whose lines are all right now, with their time of change as
        for `mark_in_order`.
        """
        with self._writing() as db:
            db.executemany("UPDATE kept SET listed = 1 WHERE id = ?", ((i,) for i in ids))
            _put_folders(db, folders)
            db.executemany(
                "UPDATE folders SET stale = 0 WHERE path = ?", ((f.as_posix(),) for f in folders)
            )

    def mark_in_order(self, folders: Mapping[Path, int | None]) -> None:
        """Records day folders in which every file has its row, with their time of change (ns).

        Recovery looks into a folder again when its time differs. None: it always looks.
        """
        with self._writing() as db:
            _put_folders(db, folders)

    def forget_folders(self, folders: Iterable[Path]) -> None:
        """Records that day folders are gone."""
        with self._writing() as db:
            db.executemany("DELETE FROM folders WHERE path = ?", ((f.as_posix(),) for f in folders))

    def removed(self, superseded: Iterable[Path]) -> None:
        """Records that superseded files are gone."""
        with self._writing() as db:
            db.executemany(
                "DELETE FROM superseded WHERE path = ?", ((path.as_posix(),) for path in superseded)
            )

    def retired(self, done: Iterable[tuple[FileRecord, Quarantined | None]]) -> None:
        """Records originals that are retired, and where the moved ones lie in quarantine.

        The `key` and `at_ns` of the quarantined are set here; given values are ignored.
        """
        now = self._clock()
        with self._writing() as db:
            for file, moved in done:
                db.execute(
                    f"UPDATE files SET retire = NULL, changed_at_ns = ? WHERE {SAME_FILE}",
                    (now, *key_of(file.source, file.identity)),
                )
                if moved is not None:
                    db.execute(
                        "INSERT INTO quarantine (source, original, path, size, sha256, at_ns)"
                        " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (path) DO NOTHING",
                        (
                            moved.source,
                            path_in(moved.original),
                            path_in(moved.path),
                            moved.size,
                            moved.sha256,
                            now,
                        ),
                    )

    def register_done(
        self, source: str, file: Path, identity: FileIdentity, content_hash: str
    ) -> None:
        """Records a file as done, so that a source that finds it does not read it again."""
        checkpoint = Checkpoint(source, file, identity, content_hash, 0, FileState.DONE)
        with self._writing() as db:
            db.execute(PUT_FILE, file_row(checkpoint, {}, self._clock()))

    def left_quarantine(self, keys: Iterable[int]) -> None:
        """Records that files are no longer in quarantine."""
        with self._writing() as db:
            db.executemany("DELETE FROM quarantine WHERE key = ?", ((key,) for key in keys))

    def forget_dropped(self, before_ns: int) -> int:
        """Deletes decisions about dropped frames that were made before a time; returns how many.

        Their files stay known, so no file is read again. One call deletes a bounded number, so call
        it repeatedly. It reads the oldest rows of each source and reason.
        """
        forgotten = 0
        dropped = [reason for reason in Reason if outcome_of(reason) is Outcome.DROPPED]
        for source in self.sources():
            for reason in dropped:
                # The index holds the rows of one source and reason in the order of seq, so the
                # oldest come first and no other row is read.
                rows = self._all(
                    "SELECT seq, decided_at_ns FROM decisions INDEXED BY decisions_by_reason"
                    " WHERE source = ? AND reason = ? ORDER BY seq LIMIT ?",
                    (source, reason.value, _MOST_FORGOTTEN),
                )
                old = [(seq,) for seq, decided_at_ns in rows if decided_at_ns < before_ns]
                if old:
                    with self._writing() as db:
                        db.executemany("DELETE FROM decisions WHERE seq = ?", old)
                forgotten += len(old)
        return forgotten

    def judge(self, wrong: Mapping[str, bool]) -> None:
        """Records what a person said of audit samples, by id; the last judgement counts.

        It needs no store lock and may run beside a daemon: it writes a table that no other code
        writes, in one short transaction, and SQLite lets one writer wait for the other.
        """
        now = self._clock()
        with self._writing() as db:
            db.executemany(
                "INSERT OR REPLACE INTO judgements VALUES (?, ?, ?)",
                ((id, is_wrong, now) for id, is_wrong in wrong.items()),
            )

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._translated():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                self._config_keys.clear()
                self._model_keys.clear()
                # SQLite has already rolled back by itself where the disk is full.
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def _config_key(self, db: sqlite3.Connection, hash: str, now: int) -> int:
        if hash not in self._config_keys:
            db.execute("INSERT OR IGNORE INTO configs VALUES (NULL, ?, '', ?)", (hash, now))
            row = db.execute("SELECT key FROM configs WHERE hash = ?", (hash,)).fetchone()
            self._config_keys[hash] = int(row[0])
        return self._config_keys[hash]

    def _model_key(self, db: sqlite3.Connection, name: str) -> int:
        if name not in self._model_keys:
            db.execute("INSERT OR IGNORE INTO models VALUES (NULL, ?)", (name,))
            row = db.execute("SELECT key FROM models WHERE name = ?", (name,)).fetchone()
            self._model_keys[name] = int(row[0])
        return self._model_keys[name]


def _standing(db: sqlite3.Connection, now: Decision, superseded: list[Path]) -> Path | None:
    """Returns the file of a frame that was kept before; None: it was not, or its file is gone.

    An audit sample is superseded when the same frame is now kept for another reason.
    """
    row = db.execute(
        "SELECT k.path, k.missing, d.reason = 'audit', k.listed"
        " FROM kept k JOIN decisions d ON d.id = k.id WHERE k.id = ?",
        (now.id,),
    ).fetchone()
    if row is None:
        return None
    path, missing, aside, listed = Path(row[0]), *map(bool, row[1:])
    if not missing and (not aside or now.reason is Reason.AUDIT):
        return path
    db.execute("DELETE FROM kept WHERE id = ?", (now.id,))
    db.execute("DELETE FROM decisions WHERE id = ?", (now.id,))
    if not missing:
        superseded.append(path)
        if listed:
            _mark_stale(db, path.parent)
    return None


def _end_adoption(db: sqlite3.Connection, id: str, kept: KeptFile | None) -> list[Path]:
    """Deletes the rows of an adopted file, so that the real decision can be recorded.

    Returns the adopted file if it is no longer needed.
    """
    path, listed = db.execute("SELECT path, listed FROM kept WHERE id = ?", (id,)).fetchone()
    db.execute("DELETE FROM kept WHERE id = ?", (id,))
    db.execute("DELETE FROM decisions WHERE id = ?", (id,))
    if listed:
        _mark_stale(db, Path(path).parent)
    return [Path(path)] if kept is None or kept.path.as_posix() != path else []


def _mark_stale(db: sqlite3.Connection, folder: Path) -> None:
    db.execute(
        "INSERT INTO folders (path, stale) VALUES (?, 1)"
        " ON CONFLICT (path) DO UPDATE SET stale = 1",
        (folder.as_posix(),),
    )


def _put_folders(db: sqlite3.Connection, folders: Mapping[Path, int | None]) -> None:
    db.executemany(
        "INSERT INTO folders (path, mtime_ns) VALUES (?, ?)"
        " ON CONFLICT (path) DO UPDATE SET mtime_ns = excluded.mtime_ns",
        ((folder.as_posix(), mtime) for folder, mtime in folders.items()),
    )


def _put_superseded(db: sqlite3.Connection, paths: list[Path]) -> None:
    db.executemany(
        "INSERT OR IGNORE INTO superseded VALUES (?)", ((path.as_posix(),) for path in paths)
    )


def _first_kept(
    decisions: list[tuple[Decision, KeptFile | None]],
) -> dict[tuple[str, Path], str]:
    """Returns the id of the first frame kept out of each file.

    An audit sample does not count: its file is retired as if the frame had been dropped.
    """
    first: dict[tuple[str, Path], str] = {}
    for decision, kept in decisions:
        aside = decision.reason is Reason.AUDIT
        if kept is not None and decision.file is not None and not aside:
            first.setdefault((decision.source, decision.file), decision.id)
    return first


def _put_gallery(db: sqlite3.Connection, source: str, model: str, gallery: GalleryNow) -> None:
    """Replaces the gallery of a source; raises ValueError where an id has no entry."""
    ids = list(gallery.ids)
    db.executemany(
        "INSERT OR REPLACE INTO gallery VALUES (?, ?, ?)",
        ((source, entry.id, entry.data) for entry in gallery.added),
    )
    held = {row[0] for row in db.execute("SELECT id FROM gallery WHERE source = ?", (source,))}
    if lacking := set(ids) - held:
        raise ValueError(f"the gallery of {source!r} names frames without entry: {lacking}")
    db.executemany(
        "DELETE FROM gallery WHERE source = ? AND id = ?",
        ((source, id) for id in held - set(ids)),
    )
    db.execute(
        "INSERT OR REPLACE INTO galleries VALUES (?, ?, ?)", (source, model, json.dumps(ids))
    )
