"""A person keeps, drops and undoes: nothing is lost, and disk and ledger agree at every step."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from conftest import Command
from footage import write_clip, write_stills
from running import assert_agree
from stillsift.decisions import Outcome, Reason
from stillsift.ledger import Ledger, LedgerError
from stillsift.ledger.records import CorrectionKind
from stillsift.sources.files import frame_again
from stillsift.store import Quarantine, Store
from stillsift.store.correction import Corrections, NotCorrected
from stillsift.store.lock import correcting
from stillsift.store.metadata_jsonl import Listing
from stillsift.store.recovery import recover


class Sifted:
    """A store of stills that repeat each other, and of a clip."""

    def __init__(self, root: Path) -> None:
        self.root = root / "store"
        self.store = Store(self.root, 0)
        self.ledger = Ledger(self.root / "ledger.sqlite")
        self.corrections = Corrections(self.store, self.ledger)

    def first(self, outcome: Outcome, source: str = "photos", reason: Reason | None = None) -> str:
        found = self.ledger.decisions(source=source, outcome=outcome, reason=reason)
        return next(found).decision.id

    def reason(self, id: str) -> Reason:
        record = self.ledger.decision(id)
        assert record is not None
        return record.decision.reason

    def bytes_of(self, id: str) -> bytes:
        kept = self.ledger.kept_file(id)
        assert kept is not None
        data = (self.root / kept.path).read_bytes()
        assert hashlib.sha256(data).hexdigest() == kept.sha256
        return data

    def lying(self) -> list[Path]:
        return [path for path in (self.root / "quarantine").rglob("*.jpg") if path.is_file()]


@pytest.fixture
def sifted(tmp_path: Path, stillsift: Command) -> Iterator[Sifted]:
    write_stills(tmp_path / "photos", [1, 2, 3])
    for number in (1, 2):
        copy = tmp_path / "photos" / f"img{number}_copy.jpg"
        copy.write_bytes((tmp_path / "photos" / f"img{number}.jpg").read_bytes() + b"\n")
    write_clip(tmp_path / "walk.mp4", [4], frames=12)
    done = stillsift(
        *("sift", tmp_path / "photos", tmp_path / "walk.mp4", "--output", tmp_path / "store"),
        *("--set", "rate=all"),
    )
    assert done.status == 0, done.err
    made = Sifted(tmp_path)
    yield made
    made.ledger.close()


def test_a_dropped_still_is_kept_byte_for_byte_and_given_back(sifted: Sifted) -> None:
    id = sifted.first(Outcome.DROPPED)
    before = sifted.ledger.decision(id)
    assert before is not None
    assert before.decision.file is not None
    made = sifted.corrections.keep(id, before.decision.file)
    assert sifted.reason(id) is Reason.PICKED
    assert sifted.bytes_of(id) == before.decision.file.read_bytes()
    assert_agree(sifted.root)
    sifted.corrections.undo(made)
    after = sifted.ledger.decision(id)
    assert after is not None
    assert after.decision == before.decision
    assert after.kept_path is None
    assert before.decision.file.is_file()
    assert sifted.lying() == []  # its bytes lie where they came from
    assert_agree(sifted.root)


def test_a_dropped_frame_of_a_clip_is_kept_and_waits_in_quarantine_after_that(
    sifted: Sifted,
) -> None:
    id = sifted.first(Outcome.DROPPED, "walk")
    one = next(sifted.ledger.decisions(id=id)).decision
    assert one.file is not None
    assert one.pts_s is not None
    pixels = frame_again(one.file, one.frame_index, one.pts_s, 10**8, 20)
    made = sifted.corrections.keep(id, pixels)
    data = sifted.bytes_of(id)
    assert_agree(sifted.root)
    sifted.corrections.undo(made)
    assert [path.read_bytes() for path in sifted.lying()] == [data]
    assert_agree(sifted.root)


@pytest.mark.parametrize("source", ["photos", "walk"])
def test_a_kept_frame_is_taken_out_and_put_back(sifted: Sifted, source: str) -> None:
    id = sifted.first(Outcome.KEPT, source)
    before, data = sifted.ledger.decision(id), sifted.bytes_of(id)
    vectors = {one.id: one.vector for one in sifted.ledger.kept_pictures(source)}
    made = sifted.corrections.drop(id)
    assert sifted.reason(id) is Reason.REJECTED
    assert sifted.ledger.kept_file(id) is None
    assert [path.read_bytes() for path in sifted.lying()] == [data]
    assert_agree(sifted.root)
    sifted.corrections.undo(made)
    assert sifted.ledger.decision(id) == before
    assert sifted.bytes_of(id) == data
    assert sifted.lying() == []
    assert {one.id: one.vector for one in sifted.ledger.kept_pictures(source)} == vectors
    assert_agree(sifted.root)


def test_to_keep_again_what_was_dropped_by_hand_undoes_that(sifted: Sifted) -> None:
    id = sifted.first(Outcome.KEPT)
    made = sifted.corrections.drop(id)
    assert sifted.corrections.keep(id) == made
    assert sifted.reason(id) is Reason.NOVEL
    done = sifted.ledger.correction(made)
    assert done is not None
    assert done.undone_at is not None
    with pytest.raises(NotCorrected, match="undone already"):
        sifted.corrections.undo(made)


def test_the_ledger_tells_what_was_corrected(sifted: Sifted) -> None:
    id = sifted.first(Outcome.DROPPED)
    one = next(sifted.ledger.decisions(id=id)).decision
    assert one.nearest_kept is not None
    sifted.ledger.label(CorrectionKind.SAME, id, one.nearest_kept)
    sifted.ledger.label(CorrectionKind.DIFFERENT, one.nearest_kept, id)
    newest, oldest = sifted.ledger.corrections(id)
    assert (newest.kind, newest.undone_at) == (CorrectionKind.DIFFERENT, None)
    assert oldest.undone_at is not None
    assert sifted.ledger.correction(newest.id) == newest


def test_what_is_in_quarantine_no_longer_cannot_come_back_and_nothing_changes(
    sifted: Sifted,
) -> None:
    id = sifted.first(Outcome.KEPT)
    made = sifted.corrections.drop(id)
    sifted.lying()[0].unlink()
    with pytest.raises(NotCorrected, match="no longer in quarantine"):
        sifted.corrections.undo(made)
    assert sifted.reason(id) is Reason.REJECTED


def test_what_is_being_sifted_is_left_alone(sifted: Sifted) -> None:
    sifted.ledger.begin_sifting("photos")
    with pytest.raises(NotCorrected, match="still being sifted"):
        sifted.corrections.drop(sifted.first(Outcome.KEPT))


def test_another_file_in_its_place_is_not_overwritten(sifted: Sifted) -> None:
    id = sifted.first(Outcome.KEPT)
    kept = sifted.ledger.kept_file(id)
    assert kept is not None
    made = sifted.corrections.drop(id)
    (sifted.root / kept.path).write_bytes(b"mine")
    with pytest.raises(NotCorrected, match="nothing overwritten"):
        sifted.corrections.undo(made)
    assert (sifted.root / kept.path).read_bytes() == b"mine"


def test_a_dropped_copy_of_a_rejected_picture_stays_dropped(
    sifted: Sifted, tmp_path: Path, stillsift: Command
) -> None:
    id = sifted.first(Outcome.KEPT)
    one = next(sifted.ledger.decisions(id=id)).decision
    assert one.file is not None
    sifted.corrections.drop(id)
    (tmp_path / "photos" / "later.jpg").write_bytes(one.file.read_bytes())
    stillsift("sift", tmp_path / "photos", "--output", tmp_path / "store")
    later = next(sifted.ledger.decisions(file=Path("later.jpg"))).decision
    assert later.reason is Reason.EXACT_DUPLICATE
    assert_agree(sifted.root)


def test_restore_keeps_again_what_was_dropped_by_hand(
    sifted: Sifted, tmp_path: Path, stillsift: Command
) -> None:
    id = sifted.first(Outcome.KEPT)
    data = sifted.bytes_of(id)
    sifted.corrections.drop(id)
    listed = stillsift("restore", "--store", tmp_path / "store", "--list")
    assert f"{id}.jpg" in listed.out
    done = stillsift("restore", "--store", tmp_path / "store", "--all")
    assert done.status == 0, done.err
    assert sifted.bytes_of(id) == data
    assert sifted.reason(id) is Reason.NOVEL
    assert_agree(sifted.root)


class Cut(Exception):
    """Stands for kill -9: nothing behind it runs."""


@pytest.mark.parametrize("doing", ["keep", "undo keep", "drop", "undo drop"])
@pytest.mark.parametrize("at", range(6))
def test_cut_off_at_any_step_the_picture_is_whole_and_the_next_start_puts_all_right(
    sifted: Sifted,
    tmp_path: Path,
    stillsift: Command,
    monkeypatch: pytest.MonkeyPatch,
    doing: str,
    at: int,
) -> None:
    """Each call that reaches the disk or the ledger is a step; one of them never comes."""
    keeps = "keep" in doing
    id = sifted.first(Outcome.DROPPED if keeps else Outcome.KEPT)
    one = next(sifted.ledger.decisions(id=id)).decision
    assert one.file is not None
    still = one.file.read_bytes()
    made = 0
    if doing.startswith("undo"):
        made = sifted.corrections.keep(id, one.file) if keeps else sifted.corrections.drop(id)
    left = at

    def cut(real: Callable[..., object]) -> Callable[..., object]:
        def step(*given: object, **more: object) -> object:
            nonlocal left
            if left == 0:
                raise Cut
            left -= 1
            return real(*given, **more)

        return step

    for owner, name in (
        *((Store, "place"), (Store, "discard"), (Ledger, "correct"), (Ledger, "undo")),
        *((Corrections, "_put"), (Corrections, "_list")),
    ):
        monkeypatch.setattr(owner, name, cut(getattr(owner, name)))
    with suppress(Cut):
        if doing == "keep":
            sifted.corrections.keep(id, one.file)
        elif doing == "drop":
            sifted.corrections.drop(id)
        else:
            sifted.corrections.undo(made)
    monkeypatch.undo()
    sifted.ledger.close()
    assert stillsift("sift", tmp_path / "photos", "--output", tmp_path / "store").status == 0
    sifted.ledger = Ledger(tmp_path / "store" / "ledger.sqlite")
    assert_agree(sifted.root)
    after = next(sifted.ledger.decisions(id=id)).decision
    there = [path.read_bytes() for path in (sifted.root / "kept").rglob(f"*{id}.jpg")]
    assert there == ([still] if after.outcome is Outcome.KEPT else [])
    if after.outcome is not Outcome.KEPT and not keeps:
        assert still in [path.read_bytes() for path in sifted.lying()]
    assert after.distance == one.distance
    assert one.file.read_bytes() == still


def test_what_is_put_back_is_not_removed_by_a_daemon_that_looks_late(sifted: Sifted) -> None:
    """A daemon reads what is to be removed, and removes it once the correction is undone."""
    id = sifted.first(Outcome.KEPT)
    made = sifted.corrections.drop(id)
    late = sifted.ledger.superseded()
    sifted.corrections.undo(made)
    sifted.store.discard(late)
    assert late == []
    assert_agree(sifted.root)


def test_a_daemon_is_never_told_to_remove_it(
    sifted: Sifted, monkeypatch: pytest.MonkeyPatch
) -> None:
    id, told = sifted.first(Outcome.KEPT), list[Path]()
    real = Ledger.correct

    def correct(self: Ledger, *given: Any, **more: Any) -> int:
        made = real(self, *given, **more)
        told.extend(self.superseded())
        return made

    monkeypatch.setattr(Ledger, "correct", correct)
    sifted.corrections.drop(id)
    assert told == []


def test_what_a_person_has_dropped_is_not_forgotten_for_its_age(sifted: Sifted) -> None:
    id = sifted.first(Outcome.KEPT)
    made = sifted.corrections.drop(id)
    while sifted.ledger.forget(1 << 62):
        pass
    sifted.corrections.undo(made)
    assert sifted.reason(id) is Reason.NOVEL
    assert_agree(sifted.root)


def test_what_is_dropped_again_is_as_young_as_that(sifted: Sifted) -> None:
    id = sifted.first(Outcome.DROPPED)
    one = next(sifted.ledger.decisions(id=id)).decision
    made = sifted.corrections.keep(id, one.file)
    time.sleep(0.03)  # the kernel tells hundredths
    before_ns = sifted.ledger.lifetime_ns()
    sifted.corrections.undo(made)
    sifted.ledger.forget(before_ns)
    assert sifted.ledger.decision(id) is not None


def beside(
    sifted: Sifted,
    monkeypatch: pytest.MonkeyPatch,
    step: tuple[type, str],
    doing: Callable[[], object],
    other: Callable[[Ledger], object],
) -> None:
    """Runs `other` when `doing` has come to a step, which then waits for it, but not for ever."""
    owner, name = step
    real = getattr(owner, name)
    done = threading.Event()

    def run() -> None:
        with Ledger(sifted.ledger.path) as ledger, suppress(NotCorrected):
            other(ledger)
        done.set()

    thread = threading.Thread(target=run)

    def waits(*given: object, **more: object) -> object:
        if thread.ident is None:
            thread.start()
            done.wait(1)
        return real(*given, **more)

    monkeypatch.setattr(owner, name, waits)
    doing()
    thread.join(60)
    monkeypatch.undo()
    assert done.is_set()


def test_what_is_restored_while_another_drops_it_is_not_lost(
    sifted: Sifted, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = sifted.first(Outcome.KEPT)
    data = sifted.bytes_of(id)
    made = sifted.corrections.drop(id)
    beside(
        *(sifted, monkeypatch, (Store, "discard")),
        lambda: sifted.corrections.undo(made),
        lambda ledger: Corrections(sifted.store, ledger).drop(id),
    )
    assert [path.read_bytes() for path in sifted.lying()] == [data]
    assert sifted.reason(id) is Reason.REJECTED
    assert_agree(sifted.root)


def test_what_is_put_back_while_a_daemon_starts_is_not_lost(
    sifted: Sifted, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = sifted.first(Outcome.KEPT)
    data = sifted.bytes_of(id)
    made = sifted.corrections.drop(id)

    def start(ledger: Ledger) -> None:
        recover(
            sifted.store, ledger, Listing(sifted.store, ledger), Quarantine(sifted.store, ledger)
        )

    beside(*(sifted, monkeypatch, (Ledger, "undo")), lambda: sifted.corrections.undo(made), start)
    assert sifted.bytes_of(id) == data
    assert_agree(sifted.root)


def edit(sifted: Sifted, id: str, data: bytes = b"edited") -> Path:
    kept = sifted.ledger.kept_file(id)
    assert kept is not None
    (sifted.root / kept.path).write_bytes(data)
    return kept.path


def test_a_picked_frame_that_was_edited_goes_into_quarantine(sifted: Sifted) -> None:
    id = sifted.first(Outcome.DROPPED)
    one = next(sifted.ledger.decisions(id=id)).decision
    for data in (b"edited", b"edited again"):
        made = sifted.corrections.keep(id, one.file)
        edit(sifted, id, data)
        sifted.corrections.undo(made)
    assert sorted(path.read_bytes() for path in sifted.lying()) == [b"edited", b"edited again"]
    assert_agree(sifted.root)


def test_a_kept_frame_that_was_edited_comes_back_as_it_was_then(sifted: Sifted) -> None:
    id = sifted.first(Outcome.KEPT)
    path = edit(sifted, id)
    made = sifted.corrections.drop(id)
    assert [path.read_bytes() for path in sifted.lying()] == [b"edited"]
    sifted.corrections.undo(made)
    assert (sifted.root / path).read_bytes() == sifted.bytes_of(id) == b"edited"
    assert_agree(sifted.root)


@pytest.mark.parametrize("doing", ["keep", "drop", "undo keep", "undo drop"])
def test_what_the_ledger_refuses_leaves_no_file_behind(
    sifted: Sifted, monkeypatch: pytest.MonkeyPatch, doing: str
) -> None:
    keeps = "keep" in doing
    id = sifted.first(Outcome.DROPPED if keeps else Outcome.KEPT, "walk")
    one = next(sifted.ledger.decisions(id=id)).decision
    assert one.file is not None
    pixels = frame_again(one.file, one.frame_index, one.pts_s or 0.0, 10**8, 20)
    made = 0
    if doing.startswith("undo"):
        made = sifted.corrections.keep(id, pixels) if keeps else sifted.corrections.drop(id)
    before = {path for path in sifted.root.rglob("*.jpg") if path.is_file()}

    def refused(*_given: object, **_more: object) -> None:
        raise LedgerError("was decided anew meanwhile")

    monkeypatch.setattr(Ledger, "_change", refused)
    undoes = partial(sifted.corrections.undo, made)
    begins = partial(sifted.corrections.keep, id, pixels)
    correct = undoes if made else begins if keeps else partial(sifted.corrections.drop, id)
    with pytest.raises(LedgerError):
        correct()
    assert {path for path in sifted.root.rglob("*.jpg") if path.is_file()} == before
    assert_agree(sifted.root)


@pytest.mark.parametrize("doing", ["drop", "undo drop"])
def test_what_lies_at_its_new_place_already_is_on_the_disk_before_that_is_recorded(
    sifted: Sifted, monkeypatch: pytest.MonkeyPatch, doing: str
) -> None:
    """A correction was cut off after the second name was made and before it was synced."""
    id = sifted.first(Outcome.KEPT)
    kept = sifted.ledger.kept_file(id)
    assert kept is not None
    old = sifted.root / kept.path
    new = sifted.root / "quarantine" / kept.path.relative_to("kept")
    made = 0
    if doing == "undo drop":
        made = sifted.corrections.drop(id)
        old, new = new, old
    new.parent.mkdir(parents=True, exist_ok=True)
    new.hardlink_to(old)
    synced: list[Path] = []
    monkeypatch.setattr("stillsift.store.correction.sync_folder", synced.append)
    real = Ledger._change

    def change(*given: Any) -> None:
        assert synced == [new.parent]
        real(*given)

    monkeypatch.setattr(Ledger, "_change", change)
    if made:
        sifted.corrections.undo(made)
    else:
        sifted.corrections.drop(id)
    assert_agree(sifted.root)


def test_an_undone_keep_is_no_original_to_be_restored(
    sifted: Sifted, tmp_path: Path, stillsift: Command
) -> None:
    id = sifted.first(Outcome.DROPPED, "walk")
    one = next(sifted.ledger.decisions(id=id)).decision
    assert one.file is not None
    made = sifted.corrections.keep(
        id, frame_again(one.file, one.frame_index, one.pts_s or 0.0, 10**8, 20)
    )
    data = sifted.bytes_of(id)
    sifted.corrections.undo(made)
    done = stillsift("restore", "--store", tmp_path / "store", "--all")
    assert "taken out by hand" in done.out
    assert_agree(sifted.root)
    out = tmp_path / "out"
    assert stillsift("restore", "--store", tmp_path / "store", "--all", "-o", out).status == 0
    assert [path.read_bytes() for path in out.iterdir()] == [data]


def test_what_a_person_has_taken_out_is_not_adopted_when_it_is_put_there_again(
    sifted: Sifted, tmp_path: Path, stillsift: Command
) -> None:
    id = sifted.first(Outcome.DROPPED, "walk")
    one = next(sifted.ledger.decisions(id=id)).decision
    assert one.file is not None
    made = sifted.corrections.keep(
        id, frame_again(one.file, one.frame_index, one.pts_s or 0.0, 10**8, 20)
    )
    kept = sifted.ledger.kept_file(id)
    assert kept is not None
    sifted.corrections.undo(made)
    [lying] = sifted.lying()
    data = lying.read_bytes()
    lying.rename(sifted.root / kept.path)
    sifted.ledger.left_quarantine([each.key for each in sifted.ledger.quarantined()])
    assert stillsift("sift", tmp_path / "photos", "--output", tmp_path / "store").status == 0
    assert sifted.reason(id) is one.reason
    assert [path.read_bytes() for path in sifted.lying()] == [data]
    assert [each.sha256 for each in sifted.ledger.quarantined()] == [kept.sha256]
    assert_agree(sifted.root)


def test_quarantine_deletes_nothing_while_somebody_corrects(sifted: Sifted) -> None:
    """A frame that is taken out may rely on bytes that lie there already."""
    id = sifted.first(Outcome.KEPT)
    sifted.corrections.drop(id)
    quarantine = Quarantine(sifted.store, sifted.ledger)
    with correcting(sifted.store.state):
        assert quarantine.enforce(0, 0) == []
        assert len(sifted.lying()) == 1
    assert len(quarantine.enforce(0, 0)) == 1
    assert sifted.lying() == []
