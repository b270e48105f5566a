"""A picture is put into an input without being stretched, and boxes find back into the picture."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillsift.detection.letterbox import Letterbox, fitted, trimmed

sides = st.integers(1, 5000)
inputs = st.tuples(st.integers(32, 1280), st.integers(32, 1280))


@given(width=sides, height=sides, size=inputs)
def test_a_picture_fills_one_side_and_is_not_stretched(
    width: int, height: int, size: tuple[int, int]
) -> None:
    box = fitted((width, height), size)
    assert (box.width, box.height) == size
    assert box.across == size[0] or box.down == size[1]
    assert 1 <= box.across <= size[0]
    assert 1 <= box.down <= size[1]
    factor = min(size[0] / width, size[1] / height)
    assert abs(box.across - max(1, width * factor)) <= 0.5
    assert abs(box.down - max(1, height * factor)) <= 0.5


@given(width=sides, height=sides, longest=st.integers(64, 1280), multiple=st.sampled_from([1, 32]))
def test_an_input_of_any_size_is_no_larger_than_it_has_to_be(
    width: int, height: int, longest: int, multiple: int
) -> None:
    box = trimmed((width, height), longest, multiple)
    assert max(box.across, box.down) == longest
    for side, filled in ((box.width, box.across), (box.height, box.down)):
        assert side % multiple == 0
        assert filled <= side < filled + multiple


@given(width=sides, height=sides, size=inputs, data=st.data())
def test_a_box_finds_back_into_the_picture(
    width: int, height: int, size: tuple[int, int], data: st.DataObject
) -> None:
    box = fitted((width, height), size)
    xs = sorted(data.draw(st.lists(st.floats(0, width), min_size=2, max_size=2)))
    ys = sorted(data.draw(st.lists(st.floats(0, height), min_size=2, max_size=2)))
    original = np.array([[xs[0], ys[0], xs[1], ys[1]]], np.float32)
    scale = np.array([box.across / width, box.down / height] * 2, np.float32)
    assert box.in_picture(original * scale) == pytest.approx(original, rel=1e-4, abs=1e-2)


@given(width=sides, height=sides, size=inputs)
def test_no_box_leaves_the_picture(width: int, height: int, size: tuple[int, int]) -> None:
    boxes = np.array([[-50, -50, 9999, 9999], [size[0], size[1], size[0], size[1]]], np.float32)
    lying = fitted((width, height), size).in_picture(boxes)
    assert lying[0].tolist() == [0, 0, width, height]
    assert (lying >= 0).all()
    assert (lying <= [width, height, width, height]).all()


def test_what_is_beside_the_picture_is_grey() -> None:
    picture = np.full((50, 100, 3), (10, 20, 30), np.uint8)
    image = fitted((100, 50), (64, 64)).filled(picture)
    assert image.shape == (64, 64, 3)
    assert (image[:32] == (10, 20, 30)).all()
    assert (image[32:] == 114).all()


@pytest.mark.parametrize("shape", [(1, 4000), (4000, 1), (1, 1), (33, 32), (480, 640)])
def test_the_oddest_shapes_become_an_input(shape: tuple[int, int]) -> None:
    box = trimmed((shape[1], shape[0]), 64, 32)
    assert box.filled(np.zeros((*shape, 3), np.uint8)).shape == (box.height, box.width, 3)


def test_a_picture_that_fits_is_taken_as_it_is() -> None:
    picture = np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)
    box = trimmed((96, 64), 96, 32)
    assert box == Letterbox(96, 64, 96, 64, (96, 64))
    assert (box.filled(picture) == picture).all()
