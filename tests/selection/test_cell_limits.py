"""What the limit of one embedder is on the scale of another."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from clips import real_pictures
from sifting import blocks, thumbnail_of
from stillsift.arrays import Image
from stillsift.embedding import Embedding
from stillsift.frames import ArrayPicture
from stillsift.selection import GalleryFrame
from stillsift.selection.cell_limits import CellLimits
from stillsift.selection.regions import EVERYTHING, Regions


def kept(number: int, picture: Image, times: float = 1.0) -> GalleryFrame:
    """With a grid that looks at a picture whose contrast is so many times as high."""
    shown = np.asarray(np.clip(128 + times * (picture.astype(np.float32) - 128), 0, 255), np.uint8)
    embedding = blocks(ArrayPicture(shown))
    made = GalleryFrame(str(number), embedding, thumbnail_of(picture), None)  # type: ignore[arg-type]
    return made.embedded_again(embedding, None)


def pictures() -> list[Image]:
    found = real_pictures("bikes", 12)
    return [np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), np.uint8) for rgb in found]


def test_a_limit_is_matched_by_the_share_of_the_distances_below_it() -> None:
    limits = CellLimits(EVERYTHING)
    for number, picture in enumerate(pictures()):
        limits.add(kept(number, picture), kept(number, picture, 0.5))
    found = [limits.matched(limit) for limit in (0.005, 0.01, 0.02)]
    assert all(each is not None and each.pairs == 11 for each in found)
    shares = [each.share for each in found if each is not None]
    matched = [each.limit for each in found if each is not None]
    assert shares == sorted(shares)
    assert matched == sorted(matched)
    # Half the contrast makes the same differences smaller.
    assert matched[-1] < 0.02


def test_the_same_embedder_has_the_same_limit() -> None:
    limits = CellLimits(EVERYTHING)
    for number, picture in enumerate(pictures()):
        limits.add(kept(number, picture), kept(number, picture))
    found = limits.matched(0.02)
    assert found is not None
    assert found.limit == pytest.approx(0.02, rel=0.05)


def test_a_limit_that_nearly_all_lie_on_one_side_of_says_nothing() -> None:
    limits = CellLimits(EVERYTHING)
    for number, picture in enumerate(pictures()):
        limits.add(kept(number, picture), kept(number, picture))
    assert limits.matched(1.0) is None


def test_few_pictures_say_nothing_and_neither_do_those_without_a_grid() -> None:
    few, whole = CellLimits(EVERYTHING), CellLimits(EVERYTHING)
    for number, picture in enumerate(pictures()):
        old = kept(number, picture)
        if number < 6:
            few.add(old, old)
        whole.add(old, old.embedded_again(Embedding(old.embedding.vector, None), None))
    assert few.matched(0.02) is None
    assert whole.matched(0.02) is None


def test_cells_that_do_not_count_are_left_out() -> None:
    left = Regions(ignore=(((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)),))
    shares = []
    for regions in (EVERYTHING, left):
        limits = CellLimits(regions)
        for number, picture in enumerate(pictures()):
            half = picture.copy()
            half[:, 160:] = 90  # nothing happens on the right
            limits.add(kept(number, half), kept(number, half))
        shares.append(limits.matched(0.005))
    assert shares[0] is not None
    assert shares[1] is None
