"""Reads what people said of decisions."""

from __future__ import annotations

from pathlib import Path

from .connection import Connection
from .filters import where
from .records import Correction
from .rows import SELECT_CORRECTION, correction, path_in
from .search import PAGE


class CorrectionsReader(Connection):
    """Answers what was corrected, and what was said of the audit sample."""

    def corrections(
        self, decision_id: str | None = None, *, before: int | None = None, most: int = PAGE
    ) -> list[Correction]:
        """Returns what people said of one decision or of all, newest first, at most `most`.

        `before`: only those with a lower id. What was undone is among them.
        """
        condition, values = where(
            ("(c.decision_id = ?1 OR c.other_decision_id = ?1)", decision_id), ("c.id < ?", before)
        )
        rows = self._all(
            f"{SELECT_CORRECTION} FROM corrections c WHERE {condition} ORDER BY c.id DESC LIMIT ?",
            (*values, most),
        )
        return [correction(row) for row in rows]

    def correction(self, id: int) -> Correction | None:
        """Returns one correction; None: there is none with this id."""
        row = self._one(f"{SELECT_CORRECTION} FROM corrections c WHERE c.id = ?", (id,))
        return None if row is None else correction(row)

    def correction_that_moved(self, path: Path) -> Correction | None:
        """Returns the correction, not undone, that put a file where it lies in quarantine; None: it
        was no correction. `path`: relative to the store."""
        row = self._one(
            f"{SELECT_CORRECTION} FROM corrections c WHERE c.moved_to = ? AND c.undone_at IS NULL"
            " ORDER BY c.id DESC LIMIT 1",
            (path_in(path),),
        )
        return None if row is None else correction(row)

    def corrections_in_force(self) -> list[Correction]:
        """Returns all that people said of decisions and did not take back, oldest first.

        A decision that it is about may be forgotten by now.
        """
        rows = self._all(
            f"{SELECT_CORRECTION} FROM corrections c WHERE c.undone_at IS NULL ORDER BY c.id"
        )
        return [correction(row) for row in rows]

    def judgements(self) -> dict[str, bool]:
        """Returns what people said of audit samples: for each id, whether dropping it was wrong."""
        return {id: bool(wrong) for id, wrong in self._all("SELECT id, wrong FROM judgements")}
