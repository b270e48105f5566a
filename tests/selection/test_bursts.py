"""Photographs in no order: what repeats what, and which is kept."""

from __future__ import annotations

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sifting import (
    LIMIT,
    LIMITS,
    blocks,
    elsewhere,
    fresh,
    noisy,
    photo,
    reasons,
    scene,
    sift,
    thumbnail_of,
    with_object,
)
from stillsift.decisions import Outcome, Reason
from stillsift.frames import ArrayPicture
from stillsift.selection import Gallery, GalleryFrame, Sifter
from stillsift.selection.cells import Cells
from stillsift.selection.novelty import Novelty
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
