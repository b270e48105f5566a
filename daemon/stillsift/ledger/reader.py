"""Reads the ledger, also while a daemon writes it: what lines, recovery and commands ask of it."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from itertools import islice
from pathlib import Path

from ..decisions import Decision, Outcome, Reason
from ..sources import FileIdentity, Numbering
from .browsing import BrowsingReader
from .corrections import CorrectionsReader
from .covered import Covered, covered
from .filters import begins_with, of_file, where
from .measures import MeasuresReader
from .records import (
    AlarmRecord,
    AlbumRow,
    DecisionRecord,
    FileRecord,
    FileState,
    ForeignPhotograph,
    GalleryEntry,
    GapRecord,
    InPlaceRepairRecord,
    KeptFile,
    KeptInWords,
    KeptPicture,
    KeptRecord,
    KeptVector,
    LargerCopies,
    Quarantined,
    Replaced,
    SeenFile,
    SourceStats,
)
from .rows import (
    ITS_CONTEXT,
    SAME_FILE,
    SELECT_ALARM,
    SELECT_DECISION,
    SELECT_FILE,
    SELECT_KEPT,
    SELECT_KEPT_RECORD,
    SELECT_QUARANTINED,
    SELECT_REPLACED,
    alarm_record,
    decision_record,
    file_record,
    kept_file,
    kept_in_words,
    kept_record,
    key_of,
    path_in,
    path_of,
    path_out,
    quarantined,
    replaced,
)
from .search import PAGE, Wanted, found, pages
from .totals import stats_of

_OF_KEPT_PICTURES = (
    "WHERE k.rowid > ? AND k.missing = 0 AND (? IS NULL OR k.source = ?)"
    f" AND d.outcome = 'kept' AND d.reason != 'audit' ORDER BY k.rowid LIMIT {PAGE}"
)
"""Frames that a source or all have kept, page by page: neither gone nor of the audit sample."""


class LedgerReader(BrowsingReader, MeasuresReader, CorrectionsReader):
    """Reads a ledger, also while a daemon writes it. Several threads may use one reader."""

    dry = False
    """Whether it is the ledger of a dry run, in which nothing is stored."""

    def next_frame(
        self, source: str, identity: FileIdentity, file: Path | None = None
    ) -> int | None:
        """Returns the index of the first frame not decided yet.

        0: the file is new. None: it is finished, or it failed. A `file` of the same path, size and
        time of change is the same file, though its device or inode number is another: a disk may
        get another number at every start, and some file systems make inode numbers up.
        """
        record = self.file(source, identity, file)
        if record is None:
            return 0
        return record.next_frame if record.state is FileState.READING else None

    def file(
        self, source: str, identity: FileIdentity, file: Path | None = None
    ) -> FileRecord | None:
        """Returns what is recorded of one file; None: nothing. `file`: as for `next_frame`."""
        row = self._one(f"{SELECT_FILE} WHERE {SAME_FILE}", key_of(source, identity))
        if row is None and file is not None:
            row = self._one(
                f"{SELECT_FILE} WHERE source = ? AND file = ? AND size = ? AND mtime_ns = ?"
                " ORDER BY key DESC LIMIT 1",
                (source, path_in(file), identity.size, identity.mtime_ns),
            )
        return file_record(row) if row else None

    def grown_from(self, source: str, identity: FileIdentity, file: Path) -> FileRecord | None:
        """Returns what is recorded of a file from when it was shorter; None: nothing.

        Whether it only grew is known once its first bytes are compared with the recorded hash.
        """
        row = self._one(
            f"{SELECT_FILE} WHERE source = ? AND file = ? AND device = ? AND inode = ?"
            " AND size < ? AND state != 'failed' ORDER BY size DESC LIMIT 1",
            (source, path_in(file), *key_of(source, identity)[1:4]),
        )
        return file_record(row) if row else None

    def sequence(self, source: str, folder: Path) -> Numbering | None:
        """Returns what was decided about a folder's numbered stills; None: nothing."""
        row = self._one(
            "SELECT rate, first, first_ns FROM sequences WHERE source = ? AND folder = ?",
            (source, path_in(folder)),
        )
        return None if row is None else Numbering(*row)

    def file_with(self, source: str, content_hash: str, file: Path) -> FileRecord | None:
        """Returns a file that was read to its end and had this content; None: there is none.

        Of several, the one at this path.
        """
        row = self._one(
            f"{SELECT_FILE} WHERE source = ? AND content_hash = ? AND state = 'done'"
            " ORDER BY file = ? DESC, key DESC LIMIT 1",
            (source, content_hash, path_in(file)),
        )
        return file_record(row) if row else None

    def files(self, source: str, state: FileState | None = None) -> list[FileRecord]:
        """Returns the files of a source in the order in which they were first recorded."""
        rows = self._all(
            f"{SELECT_FILE} WHERE source = ? AND (? IS NULL OR state = ?) ORDER BY key",
            (source, state, state),
        )
        return [file_record(row) for row in rows]

    def retiring(self, source: str | None = None) -> list[FileRecord]:
        """Returns files that are done and whose original has yet to be moved or deleted."""
        condition, values = where(("source = ?", source))
        rows = self._all(
            f"{SELECT_FILE} WHERE {condition} AND retire IS NOT NULL ORDER BY key", values
        )
        return [file_record(row) for row in rows]

    def seen(self, source: str, content_hash: str) -> SeenFile | None:
        """Returns the first file of this content that was kept or dropped; None: there is none.

        A still is found by its decision. A clip is found once it was read to its end. What was
        shown by a kept frame that is missing by now was not seen: that frame explains nothing.
        """
        with self._reading() as db:  # row by row: the first is enough, of thousands of copies
            rows = db.execute(
                "SELECT id, outcome, file, nearest_kept, reason FROM decisions"
                " WHERE source = ? AND content_hash = ? AND content_hash IS NOT NULL"
                " AND reason != 'exact_duplicate' AND outcome IN ('kept', 'dropped')"
                " ORDER BY rowid",
                (source, content_hash),
            )
            for row in rows:
                outcome = Outcome(row[1])
                itself = outcome is Outcome.KEPT and row[4] != Reason.AUDIT
                shown_by = row[0] if itself else row[3]
                if shown_by is None or self._shows(shown_by):
                    return SeenFile(row[0], outcome, path_out(row[2]), shown_by)
            rows = db.execute(
                f"{SELECT_FILE} WHERE source = ? AND content_hash = ? AND state = 'done'"
                " AND error IS NULL ORDER BY rowid",
                (source, content_hash),
            )
            for record in map(file_record, rows):
                if all(map(self._shows, record.named)):
                    return SeenFile(None, None, record.file, record.first_kept)
        return None

    def _shows(self, id: str) -> bool:
        """Tells whether a kept frame is there; in a dry run none has a file."""
        return self.dry or self.kept_file(id) is not None

    def gallery(self, source: str, model: str) -> list[GalleryEntry]:
        """Returns the gallery of a source, oldest first; empty where another model made it.

        `model`: its identity, here as in all that is asked of a model.
        """
        with self._reading() as db:
            head = db.execute(
                "SELECT ids FROM galleries WHERE source = ? AND model = ?", (source, model)
            ).fetchone()
            if head is None:
                return []
            rows = db.execute("SELECT id, data FROM gallery WHERE source = ?", (source,)).fetchall()
        entries = {id: GalleryEntry(source, id, data) for id, data in rows}
        return [entries[id] for id in json.loads(head[0])]

    def gallery_model(self, source: str) -> str | None:
        """Returns the model that made the gallery of a source; None: there is no gallery."""
        row = self._one("SELECT model FROM galleries WHERE source = ?", (source,))
        return None if row is None else str(row[0])

    def photographs_of_others(
        self, source: str, model: str, after: int, most: int
    ) -> list[ForeignPhotograph]:
        """Returns kept photographs that other models have made, oldest first, after a row."""
        rows = self._all(
            "SELECT seq, id, data FROM album"
            " WHERE source = ? AND model != ? AND seq > ? ORDER BY seq LIMIT ?",
            (source, model, after, most),
        )
        return [ForeignPhotograph(*row) for row in rows]

    def album_models(self, source: str) -> dict[str, str]:
        """Returns the model that has made each kept photograph of a source, by its id."""
        return dict(self._all("SELECT id, model FROM album WHERE source = ?", (source,)))

    def album(self, source: str, model: str, after: int = 0) -> list[AlbumRow]:
        """Returns the kept photographs of a source, oldest first, from after a row on.

        Only those that this model has made; their `data` is not read, as it is large.
        """
        rows = self._all(
            "SELECT seq, id, vector, page FROM album"
            " WHERE source = ? AND model = ? AND seq > ? ORDER BY seq",
            (source, model, after),
        )
        return [AlbumRow(*row) for row in rows]

    def photograph(self, source: str, id: str) -> bytes | None:
        """Returns what the album holds of a kept photograph; None: it is not in the album."""
        row = self._one("SELECT data FROM album WHERE source = ? AND id = ?", (source, id))
        return None if row is None else bytes(row[0])

    def state(self, source: str) -> bytes | None:
        """Returns what the sifter of a source saved for a restart; None: nothing yet."""
        row = self._one("SELECT state FROM source_state WHERE source = ?", (source,))
        return bytes(row[0]) if row else None

    def places(self) -> dict[str, Path]:
        """Returns where each source is that `sift` has named, by its name."""
        return {source: path_of(place) for place, source in self._all("SELECT * FROM places")}

    def has_read_from(self, source: str, place: Path) -> bool:
        """Tells whether the first file that a source has read is this one, or lies in it."""
        row = self._one("SELECT file FROM files WHERE source = ? ORDER BY key LIMIT 1", (source,))
        return row is not None and path_of(row[0]).is_relative_to(place)

    def decisions(
        self,
        *,
        source: str | None = None,
        outcome: Outcome | None = None,
        reason: Reason | None = None,
        since_ns: int | None = None,
        until_ns: int | None = None,
        id: str | None = None,
        file: Path | None = None,
        limit: int | None = None,
    ) -> Iterator[DecisionRecord]:
        """Yields decisions in the order they were made, of frames captured in [since, until).

        `id`: its first digits; `file`: absolute, or how its path ends; `limit`: the newest only.
        It reads page by page, so that a long listing neither fills memory nor makes the write-ahead
        log grow.
        """
        condition, values = where(
            ("d.source = ?", source),
            ("d.outcome = ?", outcome),
            ("d.reason = ?", reason),
            ("d.captured_at_ns >= ?", since_ns),
            ("d.captured_at_ns < ?", until_ns),
            begins_with(id),
            of_file(file),
        )
        wanted = Wanted(
            sources=self.sources() if source is None else [source],
            outcome=outcome,
            reason=reason,
            since_ns=since_ns,
            until_ns=until_ns,
            id=id,
            all_sources=source is None,
            by_file=file is not None,
        )
        if limit is not None and limit < 1:
            return
        seqs = found(self._all, wanted, newest=limit)
        if seqs is None:
            yield from self._scanned(condition, values, limit)
            return
        if limit is not None:
            matching = self._matching(seqs, condition, values, limit)
            seqs = reversed(list(islice(matching, limit)))
        for these, numbers in pages(seqs):
            rows = self._all(  # by their numbers: not by an index, which may hold a million more
                f"{SELECT_DECISION} FROM decisions AS d NOT INDEXED{ITS_CONTEXT}"
                f" WHERE {these} AND {condition} ORDER BY d.seq",
                (*numbers, *values),
            )
            yield from map(decision_record, rows)

    def _matching(
        self, seqs: Iterator[int], condition: str, values: tuple[object, ...], wanted: int
    ) -> Iterator[int]:
        """Yields those of the decisions, newest first, that meet a condition."""
        for these, numbers in pages(seqs, wanted):
            query = f"SELECT d.seq FROM decisions AS d NOT INDEXED WHERE {these} AND {condition}"
            for row in self._all(f"{query} ORDER BY d.seq DESC", (*numbers, *values)):
                yield int(row[0])

    def _scanned(
        self, condition: str, values: tuple[object, ...], limit: int | None
    ) -> Iterator[DecisionRecord]:
        """Yields decisions that meet a condition for which there is no index."""
        # With an index, SQLite would sort all the remaining rows for every page.
        table = "decisions AS d NOT INDEXED"
        after = -1
        if limit is not None:
            first = self._one(
                f"SELECT min(seq) FROM (SELECT d.seq FROM {table} WHERE {condition}"
                " ORDER BY d.seq DESC LIMIT ?)",
                (*values, limit),
            )
            if first is None or first[0] is None:
                return
            after = int(first[0]) - 1
        query = (
            f"{SELECT_DECISION} FROM {table}{ITS_CONTEXT}"
            f" WHERE {condition} AND d.seq > ? ORDER BY d.seq LIMIT {PAGE}"
        )
        while rows := self._all(query, (*values, after)):
            yield from map(decision_record, rows)
            after = int(rows[-1][0])

    def sifted(self, source: str) -> Iterator[Decision]:
        """Yields the decisions made since the sifting of a source began; none: it is over."""
        row = self._one("SELECT after FROM sifting WHERE source = ?", (source,))
        after = None if row is None else int(row[0])
        query = (
            f"{SELECT_DECISION} FROM decisions AS d NOT INDEXED{ITS_CONTEXT}"
            f" WHERE d.source = ? AND d.seq > ? ORDER BY d.seq LIMIT {PAGE}"
        )
        while after is not None and (rows := self._all(query, (source, after))):
            for record in map(decision_record, rows):
                yield record.decision
                after = record.seq

    def last_seq(self) -> int:
        """Returns the `seq` of the last decision; 0: there is none."""
        row = self._one("SELECT max(seq) FROM decisions")
        return 0 if row is None or row[0] is None else int(row[0])

    def chosen_after(self, source: str) -> int | None:
        """Returns the `seq` after which what a source has kept may be let go; None: all stays."""
        row = self._one("SELECT after FROM choosing WHERE source = ?", (source,))
        return None if row is None else int(row[0])

    def kept_vectors(self, source: str, model: str) -> list[KeptVector]:
        """Returns the vectors of all frames that a source has kept, oldest first.

        Neither frames that are gone from the store nor the audit sample are among them.
        """
        rows = self._all(
            "SELECT d.seq, d.id, COALESCE(e.vector, a.vector), d.file, d.content_hash"
            " FROM decisions d LEFT JOIN models m ON m.name = ?"
            " LEFT JOIN embeddings e ON e.id = d.id AND e.model = m.key"
            " LEFT JOIN album a ON a.source = d.source AND a.id = d.id AND a.model = m.name"
            " WHERE d.source = ? AND d.outcome = 'kept' AND d.reason != 'audit' AND NOT EXISTS"
            " (SELECT 1 FROM kept k WHERE k.id = d.id AND k.missing) ORDER BY d.seq",
            (model, source),
        )
        return [KeptVector(row[0], row[1], row[2], path_out(row[3]), row[4]) for row in rows]

    def kept_pictures(self, source: str | None = None) -> Iterator[KeptPicture]:
        """Yields all frames that one source or all have kept, in the order they were stored.

        Neither frames that are gone from the store nor the audit sample are among them.
        """
        query = (
            "SELECT k.rowid, d.id, d.source, d.reason, d.captured_at_ns, k.path, k.sha256,"
            " COALESCE(m.name, a.model), COALESCE(e.vector, a.vector)"
            " FROM kept k JOIN decisions d ON d.id = k.id"
            " LEFT JOIN embeddings e ON e.id = k.id LEFT JOIN models m ON m.key = e.model"
            f" LEFT JOIN album a ON a.source = k.source AND a.id = k.id {_OF_KEPT_PICTURES}"
        )
        after = -1
        while rows := self._all(query, (after, source, source)):
            for _, id_, of, reason, at_ns, path, sha256, model, vector in rows:
                yield KeptPicture(
                    id_, of, Reason(reason), at_ns, path_of(path), sha256, model, vector
                )
            after = int(rows[-1][0])

    def kept_in_words(self, source: str | None = None) -> Iterator[KeptInWords]:
        """Yields what the frames of `kept_pictures` show, in the same order."""
        query = (
            "SELECT k.rowid, d.id, d.source, k.path, k.sha256, d.file, d.tags, d.detections"
            f" FROM kept k JOIN decisions d ON d.id = k.id {_OF_KEPT_PICTURES}"
        )
        after = -1
        while rows := self._all(query, (after, source, source)):
            yield from (kept_in_words(row[1:]) for row in rows)
            after = int(rows[-1][0])

    def search_vectors(self, model: str) -> dict[str, bytes]:
        """Returns what a model of `search` has made of kept frames, by their ids."""
        return dict(self._all("SELECT id, vector FROM search_vectors WHERE model = ?", (model,)))

    def vector_models(self, source: str | None = None) -> dict[str, int]:
        """Returns how many vectors of kept frames each model has made, of one source or of all."""
        rows = self._all(
            "SELECT m.name, count(*) FROM embeddings e JOIN kept k ON k.id = e.id"
            " JOIN models m ON m.key = e.model WHERE ?1 IS NULL OR k.source = ?1 GROUP BY 1"
            " UNION ALL SELECT model, count(*) FROM album"
            " WHERE ?1 IS NULL OR source = ?1 GROUP BY 1",
            (source,),
        )
        counts: dict[str, int] = {}
        for model, number in rows:
            counts[model] = counts.get(model, 0) + int(number)
        return counts

    def kept_files(self, without: Collection[str]) -> set[Path]:
        """Returns the stills that sources have kept, but for these sources."""
        marks = ", ".join("?" * len(without))
        rows = self._all(
            "SELECT file FROM decisions WHERE outcome = 'kept' AND reason != 'audit'"
            f" AND content_hash IS NOT NULL AND source NOT IN ({marks})",
            tuple(without),
        )
        return {path_of(row[0]) for row in rows}

    def naming(self, names: Collection[str]) -> Iterator[tuple[str, str]]:
        """Yields the id of each decision that names one of these, and the one that it names."""
        after = 0
        query = (
            "SELECT seq, id, nearest_kept FROM decisions NOT INDEXED"
            f" WHERE seq > ? AND nearest_kept IS NOT NULL ORDER BY seq LIMIT {100 * PAGE}"
        )
        while rows := self._all(query, (after,)):
            yield from ((row[1], row[2]) for row in rows if row[2] in names)
            after = int(rows[-1][0])

    def larger_copies(self, after: int) -> dict[str, LargerCopies]:
        """Returns which sources lost copies after `seq` to one with less than half the pixels.

        Only copies that another source has kept count: within one, a larger one replaces it.
        """
        rows = self._all(
            "SELECT d.source, count(*), min(k.source) FROM decisions d"
            " JOIN decisions k ON k.id = d.nearest_kept WHERE d.seq > ?"
            " AND d.reason = 'near_duplicate' AND d.content_hash IS NOT NULL"
            " AND k.source != d.source AND d.width * d.height > 2 * k.width * k.height"
            " GROUP BY d.source",
            (after,),
        )
        return {source: LargerCopies(number, by) for source, number, by in rows}

    def first_with(self, content_hash: str, source: str) -> Decision | None:
        """Returns the first decision about this content, of this source or else of any; None: there
        is none. Repeats of it do not count."""
        row = self._one(
            f"{SELECT_DECISION} FROM decisions d{ITS_CONTEXT}"
            " WHERE d.source IN (SELECT DISTINCT source FROM counts) AND d.content_hash = ?"
            " AND d.content_hash IS NOT NULL AND d.reason != 'exact_duplicate'"
            " AND d.outcome IN ('kept', 'dropped') ORDER BY d.source != ?, d.seq LIMIT 1",
            (content_hash, source),
        )
        return None if row is None else decision_record(row).decision

    def was_restored(self, file: FileRecord) -> bool:
        """Tells whether this file was moved away and brought back."""
        return self.is_restored(file.file, file.identity)

    def is_restored(self, file: Path, identity: FileIdentity) -> bool:
        """Tells whether the file at this path, of this size and time, was brought back."""
        found = self._one(
            "SELECT 1 FROM restored WHERE file = ? AND size = ? AND mtime_ns = ?",
            (path_in(file), identity.size, identity.mtime_ns),
        )
        return found is not None

    def last_file(self, source: str, file: Path) -> FileRecord | None:
        """Returns what is recorded last of the file at a path; None: nothing."""
        row = self._one(
            f"{SELECT_FILE} WHERE source = ? AND file = ? ORDER BY key DESC LIMIT 1",
            (source, path_in(file)),
        )
        return file_record(row) if row else None

    def quarantined_bytes(self, source: str, sha256: str) -> Quarantined | None:
        """Returns a file in quarantine with these bytes; None: there is none."""
        row = self._one(
            f"{SELECT_QUARANTINED} WHERE source = ? AND sha256 = ? ORDER BY key DESC LIMIT 1",
            (source, sha256),
        )
        return quarantined(row) if row else None

    def has_row(self, path: Path) -> bool:
        """Tells whether a kept frame or a file in quarantine is recorded at a path of the store."""
        row = self._one(
            "SELECT 1 FROM kept WHERE path = ?1 UNION ALL SELECT 1 FROM quarantine WHERE path = ?1",
            (path_in(path),),
        )
        return row is not None

    def may_change(self, source: str) -> bool:
        """Tells whether `sift` is still to decide what stays of what a source has kept."""
        row = self._one(
            "SELECT 1 FROM sifting WHERE source = ?1"
            " UNION ALL SELECT 1 FROM choosing WHERE source = ?1",
            (source,),
        )
        return row is not None

    def decision(self, id: str) -> DecisionRecord | None:
        """Returns the decision about the frame with this id; None: there is none."""
        row = self._one(f"{SELECT_DECISION} FROM decisions d{ITS_CONTEXT} WHERE d.id = ?", (id,))
        return decision_record(row) if row else None

    def kept_in(self, folder: Path) -> list[KeptRecord]:
        """Returns the kept files of one day folder (relative to the store), sorted by name."""
        start = f"{folder.as_posix()}/"
        rows = self._all(
            f"SELECT {SELECT_KEPT_RECORD} WHERE k.path >= ? AND k.path < ? ORDER BY k.path",
            (start, f"{start[:-1]}0"),  # "0" is the character after "/"
        )
        return list(map(kept_record, rows))

    def kept_records(
        self,
        *,
        source: str | None = None,
        reason: Reason | None = None,
        since_ns: int | None = None,
        until_ns: int | None = None,
    ) -> Iterator[KeptRecord]:
        """Yields kept frames captured in [since, until), in the order they were stored.

        Neither frames that are gone from the store nor the audit sample are among them. It reads
        page by page, as `decisions` does.
        """
        condition, values = where(
            ("+k.source = ?", source),
            ("+d.reason = ?", reason),
            ("+k.captured_at_ns >= ?", since_ns),
            ("+k.captured_at_ns < ?", until_ns),
        )
        query = (  # "+": no index, with which SQLite would sort all the remaining rows of each page
            f"SELECT k.rowid, {SELECT_KEPT_RECORD} WHERE k.rowid > ? AND k.missing = 0"
            f" AND d.outcome = 'kept' AND d.reason != 'audit' AND {condition}"
            f" ORDER BY k.rowid LIMIT {PAGE}"
        )
        after = -1
        while rows := self._all(query, (after, *values)):
            yield from (kept_record(row[1:]) for row in rows)
            after = int(rows[-1][0])

    def vector(self, id: str) -> tuple[str, bytes] | None:
        """Returns the model of a kept frame's pooled vector, and the vector as in `Batch`; None:
        none was recorded."""
        row = self._one(
            "SELECT m.name, e.vector FROM embeddings e JOIN models m ON m.key = e.model"
            " WHERE e.id = ?1 UNION ALL SELECT a.model, a.vector FROM kept k"
            " JOIN album a ON a.source = k.source AND a.id = k.id WHERE k.id = ?1 LIMIT 1",
            (id,),
        )
        return None if row is None else (str(row[0]), bytes(row[1]))

    def kept_without(self, source: str, repairs: str) -> int:
        """Returns how many kept frames of a source have `repairs` that begin otherwise, or none.

        Those whose file is gone, or that are to be decided again, do not count.
        """
        row = self._one(
            "SELECT count(*) FROM kept WHERE source = ? AND missing = 0 AND adopted = 0"
            " AND (repairs IS NULL OR substr(repairs, 1, ?) != ?)",
            (source, len(repairs), repairs),
        )
        return int(row[0]) if row else 0

    def kept_file(self, id: str) -> KeptFile | None:
        """Returns the kept file of a frame; None: there is none, or it is missing."""
        row = self._one(f"{SELECT_KEPT} FROM kept k WHERE k.id = ? AND k.missing = 0", (id,))
        return kept_file(row) if row else None

    def is_unfinished(self, path: Path) -> bool:
        """Tells whether recovery has adopted what lies at a path, relative to the store.

        Its record is not finished then. What waits to be taken away has one, and what nobody knows
        has none.
        """
        found = self._one(
            "SELECT 1 FROM kept WHERE path = ?1 AND adopted = 1"
            " AND NOT EXISTS (SELECT 1 FROM replaced WHERE path = ?1)"
            " AND NOT EXISTS (SELECT 1 FROM superseded WHERE path = ?1)",
            (path_in(path),),
        )
        return found is not None

    def gaps(
        self,
        *,
        source: str | None = None,
        since_ns: int | None = None,
        until_ns: int | None = None,
    ) -> list[GapRecord]:
        """Returns gaps that touch [since, until), sorted by their start."""
        condition, values = where(
            ("source = ?", source), ("to_ns >= ?", since_ns), ("from_ns < ?", until_ns)
        )
        rows = self._all(
            f"SELECT source, from_ns, to_ns, cause FROM gaps WHERE {condition}"
            " ORDER BY from_ns, source",
            values,
        )
        return [GapRecord(*row) for row in rows]

    def alarms(self, *, source: str | None = None) -> list[AlarmRecord]:
        """Returns alarms of one source or of all, sorted by their start."""
        return [alarm_record(row) for row in self._all(SELECT_ALARM, (source,))]

    def stats(self, source: str | None = None) -> list[SourceStats]:
        """Returns the totals of one source or of every source; empty where nothing is recorded."""
        counts = self.counts()
        stats = []
        silent = (row[0] for row in self._all("SELECT DISTINCT source FROM left_alone"))
        for name in sorted({*self.sources(), *silent}):
            if source in (None, name):
                reasons = {reason: n for (whose, reason), n in counts.items() if whose == name}
                with self._reading() as db:
                    stats.append(stats_of(db, name, reasons))
        return stats

    def covered(
        self, source: str | None, slot_ns: int, most: int, shown: Collection[Reason]
    ) -> Covered:
        """Returns what the kept frames of one source or of all stand for; see `covered.covered`."""
        with self._reading() as db:
            return covered(db, source, slot_ns, most, shown)

    def quarantined(self, source: str | None = None) -> list[Quarantined]:
        """Returns what lies in quarantine, oldest first."""
        condition, values = where(("source = ?", source))
        rows = self._all(f"{SELECT_QUARANTINED} WHERE {condition} ORDER BY key", values)
        return [quarantined(row) for row in rows]

    def moved_from(self, file: FileRecord) -> Quarantined | None:
        """Returns where a file lies that was moved, or is about to; None: it was not."""
        row = self._one(
            f"{SELECT_QUARANTINED} WHERE source = ? AND original = ? AND sha256 = ?"
            " ORDER BY key DESC LIMIT 1",
            (file.source, path_in(file.file), file.content_hash),
        )
        return quarantined(row) if row else None

    def repaired_copy(self, id: str) -> tuple[Path, str] | None:
        """Returns where a repaired still was copied to, and its SHA-256 (hex); None: it was not."""
        row = self._one("SELECT path, sha256 FROM repaired_copies WHERE id = ?", (id,))
        return None if row is None else (path_of(row[0]), row[1])

    def in_place_repair(self, backup: Path) -> InPlaceRepairRecord | None:
        """Returns what the still was repaired to whose original lies at `backup`, relative to the
        folder of originals; None: nothing is recorded of it."""
        row = self._one(
            "SELECT now, sha256, repairs FROM in_place_repairs WHERE backup = ?",
            (path_in(backup),),
        )
        return None if row is None else InPlaceRepairRecord(path_of(row[0]), row[1], row[2])

    def has_moved_to(self, path: Path) -> bool:
        """Tells whether a file was moved to this path, relative to the store, or is about to."""
        return self._one("SELECT 1 FROM quarantine WHERE path = ?", (path_in(path),)) is not None

    def quarantine_total(self) -> int:
        """Returns the number of bytes in quarantine."""
        row = self._one("SELECT COALESCE(sum(size), 0) FROM quarantine")
        return int(row[0]) if row else 0

    def oldest_quarantined(self, most: int) -> list[Quarantined]:
        """Returns the oldest files in quarantine, at most `most` of them, oldest first."""
        rows = self._all(f"{SELECT_QUARANTINED} ORDER BY key LIMIT ?", (most,))
        return [quarantined(row) for row in rows]

    def folders(self) -> dict[Path, int | None]:
        """Returns day folders, each with its time of change (ns) when it was last found in order.

        None: no time is known, and recovery looks into the folder again.
        """
        return {
            path_of(path): mtime for path, mtime in self._all("SELECT path, mtime_ns FROM folders")
        }

    def unlisted_folders(self) -> list[Path]:
        """Returns day folders whose metadata.jsonl may lack a line or have one too many."""
        rows = self._all(
            "SELECT path FROM folders WHERE stale = 1"
            " UNION SELECT DISTINCT rtrim(rtrim(path, replace(path, '/', '')), '/') FROM kept"
            " WHERE listed = 0 AND missing = 0 ORDER BY 1"
        )
        return [path_of(row[0]) for row in rows]

    def stale_folders(self) -> list[Path]:
        """Returns day folders to list anew: a file there was decided again, is gone, or is back."""
        return [path_of(row[0]) for row in self._all("SELECT path FROM folders WHERE stale = 1")]

    def replaced(self) -> list[Replaced]:
        """Returns files in the store that better copies have replaced, yet to be taken away."""
        return [replaced(row) for row in self._all(f"{SELECT_REPLACED} ORDER BY path")]

    def superseded(self) -> list[Path]:
        """Returns files in the store that no row needs any more and that are yet to be removed."""
        return [path_of(row[0]) for row in self._all("SELECT path FROM superseded ORDER BY path")]
