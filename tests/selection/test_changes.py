"""Every visible change is kept, and each dropped frame is shown by the kept one that it names."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

from sifting import LIMITS, WORLD, blocks, frame, fresh, noisy, scene, sift, with_object
from stillsift.arrays import Image
from stillsift.decisions import Reason
from stillsift.frames import ArrayPicture, Frame
from stillsift.selection import Gallery, GalleryFrame, Sifter, Verdict
from stillsift.selection.budgets import Amounts
from stillsift.selection.cells import Cells
from stillsift.selection.sensitivity import Sensitivity
from stillsift.selection.small_picture import changed, small_picture
from stillsift.selection.thumbnail import thumbnail

CHANGES = replace(LIMITS, every_change=True)
LIMIT = 0.0054


def luma(picture: Image) -> Image:
    return ArrayPicture(picture).luma()


def apart(a: Frame, b: Frame) -> float:
    return float(changed(small_picture(a.picture.luma())[None], small_picture(b.picture.luma()))[0])


def walk(steps: int = 40, pace: int = 2) -> list[Frame]:
    """An empty view, something that crosses it, stands still, and comes back."""
    going = [8 + pace * step for step in range(steps)]
    places = [*[None] * 10, *going, *[going[-1]] * 12, *reversed(going), *[None] * 10]
    return [
        frame(noisy(scene(0) if x is None else with_object(scene(0), x, 2), i), i, i / 10)
        for i, x in enumerate(places)
    ]


def kept(verdicts: list[Verdict]) -> list[int]:
    return [v.decision.frame_index for v in verdicts if v.is_kept]


@settings(max_examples=40, deadline=None)
@given(WORLD)
def test_the_named_frame_shows_each_dropped_one_whatever_happens(frames: list[Frame]) -> None:
    verdicts = sift(fresh(CHANGES), frames)
    assert [v.decision.frame_index for v in verdicts] == list(range(len(frames)))
    by_id = {v.decision.id: v.frame for v in verdicts if v.is_kept}
    for verdict in verdicts:
        decision = verdict.decision
        if verdict.is_kept:
            assert decision.reason is Reason.NOVEL
            continue
        assert decision.reason is Reason.NEAR_DUPLICATE
        assert decision.nearest_kept is not None
        assert decision.distance is not None
        share = apart(verdict.frame, by_id[decision.nearest_kept])
        assert share <= LIMIT
        assert decision.distance == pytest.approx(share / LIMIT, abs=1e-4)


def test_what_comes_back_to_where_it_was_is_not_kept_again() -> None:
    frames = walk()
    indexes = kept(sift(fresh(CHANGES, gallery=64), frames))
    assert indexes[0] < 10
    assert max(indexes) < 62, "the way back shows nothing new"
    lonely = [
        each for each in frames if all(apart(each, frames[index]) > LIMIT for index in indexes)
    ]
    assert not lonely


def test_of_what_moves_slowly_the_kept_frame_shows_before_and_after() -> None:
    frames = walk(pace=1)
    waited = kept(sift(fresh(CHANGES), frames))
    at_once = kept(sift(fresh(replace(CHANGES, max_wait_s=0.0)), frames))
    assert len(waited) <= 0.75 * len(at_once)


def test_what_is_seen_again_and_again_stays_in_the_gallery() -> None:
    """Though more frames than it holds are kept between."""
    empty = scene(0)
    pictures = [empty] * 12
    for number in range(6):
        pictures += [with_object(empty, 35 * number, number)] * 12 + [empty] * 12
    frames = [frame(noisy(picture, i), i, i / 10) for i, picture in enumerate(pictures)]
    assert len(kept(sift(fresh(CHANGES, gallery=2), frames))) == 7


def test_a_change_of_light_and_a_small_thing_are_changes() -> None:
    view = scene(0)
    darker = np.asarray(view * 0.7, np.uint8)
    spot = view.copy()
    spot[60:76, 100:116] = 255 - spot[60:76, 100:116] // 2  # 0.7 % of the picture
    for other in (darker, spot):
        pictures = [view] * 20 + [other] * 20
        frames = [frame(noisy(p, i), i, i / 10) for i, p in enumerate(pictures)]
        assert len(kept(sift(fresh(CHANGES), frames))) == 2


def test_each_sensitivity_keeps_more_changes_than_the_one_below() -> None:
    counts = [
        len(kept(sift(fresh(replace(CHANGES, sensitivity=word)), walk(pace=1))))
        for word in Sensitivity
    ]
    assert counts == sorted(set(counts))


def test_what_may_not_be_kept_is_refused_and_kept_later() -> None:
    limits = replace(CHANGES, amounts=Amounts(min_gap_s=2.0))
    verdicts = sift(fresh(limits), walk())
    reasons = {v.decision.reason for v in verdicts}
    assert reasons == {Reason.NOVEL, Reason.NEAR_DUPLICATE, Reason.RATE_LIMITED}
    gaps = np.diff([v.frame.captured_at_ns / 1e9 for v in verdicts if v.is_kept])
    assert len(gaps) > 2
    assert gaps.min() >= 2


def test_a_quiet_view_gives_a_heartbeat() -> None:
    limits = replace(CHANGES, amounts=Amounts(heartbeat_s=5.0))
    frames = [frame(noisy(scene(0), i), i, i / 5) for i in range(80)]
    verdicts = sift(fresh(limits), frames)
    assert [v.decision.reason for v in verdicts if v.is_kept] == [
        Reason.NOVEL,
        *[Reason.HEARTBEAT] * 2,
    ]


def test_what_another_source_of_the_group_shows_is_not_kept() -> None:
    view = blocks(ArrayPicture(scene(0))).in_half_precision()
    yard = GalleryFrame(
        *("yard0", view, thumbnail(luma(scene(0))), Cells.of(view), "yard"),
        small_picture(luma(scene(0))),
    )
    sifter = Sifter(CHANGES, blocks, Gallery(32), model="blocks", elsewhere=lambda: [yard])
    verdicts = sift(sifter, walk())
    assert {v.decision.nearest_kept for v in verdicts[:10]} == {"yard0"}
    by_id = {v.decision.id: v.frame for v in verdicts} | {"yard0": frame(scene(0), 0)}
    for verdict in verdicts:
        if not verdict.is_kept:
            assert verdict.decision.nearest_kept is not None
            assert apart(verdict.frame, by_id[verdict.decision.nearest_kept]) <= LIMIT


def test_what_was_kept_before_the_switch_is_kept_once_more_and_both_ways_go_on() -> None:
    frames = [frame(noisy(scene(i // 30), i), i, i / 10) for i in range(90)]
    sifter, verdicts = fresh(), []
    for limits, part in ((LIMITS, frames[:45]), (CHANGES, frames[45:60]), (LIMITS, frames[60:])):
        sifter, due = sifter.successor(limits, 32, alarms=True)
        verdicts += due + [verdict for each in part for verdict in sifter.offer(each)]
    verdicts += sifter.flush()
    assert [index // 30 for index in kept(verdicts)] == [0, 1, 1, 2]
    assert len(verdicts) == len(frames)


def test_what_was_found_before_both_switches_is_not_taken_for_what_is_there_after_them() -> None:
    parts = (
        (CHANGES, [0] * 15 + [1] * 15),
        (LIMITS, [0] * 40),
        (CHANGES, [1] * 15),
        (LIMITS, [1] * 15),
    )
    views = [view for _, shown in parts for view in shown]
    frames = [frame(scene(view), index) for index, view in enumerate(views)]
    sifter, verdicts, offered = fresh(CHANGES), [], 0
    for limits, shown in parts:
        sifter, due = sifter.successor(limits, 32, alarms=True)
        verdicts += due
        for each in frames[offered : offered + len(shown)]:
            verdicts += sifter.offer(each)
        offered += len(shown)
    verdicts += sifter.flush()
    showing = {v.decision.id: views[v.decision.frame_index] for v in verdicts if v.is_kept}
    repeats = [v.decision for v in verdicts if v.decision.reason is Reason.NEAR_DUPLICATE]
    assert set(showing.values()) == {0, 1}
    assert [showing[str(each.nearest_kept)] for each in repeats] == [
        views[each.frame_index] for each in repeats
    ]


def test_black_and_white_of_video_are_those_of_a_still() -> None:
    grey = np.linspace(0, 255, 160 * 90).reshape(90, 160).astype(np.uint8)
    video = np.round(16 + grey * (219 / 255)).astype(np.uint8)
    small = small_picture(video, (16, 235)).astype(int)
    assert np.abs(small - small_picture(grey).astype(int)).max() <= 2
    beyond = np.array([[0, 255]] * 45, np.uint8).repeat(40, 1)
    assert set(np.unique(small_picture(beyond, (16, 235)))) == {0, 255}


def test_a_kept_frame_is_read_back_with_its_small_picture() -> None:
    view = blocks(ArrayPicture(scene(0))).in_half_precision()
    small = small_picture(luma(scene(0)))
    made = GalleryFrame("a", view, thumbnail(luma(scene(0))), Cells.of(view), small=small)
    read = GalleryFrame.from_bytes("a", made.to_bytes())
    assert read.small is not None
    assert np.array_equal(read.small, small)
    assert GalleryFrame.from_bytes("a", replace(made, small=None).to_bytes()).small is None
