"""Which thing is which: two that look alike are two, and each has a size of its own."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from sifting import frame, fresh, noisy, sift
from stillsift.arrays import Image
from stillsift.decisions import Reason
from stillsift.selection import Verdict

CELL = 16
"""Pixels of a side of the embedder's cells."""
DARK, LIGHT = 30, 230
QUIET = 20
"""Frames, 5 a second, of the empty street."""


def street() -> Image:
    """(144, 256, 3): gravel that looks the same everywhere."""
    stones = np.random.default_rng(3).uniform(90, 130, (36, 64)).astype(np.float32)
    grey = cv2.resize(stones, (256, 144), interpolation=cv2.INTER_NEAREST).astype(np.uint8)
    return np.repeat(grey[..., None], 3, 2)


def with_thing(picture: Image, column: int, row: int, columns: int, rows: int, grey: int) -> Image:
    """The same with a striped thing that fills these cells of the embedder."""
    made = picture.copy()
    there = made[CELL * row : CELL * (row + rows), CELL * column : CELL * (column + columns)]
    there[:], there[::4] = grey, grey // 2
    return made


def sifted(pictures: list[Image]) -> list[Verdict]:
    """What becomes of the pictures after a quiet street."""
    given = [street()] * QUIET + pictures
    return sift(fresh(), [frame(noisy(picture, i), i) for i, picture in enumerate(given)])[QUIET:]


def kept(verdicts: list[Verdict]) -> list[int]:
    """The places of the kept ones among the pictures after the quiet street."""
    return [v.decision.frame_index - QUIET for v in verdicts if v.is_kept]


@pytest.mark.parametrize(("width", "other_width", "after"), [(1, 1, 15), (2, 2, 15), (2, 1, 20)])
def test_who_comes_in_while_one_who_looks_alike_walks_away_is_another(
    width: int, other_width: int, after: int
) -> None:
    """The other comes three or four seconds after the one, on the same way: `after` so many frames.
    One who is half as wide does not make the two of them 1.6 times as much as the one was."""
    pictures = []
    for step in range(after + 10):
        picture = street()
        for columns, since in ((width, step), (other_width, step - after)):
            if since >= 0:  # two cells a second
                picture = with_thing(picture, 1 + 2 * since // 5, 3, columns, 3, DARK)
        pictures.append(picture)
    one, *others = kept(sifted(pictures))
    assert one < 5
    assert [index >= after for index in others] == [True]


def test_a_thing_is_kept_again_when_it_has_grown_though_a_larger_one_was_kept() -> None:
    pictures = []
    for step in range(35):
        picture = with_thing(street(), 10, 1 + step // 2 % 2, 6, 6, DARK)
        if step >= 10:
            size = 2 if step < 20 else 3
            picture = with_thing(picture, 1, 2, size, size, LIGHT)
        pictures.append(picture)
    small, *grown = [index for index in kept(sifted(pictures)) if index >= 10]
    assert small < 20
    assert len(grown) == 1


@pytest.mark.parametrize(
    "sizes", [[2] * 10 + [5] * 20, [2] * 10 + [3] * 2 + [4] * 2 + [5] * 16], ids=["fast", "slow"]
)
def test_a_known_thing_that_comes_near_and_adds_contrast_is_no_other_view(sizes: list[int]) -> None:
    pictures = [
        with_thing(street(), 4 + step // 2 % 2, 1, size, size, LIGHT)
        for step, size in enumerate(sizes)
    ]
    verdicts = sifted(pictures)
    assert any(index >= 10 for index in kept(verdicts)), "it has grown"
    assert not any(v.other_view for v in verdicts)


def test_the_frame_that_shows_a_thing_is_named_though_the_empty_street_is_nearer() -> None:
    """A thing walks on, and at last shows half of what was kept of it."""
    pictures = [with_thing(street(), 1 + step // 4, 1, 2, 3, DARK) for step in range(20)]
    pictures += [with_thing(street(), 6 + step // 4, 1, 1, 3, DARK) for step in range(8)]
    verdicts = sifted(pictures)
    shown_by = {v.decision.id: v.decision.frame_index - QUIET for v in verdicts if v.is_kept}
    explained = [v.decision for v in verdicts if v.decision.reason is Reason.SAME_OBJECT]
    assert len(explained) >= 5
    for each in explained:
        assert each.objects_shown_by
        assert set(each.objects_shown_by) <= set(shown_by), "a kept frame that shows the thing"
    assert any(each.nearest_kept not in shown_by for each in explained), "the street is nearer"
    others = [v.decision for v in verdicts if v.decision.reason is not Reason.SAME_OBJECT]
    assert not any(each.objects_shown_by for each in others)
