"""Writes the ledger: what was decided about every frame, in one SQLite file that survives kill -9.

One `Batch` is one transaction: its decisions, kept frames, checkpoints and galleries are all
recorded, or none is. `reader` holds the questions to the ledger.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..decisions import Decision, Outcome, Reason
from ..sources import FileIdentity, Numbering
from . import schema
from .connection import LedgerError, connected, path_uri
from .lifetime import Lifetime, Uptime, uptime
from .reader import LedgerReader
from .records import (
    AlbumChanges,
    Batch,
    Checkpoint,
    Correction,
    CorrectionKind,
    FileRecord,
    FileState,
    GalleryNow,
    InPlaceRepairRecord,
    KeptFile,
    Quarantined,
    Replaced,
)
from .rows import (
    CHANGE_DECISION,
    END_ALARMS,
    PUT_ALARM,
    PUT_DECISION,
    PUT_FILE,
    PUT_KEPT,
    PUT_LIFETIME,
    SAME_FILE,
    SELECT_FILE,
    SELECT_KEPT,
    SELECT_LIFETIME,
    alarm_row,
    decision_row,
    file_record,
    file_row,
    kept_file,
    kept_in_correction,
    kept_row,
    key_of,
    path_in,
    path_of,
    text_in,
)

_MOST_FORGOTTEN = 500
"""Most rows that one transaction deletes. Each lies in a page of its own of some index."""
_FORGETTING_S = 0.02
"""Time after which a transaction deletes no more rows, on a slow disk, since others wait for it."""
_AT_ONCE = 25
"""Rows that are deleted between two looks at the time."""

_LIFETIME_EVERY_NS = 60_000_000_000
"""Time between two records of the lifetime: as much is lost of it when the machine loses power."""


class Ledger(LedgerReader):
    """Writes a store's ledger as its only writer; opening it makes or updates the tables."""

    def __init__(
        self,
        path: Path,
        clock: Callable[[], int] = time.time_ns,
        uptime: Callable[[], Uptime] = uptime,
    ) -> None:
        """Opens the ledger and brings its tables up to date.

        `clock` gives nanoseconds since 1970, for the times at which things are recorded. Ages are
        told from `uptime`.
        """
        self.path = path
        self._clock = clock
        self._lock = threading.RLock()
        self._config_keys: dict[str, int] = {}
        self._model_keys: dict[str, int] = {}
        self._lifetime_at: int | None = None
        """The lifetime that this process recorded last; None: it has not yet."""
        with self._translated():
            self._db = connected(path_uri(path))
            try:
                self._prepare()
                lifetime, boot, ns = self._db.execute(SELECT_LIFETIME).fetchone()
                self._lifetime = Lifetime(lifetime, Uptime(boot, ns), uptime)
            except BaseException:
                self._db.close()
                raise
            self._adopted = {row[0] for row in self._all("SELECT id FROM kept WHERE adopted = 1")}

    def _prepare(self) -> None:
        version = self._version()  # first, so that a file that is refused stays as it is
        # With FULL, a commit in WAL mode is on the disk before it returns. Otherwise a power cut
        # could take back a record because of which an original was already retired.
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA journal_size_limit = 67108864")
        for number, step in enumerate(schema.MIGRATIONS[version:], version + 1):
            self._db.executescript(
                f"BEGIN IMMEDIATE; {step}"
                f"PRAGMA application_id = {schema.APPLICATION_ID};"
                f"PRAGMA user_version = {number}; COMMIT;"
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
            lifetime = self._put_lifetime()
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
                    # In place, a file may have been changed, or have got the name of another.
                    db.execute("DELETE FROM kept WHERE path = ?", (path_in(kept.path),))
                    db.execute(PUT_KEPT, kept_row(kept, adopted=False))
                rows.append(decision_row(decision, kept, now, lifetime, config, model))
            db.executemany(PUT_DECISION, rows)
            first_kept = _first_kept(batch.decisions)
            db.executemany(PUT_FILE, (file_row(c, first_kept, now) for c in batch.checkpoints))
            for decision in batch.changed:
                kept = _still_kept(db, decision, superseded)
                row = decision_row(decision, kept, now, lifetime, config, model)
                _rename(db, decision)
                db.execute(CHANGE_DECISION, row)
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
            for source, changes in batch.albums.items():
                _put_album(db, source, batch.model, changes)
            db.executemany(
                "INSERT OR REPLACE INTO embeddings VALUES (?, ?, ?)",
                ((id, model, vector) for id, vector in batch.vectors.items()),
            )
            _put_superseded(db, superseded)
        self._adopted.difference_update(completed)
        return tuple(superseded)

    def begin_sifting(self, source: str, siblings: Iterable[str] = ()) -> None:
        """Records that a source is read to its end from now on; one that was begun goes on.

        What is kept of it until `end_sifting` may give way to better copies. That of its `siblings`
        may not any more, since what is dropped here may name it.
        """
        with self._writing() as db:
            db.executemany("DELETE FROM sifting WHERE source = ?", ((each,) for each in siblings))
            db.execute(
                "INSERT OR IGNORE INTO sifting SELECT ?, COALESCE(max(seq), 0) FROM decisions",
                (source,),
            )

    def end_sifting(self, source: str) -> None:
        """Records that what is kept of a source stays."""
        if self._one("SELECT 1 FROM sifting WHERE source = ?", (source,)) is not None:
            with self._writing() as db:
                db.execute("DELETE FROM sifting WHERE source = ?", (source,))

    def begin_choosing(self, sources: Collection[str]) -> None:
        """Records that what is kept of these from now on may be let go; what was begun goes on.

        A choice that was begun about others is over: what they have kept stays.
        """
        self.end_choosing(
            {each for (each,) in self._all("SELECT source FROM choosing")} - {*sources}
        )
        with self._writing() as db:
            db.executemany(
                "INSERT OR IGNORE INTO choosing SELECT ?, COALESCE(max(seq), 0) FROM decisions",
                ((each,) for each in sources),
            )

    def end_choosing(self, sources: Collection[str] | None = None) -> None:
        """Records that what is kept of these stays; None: of all."""
        begun = [each for (each,) in self._all("SELECT source FROM choosing")]
        over = [each for each in begun if sources is None or each in sources]
        if over:
            with self._writing() as db:
                db.executemany("DELETE FROM choosing WHERE source = ?", ((each,) for each in over))

    def taken_away(self, done: Iterable[tuple[Replaced, Quarantined | None]]) -> None:
        """Records replaced files that have left their place, and where they lie in quarantine.

        None: the original lies where it was.
        """
        with self._writing() as db:
            for one, moved in done:
                db.execute("DELETE FROM replaced WHERE path = ?", (path_in(one.path),))
                if moved is not None:
                    self._put_quarantined(db, moved)

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

    def name_place(self, place: Path, source: str) -> None:
        """Records how `sift` has named the source that is a file, a folder, or the URL of a camera;
        it keeps that name."""
        with self._writing() as db:
            db.execute("INSERT OR IGNORE INTO places VALUES (?, ?)", (path_in(place), source))

    def begin_sequence(self, source: str, folder: Path, numbering: Numbering) -> None:
        """Records what was decided about a folder's numbered stills; what stands there stays."""
        with self._writing() as db:
            db.execute(
                "INSERT OR IGNORE INTO sequences VALUES (?, ?, ?, ?, ?)",
                (source, path_in(folder), numbering.rate, numbering.first, numbering.first_ns),
            )

    def adopt(self, found: Sequence[tuple[Decision, KeptFile]]) -> None:
        """Records files that recovery found in the store without a row."""
        now = self._clock()
        with self._writing() as db:
            for decision, kept in found:
                db.execute("DELETE FROM decisions WHERE id = ?", (decision.id,))
                db.execute("DELETE FROM kept WHERE id = ?", (kept.id,))
                db.execute(PUT_KEPT, kept_row(kept, adopted=True))
                row = decision_row(decision, kept, now, self.lifetime_ns(), None, None)
                db.execute(PUT_DECISION, row)
        self._adopted.update(kept.id for _, kept in found)

    def mark_missing(self, gone: Iterable[KeptFile], *, missing: bool = True) -> None:
        """Records that the files of kept frames are gone, or are there again."""
        with self._writing() as db:
            for kept in gone:
                db.execute(
                    "UPDATE kept SET missing = ?, listed = 0 WHERE id = ?", (missing, kept.id)
                )
                _mark_stale(db, kept.path.parent)
                if missing:  # the next start looks whether it is back
                    db.execute(
                        "UPDATE folders SET mtime_ns = NULL WHERE path = ?",
                        (path_in(kept.path.parent),),
                    )

    def mark_listed(self, ids: Iterable[str], folders: Mapping[Path, int | None]) -> None:
        """Records kept frames whose lines are safe in their metadata.jsonl.

        `folders` are their day folders, whose lines are all right now, with their time of change as
        for `mark_in_order`.
        """
        with self._writing() as db:
            db.executemany("UPDATE kept SET listed = 1 WHERE id = ?", ((i,) for i in ids))
            _put_folders(db, folders)
            db.executemany(
                "UPDATE folders SET stale = 0 WHERE path = ?", ((path_in(f),) for f in folders)
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
            db.executemany("DELETE FROM folders WHERE path = ?", ((path_in(f),) for f in folders))

    def removed(self, superseded: Iterable[Path]) -> None:
        """Records that superseded files are gone."""
        with self._writing() as db:
            db.executemany(
                "DELETE FROM superseded WHERE path = ?", ((path_in(path),) for path in superseded)
            )

    def retired(self, done: Iterable[tuple[FileRecord, Quarantined | None]]) -> None:
        """Records originals that are retired, and where the moved ones lie in quarantine.

        The `key` and times of the quarantined are set here; given values are ignored.
        """
        now = self._clock()
        with self._writing() as db:
            for file, moved in done:
                db.execute(
                    f"UPDATE files SET retire = NULL, changed_at_ns = ? WHERE {SAME_FILE}",
                    (now, *key_of(file.source, file.identity)),
                )
                if moved is not None:
                    self._put_quarantined(db, moved)

    def reopen(self, file: FileRecord) -> None:
        """Records that a file is to be read again from its first frame, and not to be retired."""
        with self._writing() as db:
            db.execute(
                "UPDATE files SET state = ?, next_frame = 0, retire = NULL, named = NULL,"
                f" first_kept = NULL, changed_at_ns = ? WHERE {SAME_FILE}",
                (FileState.READING, self._clock(), *key_of(file.source, file.identity)),
            )

    def register_done(
        self, source: str, file: Path, identity: FileIdentity, content_hash: str
    ) -> None:
        """Records a restored file as done, so that a source that finds it reads it no more."""
        checkpoint = Checkpoint(source, file, identity, content_hash, 0, FileState.DONE)
        with self._writing() as db:
            db.execute(PUT_FILE, file_row(checkpoint, {}, self._clock()))
            db.execute(
                "INSERT OR IGNORE INTO restored VALUES (?, ?, ?)",
                (path_in(file), identity.size, identity.mtime_ns),
            )

    def will_move(self, moved: Quarantined) -> None:
        """Records where a file is about to lie, before it is moved there."""
        with self._writing() as db:
            self._put_quarantined(db, moved)

    def copied(self, id: str, repairs: str, path: Path, sha256: str) -> None:
        """Records what was put right in the copy of a still, where that lies, and its SHA-256."""
        with self._writing() as db:
            db.execute("UPDATE kept SET repairs = ? WHERE id = ?", (text_in(repairs), id))
            db.execute(
                "INSERT OR REPLACE INTO repaired_copies VALUES (?, ?, ?)",
                (id, path_in(path), sha256),
            )

    def will_repair(self, original: Quarantined, repair: InPlaceRepairRecord) -> None:
        """Records where an original is about to lie, and what will be in its place."""
        with self._writing() as db:
            self._put_quarantined(db, original)
            db.execute(
                "INSERT OR REPLACE INTO in_place_repairs VALUES (?, ?, ?, ?)",
                (
                    path_in(original.path),
                    path_in(repair.now),
                    repair.sha256,
                    text_in(repair.repairs),
                ),
            )

    def left_quarantine(self, keys: Iterable[int]) -> None:
        """Records that files are no longer in quarantine."""
        with self._writing() as db:
            db.executemany("DELETE FROM quarantine WHERE key = ?", ((key,) for key in keys))

    def lifetime_ns(self) -> int:
        """Returns the time that has passed for this ledger, from which all ages are told."""
        return self._lifetime.read()[0]

    def record_lifetime(self) -> int:
        """Records the lifetime where that was not done for a minute, and returns it."""
        with self._writing():
            return self._put_lifetime()

    def forget(self, before_ns: int) -> bool:
        """Deletes decisions about dropped and lost frames that were made before a lifetime.

        What a person has corrected stays, so that it can be undone. The files of the others stay
        known, so no file is read again. One call deletes the oldest, as many as
        others can wait for; it returns whether there may be more.
        """
        old = self._all(
            "SELECT seq FROM decisions INDEXED BY decisions_by_age"
            " WHERE outcome IN ('dropped', 'lost') AND lifetime_ns < ? AND NOT EXISTS"
            " (SELECT 1 FROM corrections c"
            " WHERE c.decision_id = decisions.id AND c.undone_at IS NULL)"
            " ORDER BY lifetime_ns LIMIT ?",
            (before_ns, _MOST_FORGOTTEN),
        )
        if not old:
            return False
        with self._writing() as db:
            until = time.monotonic() + _FORGETTING_S
            for first in range(0, len(old), _AT_ONCE):
                if time.monotonic() > until:
                    return True
                db.executemany("DELETE FROM decisions WHERE seq = ?", old[first : first + _AT_ONCE])
        return len(old) == _MOST_FORGOTTEN

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

    def label(self, kind: CorrectionKind, id: str, other: str) -> int:
        """Records that two frames show the same, or not; returns the id of the correction.

        What was said of the pair before is undone by it. As `judge`, it may run beside a daemon.
        """
        now = self._clock()
        with self._writing() as db:
            db.execute(
                "UPDATE corrections SET undone_at = ?1 WHERE undone_at IS NULL"
                " AND kind IN ('same', 'different') AND (decision_id, other_decision_id)"
                " IN (VALUES (?2, ?3), (?3, ?2))",
                (now, id, other),
            )
            made = db.execute(
                "INSERT INTO corrections (made_at, decision_id, kind, other_decision_id)"
                " VALUES (?, ?, ?, ?)",
                (now, id, kind, other),
            )
            return int(made.lastrowid or 0)

    def correct(
        self, before: Decision, after: Decision, kept: KeptFile, *, moved: Quarantined | None = None
    ) -> int:
        """Records that a person has changed a decision, and what that did to its file.

        `kept`: the file that is in the store now, or was until now; whoever calls removes it then.
        It is not listed as superseded: a daemon that has read that list would remove it even after
        it was put back. `moved`: where it lies in quarantine. Returns the id of the
        correction. As `judge`, it may run beside a daemon.

        Raises LedgerError where the decision is no longer `before`.
        """
        now = self._clock()
        keeps = after.outcome is Outcome.KEPT
        with self._writing() as db:
            model, vector = _vector_of(db, before.id)
            self._change(db, before, after, kept if keeps else None, kept.path)
            if moved is not None:
                self._put_quarantined(db, moved)
            made = db.execute(
                "INSERT INTO corrections"
                " (made_at, decision_id, kind, was, kept, moved_to, model, vector)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    now,
                    before.id,
                    CorrectionKind.KEEP if keeps else CorrectionKind.DROP,
                    before.reason,
                    kept_in_correction(kept),
                    path_in(moved.path) if moved is not None else None,
                    model,
                    vector,
                ),
            )
            return int(made.lastrowid or 0)

    def undo(
        self,
        done: Correction,
        before: Decision,
        after: Decision,
        moved: Quarantined | None = None,
    ) -> None:
        """Records that a correction is undone, and the decision `before` is `after` again.

        `moved`: where its file lies in quarantine, if it has left the store for there. A frame
        that is kept again leaves quarantine.

        Raises LedgerError where the decision is no longer `before`.
        """
        assert done.kept is not None
        keeps = after.outcome is Outcome.KEPT
        with self._writing() as db:
            self._change(db, before, after, done.kept if keeps else None, done.kept.path)
            if keeps:
                db.execute(
                    "INSERT OR REPLACE INTO embeddings SELECT decision_id, model, vector"
                    " FROM corrections WHERE id = ? AND vector IS NOT NULL",
                    (done.id,),
                )
                db.execute("DELETE FROM quarantine WHERE path = ?", (path_in(done.moved_to),))
            if moved is not None:
                self._put_quarantined(db, moved)
            db.execute(
                "UPDATE corrections SET undone_at = ? WHERE id = ?", (self._clock(), done.id)
            )

    def unlabel(self, id: int) -> None:
        """Records that what was said of a pair is taken back."""
        with self._writing() as db:
            db.execute(
                "UPDATE corrections SET undone_at = ? WHERE id = ? AND undone_at IS NULL",
                (self._clock(), id),
            )

    def _change(
        self,
        db: sqlite3.Connection,
        before: Decision,
        after: Decision,
        kept: KeptFile | None,
        path: Path,
    ) -> None:
        """Changes a decision, as young from now on, and the row of its kept file.

        `path` is or was that of the file.
        """
        done = db.execute(
            "UPDATE decisions SET reason = ?, outcome = ?, dropped_as = ?, kept_path = ?,"
            " lifetime_ns = ? WHERE id = ? AND reason = ?",
            (
                after.reason,
                after.outcome,
                after.dropped_as,
                path_in(kept.path) if kept is not None else None,
                self.lifetime_ns(),
                before.id,
                before.reason,
            ),
        )
        if done.rowcount != 1:
            raise LedgerError(f"{before.id}: was decided anew meanwhile; look at it again")
        db.execute("DELETE FROM kept WHERE id = ?", (before.id,))
        if kept is not None:
            db.execute("DELETE FROM superseded WHERE path = ?", (path_in(kept.path),))
            db.execute(PUT_KEPT, kept_row(kept, adopted=False))
        _mark_stale(db, path.parent)

    def put_search_vectors(self, model: str, vectors: Mapping[str, bytes]) -> None:
        """Records what a model of `search` has made of kept frames; that of another one goes.

        As for `judge`, it may run beside a daemon. What is kept no longer is left out.
        """
        with self._writing() as db:
            db.executemany(
                "INSERT OR REPLACE INTO search_vectors SELECT id, ?, ? FROM kept WHERE id = ?",
                ((model, vector, id) for id, vector in vectors.items()),
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

    def _put_quarantined(self, db: sqlite3.Connection, moved: Quarantined) -> None:
        db.execute(
            "INSERT INTO quarantine (source, original, path, size, sha256, at_ns, lifetime_ns)"
            " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (path) DO NOTHING",
            (
                moved.source,
                path_in(moved.original),
                path_in(moved.path),
                moved.size,
                moved.sha256,
                self._clock(),
                self.lifetime_ns(),
            ),
        )

    def _put_lifetime(self) -> int:
        """Returns the lifetime, and records it if it was not for long."""
        lifetime, now = self._lifetime.read()
        if self._lifetime_at is None or lifetime - self._lifetime_at >= _LIFETIME_EVERY_NS:
            self._db.execute(PUT_LIFETIME, (lifetime, now.boot, now.ns))
            self._lifetime_at = lifetime
        return lifetime

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


def _vector_of(db: sqlite3.Connection, id: str) -> tuple[int | None, bytes | None]:
    """Returns the model and the vector of a kept frame; None: none is recorded."""
    row = db.execute("SELECT model, vector FROM embeddings WHERE id = ?", (id,)).fetchone()
    return (None, None) if row is None else (row[0], row[1])


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
    path, missing, aside, listed = path_of(row[0]), *map(bool, row[1:])
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
    row = db.execute("SELECT path, listed FROM kept WHERE id = ?", (id,)).fetchone()
    path, listed = path_of(row[0]), row[1]
    db.execute("DELETE FROM kept WHERE id = ?", (id,))
    db.execute("DELETE FROM decisions WHERE id = ?", (id,))
    if listed:
        _mark_stale(db, path.parent)
    return [path] if kept is None or kept.path != path else []


def _still_kept(db: sqlite3.Connection, now: Decision, superseded: list[Path]) -> KeptFile | None:
    """Returns the file of a frame whose decision changes; None: it is kept no longer, or was not.

    What is kept no longer is noted as a file to be taken away, or, where it is no copy of a still,
    as `superseded`.
    """
    row = db.execute(f"{SELECT_KEPT}, k.missing FROM kept k WHERE k.id = ?", (now.id,)).fetchone()
    if row is None:
        return None
    kept = kept_file(row[:-1])
    _mark_stale(db, kept.path.parent)
    if now.outcome is Outcome.KEPT:
        return kept
    db.execute("DELETE FROM kept WHERE id = ?", (now.id,))
    if not row[-1] and now.content_hash is None:
        superseded.append(kept.path)
    elif not row[-1]:
        db.execute(
            "INSERT OR REPLACE INTO replaced SELECT ?, key FROM files"
            " WHERE source = ? AND content_hash = ? AND state = 'done'"
            " ORDER BY file = ? DESC, key DESC LIMIT 1",
            (path_in(kept.path), now.source, now.content_hash, path_in(now.file)),
        )
    return None


def _rename(db: sqlite3.Connection, now: Decision) -> None:
    """Lets the file of a frame whose decision changes, and its copies, name what shows it now.

    Copies may be files of other sources.
    """
    before = db.execute(
        "SELECT CASE WHEN outcome = 'kept' AND reason != 'audit' THEN id ELSE nearest_kept END"
        " FROM decisions WHERE id = ?",
        (now.id,),
    ).fetchone()[0]
    after = now.shown_by
    if before == after:
        return
    content = now.content_hash
    if content is None:  # a frame of a clip
        row = db.execute(
            "SELECT content_hash FROM files WHERE source = ? AND file = ?"
            " ORDER BY key DESC LIMIT 1",
            (now.source, path_in(now.file)),
        ).fetchone()
        content = None if row is None else row[0]
    these = (
        "WHERE source IN (SELECT DISTINCT source FROM counts)"
        " AND content_hash = :content AND state = 'done'"
    )
    values = {"content": content, "before": before, "after": after}
    db.execute(
        "UPDATE files SET named = replace(named, :before, :after), first_kept ="
        f" CASE first_kept WHEN :before THEN :after ELSE first_kept END {these}",
        values,
    )
    copies = db.execute(f"{SELECT_FILE} {these}", values).fetchall()
    for copy in map(file_record, copies):
        db.execute(
            "UPDATE decisions SET nearest_kept = ?"
            " WHERE id = ? AND reason = 'exact_duplicate' AND nearest_kept IS ?",
            (after, copy.id_of_still, before),
        )


def _mark_stale(db: sqlite3.Connection, folder: Path) -> None:
    db.execute(
        "INSERT INTO folders (path, stale) VALUES (?, 1)"
        " ON CONFLICT (path) DO UPDATE SET stale = 1",
        (path_in(folder),),
    )


def _put_folders(db: sqlite3.Connection, folders: Mapping[Path, int | None]) -> None:
    db.executemany(
        "INSERT INTO folders (path, mtime_ns) VALUES (?, ?)"
        " ON CONFLICT (path) DO UPDATE SET mtime_ns = excluded.mtime_ns",
        ((path_in(folder), mtime) for folder, mtime in folders.items()),
    )


def _put_superseded(db: sqlite3.Connection, paths: list[Path]) -> None:
    db.executemany(
        "INSERT OR IGNORE INTO superseded VALUES (?)", ((path_in(path),) for path in paths)
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


def _put_album(db: sqlite3.Connection, source: str, model: str, changes: AlbumChanges) -> None:
    """Changes the album of a source; a photograph that is added again is the newest."""
    db.executemany(
        "DELETE FROM album WHERE source = ? AND id = ?", ((source, id) for id in changes.removed)
    )
    db.executemany(
        "INSERT OR REPLACE INTO album (source, model, id, vector, data, page)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        ((source, model, each.id, each.vector, each.data, each.page) for each in changes.added),
    )
