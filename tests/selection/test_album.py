"""All kept photographs are compared with, in memory that stays small, and across restarts."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

import photographs as made
from sifting import LIMITS, blocks, elsewhere, photo, reasons, sift, thumbnail_of
from stillsift.arrays import Floats, Image
from stillsift.decisions import Reason
from stillsift.frames import ArrayPicture, Frame
from stillsift.selection import Album, Gallery, GalleryFrame, Sifter
from stillsift.selection.cells import Cells


def vectors(count: int) -> Floats:
    found = np.random.default_rng(1).normal(0, 1, (count, 112)).astype(np.float32)
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), np.float32)


def kept(id_: str, vector: Floats) -> GalleryFrame:
    return replace(
        elsewhere()[0], id=id_, embedding=replace(elsewhere()[0].embedding, vector=vector)
    )


def test_the_nearest_of_many_is_found() -> None:
    every = vectors(3000)
    read: list[str] = []

    def recorded(id_: str) -> GalleryFrame:
        read.append(id_)
        return kept(id_, every[int(id_)])

    album = Album(((str(number), every[number], None) for number in range(2990)), recorded)
    for number in range(2990, 3000):
        album.add(kept(str(number), every[number]))
    for number in (0, 1023, 1024, 2047, 2995):
        found = album.like(every[number])
        assert found[0].id == str(number)
        assert len(found) == 16
    assert "2995" not in read  # it is not recorded yet


def test_what_is_gone_is_not_found_again_and_the_ledger_is_told() -> None:
    every = vectors(4)
    album = Album(((str(number), every[number], None) for number in range(4)), lambda _: None)
    assert album.like(every[0]) == []
    assert len(album) == 0
    assert album.removed == {"0", "1", "2", "3"}
    album.settle()
    assert not album.changed


def test_a_photograph_that_could_not_be_written_leaves_no_trace() -> None:
    every = vectors(2)
    album = Album()
    album.add(kept("a", every[0]))
    album.add(kept("b", every[1]))
    album.remove("a")
    assert list(album.added) == ["b"]
    assert not album.removed
    assert album.like(every[0])[0].id == "b"


def frames(pictures: list[Image]) -> list[Frame]:
    return [photo(picture, number) for number, picture in enumerate(pictures)]


def with_pixels(offered: list[Frame], sifter: Sifter | None = None) -> Sifter:
    """A sifter of a gallery of two, that can read what it has kept."""
    pictures = {each.id: ArrayPicture(each.picture.bgr()) for each in offered}
    if sifter is None:
        return Sifter(LIMITS, blocks, Gallery(2), model="blocks", picture=pictures.get)
    recorded = dict(sifter.album.added)
    known = ((id_, each.embedding.vector, each.page) for id_, each in recorded.items())
    return Sifter(
        LIMITS,
        blocks,
        Gallery(2, sifter.gallery.kept),
        sifter.state(),
        model="blocks",
        album=Album(known, recorded.get),
        picture=pictures.get,
    )


def test_a_copy_of_the_first_of_many_photographs_is_found() -> None:
    """The gallery of two has long forgotten it."""
    pictures = [made.textured(seed) for seed in range(8)]
    offered = frames([*pictures, made.resized(pictures[0], 0.5), made.resized(pictures[3], 0.5)])
    verdicts = sift(with_pixels(offered), offered)
    assert reasons(verdicts) == [Reason.NOVEL] * 8 + [Reason.NEAR_DUPLICATE] * 2
    assert [each.decision.nearest_kept for each in verdicts[8:]] == [offered[0].id, offered[3].id]
    for verdict in verdicts[8:]:
        assert verdict.decision.novelty is not None
        assert verdict.decision.novelty <= 1 == verdict.decision.novelty_limit
        assert "at 50 % of the size" in (verdict.decision.detail or "")


@pytest.mark.parametrize("stop", [1, 3, 5, 7])
def test_a_restart_changes_no_decision(stop: int) -> None:
    pictures = [made.textured(seed) for seed in range(4)]
    more = [made.page(1), made.page(1, "471.03"), made.page(1), made.resized(pictures[1], 0.4)]
    offered = frames([*pictures, *more])
    whole = sift(with_pixels(offered), offered)
    first = with_pixels(offered)
    begun = [verdict for each in offered[:stop] for verdict in first.offer(each)]
    second = with_pixels(offered, first)
    rest = sift(second, offered[len(begun) :])
    assert [each.decision for each in [*begun, *rest]] == [each.decision for each in whole]


def test_cells_alone_decide_where_a_kept_picture_cannot_be_read() -> None:
    picture = made.textured(1)
    offered = frames([picture, made.textured(2), made.resized(picture, 0.5)])
    cells = Cells.of(blocks(ArrayPicture(picture)).in_half_precision())
    seen = GalleryFrame("old", blocks(ArrayPicture(picture)), thumbnail_of(picture), cells)
    sifter = Sifter(LIMITS, blocks, Gallery(2, [seen]), model="blocks")
    verdicts = sift(sifter, offered[2:])
    assert reasons(verdicts) == [Reason.NEAR_DUPLICATE]
    assert "pixels cannot be had" in (verdicts[0].decision.detail or "")


@pytest.mark.parametrize("shape", [(10, 18), (13, 14), (20, 25)])
def test_a_grid_is_scaled_as_a_picture_is(shape: tuple[int, int]) -> None:
    grid = np.random.default_rng(1).normal(size=(18, 10, 7)).astype(np.float32)
    scaled = Cells.from_grid(grid).scaled((*shape, 7)).grid()
    for channel in range(7):
        plane = cv2.resize(np.ascontiguousarray(grid[..., channel]), shape[::-1])
        assert scaled[..., channel] == pytest.approx(plane, abs=1e-5)
