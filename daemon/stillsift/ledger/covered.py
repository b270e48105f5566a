"""Adds up when frames came, what became of them, and how far dropped ones are from kept ones."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from dataclasses import dataclass

from ..decisions import Reason
from .filters import where

_STEPS = 100
"""Steps of a distance of 1 in which distances are counted."""
_MOST = 1000
"""Distance above which all count as that one."""


@dataclass(frozen=True, slots=True)
class Slot:
    """Counts the frames of one source, one stretch of time and one reason."""

    source: str
    from_ns: int
    reason: Reason
    frames: int


@dataclass(frozen=True, slots=True)
class Covered:
    """Tells what the kept frames of one source or of all stand for."""

    slots: list[Slot]
    """Sorted by source and time."""
    standing: list[tuple[str, int]]
    """Ids of the kept frames that show the most dropped frames, and how many they show."""
    distances: list[tuple[Reason, float, int]]
    """Distances of dropped frames to the kept frame that each names, to 0.01, by reason and then
    ascending, and how many have each. 0: the same, 1: the limit."""
    farthest: list[str]
    """Ids of the dropped frames with the largest distance, the largest first, without those that a
    kept frame shows."""


def covered(
    db: sqlite3.Connection,
    source: str | None,
    slot_ns: int,
    most: int,
    shown: Collection[Reason],
) -> Covered:
    """Adds this up, in stretches of `slot_ns` since 1970; `most`: ids in each list.

    `shown`: reasons that say of a dropped frame that a kept one shows it. Each sum reads all
    decisions once, so it takes seconds for millions of them.
    """
    asked, values = where(("source = ?", source))
    # Integer division rounds towards zero: times before 1970 go down as others do.
    slot = "(captured_at_ns - ((captured_at_ns % ?1) + ?1) % ?1)"
    slots = db.execute(
        f"SELECT source, {slot}, reason, sum(frames) FROM decisions"
        " WHERE ?2 IS NULL OR source = ?2 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
        (slot_ns, source),
    ).fetchall()
    dropped = f"FROM decisions WHERE {asked} AND outcome = 'dropped'"
    standing = db.execute(
        f"SELECT nearest_kept, sum(frames) {dropped} AND nearest_kept IS NOT NULL"
        f" AND reason IN ({', '.join('?' * len(shown))}) GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT ?",
        (*values, *shown, most),
    ).fetchall()
    distances = db.execute(
        f"SELECT reason, CAST(round(min(distance, {_MOST}) * {_STEPS}) AS INTEGER), sum(frames)"
        f" {dropped} AND distance IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2",
        values,
    ).fetchall()
    farthest = db.execute(
        f"SELECT id {dropped} AND distance IS NOT NULL"
        f" AND reason NOT IN ({', '.join('?' * len(shown))}) ORDER BY distance DESC, seq LIMIT ?",
        (*values, *shown, most),
    ).fetchall()
    return Covered(
        [Slot(of, int(at), Reason(reason), int(frames)) for of, at, reason, frames in slots],
        [(id_, int(frames)) for id_, frames in standing],
        [(Reason(reason), step / _STEPS, int(frames)) for reason, step, frames in distances],
        [row[0] for row in farthest],
    )
