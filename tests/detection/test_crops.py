"""Squares around what is small, and findings of several looks at one picture."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tiny_onnx
from clips import real_pictures
from stillsift.detection import (
    Detection,
    Detector,
    DetectorSpec,
    crops,
    detect_around,
    detectors,
    open_detector,
)
from stillsift.detection.crops import merged

side = st.integers(1, 3000)


@given(width=side, height=side, data=st.data())
def test_a_square_lies_in_the_picture_around_its_region(
    width: int, height: int, data: st.DataObject
) -> None:
    left, top = data.draw(st.floats(0, width - 1)), data.draw(st.floats(0, height - 1))
    right, bottom = data.draw(st.floats(left, width)), data.draw(st.floats(top, height))
    for square in crops((height, width, 3), [(left, top, right, bottom)]):
        assert square[2] - square[0] == square[3] - square[1] >= 160
        assert 0 <= square[0] <= left
        assert 0 <= square[1] <= top
        assert right <= square[2] <= width
        assert bottom <= square[3] <= height
        assert square[2] - square[0] <= 0.7 * min(width, height)


@pytest.mark.parametrize(
    ("regions", "squares"),
    [
        ([(900, 500, 920, 560)], [(790, 410, 1030, 650)]),
        ([(900, 500, 904, 504)], [(822, 422, 982, 582)]),  # small: at least 160
        ([(0, 0, 10, 60)], [(0, 0, 240, 240)]),  # in the corner: moved inwards
        ([(900, 500, 1100, 720)], []),  # large: the whole picture shows it
        ([(900, 500, 920, 560), (905, 520, 925, 580)], [(790, 410, 1030, 650)]),  # near: once
        (
            [(900, 500, 920, 560), (1000, 600, 1020, 640)],  # at the edge of that: its own
            [(790, 410, 1030, 650), (930, 540, 1090, 700)],
        ),
        ([], []),
    ],
)
def test_each_small_region_has_one_square(
    regions: list[tuple[float, float, float, float]], squares: list[tuple[int, int, int, int]]
) -> None:
    assert crops((1080, 1920, 3), regions) == squares


def test_of_what_several_looks_found_the_most_confident_stays() -> None:
    person = Detection("person", 0.5, (10, 10, 50, 90))
    better = Detection("person", 0.8, (11, 10, 51, 91))
    dog = Detection("dog", 0.6, (10, 10, 50, 90))
    apart = Detection("person", 0.3, (200, 10, 240, 90))
    assert merged([person, dog, apart, better], 0.6) == [better, dog, apart]
    assert merged([], 0.6) == []


@pytest.fixture(scope="module")
def bright(tmp_path_factory: pytest.TempPathFactory) -> Detector:
    path = tiny_onnx.bright_box(tmp_path_factory.mktemp("bright") / "bright.onnx")
    return open_detector(DetectorSpec("bright", path, ("bright",), longest=256), "cpu")


def test_a_square_finds_it_at_its_place_in_the_picture(bright: Detector) -> None:
    picture = np.zeros((1000, 2000, 3), np.uint8)
    picture[600:604, 1500:1510] = 255  # half a pixel high in an input of 256 x 128: too dark
    assert bright(picture, 0.5) == []
    (found,) = detect_around(bright, picture, [(1500, 600, 1510, 604)], 0.5)
    assert found.box == pytest.approx((1500, 600, 1510, 604), abs=1)


def test_what_the_edge_of_a_square_cuts_off_is_not_found_there(bright: Detector) -> None:
    picture = np.zeros((1000, 2000, 3), np.uint8)
    picture[600:640, 1500:1900] = 255
    (found,) = detect_around(bright, picture, [(1500, 600, 1520, 640)], 0.5)
    assert found.box == pytest.approx((1500, 600, 1900, 640), abs=8)  # of the whole picture
    picture[600:640, 1500:1900] = 0
    picture[600:603, 1500:1900] = 255
    assert detect_around(bright, picture, [(1500, 600, 1520, 603)], 0.5) == []


def test_a_person_too_small_for_the_whole_picture_is_found_in_a_square() -> None:
    nanodet = open_detector(detectors()["nanodet-416"], "cpu")
    picture = np.full((1080, 1920, 3), 90, np.uint8)
    small = real_pictures("carphone_pristine", 1)[0][::3, ::3, ::-1]  # 107 x 60
    picture[500:560, 900:1007] = small
    alone = [each for each in nanodet(picture, 0.5) if each.label == "person"]
    around = detect_around(nanodet, picture, [(900, 500, 1007, 560)], 0.5)
    assert alone == []
    best = next(each for each in around if each.label == "person")
    assert 900 <= (best.box[0] + best.box[2]) / 2 <= 1007
    assert 500 <= (best.box[1] + best.box[3]) / 2 <= 560
