"""A better copy that comes later, as the sifter decides about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import pytest

import photographs as made
from sifting import LIMITS, lite0, photo
from stillsift.arrays import Image, unpacked
from stillsift.decisions import Decision, Outcome, Reason, Tag, about
from stillsift.frames import ArrayPicture, Frame
from stillsift.selection import Gallery, Limits, Sifter, Verdict
from stillsift.selection.budgets import Amounts
from stillsift.selection.replacement import Records

ORIGINAL = made.textured(1, 800, 600)


class Sifted:
    """A folder that is being sifted: the sifter, and what is known of its earlier decisions."""

    def __init__(self, pictures: Sequence[Image], limits: Limits = LIMITS) -> None:
        self.offered = [photo(picture, number) for number, picture in enumerate(pictures)]
        self.read = {each.id: ArrayPicture(each.picture.bgr()) for each in self.offered}
        self.records: dict[str, Decision] = {}
        self.sifter = Sifter(
            limits, lite0(), Gallery(32), model="lite0", picture=self.read.get, earlier=self
        )

    def replaceable(self, id_: str) -> Decision | None:
        return self.records.get(id_)

    def naming(self, id_: str) -> list[Decision]:
        return [each for each in self.records.values() if each.nearest_kept == id_]

    def picture(self, record: Decision) -> ArrayPicture | None:
        return self.read.get(record.id)

    def note(self, verdicts: list[Verdict]) -> list[Verdict]:
        for verdict in verdicts:
            changed = () if verdict.changes is None else verdict.changes.renamed
            for each in (verdict.decision, *verdict.replaced, *changed):
                self.records[each.id] = each
        return verdicts

    def offer(self, frame: Frame) -> list[Verdict]:
        return self.note(self.sifter.offer(frame))

    def run(self) -> list[int]:
        """Offers all; returns which are kept at the end."""
        for each in self.offered:
            self.offer(each)
        self.note(self.sifter.flush())
        kept = {id_ for id_, each in self.records.items() if each.outcome is Outcome.KEPT}
        names = {each.nearest_kept for each in self.records.values()}
        assert names <= {None, *kept}
        return [each.frame_index for each in self.offered if each.id in kept]


def small(share: float = 0.25) -> Image:
    return made.resized(ORIGINAL, share)


def other(number: int) -> Image:
    return made.textured(10 + number)


def reddened(levels: int) -> Image:
    """The original, small, with more or less red in the middle."""
    picture = cv2.cvtColor(small(0.5), cv2.COLOR_BGR2YCrCb).astype(np.int16)
    picture[75:225, 100:300, 1] += levels
    clipped = np.asarray(np.clip(picture, 0, 255), np.uint8)
    return np.asarray(cv2.cvtColor(clipped, cv2.COLOR_YCrCb2BGR), np.uint8)


def test_the_first_is_kept_where_nothing_waits() -> None:
    pictures = [small(), other(0), other(1), ORIGINAL]
    assert Sifted(pictures).run() == [1, 2, 3]
    assert Sifted(pictures, replace(LIMITS, max_wait_s=0)).run() == [0, 1, 2]


def test_all_kept_ones_that_the_better_one_shows_give_way() -> None:
    """They differ too much from each other, and little enough from the one between them."""
    assert Sifted([reddened(-7), other(0), reddened(7), other(1)]).run() == [0, 1, 2, 3]
    assert Sifted([reddened(-7), other(0), reddened(7), other(1), ORIGINAL]).run() == [1, 3, 4]


def test_none_gives_way_where_one_of_them_has_to_stay() -> None:
    folder = Sifted([reddened(-7), other(0), reddened(7), other(1), ORIGINAL])
    stays = folder.offered[2].id
    replaceable = folder.replaceable
    folder.replaceable = (  # type: ignore[method-assign]
        lambda id_: None if id_ == stays else replaceable(id_)
    )
    assert folder.run() == [0, 1, 2, 3]


@pytest.mark.parametrize(("repeats", "kept"), [(32, [1, 34, 35]), (33, [0, 1, 35])])
def test_not_too_many_are_read_again_for_one(repeats: int, kept: list[int]) -> None:
    again = [made.noisy(small(), 1 + number / 100) for number in range(repeats)]
    assert Sifted([small(), other(0), *again, other(1), ORIGINAL]).run() == kept


def test_what_was_replaced_by_a_picture_that_cannot_be_written_is_as_it_was() -> None:
    amounts = Amounts(max_per_day=3, keep_ratio=0.5)
    folder = Sifted(
        [small(), other(0), other(1), other(2), ORIGINAL], replace(LIMITS, amounts=amounts)
    )
    *first, last = folder.offered
    for each in first:
        folder.offer(each)
    folder.note(folder.sifter.flush())
    before = counts(folder.sifter)
    (verdict,) = folder.sifter.offer(last)
    (gone,) = verdict.replaced
    assert (verdict.is_kept, gone.id) == (True, first[0].id)
    assert verdict.decision.detail == "replaces 0.jpg, as it is larger"
    assert folder.sifter.album.frame(gone.id) is None
    folder.sifter.forget(last.id)
    after = counts(folder.sifter)
    assert sorted(each.id for each in folder.sifter.gallery.kept) == sorted(
        each.id for each in first[:3]
    )
    assert folder.sifter.album.frame(gone.id) is not None
    assert after[0] == before[0]
    # It counts as a frame that was not kept, as any does that cannot be written.
    assert after[1] == pytest.approx(before[1] - 0.25 * 0.5)


def counts(sifter: Sifter) -> tuple[list[list[int]], float]:
    """What was kept by day, and the keep ratio's factor, as a logarithm."""
    state = unpacked(sifter.state())
    return np.asarray(state["kept_by_day"], np.int64).tolist(), float(state["keep_ratio_log"])


def test_the_place_in_a_full_budget_passes_on() -> None:
    limits = replace(LIMITS, amounts=Amounts(max_per_day=2))
    pictures = [small(), other(0), small(0.6), other(1), ORIGINAL, other(2)]
    assert Sifted(pictures, limits).run() == [1, 4]


def test_tags_that_a_frame_got_after_it_was_decided_stay_when_it_names_a_better_copy() -> None:
    decided = about(photo(ORIGINAL, 1), Reason.NOVEL, nearest_kept="small")
    renamed = replace(decided, nearest_kept="large")
    tagged = replace(decided, tags=(Tag("dog", 0.9),))
    (ended,) = Records((), (renamed,)).ended({decided.id: tagged}).renamed
    assert (ended.nearest_kept, ended.tags) == ("large", tagged.tags)
    (ended,) = Records((), (replace(renamed, tags=tagged.tags),)).ended({}).renamed
    assert ended.tags == tagged.tags
