"""Adds up what the tables of the ledger say of one source."""

from __future__ import annotations

import sqlite3

from ..decisions import Reason
from .records import FileState, SampleStats, SourceStats


def stats_of(db: sqlite3.Connection, source: str, reasons: dict[Reason, int]) -> SourceStats:
    """Returns the totals of a source; `reasons` counts its frames by reason."""
    samples = _samples(db, source)
    kept_bytes, missing = db.execute(
        "SELECT COALESCE(sum(bytes), 0), COALESCE(sum(missing), 0) FROM kept WHERE source = ?",
        (source,),
    ).fetchone()
    # Two queries, because SQLite answers min or max from the index, but not both at once.
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
        "SELECT count(*), COALESCE(sum(to_ns - from_ns), 0) FROM gaps WHERE source = ?", (source,)
    ).fetchone()
    return SourceStats(
        source=source,
        reasons=reasons,
        kept_bytes=int(kept_bytes),
        missing=int(missing) - samples.missing,
        samples=samples,
        first_ns=first,
        last_ns=last,
        files={FileState(state): int(n) for state, n in files},
        gaps=int(gaps),
        gap_s=gap_ns / 1e9,
        left_alone=_left_alone(db, source),
    )


def _left_alone(db: sqlite3.Connection, source: str) -> dict[str, int]:
    """Returns what the last listing of a source found and did not read, by kind."""
    return dict(
        db.execute("SELECT kind, files FROM left_alone WHERE source = ? ORDER BY kind", (source,))
    )


def _samples(db: sqlite3.Connection, source: str) -> SampleStats:
    row = db.execute(
        "SELECT count(*), COALESCE(sum(k.missing), 0), count(j.id),"
        " COALESCE(sum(NOT k.missing AND j.id IS NULL), 0)"
        " FROM decisions d JOIN kept k ON k.id = d.id LEFT JOIN judgements j ON j.id = d.id"
        " WHERE d.source = ? AND d.reason = 'audit'",
        (source,),
    ).fetchone()
    return SampleStats(*map(int, row))
