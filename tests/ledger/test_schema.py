"""Stores of every earlier schema: opened today, nothing of them is lost; a newer one is refused."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from conftest import Command
from footage import write_still
from old_store import OldStore
from running import assert_agree
from stillsift.decisions import Reason
from stillsift.ledger import Ledger, LedgerError, LedgerReader
from stillsift.ledger.records import FileState, GapRecord, Retire
from stillsift.ledger.schema import MIGRATIONS

VERSIONS = range(1, len(MIGRATIONS) + 1)


@pytest.mark.parametrize("version", VERSIONS)
def test_nothing_of_an_earlier_ledger_is_lost(tmp_path: Path, version: int) -> None:
    old = OldStore(tmp_path, version)
    with Ledger(old.path / "ledger.sqlite") as ledger:
        reasons = [record.decision.reason for record in ledger.decisions()]
        overload = [Reason.OVERLOAD] * 3
        assert reasons == [Reason.NOVEL, Reason.BLURRY, Reason.DECODE_ERROR, *overload]
        assert [record.decision.frames for record in ledger.decisions()] == [1] * 6
        assert {reason.value: n for (_, reason), n in ledger.counts().items()} == {
            **{"novel": 1, "blurry": 1, "decode_error": 1},
            "overload": 3,
        }
        first = ledger.decision(old.id)
        assert first is not None
        assert (first.kept_path, first.config_hash, first.model) == (old.kept, "c", "m")
        kept = ledger.kept_file(old.id)
        assert kept is not None
        assert kept.sha256 == old.sha256
        (file,) = ledger.files("gate")
        assert (file.identity, file.state, file.first_kept) == (
            *(old.identity, FileState.DONE),
            old.id,
        )
        assert file.retire is Retire.LEAVE
        assert ledger.next_frame("gate", old.identity) is None
        assert [one.path for one in ledger.quarantined()] == [old.lying]
        assert ledger.gaps() == [GapRecord("gate", 1, 2, "away")]
        assert ledger.state("shed") == b"\0"
        assert ledger.judgements() == ({"abc": True} if version >= 2 else {})
        assert len(ledger.alarms()) == (version >= 3)


@pytest.mark.parametrize("version", VERSIONS)
def test_what_an_earlier_version_recorded_ages_from_the_update_on(
    tmp_path: Path, version: int
) -> None:
    old = OldStore(tmp_path, version)
    with Ledger(old.path / "ledger.sqlite") as ledger:
        ledger.forget(0)
        assert len(list(ledger.decisions())) == 6
        ledger.forget(1)
        left = [record.decision.reason for record in ledger.decisions()]
    assert left == [Reason.NOVEL, Reason.DECODE_ERROR]


@pytest.mark.parametrize("version", VERSIONS)
def test_an_earlier_store_goes_on_today(stillsift: Command, tmp_path: Path, version: int) -> None:
    old = OldStore(tmp_path, version)
    if version < len(MIGRATIONS):
        refused = stillsift("stats", "--store", old.path)
        assert refused.status == 1
        assert f"schema {version} is older than this stillsift" in refused.err
    shutil.copy(old.photo, tmp_path / "gate" / "copy.jpg")
    write_still(tmp_path / "gate" / "z.jpg", 3)
    done = stillsift("sift", tmp_path / "gate", "-o", old.path)
    assert done.status == 0, done.err
    told = stillsift("decisions", "--store", old.path, "--json").out.splitlines()
    reasons = [json.loads(line)["reason"] for line in told]
    assert sorted(reasons) == sorted(
        ["novel", "blurry", "decode_error", *["overload"] * 3, "exact_duplicate", "novel"]
    )
    (counts,) = json.loads(stillsift("stats", "--store", old.path, "--json").out)
    assert (counts["frames"], counts["kept"], counts["lost"]) == (8, 2, 3)
    assert_agree(old.path)
    assert stillsift("restore", "--all", "--store", old.path, "-o", tmp_path / "back").status == 0
    assert (tmp_path / "back" / "y.jpg").read_bytes() == old.photo.read_bytes()


@pytest.mark.parametrize("opener", [Ledger, LedgerReader])
def test_a_store_of_a_newer_stillsift_is_refused_and_left_as_it_is(
    stillsift: Command, tmp_path: Path, opener: type[LedgerReader]
) -> None:
    old = OldStore(tmp_path, len(MIGRATIONS))
    path = old.path / "ledger.sqlite"
    db = sqlite3.connect(path)
    db.executescript(f"CREATE TABLE later (x); PRAGMA user_version = {len(MIGRATIONS) + 1};")
    db.close()
    before = path.read_bytes()
    with pytest.raises(LedgerError, match=rf"newer stillsift \(schema {len(MIGRATIONS) + 1},"):
        opener(path)
    done = stillsift("sift", tmp_path / "gate", "-o", old.path)
    assert done.status == 1
    assert "use that version or another store" in done.err
    assert path.read_bytes() == before
    assert (old.path / old.kept).is_file()
