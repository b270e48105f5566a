"""Audit samples and judgements in the ledger."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from audited import aside, dropped
from stillsift.decisions import Decision, Reason
from stillsift.ledger import Ledger, LedgerError, LedgerReader, schema
from stillsift.ledger.records import Batch, KeptFile


def placed(made: Decision) -> KeptFile:
    area = "audit" if made.reason is Reason.AUDIT else "kept"
    path = Path(area) / made.source / "2026" / "11" / "24" / f"{made.id}.jpg"
    return KeptFile(made.id, made.source, path, 9, "ab" * 32, 4, 3, made.captured_at_ns)


def test_samples_are_not_forgotten_and_come_back_as_they_were(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l.sqlite", clock=lambda: 1) as ledger:
        ledger.commit(Batch("c", "m", [(aside(0), placed(aside(0))), (dropped(1), None)]))
        ledger.judge({aside(0).id: True})
        assert not ledger.forget(ledger.lifetime_ns() + 1)
        (left,) = ledger.decisions()
        assert left.decision == aside(0)
        assert ledger.judgements() == {aside(0).id: True}


def test_a_sample_makes_way_for_the_same_frame_kept(tmp_path: Path) -> None:
    """Decided anew, when a device number has changed, with other limits."""
    kept = replace(dropped(0), reason=Reason.NOVEL)
    with Ledger(tmp_path / "l.sqlite") as ledger:
        ledger.commit(Batch("c", "m", [(aside(0), placed(aside(0)))]))
        assert ledger.commit(Batch("c", "m", [(dropped(0), None)])) == ()
        assert [r.decision.reason for r in ledger.decisions()] == [Reason.AUDIT]
        gone = ledger.commit(Batch("c", "m", [(kept, placed(kept))]))
        assert gone == (placed(aside(0)).path,)
        assert ledger.superseded() == list(gone)
        assert ledger.kept_file(kept.id) == placed(kept)
        assert ledger.commit(Batch("c", "m", [(aside(0), placed(aside(0)))])) == gone
        assert [r.decision.reason for r in ledger.decisions()] == [Reason.NOVEL]


def test_a_ledger_from_before_the_audit_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "l.sqlite"
    db = sqlite3.connect(path)
    db.executescript(
        f"{schema.MIGRATIONS[0]} PRAGMA user_version = 1;"
        f"PRAGMA application_id = {schema.APPLICATION_ID};"
        "INSERT INTO decisions (id, source, outcome, reason, captured_at_ns, captured_at_origin,"
        " frame_index, decided_at_ns) VALUES ('00', 'door', 'dropped', 'blurry', 1, 'pts', 0, 1)"
    )
    db.close()
    with pytest.raises(LedgerError, match="older than this stillsift"):
        LedgerReader(path)
    with Ledger(path) as ledger:
        (record,) = ledger.decisions()
        assert record.decision.dropped_as is None
        assert ledger.judgements() == {}
