"""The recorder: however things interleave, the ledger never runs ahead of an open decision."""

from __future__ import annotations

import tempfile
from collections import deque
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from stillsift.decisions import Decision, Reason, about, without_frame
from stillsift.embedding import Embedding
from stillsift.frames import ArrayPicture, Frame, TimeOrigin
from stillsift.ledger import Ledger
from stillsift.ledger.records import Batch, FileState, GapRecord, KeptFile, Retire
from stillsift.pipeline.recorder import Recorder
from stillsift.selection import Gallery, Limits, Sifter
from stillsift.selection.replacement import Records
from stillsift.sources import FileIdentity, Finished, Opened, Shorter

SOURCE = "gate"
PIXELS = ArrayPicture(np.zeros((24, 32, 3), np.uint8))


def no_embedder(_picture: object) -> Embedding:
    raise AssertionError("the recorder asks for no embedding")


def sifter() -> Sifter:
    return Sifter(Limits(novelty=0.4), no_embedder, Gallery(32))


def recorder(ledger: Ledger, retire: Retire = Retire.LEAVE) -> Recorder:
    return Recorder(SOURCE, ledger, config_hash="c", model="m", retire=retire)


def opened(number: int, content: str | None = None) -> Opened:
    path = Path(f"/in/{number}.mp4")
    return Opened(path, FileIdentity(1, number, 100, number), content or f"hash{number}")


def finished(file: Opened, frames: int) -> Finished:
    return Finished(file.file, file.identity, file.content_hash, frames)


def frame(file: Opened, index: int, *, still: bool = False) -> Frame:
    return Frame(
        source=SOURCE,
        origin=str(file.file),
        frame_index=index,
        captured_at_ns=index,
        captured_at_origin=TimeOrigin.PTS,
        picture=PIXELS,
        file=file.file,
        content_hash=file.content_hash if still else None,
    )


def kept(decision: Decision) -> KeptFile:
    path = Path("kept") / SOURCE / "2026" / "01" / "01" / f"{decision.id}.jpg"
    return KeptFile(decision.id, SOURCE, path, 1, "sha", 32, 24, decision.captured_at_ns)


def damaged(file: Opened, index: int) -> Decision:
    return without_frame(
        *(SOURCE, f"{file.file}|damaged {index}", Reason.DECODE_ERROR, index),
        frame_index=index,
        file=file.file,
        detail="damaged",
    )


@dataclass
class Told:
    """What the recorder was told of one file, by hand."""

    opened: Opened
    next_index: int = 0
    undecided: deque[int] = field(default_factory=deque)
    ended: bool = False


class Interleaving(RuleBasedStateMachine):
    """Frames, late decisions, damage, ends of files and commits, in any order a line can make.

    At every moment a kill -9 must lose nothing: what the ledger calls done was decided.
    """

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.ledger = Ledger(Path(self.folder.name) / "ledger.sqlite")
        self.recorder, self.sifter = recorder(self.ledger), sifter()
        self.files: list[Told] = []
        self.expected: list[str | None] = []
        """Ids in the order of what happened; None: an open frame."""
        self.open: deque[tuple[int, Told, int]] = deque()

    @property
    def current(self) -> Told | None:
        return self.files[-1] if self.files and not self.files[-1].ended else None

    @precondition(lambda self: self.current is None)
    @rule()
    def open_file(self) -> None:
        told = Told(opened(len(self.files)))
        self.files.append(told)
        self.recorder.open_file(told.opened)

    @precondition(lambda self: self.current is not None)
    @rule(skipped=st.integers(0, 3))
    def offer(self, skipped: int) -> None:
        told = self.files[-1]
        index = told.next_index + skipped
        told.next_index = index + 1
        told.undecided.append(index)
        self.recorder.expect(index)
        self.open.append((len(self.expected), told, index))
        self.expected.append(None)

    @precondition(lambda self: bool(self.open))
    @rule(reason=st.sampled_from([Reason.NOVEL, Reason.NEAR_DUPLICATE, Reason.WRITE_ERROR]))
    def decide(self, reason: Reason) -> None:
        place, told, index = self.open.popleft()
        assert told.undecided.popleft() == index
        decision = about(frame(told.opened, index), reason)
        self.recorder.fill(decision, kept(decision) if reason is Reason.NOVEL else None)
        self.expected[place] = decision.id

    @precondition(lambda self: self.current is not None)
    @rule()
    def damage(self) -> None:
        told = self.files[-1]
        decision = damaged(told.opened, told.next_index)
        if decision.id not in self.expected:
            self.recorder.add(decision)
            self.expected.append(decision.id)

    @precondition(lambda self: self.current is not None)
    @rule()
    def refuse(self) -> None:
        told = self.files[-1]
        decision = about(frame(told.opened, told.next_index), Reason.MODEL_ERROR, detail="bad")
        told.next_index += 1
        self.recorder.refuse(decision)
        self.expected.append(decision.id)

    @precondition(lambda self: self.current is not None)
    @rule()
    def close_file(self) -> None:
        told = self.files[-1]
        told.ended = True
        self.recorder.close_file(finished(told.opened, told.next_index))

    @rule()
    def commit(self) -> None:
        self.recorder.commit(self.sifter)
        decided = self.expected[: self.expected.index(None)] if None in self.expected else None
        recorded = [record.decision.id for record in self.ledger.decisions()]
        assert recorded == (self.expected if decided is None else decided)

    @invariant()
    def nothing_undecided_is_passed(self) -> None:
        for told in getattr(self, "files", []):
            again_from = self.ledger.next_frame(SOURCE, told.opened.identity)
            if again_from is None:
                assert told.ended
                assert not told.undecided
            elif told.undecided:
                assert again_from <= told.undecided[0]
            else:
                assert again_from <= told.next_index, "frames that were never offered are skipped"

    def teardown(self) -> None:
        if hasattr(self, "ledger"):
            self.ledger.close()
            self.folder.cleanup()


def test_no_interleaving_lets_the_ledger_pass_an_open_frame() -> None:
    run_state_machine_as_test(
        Interleaving,
        settings=settings(max_examples=40, stateful_step_count=30, deadline=None),
    )


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.sqlite")


def test_a_damaged_stretch_does_not_skip_the_frame_after_it(ledger: Ledger) -> None:
    file, ours = opened(1), recorder(ledger)
    ours.open_file(file)
    ours.add(damaged(file, 7))
    ours.commit(sifter())
    assert ledger.next_frame(SOURCE, file.identity) == 7


@pytest.mark.parametrize("reason", [Reason.WRITE_ERROR, Reason.MODEL_ERROR, Reason.NEAR_DUPLICATE])
@given(ended_first=st.booleans())
@settings(max_examples=2, deadline=None)
def test_the_original_of_a_frame_that_failed_stays(reason: Reason, ended_first: bool) -> None:
    """Also where the frame failed only after its file had come to an end."""
    with tempfile.TemporaryDirectory() as folder, Ledger(Path(folder) / "l.sqlite") as ledger:
        file, ours = opened(1), recorder(ledger, Retire.DELETE)
        ours.open_file(file)
        ours.expect(0)
        if ended_first:
            ours.close_file(finished(file, 1))
        ours.fill(about(frame(file, 0), reason, detail="no room"), None)
        if not ended_first:
            ours.close_file(finished(file, 1))
        recorded = ours.commit(sifter())
        assert recorded is not None
        assert recorded.retiring == (reason is Reason.NEAR_DUPLICATE)
        assert bool(ledger.retiring()) == (reason is Reason.NEAR_DUPLICATE)


@pytest.mark.parametrize("ended_first", [True, False])
def test_a_still_that_was_away_is_read_again_and_then_goes(
    ledger: Ledger, ended_first: bool
) -> None:
    file, ours = opened(1), recorder(ledger, Retire.DELETE)
    ours.open_file(file)
    ours.expect(0)
    if ended_first:
        ours.close_file(finished(file, 1))
    ours.fill(about(frame(file, 0), Reason.WRITE_ERROR, detail="gone"), None, away=True)
    ours.commit(sifter())
    if not ended_first:
        ours.close_file(finished(file, 1))
        ours.commit(sifter())
    assert ours.take_away() == [(file.file, file.identity)]
    assert ours.take_away() == []
    assert ledger.next_frame(SOURCE, file.identity) == 0
    ours = recorder(ledger, Retire.DELETE)
    ours.open_file(file)
    ours.expect(0)
    ours.fill(about(frame(file, 0), Reason.NEAR_DUPLICATE), None)
    ours.close_file(finished(file, 1))
    ours.commit(sifter())
    assert len(ledger.retiring()) == 1


@pytest.mark.parametrize(("undecided", "next_frame"), [(None, 9), (7, 7)])
def test_a_file_that_grew_is_read_on_from_what_is_not_decided(
    ledger: Ledger, undecided: int | None, next_frame: int
) -> None:
    file, ours = opened(1), recorder(ledger)
    ours.open_file(file)
    ours.close_file(replace(finished(file, 9), undecided=undecided))
    ours.commit(sifter())
    grown = replace(file.identity, size=200)
    assert ours.grown_from(file.file, grown) == Shorter(100, file.content_hash, next_frame)


def test_what_went_wrong_before_a_restart_keeps_the_original(ledger: Ledger) -> None:
    file, ours = opened(1), recorder(ledger, Retire.DELETE)
    ours.open_file(file)
    ours.add(damaged(file, 3))
    ours.commit(sifter())
    ours = recorder(ledger, Retire.DELETE)
    ours.open_file(file)
    ours.close_file(finished(file, 9))
    ours.commit(sifter())
    assert ledger.files(SOURCE)[0].state is FileState.DONE
    assert ledger.files(SOURCE)[0].error == "damaged"
    assert ledger.retiring() == []


@pytest.mark.parametrize("failed", [False, True])
def test_a_copy_goes_only_if_the_first_was_decided(ledger: Ledger, failed: bool) -> None:
    first, copy, ours = opened(1, "same"), opened(2, "same"), recorder(ledger, Retire.DELETE)
    ours.open_file(first)
    ours.expect(0)
    ours.close_file(finished(first, 1))
    assert ours.earlier("same") == first.file
    repeat = without_frame(
        *(SOURCE, "copy", Reason.EXACT_DUPLICATE, 0), file=copy.file, content_hash="same"
    )
    ours.repeat(repeat, copy.identity)
    decision = about(
        frame(first, 0, still=True), Reason.WRITE_ERROR if failed else Reason.NOVEL, detail="x"
    )
    ours.fill(decision, None if failed else kept(decision))
    ours.commit(sifter())
    retiring = [record.file for record in ledger.retiring()]
    assert retiring == ([] if failed else [first.file, copy.file])
    named = [record.decision.nearest_kept for record in ledger.decisions()]
    assert named == [None, None if failed else decision.id]


@pytest.mark.parametrize("again", [False, True])
def test_a_copy_names_what_shows_it_although_the_group_has_changed_since(
    ledger: Ledger, again: bool
) -> None:
    """`again`: meanwhile the source also reads such a file for itself."""
    shown = replace(about(frame(opened(9), 0), Reason.NOVEL), source="yard", content_hash="same")
    ledger.commit(Batch("c", "m", [(shown, kept(shown))]))
    copy, ours = opened(1, "same"), recorder(ledger, Retire.DELETE)
    ours.retune("c", Retire.DELETE, lambda: ("yard",))
    assert ours.earlier("same") == shown.file
    ours.retune("d", Retire.DELETE, lambda: ())
    repeat = without_frame(
        *(SOURCE, "copy", Reason.EXACT_DUPLICATE, 0), file=copy.file, content_hash="same"
    )
    ours.repeat(repeat, copy.identity)
    if again:
        assert ours.earlier("same") is None
        ours.open_file(opened(2, "same"))
        ours.expect(0)
    ours.commit(sifter())
    (named,) = [record.decision.nearest_kept for record in ledger.decisions(source=SOURCE)]
    assert named == shown.id
    # And it goes only while that frame is there, as in the group.
    (retiring,) = ledger.retiring()
    assert (retiring.file, retiring.first_kept) == (copy.file, shown.id)


def test_copies_of_a_file_that_failed_are_each_read_for_themselves(ledger: Ledger) -> None:
    ours, copies = recorder(ledger), [opened(number, "same") for number in range(3)]
    for copy in copies:
        assert ours.earlier("same") is None
        ours.open_file(copy)
        ours.commit(sifter())  # the one before, while this one is open
        assert ours.earlier("same") == copy.file
        ours.close_file(finished(copy, 0))
    ours.commit(sifter())
    assert [file.state for file in ledger.files(SOURCE)] == [FileState.FAILED] * 3


def test_what_befalls_another_file_is_no_failure_of_the_one_that_was_read_last(
    ledger: Ledger,
) -> None:
    """A clip that grew while it was read ends without a word; the next file is unreadable."""
    ours, clip = recorder(ledger), opened(1)
    ours.open_file(clip)
    for index in range(3):
        ours.expect(index)
        ours.fill(about(frame(clip, index), Reason.BLURRY), None)
    ours.add(damaged(opened(2), 0))
    ours.commit(sifter())
    (file,) = ledger.files(SOURCE)
    assert (file.file, file.error, file.next_frame) == (clip.file, None, 3)


def test_a_clip_goes_on_under_another_device_number_as_what_it_was(ledger: Ledger) -> None:
    """It is not deleted, being damaged, nor does a row remain that is read for ever."""
    clip = opened(1)
    ours = recorder(ledger, Retire.DELETE)
    ours.open_file(clip)
    ours.expect(0)
    first = about(frame(clip, 0), Reason.NOVEL)
    ours.fill(first, kept(first))
    ours.add(damaged(clip, 1))
    ours.commit(sifter())

    elsewhere = replace(clip, identity=replace(clip.identity, device=77))
    ours = recorder(ledger, Retire.DELETE)
    assert ours.next_frame(elsewhere.file, elsewhere.identity) == 1
    ours.open_file(elsewhere)
    ours.expect(1)
    second = about(frame(clip, 1), Reason.NOVEL)
    ours.fill(second, kept(second))
    ours.close_file(finished(elsewhere, 2))
    ours.commit(sifter())
    (file,) = ledger.files(SOURCE)
    assert (file.state, file.error, file.retire) == (FileState.DONE, "damaged", Retire.LEAVE)
    assert set(file.named) == {first.id, second.id}
    assert ours.next_frame(elsewhere.file, elsewhere.identity) is None


def test_a_gap_waits_for_the_frames_before_it(ledger: Ledger) -> None:
    ours = recorder(ledger)
    ours.expect(0)
    gap = without_frame(SOURCE, "camera|gap", Reason.GAP, 1)
    ours.gap(GapRecord(SOURCE, 1, 2, "gone"))
    ours.add(gap)
    assert ours.commit(sifter()) is None
    assert ledger.gaps() == []
    camera = Frame(SOURCE, "camera", 0, 0, TimeOrigin.PTS, PIXELS)
    ours.fill(about(camera, Reason.NEAR_DUPLICATE), None)
    recorded = ours.commit(sifter())
    assert recorded is not None
    assert [decision.reason for decision, _ in recorded.decisions] == [
        *(Reason.NEAR_DUPLICATE, Reason.GAP)
    ]
    assert len(ledger.gaps()) == 1
    assert ours.unrecorded == ours.open == 0


def test_a_copy_names_what_has_replaced_the_kept_frame_meanwhile(ledger: Ledger) -> None:
    """Asked about before that was recorded, and recorded only after it."""
    ours = recorder(ledger)
    old, new, waiting, copy = opened(1), opened(2), opened(3), opened(4, "hash1")
    decisions = [about(frame(each, 0, still=True), Reason.NOVEL) for each in (old, new, waiting)]
    first, better, last = decisions
    ours.open_file(old)
    ours.expect(0)
    ours.fill(first, kept(first))
    ours.close_file(finished(old, 1))
    ours.commit(sifter())
    ours.open_file(new)
    ours.expect(0)
    worse = replace(first, reason=Reason.NEAR_DUPLICATE, nearest_kept=better.id)
    ours.fill(better, kept(better), Records((worse,), ()))
    ours.close_file(finished(new, 1))
    ours.open_file(waiting)
    ours.expect(0)
    ours.close_file(finished(waiting, 1))
    assert ours.earlier(copy.content_hash) == old.file
    again = without_frame(
        *(SOURCE, str(copy.file), Reason.EXACT_DUPLICATE, 4),
        file=copy.file,
        content_hash=copy.content_hash,
    )
    ours.repeat(again, copy.identity)
    recorded = ours.commit(sifter())
    assert recorded is not None
    assert recorded.replaced == [worse]
    assert ledger.kept_file(first.id) is None
    (left,) = ledger.replaced()
    assert (left.path, left.original.file) == (kept(first).path, old.file)
    ours.fill(last, kept(last))
    ours.commit(sifter())
    record = ledger.decision(again.id)
    assert record is not None
    assert record.decision.nearest_kept == better.id
    copied = ledger.file(SOURCE, copy.identity)
    assert copied is not None
    assert copied.named == (better.id,)
