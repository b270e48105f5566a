"""What people said of decisions, in the ledger."""

from __future__ import annotations

from pathlib import Path

from stillsift.ledger import Ledger, LedgerReader
from stillsift.ledger.records import Correction, CorrectionKind


def test_a_correction_holds_until_it_is_undone(tmp_path: Path) -> None:
    clock = iter(range(10, 20))
    with Ledger(tmp_path / "l.sqlite", clock=lambda: next(clock)) as ledger:
        first = ledger.correct("a1", CorrectionKind.KEEP)
        second = ledger.correct("a2", CorrectionKind.SAME, "a3")
        assert ledger.undo_correction(first)
        assert not ledger.undo_correction(first)
        pair = Correction(second, 11, "a2", CorrectionKind.SAME, "a3")
        assert ledger.corrections() == [pair]
    with LedgerReader(tmp_path / "l.sqlite") as reader:
        taken_back = Correction(first, 10, "a1", CorrectionKind.KEEP, None, 12)
        assert reader.corrections(undone=True) == [taken_back, pair]
