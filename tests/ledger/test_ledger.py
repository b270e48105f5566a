"""The ledger: one transaction, nothing lost, and plain words when SQLite cannot."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import Disks
from stillsift.decisions import Decision, Outcome, Reason, outcome_of
from stillsift.frames import EARLIEST_NS, LATEST_NS, TimeOrigin, frame_id
from stillsift.ledger import Ledger, LedgerError, LedgerFull, LedgerReader
from stillsift.ledger.lifetime import Uptime
from stillsift.ledger.records import (
    AlbumChanges,
    AlbumEntry,
    Batch,
    Checkpoint,
    FileState,
    GalleryEntry,
    GalleryNow,
    GapRecord,
    KeptFile,
    Retire,
)
from stillsift.ledger.schema import MIGRATIONS
from stillsift.sources import FileIdentity

NOW_NS = 1_764_000_000_000_000_000
KEPT_REASONS = tuple(r for r in Reason if outcome_of(r) is Outcome.KEPT)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.sqlite", clock=lambda: NOW_NS) as opened:
        yield opened


def decision(
    index: int,
    reason: Reason = Reason.NEAR_DUPLICATE,
    *,
    source: str = "door",
    content_hash: str | None = None,
    file: Path | None = None,
    nearest_kept: str | None = None,
    detail: str | None = None,
) -> Decision:
    return Decision(
        id=frame_id(source, "origin", index),
        source=source,
        reason=reason,
        captured_at_ns=NOW_NS + index * 1_000_000_000,
        captured_at_origin=TimeOrigin.PTS,
        frame_index=index,
        file=file,
        sharpness=1.5,
        nearest_kept=nearest_kept,
        content_hash=content_hash,
        detail=detail,
    )


def kept_file(made: Decision, suffix: str = ".jpg") -> KeptFile:
    path = Path("kept") / made.source / "2026" / "11" / "24" / f"{made.id}{suffix}"
    return KeptFile(made.id, made.source, path, 1000, "ab" * 32, 640, 480, made.captured_at_ns)


def batch(*decisions: Decision, model: str = "lite0", **parts: object) -> Batch:
    pairs = [(d, kept_file(d) if d.outcome is Outcome.KEPT else None) for d in decisions]
    return Batch(config_hash="c1", model=model, decisions=pairs, **parts)  # type: ignore[arg-type]


def identity(number: int) -> FileIdentity:
    return FileIdentity(device=1, inode=number, size=10, mtime_ns=NOW_NS + number)


def checkpoint(
    number: int, state: FileState, *, next_frame: int = 0, content_hash: str = "", **more: object
) -> Checkpoint:
    return Checkpoint(
        "door",
        Path(f"/in/{number}.jpg"),
        identity(number),
        content_hash or f"{number:064x}",
        next_frame,
        state,
        **more,  # type: ignore[arg-type]
    )


measures = st.none() | st.floats(allow_nan=False, allow_infinity=False)
names = st.binary(min_size=1, max_size=40).filter(lambda b: b"\0" not in b and b"/" not in b)


@settings(max_examples=40, deadline=None)
@given(
    reason=st.sampled_from([r for r in Reason if r not in KEPT_REASONS]),
    pts=measures,
    sharpness=measures,
    similarity=measures,
    novelty=measures,
    at=st.integers(-(2**62), 2**62),
    name=st.none() | names,
    detail=st.none() | st.text(st.characters(exclude_categories=["Cs"])),
    frames=st.integers(1, 2**40),
)
def test_a_decision_comes_back_as_it_was(
    reason: Reason,
    pts: float | None,
    sharpness: float | None,
    similarity: float | None,
    novelty: float | None,
    at: int,
    name: bytes | None,
    detail: str | None,
    frames: int,
) -> None:
    made = Decision(
        id=frame_id("door", "x", 7),
        source="door",
        reason=reason,
        captured_at_ns=at,
        captured_at_origin=TimeOrigin.EXIF,
        frame_index=7,
        file=None if name is None else Path("/in") / os.fsdecode(name),
        pts_s=pts,
        sharpness=sharpness,
        similarity=similarity,
        novelty=novelty,
        detail=detail,
        frames=frames,
    )
    with (
        tempfile.TemporaryDirectory() as folder,
        Ledger(Path(folder) / "l.sqlite", clock=lambda: NOW_NS) as ledger,
    ):
        ledger.commit(batch(made))
        (record,) = ledger.decisions()
    assert record.decision == made
    assert (record.config_hash, record.model) == ("c1", "lite0")
    assert record.decided_at_ns == NOW_NS
    assert record.kept_path is None


def test_numpy_measures_are_accepted(ledger: Ledger) -> None:
    made = Decision(
        "1" * 24,
        "door",
        Reason.BLURRY,
        NOW_NS,
        TimeOrigin.MTIME,
        0,
        sharpness=np.float32(0.25),  # type: ignore[arg-type]  # what a measure may really return
    )
    ledger.commit(batch(made))
    (record,) = ledger.decisions()
    assert record.decision.sharpness == 0.25


def test_a_batch_is_recorded_whole_or_not_at_all(ledger: Ledger) -> None:
    no_entry = {"door": GalleryNow(ids=["never added"])}
    with pytest.raises(ValueError, match="never added"):
        ledger.commit(
            batch(
                decision(0, Reason.NOVEL),
                checkpoints=[checkpoint(1, FileState.DONE)],
                gaps=[GapRecord("door", 0, 1, "away")],
                states={"door": b"x"},
                galleries=no_entry,
            )
        )
    assert list(ledger.decisions()) == []
    assert ledger.kept_file(decision(0).id) is None
    assert ledger.next_frame("door", identity(1)) == 0
    assert ledger.gaps() == []
    assert ledger.state("door") is None
    ledger.commit(batch(decision(0, Reason.NOVEL)))
    assert [r.config_hash for r in ledger.decisions()] == ["c1"]


def test_deciding_again_replaces_what_was_not_kept(ledger: Ledger) -> None:
    ledger.commit(batch(decision(0, Reason.WRITE_ERROR), decision(1)))
    ledger.commit(batch(decision(0, Reason.NOVEL)))
    assert [(r.decision.frame_index, r.decision.reason) for r in ledger.decisions()] == [
        (0, Reason.NOVEL),
        (1, Reason.NEAR_DUPLICATE),
    ]


@pytest.mark.parametrize("reason", [Reason.EXACT_DUPLICATE, Reason.DECODE_ERROR, Reason.SHARPEST])
def test_what_is_kept_stays_kept(ledger: Ledger, reason: Reason) -> None:
    ledger.commit(batch(decision(0, Reason.NOVEL)))
    assert ledger.commit(batch(decision(0, reason))) == ()
    (record,) = ledger.decisions()
    assert record.decision.reason is Reason.NOVEL
    assert record.kept_path == kept_file(decision(0)).path


def test_a_second_file_of_a_kept_frame_is_superseded(ledger: Ledger) -> None:
    kept = decision(0, Reason.NOVEL)
    ledger.commit(batch(kept))
    other = kept_file(kept, ".png")
    assert ledger.commit(Batch("c1", "lite0", [(kept, other)])) == (other.path,)
    assert ledger.superseded() == [other.path]
    ledger.removed([other.path])
    assert ledger.superseded() == []
    assert ledger.kept_file(kept.id) == kept_file(kept)


def test_a_sifting_goes_on_until_it_ends_or_a_sibling_begins(ledger: Ledger) -> None:
    def sifted(source: str) -> list[int]:
        return [each.frame_index for each in ledger.sifted(source)]

    ledger.commit(batch(decision(0, Reason.NOVEL)))
    assert sifted("door") == []
    ledger.begin_sifting("door")
    ledger.commit(batch(decision(1), decision(2, Reason.NOVEL)))
    assert sifted("door") == [1, 2]
    ledger.begin_sifting("door")
    ledger.commit(batch(decision(3)))
    assert sifted("door") == [1, 2, 3]
    ledger.begin_sifting("yard")
    assert sifted("door") == [1, 2, 3]
    ledger.begin_sifting("yard", ["door"])
    assert sifted("door") == []
    ledger.begin_sifting("door")
    ledger.end_sifting("door")
    assert sifted("door") == []


def test_next_frame_of_a_new_a_half_read_and_a_finished_file(ledger: Ledger) -> None:
    assert ledger.next_frame("door", identity(1)) == 0
    ledger.commit(batch(checkpoints=[checkpoint(1, FileState.READING, next_frame=17)]))
    assert ledger.next_frame("door", identity(1)) == 17
    assert ledger.next_frame("yard", identity(1)) == 0
    ledger.commit(batch(checkpoints=[checkpoint(1, FileState.DONE, next_frame=20)]))
    assert ledger.next_frame("door", identity(1)) is None
    ledger.commit(batch(checkpoints=[checkpoint(2, FileState.FAILED, error="no frame in it")]))
    assert ledger.next_frame("door", identity(2)) is None
    failed = ledger.file("door", identity(2))
    assert failed is not None
    assert failed.error == "no frame in it"


def test_times_that_64_bits_do_not_hold_go_to_the_nearest_end(ledger: Ledger) -> None:
    late = replace(decision(0, Reason.NOVEL), captured_at_ns=10**20)
    early = replace(decision(1), captured_at_ns=-(10**20))
    ledger.commit(batch(late, early))
    assert [r.decision.captured_at_ns for r in ledger.decisions()] == [LATEST_NS, EARLIEST_NS]


def test_device_and_inode_numbers_above_63_bits(ledger: Ledger) -> None:
    large = FileIdentity(2**64 - 1, 2**63, 10, NOW_NS)
    one = Checkpoint("door", Path("/in/a"), large, "0" * 64, 3, FileState.READING)
    ledger.commit(batch(checkpoints=[one]))
    assert ledger.next_frame("door", large) == 3
    (record,) = ledger.files("door")
    assert record.identity == large


def test_a_still_is_seen_once_it_was_kept_or_dropped(ledger: Ledger) -> None:
    kept = decision(0, Reason.NOVEL, content_hash="k" * 64, file=Path("/in/a.jpg"))
    near = decision(1, content_hash="d" * 64, nearest_kept=kept.id)
    failed = decision(2, Reason.DECODE_ERROR, content_hash="f" * 64)
    ledger.commit(batch(kept, near, failed))
    seen = ledger.seen("door", "k" * 64)
    assert seen is not None
    assert (seen.id, seen.outcome, seen.file) == (kept.id, Outcome.KEPT, Path("/in/a.jpg"))
    assert seen.nearest_kept == kept.id
    seen = ledger.seen("door", "d" * 64)
    assert seen is not None
    assert (seen.id, seen.outcome, seen.nearest_kept) == (near.id, Outcome.DROPPED, kept.id)
    assert ledger.seen("door", "f" * 64) is None
    assert ledger.seen("yard", "k" * 64) is None


def test_a_copy_of_a_copy_is_seen_as_the_first(ledger: Ledger) -> None:
    ledger.commit(batch(decision(0, Reason.NOVEL, content_hash="k" * 64)))
    for index in range(1, 4):
        copy = decision(index, Reason.EXACT_DUPLICATE, content_hash="k" * 64)
        ledger.commit(batch(copy))
    seen = ledger.seen("door", "k" * 64)
    assert seen is not None
    assert seen.id == decision(0).id


def test_a_clip_is_seen_once_it_is_done(ledger: Ledger) -> None:
    clip = Path("/in/1.jpg")
    first = decision(0, Reason.NOVEL, file=clip)
    half = checkpoint(1, FileState.READING, next_frame=1, content_hash="c" * 64)
    ledger.commit(batch(first, checkpoints=[half]))
    assert ledger.seen("door", "c" * 64) is None
    whole = checkpoint(1, FileState.DONE, next_frame=2, content_hash="c" * 64)
    ledger.commit(batch(decision(1, Reason.NOVEL, file=clip), checkpoints=[whole]))
    seen = ledger.seen("door", "c" * 64)
    assert seen is not None
    assert (seen.id, seen.file, seen.nearest_kept) == (None, clip, first.id)


def test_what_failed_was_not_seen_so_that_its_copy_is_not_deleted_for_it(ledger: Ledger) -> None:
    failed = checkpoint(1, FileState.DONE, next_frame=1, content_hash="c" * 64, error="not kept")
    ledger.commit(batch(checkpoints=[failed]))
    assert ledger.seen("door", "c" * 64) is None


def entry(number: int) -> GalleryEntry:
    return GalleryEntry("door", f"id{number}", random.Random(number).randbytes(100))


def test_a_gallery_comes_back_in_order_and_bit_for_bit(ledger: Ledger) -> None:
    first, second, third = entry(1), entry(2), entry(3)
    ledger.commit(batch(galleries={"door": GalleryNow(["id1", "id2"], [first, second])}))
    ledger.commit(batch(galleries={"door": GalleryNow(["id3", "id2"], [third])}))
    assert ledger.gallery("door", "lite0") == [third, second]
    with pytest.raises(ValueError, match="id1"):
        ledger.commit(batch(galleries={"door": GalleryNow(["id1", "id2"])}))


def test_a_gallery_of_another_model_is_empty(ledger: Ledger) -> None:
    ledger.commit(batch(galleries={"door": GalleryNow(["id1"], [entry(1)])}))
    assert ledger.gallery("door", "lite4") == []
    ledger.commit(batch(model="lite4", galleries={"door": GalleryNow(["id2"], [entry(2)])}))
    assert [e.id for e in ledger.gallery("door", "lite4")] == ["id2"]
    assert ledger.gallery("door", "lite0") == []


def test_listing_filters_and_limits(ledger: Ledger) -> None:
    for start in range(0, 2400, 800):
        ledger.commit(
            batch(
                *(
                    decision(i, Reason.BLURRY if i % 3 else Reason.NEAR_DUPLICATE)
                    for i in range(start, start + 800)
                ),
                decision(start, Reason.NOVEL, source="yard"),
            )
        )

    def indexes(**filters: object) -> list[int]:
        return [
            r.decision.frame_index
            for r in ledger.decisions(**filters)  # type: ignore[arg-type]
        ]

    assert indexes(source="door") == list(range(2400))
    assert indexes(source="door", reason=Reason.NEAR_DUPLICATE) == list(range(0, 2400, 3))
    assert indexes(outcome=Outcome.KEPT) == [0, 800, 1600]
    assert indexes(source="door", limit=3) == [2397, 2398, 2399]
    assert indexes(source="nobody", limit=3) == []
    second = 1_000_000_000
    assert indexes(source="door", since_ns=NOW_NS + 5 * second, until_ns=NOW_NS + 8 * second) == [
        5,
        6,
        7,
    ]
    assert ledger.counts()["yard", Reason.NOVEL] == 3
    ledger.commit(
        batch(
            checkpoints=[checkpoint(1, FileState.DONE)], gaps=[GapRecord("attic", 5, 6, "frozen")]
        )
    )
    assert ledger.sources() == ["attic", "door", "yard"]
    stats = {one.source: one for one in ledger.stats()}
    assert stats["door"].offered == 2400
    assert stats["yard"].kept_bytes == 3000
    assert stats["door"].last_ns == NOW_NS + 2399 * second


def test_gaps_by_time_and_told_once(ledger: Ledger) -> None:
    away = GapRecord("door", 10, 20, "server gone")
    longer = GapRecord("door", 10, 30, "server gone")
    ledger.commit(batch(gaps=[away, GapRecord("yard", 5, 6, "frozen")]))
    ledger.commit(batch(gaps=[longer]))
    assert ledger.gaps() == [GapRecord("yard", 5, 6, "frozen"), longer]
    assert ledger.gaps(source="door", since_ns=30) == [longer]
    assert ledger.gaps(since_ns=7, until_ns=10) == []


def test_originals_to_retire_are_listed_until_they_are_retired(ledger: Ledger) -> None:
    ledger.commit(
        batch(
            checkpoints=[
                checkpoint(1, FileState.DONE, retire=Retire.MOVE),
                checkpoint(2, FileState.READING, retire=Retire.MOVE),
                checkpoint(3, FileState.FAILED, retire=Retire.DELETE),
                checkpoint(4, FileState.DONE),
            ]
        )
    )
    (one,) = ledger.retiring("door")
    assert (one.identity, one.retire) == (identity(1), Retire.MOVE)
    assert ledger.retiring("yard") == []
    ledger.retired([(one, None)])
    assert ledger.retiring() == []
    assert ledger.next_frame("door", identity(1)) is None


def test_config_text_is_found_by_its_hash(ledger: Ledger) -> None:
    ledger.commit(batch(decision(0)))
    assert ledger.config("c1") == ""
    ledger.record_config("c1", "rate: 5/s\n")
    assert ledger.config("c1") == "rate: 5/s\n"
    assert ledger.config("c2") is None


@pytest.mark.parametrize(
    "query",
    [
        "SELECT id FROM decisions WHERE source = ? AND content_hash = ?"
        " AND content_hash IS NOT NULL AND reason != 'exact_duplicate'"
        " AND outcome IN ('kept', 'dropped') ORDER BY rowid LIMIT 1",
        "SELECT file FROM files WHERE source = ? AND content_hash = ? AND state = 'done'"
        " ORDER BY rowid LIMIT 1",
        "SELECT next_frame FROM files WHERE source = ? AND device = ? AND inode = 1 AND size = 1"
        " AND mtime_ns = 1",
    ],
)
def test_questions_asked_for_every_file_read_one_index_entry(ledger: Ledger, query: str) -> None:
    with sqlite3.connect(ledger.path) as db:
        plan = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {query}", ("a", "b"))]
    db.close()
    assert len(plan) == 1, plan
    assert plan[0].startswith("SEARCH"), plan


def test_threads_share_one_ledger(ledger: Ledger) -> None:
    def work(name: str) -> None:
        for index in range(50):
            ledger.commit(batch(decision(index, source=name)))
            ledger.next_frame(name, identity(index))

    threads = [threading.Thread(target=work, args=(f"s{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ledger.counts() == {(f"s{n}", Reason.NEAR_DUPLICATE): 50 for n in range(4)}


_WRITER = """
import sys
from pathlib import Path
from stillsift.decisions import Decision, Reason
from stillsift.frames import TimeOrigin
from stillsift.ledger import Ledger
from stillsift.ledger.records import Batch
ledger = Ledger(Path(sys.argv[1]))
for index in range(100000):
    made = Decision(f"{index:024d}", "door", Reason.BLURRY, index, TimeOrigin.PTS, index)
    ledger.commit(Batch("c", "m", [(made, None)]))
    print(index, flush=True)
"""


def test_what_commit_returned_for_survives_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    child = subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    with child.stdout:
        told = [next(child.stdout) for _ in range(30)]
        child.send_signal(signal.SIGKILL)
        told += child.stdout.readlines()
    child.wait()
    with Ledger(path) as ledger:
        recorded = [r.decision.frame_index for r in ledger.decisions()]
    assert len(recorded) - len(told) in (0, 1)  # killed between commit and telling
    assert recorded == list(range(len(recorded)))


def test_a_commit_waits_for_the_disk(ledger: Ledger) -> None:
    """No test here can cut the power, so the two settings that outlive it are looked at."""
    assert ledger._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert ledger._db.execute("PRAGMA synchronous").fetchone() == (2,)


def test_a_reader_reads_while_the_ledger_is_written(ledger: Ledger) -> None:
    with LedgerReader(ledger.path) as reader:
        ledger.commit(batch(decision(0)))
        assert len(list(reader.decisions())) == 1
        ledger.commit(batch(decision(1)))
        assert len(list(reader.decisions())) == 2
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            reader._db.execute("DELETE FROM decisions")


def test_no_ledger_is_told_and_none_is_made(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with pytest.raises(LedgerError, match="there is no ledger"):
        LedgerReader(path)
    assert not path.exists()


@pytest.mark.parametrize("opener", [Ledger, LedgerReader])
def test_a_file_that_is_no_database_is_told(tmp_path: Path, opener: type[LedgerReader]) -> None:
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(b"not a database, only text" * 100)
    with pytest.raises(LedgerError, match=r"ledger\.sqlite: .*not a SQLite database"):
        opener(path)
    assert path.read_bytes().startswith(b"not a database")


@pytest.mark.parametrize("opener", [Ledger, LedgerReader])
def test_another_programs_database_is_told(tmp_path: Path, opener: type[LedgerReader]) -> None:
    path = tmp_path / "ledger.sqlite"
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 1")
    db.execute("CREATE TABLE other (x)")
    db.close()
    with pytest.raises(LedgerError, match="not a stillsift ledger"):
        opener(path)


@pytest.mark.parametrize("opener", [Ledger, LedgerReader])
def test_a_newer_schema_is_told(tmp_path: Path, opener: type[LedgerReader]) -> None:
    path = tmp_path / "ledger.sqlite"
    Ledger(path).close()
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(LedgerError, match=r"newer stillsift \(schema 99,"):
        opener(path)


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LedgerError, match="may write the file and its directory"):
        Ledger(tmp_path / "file" / "ledger.sqlite")


def test_an_older_ledger_is_brought_up_to_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ledger.sqlite"
    with Ledger(path) as ledger:
        ledger.commit(batch(decision(0)))
    broken = (*MIGRATIONS, "ALTER TABLE decisions ADD COLUMN x; CREATE TABLE oops (;")
    monkeypatch.setattr("stillsift.ledger.schema.MIGRATIONS", broken)
    with pytest.raises(LedgerError, match="syntax"):
        Ledger(path)
    newer = (*MIGRATIONS, "ALTER TABLE decisions ADD COLUMN x;")
    monkeypatch.setattr("stillsift.ledger.schema.MIGRATIONS", newer)
    with pytest.raises(LedgerError, match="older than this stillsift"):
        LedgerReader(path)
    with Ledger(path) as ledger:
        assert len(list(ledger.decisions())) == 1
    with LedgerReader(path) as reader:
        assert len(list(reader.decisions())) == 1


def test_a_full_disk_records_nothing_and_is_told(ledger: Ledger) -> None:
    pages = ledger._db.execute("PRAGMA page_count").fetchone()[0]
    ledger._db.execute(f"PRAGMA max_page_count = {pages + 4}")
    large = [decision(i, detail="x" * 1000) for i in range(200)]
    with pytest.raises(LedgerFull, match="the disk is full; nothing was recorded"):
        ledger.commit(batch(*large))
    assert list(ledger.decisions()) == []
    ledger._db.execute("PRAGMA max_page_count = 100000")
    ledger.commit(batch(*large))
    assert len(list(ledger.decisions())) == 200


def test_a_really_full_disk_is_told(disks: Disks) -> None:
    disk = disks("size=1m")
    with Ledger(disk.path / "ledger.sqlite") as ledger:
        disk.fill()
        with pytest.raises(LedgerFull):
            ledger.commit(batch(*(decision(i, detail="x" * 1000) for i in range(2000))))
        disk.free()
        ledger.commit(batch(decision(0)))
        assert len(list(ledger.decisions())) == 1


def test_old_decisions_about_dropped_and_lost_frames_are_forgotten_and_no_others(
    tmp_path: Path,
) -> None:
    now = [0]
    with Ledger(tmp_path / "l.sqlite", uptime=lambda: Uptime("boot", now[0])) as ledger:
        first = (Reason.NOVEL, Reason.NEAR_DUPLICATE, Reason.BLURRY, Reason.OVERLOAD, Reason.GAP)
        ledger.commit(batch(*(decision(index, reason) for index, reason in enumerate(first))))
        now[0] += 100
        ledger.commit(batch(decision(5), decision(6, Reason.DECODE_ERROR)))

        def left() -> list[int]:
            return [record.decision.frame_index for record in ledger.decisions()]

        ledger.forget(0)
        assert left() == [0, 1, 2, 3, 4, 5, 6]
        ledger.forget(1)
        assert left() == [0, 5, 6]
        ledger.forget(101)
        assert left() == [0, 6]
        assert ledger.counts() == {("door", Reason.NOVEL): 1, ("door", Reason.DECODE_ERROR): 1}


def test_a_frame_that_is_decided_again_is_as_young_as_that(tmp_path: Path) -> None:
    now = [0]
    with Ledger(tmp_path / "l.sqlite", uptime=lambda: Uptime("boot", now[0])) as ledger:
        ledger.commit(batch(decision(0, Reason.WRITE_ERROR), decision(1)))
        now[0] += 100
        ledger.commit(batch(decision(0)))
        ledger.forget(100)
        assert [record.decision.frame_index for record in ledger.decisions()] == [0]


def test_much_is_forgotten_in_many_short_steps(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l.sqlite") as ledger:
        ledger.commit(batch(*(decision(index) for index in range(3000))))
        steps = 1
        while ledger.forget(ledger.lifetime_ns() + 1):
            steps += 1
        assert steps > 3
        assert list(ledger.decisions()) == []
        assert ledger.counts() == {}


steps_taken = st.lists(
    st.tuples(
        st.integers(0, 5),
        st.sampled_from(["door", "yard"]),
        st.sampled_from([Reason.BLURRY, Reason.NOVEL, Reason.OVERLOAD, Reason.WRITE_ERROR]),
        st.integers(1, 1000),
    ),
    max_size=12,
)


@settings(max_examples=40, deadline=None)
@given(steps_taken)
def test_the_counts_are_those_of_the_rows(steps: list[tuple[int, str, Reason, int]]) -> None:
    """Also where rows are replaced, refused or forgotten."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Ledger(Path(folder) / "l.sqlite") as ledger,
    ):
        for index, source, reason, frames in steps:
            made = decision(index, reason, source=source)
            ledger.commit(batch(replace(made, frames=frames)))
            if frames % 7 == 0:
                ledger.forget(ledger.lifetime_ns() + 1)
            found: Counter[tuple[str, Reason]] = Counter()
            for record in ledger.decisions():
                one = record.decision
                found[one.source, one.reason] += one.frames
            assert ledger.counts() == found


def test_numbers_of_the_album_rise_whatever_was_taken_out(ledger: Ledger) -> None:
    """Who has seen all up to a number must see every photograph that is added later."""

    def change(changes: AlbumChanges) -> None:
        ledger.commit(Batch("c", "m", albums={"door": changes}))

    change(AlbumChanges([AlbumEntry("a", b"", b""), AlbumEntry("b", b"", b"")]))
    seen = ledger.album("door", "m")[-1].seq
    change(AlbumChanges(removed=["b"]))
    change(AlbumChanges([AlbumEntry("c", b"v", b"", b"page"), AlbumEntry("d", b"", b"")]))
    last = ledger.album("door", "m", seen)
    assert [(row.id, row.vector, row.page) for row in last] == [
        ("c", b"v", b"page"),
        ("d", b"", None),
    ]
