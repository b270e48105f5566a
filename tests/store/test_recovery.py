"""Killed at any step and started again: nothing lost, nothing twice, ledger and disk agree."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cut_off_line
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillsift.decisions import Outcome, Reason, about
from stillsift.frames import ArrayPicture, Frame, TimeOrigin
from stillsift.ledger import Ledger
from stillsift.ledger.records import Batch, FileState, KeptFile, Retire
from stillsift.selection.audit_sample import set_aside
from stillsift.store import Quarantine, Store, StoreError
from stillsift.store.metadata_jsonl import Listing
from stillsift.store.names import folder_name, source_name
from stillsift.store.recovery import Recovered, recover

LINE = Path(cut_off_line.__file__)


def kept_files(store: Store) -> set[Path]:
    return {
        path.relative_to(store.root)
        for path in (store.root / "kept").rglob("*")
        if path.is_file() and path.name != "metadata.jsonl"
    }


def bytes_in(*folders: Path) -> set[str]:
    return {
        hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file()
    }


def check_after_kill(root: Path, originals: set[str], retire: Retire) -> None:
    """What must hold even before anybody starts again."""
    store = root / "store"
    there = bytes_in(root / "in", store / "kept", store / "quarantine")
    if retire is not Retire.DELETE:
        assert originals <= there
    if not (store / "ledger.sqlite").exists():
        assert originals <= bytes_in(root / "in")
        return
    with Ledger(store / "ledger.sqlite") as ledger:
        for record in ledger.decisions(outcome=Outcome.KEPT):
            kept = ledger.kept_file(record.decision.id)
            assert kept is not None
            data = (store / kept.path).read_bytes()
            assert hashlib.sha256(data).hexdigest() == kept.sha256
        done = {file.content_hash for file in ledger.files("in", FileState.DONE)}
    assert originals - done <= bytes_in(root / "in")


def check_in_the_end(root: Path, originals: set[str], retire: Retire) -> None:
    store = Store(root / "store")
    with Ledger(store.ledger_path) as ledger:
        records = list(ledger.decisions())
        assert len(records) == 3 + cut_off_line.CLIP_FRAMES
        assert len({record.decision.id for record in records}) == len(records)
        kept = [record for record in records if record.decision.outcome is Outcome.KEPT]
        assert len(kept) == 4
        assert all(record.decision.sharpness == 1.0 for record in records)
        paths = {record.kept_path for record in kept}
        assert kept_files(store) == paths
        listed = [
            json.loads(line)
            for path in (store.root / "kept").rglob("metadata.jsonl")
            for line in path.read_text().splitlines()
        ]
        assert sorted(line["file_name"] for line in listed) == sorted(
            path.name for path in paths if path
        )
        assert all(line["sharpness"] == 1.0 for line in listed)
        assert {file.state for file in ledger.files("in")} == {FileState.DONE}
        assert ledger.retiring() == []
        assert ledger.superseded() == []
        quarantined = ledger.quarantined()
    moved = {one.sha256 for one in quarantined}
    assert bytes_in(store.root / "quarantine") == moved
    left = bytes_in(root / "in")
    if retire is Retire.LEAVE:
        assert (left, moved) == (originals, set())
    else:
        assert left == set()
        assert len(moved) == (2 if retire is Retire.MOVE else 0)
        assert originals <= bytes_in(store.root) or retire is Retire.DELETE


@pytest.mark.timeout(600)
@pytest.mark.parametrize("retire", list(Retire))
def test_killed_at_every_step(tmp_path: Path, retire: Retire) -> None:
    cut_off_line.make_input(tmp_path / "fresh" / "in")
    originals = bytes_in(tmp_path / "fresh" / "in")
    killing = subprocess.run(
        [sys.executable, str(LINE), str(tmp_path), retire],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert killing.returncode == 0, killing.stderr
    steps = int(killing.stdout)
    assert steps > 70
    check_in_the_end(tmp_path / str(steps), originals, retire)
    for step in range(steps):
        root = tmp_path / str(step)
        check_after_kill(root, originals, retire)
        cut_off_line.run(root, retire)
        check_in_the_end(root, originals, retire)
        again = cut_off_line.run(root, retire)
        assert again == Recovered()


class Box:
    """A store with its ledger, opened as a starting daemon opens them."""

    def __init__(self, root: Path, *, image_format: str = "jpeg") -> None:
        self.store = Store(root / "store", min_free=0, image_format=image_format)  # type: ignore[arg-type]
        self.store.prepare()
        self.ledger = Ledger(self.store.ledger_path)
        self.store.is_unfinished = self.ledger.is_unfinished
        # Far ahead, so that every folder counts as settled.
        self.listing = Listing(self.store, self.ledger, clock=lambda: 2**62)

    def recover(self) -> Recovered:
        return recover(self.store, self.ledger, self.listing, Quarantine(self.store, self.ledger))

    def lines(self) -> list[dict[str, object]]:
        return [
            json.loads(line)
            for path in (self.store.root / "kept").rglob("metadata.jsonl")
            for line in path.read_text().splitlines()
        ]


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    opened = Box(tmp_path)
    yield opened
    opened.ledger.close()


def frame(index: int) -> Frame:
    """A frame of a camera: nobody will offer it again after a crash."""
    return Frame(
        "yard/1",
        "rtsp://yard|1",
        index,
        cut_off_line.START_NS + index * 1_000_000_000,
        TimeOrigin.PTS,
        cut_off_line.picture(index),
    )


def keep(box: Box, *indexes: int) -> list[KeptFile]:
    pairs = []
    for index in indexes:
        decision = about(frame(index), Reason.NOVEL, sharpness=1.0)
        pairs.append((decision, box.store.place(frame(index), decision)))
    box.ledger.commit(Batch("c", "m", list(pairs)))
    box.listing.append(pairs)
    return [kept for _, kept in pairs]


def orphan(box: Box, index: int) -> KeptFile:
    return box.store.place(frame(index), about(frame(index), Reason.NOVEL, sharpness=1.0))


def test_a_file_without_a_row_is_adopted_once(box: Box) -> None:
    keep(box, 0)
    placed = orphan(box, 1)
    found = box.recover()
    assert found.adopted == [placed]
    assert [line["id"] for line in box.lines()] == [frame(0).id, frame(1).id]
    record = box.ledger.decision(placed.id)
    assert record is not None
    assert (record.decision.source, record.decision.reason) == ("yard/1", Reason.NOVEL)
    assert "after a crash" in str(record.decision.detail)
    assert box.recover() == Recovered()


def test_a_sample_of_the_audit_without_a_row_is_adopted_as_one(box: Box) -> None:
    was = about(frame(1), Reason.BLURRY, sharpness=1.0)
    placed = box.store.place(frame(1), set_aside(was))
    (box.store.root / "audit" / ".placing" / "77-0").write_bytes(b"half")
    found = box.recover()
    assert found.adopted == [placed]
    assert not any((box.store.root / "audit" / ".placing").iterdir())
    assert placed.path.parts[0] == "audit"
    record = box.ledger.decision(placed.id)
    assert record is not None
    assert (record.decision.reason, record.decision.dropped_as) == (Reason.AUDIT, None)
    assert (box.store.root / placed.path.parent / "metadata.jsonl").is_file()
    assert box.recover() == Recovered()
    box.ledger.commit(Batch("c", "m", [(set_aside(was), placed)]))
    record = box.ledger.decision(placed.id)
    assert record is not None
    assert record.decision == set_aside(was)
    assert box.recover().missing == []
    (box.store.root / placed.path).unlink()
    assert box.recover().missing == [placed]


def test_an_adopted_frame_is_completed_by_its_decision(box: Box) -> None:
    placed = orphan(box, 1)
    box.recover()
    keep(box, 1)
    record = box.ledger.decision(placed.id)
    assert record is not None
    assert (record.decision.sharpness, record.decision.detail) == (1.0, None)
    assert [(line["id"], line["sharpness"]) for line in box.lines()] == [(placed.id, 1.0)]
    assert kept_files(box.store) == {placed.path}
    assert box.recover() == Recovered()


def test_an_adopted_frame_that_is_dropped_after_all_goes(box: Box) -> None:
    keep(box, 0)
    placed = orphan(box, 1)
    box.recover()
    dropped = [(about(frame(1), Reason.NEAR_DUPLICATE), None)]
    assert box.ledger.commit(Batch("c", "m", list(dropped))) == (placed.path,)
    box.listing.append(dropped)
    assert [line["id"] for line in box.lines()] == [frame(0).id]
    # The file itself goes with the next retiring, or, cut off before that, with recovery.
    found = box.recover()
    assert found == Recovered()
    assert placed.path not in kept_files(box.store)
    assert len(kept_files(box.store)) == 1


def test_an_adopted_frame_that_fails_later_stays(box: Box) -> None:
    placed = orphan(box, 1)
    box.recover()
    assert box.ledger.commit(Batch("c", "m", [(about(frame(1), Reason.MODEL_ERROR), None)])) == ()
    assert box.ledger.kept_file(placed.id) == placed
    assert box.recover() == Recovered()


def test_an_adopted_frame_kept_in_another_format_is_there_once(tmp_path: Path) -> None:
    first = Box(tmp_path)
    placed = orphan(first, 1)
    first.ledger.close()
    second = Box(tmp_path, image_format="png")
    assert second.recover().adopted == [placed]
    (kept,) = keep(second, 1)
    Quarantine(second.store, second.ledger).retire()
    assert kept_files(second.store) == {kept.path}
    assert kept.path.suffix == ".png"
    assert [line["file_name"] for line in second.lines()] == [kept.path.name]
    assert second.recover() == Recovered()
    second.ledger.close()


def test_what_nobody_knows_is_not_overwritten(box: Box) -> None:
    """Only what recovery has adopted may give way."""
    placed = orphan(box, 1)
    before = (box.store.root / placed.path).read_bytes()
    other = replace(frame(1), picture=ArrayPicture(np.zeros((24, 32, 3), np.uint8)))
    with pytest.raises(StoreError, match="another picture is there under this name"):
        box.store.place(other, about(other, Reason.NOVEL))
    assert (box.store.root / placed.path).read_bytes() == before


def test_what_was_adopted_gives_way_to_other_content(box: Box) -> None:
    """As after a crash between a frame and its record, and a start with another `anonymize`."""
    placed = orphan(box, 1)
    assert box.recover().adopted == [placed]
    other = replace(frame(1), picture=ArrayPicture(np.zeros((24, 32, 3), np.uint8)))
    decision = about(other, Reason.NOVEL, sharpness=1.0)
    kept = box.store.place(other, decision)
    assert (kept.path, kept.sha256 != placed.sha256) == (placed.path, True)
    lies = (box.store.root / kept.path).read_bytes()
    assert hashlib.sha256(lies).hexdigest() == kept.sha256
    box.ledger.commit(Batch("c", "m", [(decision, kept)]))
    box.listing.append([(decision, kept)])
    assert [line["sha256"] for line in box.lines()] == [kept.sha256]
    assert box.recover() == Recovered()
    assert kept_files(box.store) == {kept.path}


@pytest.mark.parametrize("away", [True, False])
def test_what_is_recorded_as_kept_is_never_overwritten(box: Box, away: bool) -> None:
    (kept,) = keep(box, 1)
    if away:  # as while its disk was
        box.ledger.mark_missing([kept])
    before = (box.store.root / kept.path).read_bytes()
    other = replace(frame(1), picture=ArrayPicture(np.zeros((24, 32, 3), np.uint8)))
    with pytest.raises(StoreError, match="another picture is there under this name"):
        box.store.place(other, about(other, Reason.NOVEL))
    assert (box.store.root / kept.path).read_bytes() == before


def test_what_waits_to_be_taken_away_is_not_overwritten(box: Box) -> None:
    placed = orphan(box, 1)
    box.recover()
    assert box.ledger.commit(Batch("c", "m", [(about(frame(1), Reason.BLURRY), None)])) == (
        placed.path,
    )
    other = replace(frame(1), picture=ArrayPicture(np.zeros((24, 32, 3), np.uint8)))
    with pytest.raises(StoreError, match="another picture is there under this name"):
        box.store.place(other, about(other, Reason.NOVEL))


def test_a_missing_file_is_told_once_and_found_again(box: Box) -> None:
    first, second = keep(box, 0, 1)
    data = (box.store.root / first.path).read_bytes()
    (box.store.root / first.path).unlink()
    found = box.recover()
    assert found.missing == [first]
    assert found.warnings == [f"{first.path}: kept, but its file is gone"]
    assert [line["id"] for line in box.lines()] == [second.id]
    assert box.recover() == Recovered()
    (stats,) = box.ledger.stats()
    assert stats.missing == 1
    (box.store.root / first.path).write_bytes(data)
    assert box.recover() == Recovered()
    assert box.ledger.kept_file(first.id) == first
    assert [line["id"] for line in box.lines()] == [first.id, second.id]


def test_a_file_that_was_away_while_stillsift_ran_is_found_again(box: Box) -> None:
    """Its folder has not changed meanwhile, as under a disk that was unmounted for a while."""
    (first,) = keep(box, 0)
    box.recover()
    box.ledger.mark_missing([first])
    assert box.ledger.kept_file(first.id) is None
    box.recover()
    assert box.ledger.kept_file(first.id) == first


@pytest.mark.parametrize("listed", [True, False])
def test_a_day_folder_that_was_removed_is_no_crash(box: Box, listed: bool) -> None:
    kept = keep(box, 0, 1)
    if listed:
        box.listing.close()
    shutil.rmtree((box.store.root / kept[0].path).parent)
    assert box.recover().missing == kept
    assert box.recover() == Recovered()


def test_a_torn_line_is_repaired(box: Box) -> None:
    kept = keep(box, 0, 1)
    path = (box.store.root / kept[0].path).with_name("metadata.jsonl")
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    assert box.recover() == Recovered()
    assert path.read_bytes() == whole


def test_only_changed_folders_are_looked_into(box: Box) -> None:
    (kept,) = keep(box, 0)
    box.recover()
    folder = (box.store.root / kept.path).parent
    before = folder.stat()
    orphan(box, 1)
    os.utime(folder, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert box.recover() == Recovered()
    os.utime(folder)
    assert len(box.recover().adopted) == 1


def test_a_folder_that_changed_just_now_is_looked_into_again(tmp_path: Path) -> None:
    box = Box(tmp_path)
    (kept,) = keep(box, 0)
    folder = (box.store.root / kept.path).parent
    box.listing = Listing(box.store, box.ledger, clock=lambda: folder.stat().st_mtime_ns + 1000)
    box.recover()
    before = folder.stat()
    orphan(box, 1)
    os.utime(folder, ns=(before.st_atime_ns, before.st_mtime_ns))  # as within one clock tick
    assert len(box.recover().adopted) == 1
    box.ledger.close()


def test_files_of_other_people_are_left_alone(box: Box) -> None:
    (kept,) = keep(box, 0)
    folder = (box.store.root / kept.path).parent
    for name in ("notes.txt", f"99999999T000000.000000Z_{'0' * 24}.jpg", "picture.jpg"):
        (folder / name).write_text("mine")
    found = box.recover()
    assert (found.adopted, found.warnings) == ([], [])
    assert (folder / "notes.txt").read_text() == "mine"
    assert [line["id"] for line in box.lines()] == [kept.id]


def test_half_written_files_are_removed(box: Box) -> None:
    for area in ("kept", "quarantine"):
        (box.store.root / area / ".placing" / "123-4").write_bytes(b"half")
    assert box.recover() == Recovered()
    for area in ("kept", "quarantine"):
        assert not any((box.store.root / area / ".placing").iterdir())


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=15))
def test_a_folder_tells_its_source(name: str) -> None:
    assert source_name(folder_name(name)) == name


def test_an_orphan_of_a_source_with_a_very_long_name(box: Box) -> None:
    name = "/footage/" * 40
    first, second = (replace(frame(index), source=name) for index in (0, 1))
    decision = about(first, Reason.NOVEL)
    box.ledger.commit(Batch("c", "m", [(decision, box.store.place(first, decision))]))
    placed = box.store.place(second, about(second, Reason.NOVEL))
    assert box.recover().adopted == [placed]
    record = box.ledger.decision(placed.id)
    assert record is not None
    assert record.decision.source == name
