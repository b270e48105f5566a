"""Frames of a clip and photographs, told apart by what they show."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from clips import SHARED_MEDIA, real_pictures
from sifting import lite0, noisy, scene, with_object
from stillsift.arrays import Image
from stillsift.frames import ArrayPicture
from stillsift.selection.cells import Cells
from stillsift.selection.sequence import why_no_sequence

LIMIT = 0.40


def cells(pictures: list[Image]) -> list[Cells]:
    return [Cells.of(lite0()(ArrayPicture(picture))) for picture in pictures]


@pytest.fixture(scope="module")
def bikes() -> list[Cells]:
    """Forty frames at 25/s."""
    return cells([picture[:, :, ::-1] for picture in real_pictures(count=40)])


def test_frames_of_a_clip_are_recognised(bikes: list[Cells]) -> None:
    assert why_no_sequence([bikes], LIMIT) is None
    assert why_no_sequence([bikes[:8], bikes[16:24], bikes[32:]], LIMIT) is None


def test_the_same_frames_in_another_order_are_not(bikes: list[Cells]) -> None:
    mixed = [bikes[number * 17 % 40] for number in range(40)]
    assert why_no_sequence([mixed], LIMIT) is not None


def test_photographs_are_not() -> None:
    why = why_no_sequence([cells([scene(number) for number in range(16)])], LIMIT)
    assert why is not None
    assert "show different views" in why


def test_one_thing_after_the_other_before_one_ground_is_not() -> None:
    ground = scene(1)
    goods = [noisy(with_object(ground, 100, number), number) for number in range(16)]
    why = why_no_sequence([cells(goods)], LIMIT)
    assert why is not None
    assert "hardly nearer" in why


@pytest.mark.parametrize("shots", [2, 3, 5])
def test_a_few_of_each_thing_on_a_table_are_not(shots: int) -> None:
    goods = []
    for number in range(45):
        thing, shot = divmod(number, shots)
        table, tint = scene(1), np.random.default_rng(thing).integers(0, 255, 3)
        left = 19 * (thing % 6) + shot
        table[24:124, left : left + 110] = tint
        table[40:100:9, left + 8 : left + 100] = 255 - tint
        goods.append(noisy(table, number))
    assert why_no_sequence([cells(goods)], LIMIT) is not None


POTATOES = SHARED_MEDIA / "f" / "potatoes"


@pytest.mark.skipif(not POTATOES.is_dir(), reason="needs the labelled footage beside the checkout")
def test_things_that_fill_the_picture_are_not() -> None:
    pictures = [cv2.imread(str(path)) for path in sorted(POTATOES.iterdir())]
    potatoes = cells([np.asarray(picture, np.uint8) for picture in pictures if picture is not None])
    runs = [potatoes, *(potatoes[at : at + n] for n in (16, 32) for at in range(0, 81, 8))]
    assert [run for run in runs if why_no_sequence([run], LIMIT) is None] == []


@pytest.mark.parametrize("blocks", [[], [[]], [[], []]])
def test_nothing_is_no_clip(blocks: list[list[Cells]]) -> None:
    assert why_no_sequence(blocks, LIMIT) == "too few can be read"
