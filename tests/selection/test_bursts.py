"""Photographs in no order: what repeats what, and which is kept."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import photographs as made
from sifting import (
    LIMIT,
    LIMITS,
    blocks,
    elsewhere,
    fresh,
    lite0,
    noisy,
    photo,
    reasons,
    scene,
    sift,
    thumbnail_of,
    with_object,
)
from stillsift.arrays import Image
from stillsift.decisions import Outcome, Reason
from stillsift.frames import ArrayPicture
from stillsift.selection import Gallery, GalleryFrame, Limits, Sifter, Verdict
from stillsift.selection.cells import Cells
from stillsift.selection.novelty import Novelty
from stillsift.selection.regions import Regions
from stillsift.selection.sensitivity import Sensitivity


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=30))
def test_no_photograph_is_kept_that_a_sibling_has_kept(shots: list[tuple[int, int]]) -> None:
    """And what is dropped for it is within the limit of the very one that it names: no chains."""
    others = elsewhere()
    pictures = [
        noisy(with_object(scene(view), 40 * shift, 1) if shift else scene(view), number)
        for number, (view, shift) in enumerate(shots)
    ]
    frames = [photo(picture, number) for number, picture in enumerate(pictures)]
    sifter = Sifter(LIMITS, blocks, Gallery(2), model="blocks", elsewhere=lambda: others)
    verdicts = sift(sifter, frames)
    assert [verdict.decision.frame_index for verdict in verdicts] == list(range(len(frames)))
    rule = Novelty(LIMIT)
    cells = {
        each.id: Cells.of(blocks(ArrayPicture(picture)).in_half_precision())
        for each, picture in zip(frames, pictures, strict=True)
    } | {kept.id: kept.cells for kept in others}
    limit = rule.picture_limit(others[0].cells)
    for verdict in verdicts:
        decision = verdict.decision
        if verdict.is_kept:
            apart = min(rule.between(cells[decision.id], kept.cells) for kept in others)
            assert apart > limit * 0.9
        else:
            assert decision.nearest_kept is not None
            assert rule.between(cells[decision.id], cells[decision.nearest_kept]) <= limit * 1.1


def test_a_burst_that_a_sibling_knows_in_part_makes_no_chain() -> None:
    """The sharpest repeats what the sibling has kept, the others only repeat the sharpest."""
    first = scene(0)
    steps = [
        np.asarray(cv2.addWeighted(first, 1 - weight, scene(1), weight, 0), np.uint8)
        for weight in (0.0, 0.28, 0.56)
    ]
    views = [blocks(ArrayPicture(step)).in_half_precision() for step in steps]
    cells = [Cells.of(view) for view in views]
    rule = Novelty(LIMIT)
    limit = rule.picture_limit(cells[0])
    assert rule.between(cells[0], cells[1]) <= limit
    assert rule.between(cells[1], cells[2]) <= limit < rule.between(cells[0], cells[2])
    soft = np.asarray(cv2.GaussianBlur(steps[2], (0, 0), 0.7), np.uint8)
    yard = GalleryFrame("yard", views[0], thumbnail_of(first), cells[0], "yard")
    sifter = Sifter(LIMITS, blocks, Gallery(32), model="blocks", elsewhere=lambda: (yard,))
    burst = [photo(soft, 0), photo(steps[1], 1), photo(soft, 2)]
    verdicts = sift(sifter, burst)
    assert reasons(verdicts) == [Reason.NOVEL, Reason.NEAR_DUPLICATE, Reason.NEAR_DUPLICATE]
    assert verdicts[1].decision.nearest_kept in ("yard", burst[0].id)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=30))
def test_photographs_make_no_chains(shots: list[tuple[int, int]]) -> None:
    """Every dropped photograph is within the limit of the very one that it names."""
    pictures = [
        noisy(with_object(scene(view), 40 * shift, 1) if shift else scene(view), number)
        for number, (view, shift) in enumerate(shots)
    ]
    frames = [photo(picture, number) for number, picture in enumerate(pictures)]
    verdicts = sift(fresh(), frames)
    assert [verdict.decision.frame_index for verdict in verdicts] == list(range(len(frames)))
    rule = Novelty(LIMIT)
    limit = rule.picture_limit(Cells.of(blocks(ArrayPicture(pictures[0]))))
    cells = {
        each.id: Cells.of(blocks(ArrayPicture(picture)).in_half_precision())
        for each, picture in zip(frames, pictures, strict=True)
    }
    kept = [v.decision.id for v in verdicts if v.is_kept]
    for verdict in verdicts:
        decision = verdict.decision
        if decision.outcome is Outcome.DROPPED:
            assert decision.nearest_kept is not None
            apart = rule.between(cells[decision.id], cells[decision.nearest_kept])
            # One thumbnail stands for pictures that look the same, so allow for its noise.
            assert apart <= limit * 1.1
    for number, one in enumerate(kept):
        for other in kept[:number]:
            assert rule.between(cells[one], cells[other]) > limit * 0.9


def test_a_higher_sensitivity_tells_more_photographs_apart() -> None:
    cells = Cells.of(blocks(ArrayPicture(scene(0))))
    limits = [Novelty(LIMIT, word).picture_limit(cells) for word in Sensitivity]
    assert limits == sorted(limits, reverse=True)
    assert limits[2] == Novelty(LIMIT).picture_limit(cells)


def kept_of(pictures: list[Image], limits: Limits = LIMITS) -> list[int]:
    """Indexes of the pictures that are kept."""
    verdicts = decided(pictures, limits)
    return [verdict.decision.frame_index for verdict in verdicts if verdict.is_kept]


def decided(pictures: list[Image], limits: Limits = LIMITS) -> list[Verdict]:
    """Decides about photographs of which each has its own index, with pictures to compare."""
    offered = [photo(picture, number) for number, picture in enumerate(pictures)]
    read = {each.id: ArrayPicture(each.picture.bgr()) for each in offered}
    sifter = Sifter(limits, lite0(), Gallery(32), model="lite0", picture=read.get)
    return sift(sifter, offered)


def test_the_better_copy_of_a_burst_is_kept_wherever_it_stands() -> None:
    picture = made.textured(1)
    small, grey, noise = made.resized(picture, 0.4), made.grey(picture), made.noisy(picture, 9)
    for burst in ([picture, small], [small, picture], [grey, picture], [noise, picture]):
        best = next(number for number, each in enumerate(burst) if each is picture)
        assert kept_of(burst) == [best]


def test_the_record_says_why_another_one_was_kept() -> None:
    picture = made.textured(1)
    dropped, kept = decided([made.resized(picture, 0.4), picture])
    assert kept.is_kept
    assert dropped.decision.nearest_kept == kept.decision.id
    assert (dropped.decision.detail or "").endswith("at 40 % of the size; the kept one is larger")


def test_the_blurred_ones_of_a_burst_go() -> None:
    sharp = made.textured(1)
    moved, soft = made.moved(sharp, 17), made.blurred(sharp, 4)
    assert kept_of([sharp, moved, soft]) == [0]
    assert kept_of([soft, sharp]) == [1]
    assert len(kept_of([sharp, made.blurred(made.textured(2), 4)])) == 2  # of another scene


def test_a_blurred_photograph_goes_where_most_are_sharp() -> None:
    soft = made.blurred(made.textured(50), 6)
    sharp = [made.textured(seed) for seed in range(9)]
    *_, last = decided([*sharp, soft])
    assert last.decision.reason is Reason.BLURRY
    assert last.decision.sharpness is not None
    assert last.decision.sharpness_limit is not None
    assert last.decision.sharpness < last.decision.sharpness_limit
    off = replace(LIMITS, min_sharpness=0)
    assert decided([*sharp, soft], off)[-1].is_kept


def test_a_drawing_with_soft_edges_is_no_blur() -> None:
    sharp = [made.textured(seed) for seed in range(9)]
    icon = np.full((128, 128, 3), 255, np.uint8)
    cv2.circle(icon, (64, 64), 24, (20, 120, 240), -1)
    assert decided([*sharp, made.blurred(icon, 6)])[-1].is_kept


def test_the_edge_of_a_painted_area_makes_no_photograph_sharp() -> None:
    soft = made.blurred(made.textured(50), 6)
    sharp = [made.textured(seed) for seed in range(9)]
    square = ((0.3, 0.3), (0.6, 0.3), (0.6, 0.6), (0.3, 0.6))
    *_, last = decided([*sharp, soft], replace(LIMITS, regions=Regions(ignore=(square,))))
    assert last.decision.reason is Reason.BLURRY


def test_where_more_than_a_fifth_is_blurred_none_is_dropped_for_it() -> None:
    """It is how they are meant, or what they show: mist, cells, paintings."""
    pictures = [made.blurred(made.textured(seed), 6) for seed in range(8)]
    verdicts = decided(pictures)
    assert Reason.BLURRY not in reasons(verdicts)
    assert any("so it is of many here" in (each.decision.detail or "") for each in verdicts)


def test_a_blurred_background_is_no_blur() -> None:
    sharp = [made.textured(seed) for seed in range(9)]
    portrait = made.blurred(made.textured(50), 6)
    portrait[150:330, 220:420] = made.textured(51)[150:330, 220:420]
    assert decided([*sharp, portrait])[-1].is_kept
