"""The ledger: what was decided about every frame, in one SQLite file that survives kill -9.

One `Batch` is one transaction: decisions, kept frames, checkpoints and galleries are all there or
none is. SQLite's errors end here, as `LedgerError` and `LedgerFull`.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from .decisions import Decision, Outcome, Reason
from .frames import TimeOrigin
from .problems import Problem
from .schema import APPLICATION_ID, MIGRATIONS
from .sources import FileIdentity

_BUSY_S = 30.0
_PAGE = 1000
_FULL_BELOW = 1 << 20


class LedgerError(Problem):
    """The ledger could not be opened, read or written."""


class LedgerFull(LedgerError):
    """The disk that holds the ledger is full; nothing of the batch was recorded."""


class FileState(StrEnum):
    """How far a file has been read."""

    READING = "reading"
    DONE = "done"
    FAILED = "failed"


class Retire(StrEnum):
    """What becomes of an original once all its frames are decided."""

    LEAVE = "leave"
    MOVE = "move"
    """Into the store's quarantine, for a time and a size, restorable."""
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A kept frame as it lies in the store."""

    id: str
    source: str
    path: Path
    """Relative to the store."""
    bytes: int
    sha256: str
    width: int
    height: int
    captured_at_ns: int


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far one file of a source has been decided."""

    source: str
    file: Path
    identity: FileIdentity
    content_hash: str
    """SHA-256 (hex) of the whole file."""
    next_frame: int
    """Index of the first frame not decided yet."""
    state: FileState
    error: str | None = None
    """Why it failed; None: it did not."""
    retire: Retire = Retire.LEAVE
    """What becomes of the original after this commit; heeded once the file is done."""


@dataclass(frozen=True, slots=True)
class GapRecord:
    """A time in which a source gave no frames. The same source and start is the same gap."""

    source: str
    from_ns: int
    to_ns: int
    cause: str


@dataclass(frozen=True, slots=True)
class GalleryEntry:
    """One kept frame that new frames are compared with."""

    source: str
    id: str
    data: bytes
    """What the gallery wants to find again after a restart."""


@dataclass(frozen=True, slots=True)
class GalleryNow:
    """The gallery of a source as it is after this batch."""

    ids: Sequence[str]
    """All of them, oldest first."""
    added: Sequence[GalleryEntry] = ()
    """Those that the ledger does not hold yet."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one transaction records."""

    config_hash: str
    model: str
    decisions: list[tuple[Decision, KeptFile | None]] = field(default_factory=list)
    checkpoints: list[Checkpoint] = field(default_factory=list)
    gaps: list[GapRecord] = field(default_factory=list)
    states: dict[str, bytes] = field(default_factory=dict)
    """Source to whatever its sifter wants to find again after a restart."""
    galleries: dict[str, GalleryNow] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """A decision as the ledger holds it."""

    seq: int
    """Rises with every new decision: the order in which they were made."""
    decision: Decision
    decided_at_ns: int
    kept_path: Path | None
    """Relative to the store; None: not kept."""
    config_hash: str | None
    model: str | None


@dataclass(frozen=True, slots=True)
class KeptRecord:
    """A kept file with the decision that kept it."""

    file: KeptFile
    record: DecisionRecord
    listed: bool
    """Its line is in the day folder's metadata.jsonl for certain."""
    adopted: bool
    """Found by recovery; whoever wrote it was cut off before it could say why."""
    missing: bool
    """Its file was gone when recovery looked."""


@dataclass(frozen=True, slots=True)
class SeenFile:
    """A file of the same content that was decided earlier."""

    id: str | None
    """Of its decision; None: it was a clip of many frames."""
    outcome: Outcome | None
    """None: it was a clip of many frames."""
    file: Path | None
    nearest_kept: str | None
    """The kept frame that shows it: itself where it was kept, else the one it repeats; of a clip
    the first one kept. None: nothing kept shows it."""


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A file that a source has looked at."""

    source: str
    file: Path
    identity: FileIdentity
    content_hash: str
    next_frame: int
    state: FileState
    attempts: int
    """How often it failed."""
    error: str | None
    first_kept: str | None
    """The first frame kept out of it; None: none was."""
    retire: Retire
    """What is still to be done with the original."""


@dataclass(frozen=True, slots=True)
class Quarantined:
    """An original that was moved into quarantine."""

    key: int
    source: str
    original: Path
    """Where it came from and goes back to."""
    path: Path
    """Relative to the store."""
    size: int
    sha256: str
    at_ns: int
    """When it was moved."""


@dataclass(frozen=True, slots=True)
class SourceStats:
    """One source, added up."""

    source: str
    reasons: dict[Reason, int]
    kept_bytes: int
    missing: int
    """Kept frames whose file is gone."""
    first_ns: int | None
    """Earliest captured time; None: no frame yet."""
    last_ns: int | None
    files: dict[FileState, int]
    gaps: int
    gap_s: float

    @property
    def offered(self) -> int:
        return sum(self.reasons.values())


_DECISION_FIELDS = tuple(f.name for f in fields(Decision))
_DECISION_COLUMNS = (
    *_DECISION_FIELDS,
    "outcome",
    "decided_at_ns",
    "kept_path",
    "config",
    "model",
)
# What is kept and committed stands: a file whose device number changed with a reboot is offered
# again under the same id, and must not turn its own kept frame into a duplicate of itself.
_PUT_DECISION = (
    f"INSERT INTO decisions ({', '.join(_DECISION_COLUMNS)}) "
    f"VALUES ({', '.join('?' * len(_DECISION_COLUMNS))}) ON CONFLICT (id) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _DECISION_COLUMNS if name != "id")
    + " WHERE decisions.outcome != 'kept'"
)
_DECISION_SELECT = (
    "SELECT d.seq, "
    + ", ".join(f"d.{name}" for name in _DECISION_FIELDS)
    + ", d.decided_at_ns, d.kept_path, c.hash, m.name"
)
_ITS_CONTEXT = " LEFT JOIN configs c ON c.key = d.config LEFT JOIN models m ON m.key = d.model"
_KEPT_COLUMNS = tuple(f.name for f in fields(KeptFile))
_KEPT_SELECT = "SELECT " + ", ".join(f"k.{name}" for name in _KEPT_COLUMNS)
_PUT_KEPT = (
    f"INSERT INTO kept ({', '.join(_KEPT_COLUMNS)}, adopted) "
    f"VALUES ({', '.join('?' * len(_KEPT_COLUMNS))}, ?)"
)
_PUT_FILE = """
INSERT INTO files (source, device, inode, size, mtime_ns, file, content_hash, next_frame, state,
                   attempts, error, first_kept, retire, changed_at_ns)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (source, device, inode, size, mtime_ns) DO UPDATE SET
    file = excluded.file, content_hash = excluded.content_hash, next_frame = excluded.next_frame,
    state = excluded.state, attempts = files.attempts + excluded.attempts, error = excluded.error,
    first_kept = COALESCE(files.first_kept, excluded.first_kept), retire = excluded.retire,
    changed_at_ns = excluded.changed_at_ns
"""
_SAME_FILE = "source = ? AND device = ? AND inode = ? AND size = ? AND mtime_ns = ?"


class LedgerReader:
    """Reads a ledger, also while a daemon writes it. Safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            raise LedgerError(
                f"{path}: there is no ledger; is this a store that stillsift has written to?"
            )
        with self._translated():
            self._db = self._open_for_reading()
            try:
                self._check_version()
            except BaseException:
                self._db.close()
                raise
        self._lock = threading.RLock()

    def _open_for_reading(self) -> sqlite3.Connection:
        uri = path_uri(self.path)
        db = _connect(f"{uri}?mode=ro")
        try:
            db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        except sqlite3.OperationalError:
            # A WAL ledger in a directory that cannot be written (a snapshot, a mounted backup) only
            # opens as immutable, which is true of it when no write-ahead log lies beside it.
            db.close()
            if Path(f"{self.path}-wal").exists():
                raise
            db = _connect(f"{uri}?mode=ro&immutable=1")
        return db

    def _check_version(self) -> int:
        version = int(self._db.execute("PRAGMA user_version").fetchone()[0])
        application = int(self._db.execute("PRAGMA application_id").fetchone()[0])
        if version > len(MIGRATIONS):
            raise LedgerError(
                f"{self.path}: written by a newer stillsift (schema {version}, this one knows "
                f"{len(MIGRATIONS)}); use that version or another store"
            )
        if version and application != APPLICATION_ID:
            raise LedgerError(f"{self.path}: a SQLite database, but not a stillsift ledger")
        if type(self) is LedgerReader and version < len(MIGRATIONS):
            raise LedgerError(
                f"{self.path}: schema {version} is older than this stillsift; start "
                "`stillsift run` or `sift` on it once, which brings it up to date"
            )
        return version

    def close(self) -> None:
        with self._lock, self._translated():
            self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def next_frame(self, source: str, identity: FileIdentity) -> int | None:
        """Index of the first frame not decided yet: 0 for a new file, None for a finished one."""
        row = self._one(
            f"SELECT next_frame, state FROM files WHERE {_SAME_FILE}", _key(source, identity)
        )
        if row is None:
            return 0
        return int(row[0]) if row[1] == FileState.READING else None

    def file(self, source: str, identity: FileIdentity) -> FileRecord | None:
        """What is recorded of one file; None: nothing."""
        row = self._one(f"{_FILE_SELECT} WHERE {_SAME_FILE}", _key(source, identity))
        return _file_record(row) if row else None

    def files(self, source: str, state: FileState | None = None) -> list[FileRecord]:
        """The files of a source, in the order they were first seen."""
        rows = self._all(
            f"{_FILE_SELECT} WHERE source = ? AND (? IS NULL OR state = ?) ORDER BY key",
            (source, state, state),
        )
        return [_file_record(row) for row in rows]

    def retiring(self, source: str | None = None) -> list[FileRecord]:
        """Files that are done and whose original has yet to be moved or deleted."""
        where, values = ("source = ? AND ", (source,)) if source is not None else ("", ())
        rows = self._all(f"{_FILE_SELECT} WHERE {where}retire IS NOT NULL ORDER BY key", values)
        return [_file_record(row) for row in rows]

    def seen(self, source: str, content_hash: str) -> SeenFile | None:
        """The first file of this content that was decided, kept or dropped; None: there is none.

        A still is found by its decision, a clip once it was read to its end.
        """
        row = self._one(
            "SELECT id, outcome, file, nearest_kept FROM decisions"
            " WHERE source = ? AND content_hash = ? AND content_hash IS NOT NULL"
            " AND reason != 'exact_duplicate' AND outcome IN ('kept', 'dropped')"
            " ORDER BY rowid LIMIT 1",
            (source, content_hash),
        )
        if row is not None:
            outcome = Outcome(row[1])
            shown_by = row[0] if outcome is Outcome.KEPT else row[3]
            return SeenFile(row[0], outcome, _path_out(row[2]), shown_by)
        row = self._one(
            "SELECT file, first_kept FROM files"
            " WHERE source = ? AND content_hash = ? AND state = 'done' ORDER BY rowid LIMIT 1",
            (source, content_hash),
        )
        return SeenFile(None, None, _path_out(row[0]), row[1]) if row else None

    def gallery(self, source: str, model: str) -> list[GalleryEntry]:
        """The gallery of a source, oldest first; empty where another model had made it."""
        with self._reading() as db:
            head = db.execute(
                "SELECT ids FROM galleries WHERE source = ? AND model = ?", (source, model)
            ).fetchone()
            if head is None:
                return []
            rows = db.execute("SELECT id, data FROM gallery WHERE source = ?", (source,)).fetchall()
        entries = {id: GalleryEntry(source, id, data) for id, data in rows}
        return [entries[id] for id in json.loads(head[0])]

    def state(self, source: str) -> bytes | None:
        """What the source's sifter left for after a restart; None: nothing yet."""
        row = self._one("SELECT state FROM source_state WHERE source = ?", (source,))
        return bytes(row[0]) if row else None

    def counts(self) -> dict[tuple[str, Reason], int]:
        """How many decisions each source has by reason."""
        rows = self._all("SELECT source, reason, count(*) FROM decisions GROUP BY source, reason")
        return {(source, Reason(reason)): int(n) for source, reason, n in rows}

    def sources(self) -> list[str]:
        """The names of all sources that left a trace."""
        rows = self._all(
            "SELECT source FROM decisions UNION SELECT source FROM files"
            " UNION SELECT source FROM gaps ORDER BY 1"
        )
        return [row[0] for row in rows]

    def decisions(
        self,
        *,
        source: str | None = None,
        outcome: Outcome | None = None,
        reason: Reason | None = None,
        since_ns: int | None = None,
        until_ns: int | None = None,
        limit: int | None = None,
    ) -> Iterator[DecisionRecord]:
        """Decisions in the order they were made, of frames captured in [since, until).

        With `limit` the newest so many. Read page by page, so that a long listing neither fills
        memory nor holds the daemon's write-ahead log back.
        """
        where, values = _conditions(
            ("d.source = ?", source),
            ("d.outcome = ?", outcome),
            ("d.reason = ?", reason),
            ("d.captured_at_ns >= ?", since_ns),
            ("d.captured_at_ns < ?", until_ns),
        )
        # Only one index has the rows in the order of seq; by any other SQLite would sort all that
        # are left for every page.
        index = "INDEXED BY decisions_by_reason" if source and reason else "NOT INDEXED"
        after = -1
        if limit is not None:
            first = self._one(
                f"SELECT min(seq) FROM (SELECT d.seq FROM decisions AS d {index} WHERE {where}"
                " ORDER BY d.seq DESC LIMIT ?)",
                (*values, max(0, limit)),
            )
            if first is None or first[0] is None:
                return
            after = int(first[0]) - 1
        query = (
            f"{_DECISION_SELECT} FROM decisions AS d {index}{_ITS_CONTEXT}"
            f" WHERE {where} AND d.seq > ? ORDER BY d.seq LIMIT {_PAGE}"
        )
        while rows := self._all(query, (*values, after)):
            for row in rows:
                yield _decision_record(row)
            after = int(rows[-1][0])

    def decision(self, id: str) -> DecisionRecord | None:
        """One decision by the frame's id; None: there is none."""
        row = self._one(f"{_DECISION_SELECT} FROM decisions d{_ITS_CONTEXT} WHERE d.id = ?", (id,))
        return _decision_record(row) if row else None

    def kept_in(self, folder: Path) -> list[KeptRecord]:
        """The kept files of one day folder (relative to the store), by name."""
        start = f"{folder.as_posix()}/"
        rows = self._all(
            f"{_KEPT_SELECT}, k.listed, k.adopted, k.missing, "
            f"{_DECISION_SELECT.removeprefix('SELECT ')}"
            f" FROM kept k JOIN decisions d ON d.id = k.id{_ITS_CONTEXT}"
            " WHERE k.path >= ? AND k.path < ? ORDER BY k.path",
            (start, f"{start[:-1]}0"),  # "0" is the character after "/"
        )
        width = len(_KEPT_COLUMNS)
        return [
            KeptRecord(
                _kept_file(row[:width]),
                _decision_record(row[width + 3 :]),
                *(bool(flag) for flag in row[width : width + 3]),
            )
            for row in rows
        ]

    def kept_file(self, id: str) -> KeptFile | None:
        """The kept file of a frame, where its file is not known to be missing."""
        row = self._one(f"{_KEPT_SELECT} FROM kept k WHERE k.id = ? AND k.missing = 0", (id,))
        return _kept_file(row) if row else None

    def gaps(
        self,
        *,
        source: str | None = None,
        since_ns: int | None = None,
        until_ns: int | None = None,
    ) -> list[GapRecord]:
        """Gaps that touch [since, until), by their start."""
        where, values = _conditions(
            ("source = ?", source), ("to_ns >= ?", since_ns), ("from_ns < ?", until_ns)
        )
        rows = self._all(
            f"SELECT source, from_ns, to_ns, cause FROM gaps WHERE {where}"
            " ORDER BY from_ns, source",
            values,
        )
        return [GapRecord(*row) for row in rows]

    def stats(self) -> list[SourceStats]:
        """Every source, added up."""
        counts = self.counts()
        return [self._stats_of(source, counts) for source in self.sources()]

    def _stats_of(self, source: str, counts: dict[tuple[str, Reason], int]) -> SourceStats:
        with self._reading() as db:
            kept_bytes, missing = db.execute(
                "SELECT COALESCE(sum(bytes), 0), COALESCE(sum(missing), 0) FROM kept"
                " WHERE source = ?",
                (source,),
            ).fetchone()
            # Two queries: SQLite answers min or max from the index, but not both at once.
            first, last = (
                db.execute(
                    f"SELECT {end}(captured_at_ns) FROM decisions WHERE source = ?", (source,)
                ).fetchone()[0]
                for end in ("min", "max")
            )
            files = db.execute(
                "SELECT state, count(*) FROM files WHERE source = ? GROUP BY state", (source,)
            ).fetchall()
            gaps, gap_ns = db.execute(
                "SELECT count(*), COALESCE(sum(to_ns - from_ns), 0) FROM gaps WHERE source = ?",
                (source,),
            ).fetchone()
        return SourceStats(
            source=source,
            reasons={reason: n for (name, reason), n in counts.items() if name == source},
            kept_bytes=int(kept_bytes),
            missing=int(missing),
            first_ns=first,
            last_ns=last,
            files={FileState(state): int(n) for state, n in files},
            gaps=int(gaps),
            gap_s=gap_ns / 1e9,
        )

    def quarantined(self, source: str | None = None) -> list[Quarantined]:
        """What lies in quarantine, oldest first."""
        where, values = _conditions(("source = ?", source))
        rows = self._all(f"{_QUARANTINE_SELECT} WHERE {where} ORDER BY at_ns, key", values)
        return [_quarantined(row) for row in rows]

    def quarantine_total(self) -> int:
        """Bytes in quarantine."""
        row = self._one("SELECT COALESCE(sum(size), 0) FROM quarantine")
        return int(row[0]) if row else 0

    def oldest_quarantined(self, most: int) -> list[Quarantined]:
        """At most so many from quarantine, oldest first."""
        rows = self._all(f"{_QUARANTINE_SELECT} ORDER BY at_ns, key LIMIT ?", (most,))
        return [_quarantined(row) for row in rows]

    def config(self, hash: str) -> str | None:
        """The configuration (YAML, without secrets) behind a hash; None: never recorded."""
        row = self._one("SELECT yaml FROM configs WHERE hash = ?", (hash,))
        return str(row[0]) if row else None

    def folders(self) -> dict[Path, int | None]:
        """Day folders with the time of change that recovery last found in order."""
        return {
            Path(path): mtime for path, mtime in self._all("SELECT path, mtime_ns FROM folders")
        }

    def unlisted_folders(self) -> list[Path]:
        """Day folders whose metadata.jsonl lacks a line or has one too many."""
        rows = self._all(
            "SELECT path FROM folders WHERE stale = 1"
            " UNION SELECT DISTINCT rtrim(rtrim(path, replace(path, '/', '')), '/') FROM kept"
            " WHERE listed = 0 AND missing = 0 ORDER BY 1"
        )
        return [Path(row[0]) for row in rows]

    def stale_folders(self) -> list[Path]:
        """Day folders whose metadata.jsonl tells of a file that was decided again."""
        return [Path(row[0]) for row in self._all("SELECT path FROM folders WHERE stale = 1")]

    def superseded(self) -> list[Path]:
        """Files in the store that no row needs any more, still to be removed."""
        return [Path(row[0]) for row in self._all("SELECT path FROM superseded ORDER BY path")]

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
        code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
        # A disk without room shows as an I/O error where SQLite grows its shared memory file.
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
                advice = "check that this user may write the file and its directory"
            case _:
                advice = "the disk or the file may be damaged; see the system log"
        return LedgerError(f"{self.path}: {error}: {advice}")

    def _no_room(self) -> bool:
        try:
            stat = os.statvfs(self.path.parent)
        except OSError:
            return False
        return stat.f_bavail * stat.f_frsize < _FULL_BELOW


class Ledger(LedgerReader):
    """The one writer of a store's ledger; opening it makes or updates the tables."""

    def __init__(self, path: Path, clock: Callable[[], int] = time.time_ns) -> None:
        """`clock` gives nanoseconds since 1970, for the times at which things are recorded."""
        self.path = path
        self._clock = clock
        self._lock = threading.RLock()
        self._config_keys: dict[str, int] = {}
        self._model_keys: dict[str, int] = {}
        with self._translated():
            self._db = _connect(path_uri(path))
            try:
                self._prepare()
            except BaseException:
                self._db.close()
                raise
            self._adopted = {row[0] for row in self._all("SELECT id FROM kept WHERE adopted = 1")}

    def _prepare(self) -> None:
        # FULL: in WAL mode a commit is on the disk before it returns, or originals could be
        # retired on the strength of a record that a power cut takes back.
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA journal_size_limit = 67108864")
        for version in range(self._check_version(), len(MIGRATIONS)):
            self._db.executescript(
                f"BEGIN IMMEDIATE; {MIGRATIONS[version]}"
                f"PRAGMA application_id = {APPLICATION_ID};"
                f"PRAGMA user_version = {version + 1}; COMMIT;"
            )

    def commit(self, batch: Batch) -> tuple[Path, ...]:
        """Records everything in `batch`, or nothing; on return it is on the disk.

        Deciding an id again replaces its row, except that a kept frame stays kept. A file that
        recovery had adopted is completed by the decision, or superseded by it. Returns the files in
        the store (relative paths) that no row needs any more, for `Quarantine.retire` to remove.
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
                        continue  # the file is there: whoever failed now had written it before
                    superseded += _end_adoption(db, decision.id, kept)
                    completed.append(decision.id)
                elif kept is not None and (standing := _standing(db, decision.id)):
                    superseded += [kept.path] if kept.path != standing else []
                    continue
                if kept is not None:
                    db.execute(_PUT_KEPT, _kept_row(kept, adopted=False))
                rows.append(_decision_row(decision, kept, now, config, model))
            db.executemany(_PUT_DECISION, rows)
            first_kept = _first_kept(batch.decisions)
            db.executemany(_PUT_FILE, (_file_row(c, first_kept, now) for c in batch.checkpoints))
            db.executemany(
                "INSERT INTO gaps (source, from_ns, to_ns, cause) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (source, from_ns) DO UPDATE SET"
                " to_ns = excluded.to_ns, cause = excluded.cause",
                ((gap.source, gap.from_ns, gap.to_ns, _text(gap.cause)) for gap in batch.gaps),
            )
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
        """Records the text behind a configuration's hash. It must not hold secrets."""
        with self._writing() as db:
            db.execute(
                "INSERT INTO configs (hash, yaml, first_seen_ns) VALUES (?, ?, ?)"
                " ON CONFLICT (hash) DO UPDATE SET yaml = excluded.yaml",
                (hash, yaml, self._clock()),
            )

    def adopt(self, found: Sequence[tuple[Decision, KeptFile]]) -> None:
        """Records files that were found in the store without a row."""
        now = self._clock()
        with self._writing() as db:
            for decision, kept in found:
                db.execute("DELETE FROM decisions WHERE id = ?", (decision.id,))
                db.execute("DELETE FROM kept WHERE id = ?", (kept.id,))
                db.execute(_PUT_KEPT, _kept_row(kept, adopted=True))
                db.execute(_PUT_DECISION, _decision_row(decision, kept, now, None, None))
        self._adopted.update(kept.id for _, kept in found)

    def mark_missing(self, gone: Iterable[KeptFile], *, missing: bool = True) -> None:
        """Records that the files of kept frames are gone, or there again."""
        with self._writing() as db:
            for kept in gone:
                db.execute(
                    "UPDATE kept SET missing = ?, listed = 0 WHERE id = ?", (missing, kept.id)
                )
                _mark_stale(db, kept.path.parent)

    def mark_listed(self, ids: Iterable[str], folders: Mapping[Path, int | None]) -> None:
        """Records kept frames whose lines are safe in their metadata.jsonl.

        `folders` are their day folders, in which every line is right now, as for `mark_in_order`.
        """
        with self._writing() as db:
            db.executemany("UPDATE kept SET listed = 1 WHERE id = ?", ((i,) for i in ids))
            _put_folders(db, folders)
            db.executemany(
                "UPDATE folders SET stale = 0 WHERE path = ?", ((f.as_posix(),) for f in folders)
            )

    def mark_in_order(self, folders: Mapping[Path, int | None]) -> None:
        """Records day folders in which every file has its row, with their time of change.

        Recovery looks into them again when that differs. None: always.
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
        """Records originals that need no more retiring, with where they lie in quarantine now.

        The `key` and `at_ns` of the quarantined are given here.
        """
        now = self._clock()
        with self._writing() as db:
            for file, moved in done:
                db.execute(
                    f"UPDATE files SET retire = NULL, changed_at_ns = ? WHERE {_SAME_FILE}",
                    (now, *_key(file.source, file.identity)),
                )
                if moved is not None:
                    db.execute(
                        "INSERT INTO quarantine (source, original, path, size, sha256, at_ns)"
                        " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (path) DO NOTHING",
                        (
                            moved.source,
                            _path_in(moved.original),
                            _path_in(moved.path),
                            moved.size,
                            moved.sha256,
                            now,
                        ),
                    )

    def register_done(
        self, source: str, file: Path, identity: FileIdentity, content_hash: str
    ) -> None:
        """Records a file as done, so that a source that finds it does not take it again."""
        checkpoint = Checkpoint(source, file, identity, content_hash, 0, FileState.DONE)
        with self._writing() as db:
            db.execute(_PUT_FILE, _file_row(checkpoint, {}, self._clock()))

    def left_quarantine(self, keys: Iterable[int]) -> None:
        """Records that files are no longer in quarantine."""
        with self._writing() as db:
            db.executemany("DELETE FROM quarantine WHERE key = ?", ((key,) for key in keys))

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
                # SQLite rolls back by itself where the disk is full.
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


def path_uri(path: Path) -> str:
    """The SQLite URI of a file, whatever characters its name has."""
    return path.absolute().as_uri()


def _connect(uri: str) -> sqlite3.Connection:
    return sqlite3.connect(
        uri, uri=True, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
    )


def _conditions(*pairs: tuple[str, object | None]) -> tuple[str, tuple[object, ...]]:
    given = [(text, value) for text, value in pairs if value is not None]
    return " AND ".join(text for text, _ in given) or "1", tuple(value for _, value in given)


def _signed(number: int) -> int:
    """Device and inode numbers are unsigned 64 bits, SQLite's integers signed."""
    return number - (1 << 64) if number >= 1 << 63 else number


def _unsigned(number: int) -> int:
    return number + (1 << 64) if number < 0 else number


def _key(source: str, identity: FileIdentity) -> tuple[object, ...]:
    return (
        source,
        _signed(identity.device),
        _signed(identity.inode),
        identity.size,
        identity.mtime_ns,
    )


def _path_in(path: Path | None) -> str | bytes | None:
    """Text where the name is UTF-8, the bytes of the name where it is not."""
    if path is None:
        return None
    name = os.fspath(path)
    try:
        name.encode()
    except UnicodeEncodeError:
        return os.fsencode(name)
    return name


def _path_out(value: str | bytes | None) -> Path | None:
    return None if value is None else Path(os.fsdecode(value))


def _path(value: str | bytes) -> Path:
    return Path(os.fsdecode(value))


def _text(sentence: str | None) -> str | None:
    """A sentence may quote a file name that is no UTF-8."""
    return None if sentence is None else sentence.encode(errors="backslashreplace").decode()


def _number(measure: float | None) -> float | None:
    # sqlite3 knows Python's float and NumPy's float64, but not float32.
    return None if measure is None else float(measure)


def _decision_row(
    decision: Decision, kept: KeptFile | None, now: int, config: int | None, model: int | None
) -> tuple[object, ...]:
    return (
        decision.id,
        decision.source,
        decision.reason,
        int(decision.captured_at_ns),
        decision.captured_at_origin,
        int(decision.frame_index),
        _path_in(decision.file),
        _number(decision.pts_s),
        _number(decision.sharpness),
        _number(decision.sharpness_limit),
        _number(decision.similarity),
        _number(decision.novelty),
        _number(decision.novelty_limit),
        decision.nearest_kept,
        decision.content_hash,
        decision.width,
        decision.height,
        _text(decision.detail),
        decision.outcome,
        now,
        kept.path.as_posix() if kept else None,
        config,
        model,
    )


def _decision_record(row: Sequence[Any]) -> DecisionRecord:
    values = dict(zip(_DECISION_FIELDS, row[1:], strict=False))
    values["reason"] = Reason(values["reason"])
    values["captured_at_origin"] = TimeOrigin(values["captured_at_origin"])
    values["file"] = _path_out(values["file"])
    decided_at_ns, kept_path, config_hash, model = row[len(_DECISION_FIELDS) + 1 :]
    return DecisionRecord(
        row[0], Decision(**values), decided_at_ns, _path_out(kept_path), config_hash, model
    )


def _kept_row(kept: KeptFile, *, adopted: bool) -> tuple[object, ...]:
    return (
        kept.id,
        kept.source,
        kept.path.as_posix(),
        kept.bytes,
        kept.sha256,
        kept.width,
        kept.height,
        int(kept.captured_at_ns),
        adopted,
    )


def _kept_file(row: Sequence[Any]) -> KeptFile:
    return KeptFile(row[0], row[1], Path(row[2]), *row[3:])


def _standing(db: sqlite3.Connection, id: str) -> Path | None:
    """The file of a frame that was kept before; None: it was not, or its file is gone."""
    row = db.execute("SELECT path, missing FROM kept WHERE id = ?", (id,)).fetchone()
    if row is None:
        return None
    if row[1]:
        db.execute("DELETE FROM kept WHERE id = ?", (id,))
        db.execute("DELETE FROM decisions WHERE id = ?", (id,))
        return None
    return Path(row[0])


def _end_adoption(db: sqlite3.Connection, id: str, kept: KeptFile | None) -> list[Path]:
    """Makes way for the decision that was cut off; returns the adopted file if it must go."""
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
    """The first frame kept out of each file."""
    first: dict[tuple[str, Path], str] = {}
    for decision, kept in decisions:
        if kept is not None and decision.file is not None:
            first.setdefault((decision.source, decision.file), decision.id)
    return first


def _file_row(
    checkpoint: Checkpoint, first_kept: dict[tuple[str, Path], str], now: int
) -> tuple[object, ...]:
    to_retire = checkpoint.state is FileState.DONE and checkpoint.retire is not Retire.LEAVE
    return (
        *_key(checkpoint.source, checkpoint.identity),
        _path_in(checkpoint.file),
        checkpoint.content_hash,
        checkpoint.next_frame,
        checkpoint.state,
        int(checkpoint.state is FileState.FAILED),
        _text(checkpoint.error),
        first_kept.get((checkpoint.source, checkpoint.file)),
        checkpoint.retire if to_retire else None,
        now,
    )


_FILE_SELECT = (
    "SELECT source, file, device, inode, size, mtime_ns, content_hash, next_frame, state, attempts,"
    " error, first_kept, retire FROM files"
)


def _file_record(row: Sequence[Any]) -> FileRecord:
    source, file, device, inode, size, mtime_ns, content_hash, next_frame, state, *rest = row
    attempts, error, first_kept, retire = rest
    return FileRecord(
        source,
        _path(file),
        FileIdentity(_unsigned(device), _unsigned(inode), size, mtime_ns),
        content_hash,
        next_frame,
        FileState(state),
        attempts,
        error,
        first_kept,
        Retire(retire) if retire else Retire.LEAVE,
    )


_QUARANTINE_SELECT = "SELECT key, source, original, path, size, sha256, at_ns FROM quarantine"


def _quarantined(row: Sequence[Any]) -> Quarantined:
    key, source, original, path, size, sha256, at_ns = row
    return Quarantined(key, source, _path(original), _path(path), size, sha256, at_ns)


def _put_gallery(db: sqlite3.Connection, source: str, model: str, gallery: GalleryNow) -> None:
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
