"""A decision as one picture: what is drawn where, seen in its pixels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from stillsift.decisions import Decision, Detection, Reason
from stillsift.frames import TimeOrigin
from stillsift.review.pair_canvas import LEAST, Foot, ShownPair, Side, pair_canvas

Pixels = NDArray[np.uint8]

RED, GREEN, BLUE = (0, 0, 200), (0, 200, 0), (200, 0, 0)
OVER, NEAR = (45, 45, 255), (0, 176, 255)
FOOT = Foot("paused", "q quit")

ONE = Decision(
    id="1" * 24,
    source="gate",
    reason=Reason.NEAR_DUPLICATE,
    captured_at_ns=1_767_225_600_000_000_000,
    captured_at_origin=TimeOrigin.PTS,
    frame_index=60,
    file=Path("/srv/day.mp4"),
    pts_s=2.4,
    similarity=0.953,
    distance=0.5,
    novelty=0.31,
    novelty_limit=1.0,
    sharpness=0.5,
    sharpness_limit=0.3,
    nearest_kept="2" * 24,
    width=640,
    height=360,
)
OTHER = replace(ONE, id="2" * 24, reason=Reason.NOVEL, frame_index=5, pts_s=0.2)


def plain(colour: tuple[int, int, int], width: int = 640, height: int = 360) -> Pixels:
    return np.full((height, width, 3), colour, np.uint8)


def pair(
    one: Decision = ONE,
    left: Pixels | None = None,
    right: Pixels | None = None,
    share: NDArray[np.float32] | None = None,
) -> ShownPair:
    left = plain(RED) if left is None else left
    right = plain(GREEN) if right is None else right
    return ShownPair(Side(one, left), Side(OTHER, right), share)


def drawn(shown: ShownPair | None, size: tuple[int, int] = (1280, 480)) -> Pixels:
    return pair_canvas(shown, size, FOOT)


def holds(canvas: Pixels, colour: tuple[int, int, int]) -> NDArray[np.bool_]:
    return np.asarray((canvas == np.asarray(colour)).all(axis=2))


def box(canvas: Pixels, colour: tuple[int, int, int]) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the pixels of a colour."""
    rows, columns = np.nonzero(holds(canvas, colour))
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


def test_this_frame_is_left_and_the_kept_one_right() -> None:
    canvas = drawn(pair())
    assert canvas.shape == (480, 1280, 3)
    left, right = box(canvas, RED), box(canvas, GREEN)
    assert left[2] <= 640 <= right[0]
    assert left[2] - left[0] == pytest.approx(right[2] - right[0], abs=1)
    assert (left[1], left[3]) == (right[1], right[3])
    assert (left[3] - left[1]) / 480 > 0.7, "most of the height is for the pictures"


@pytest.mark.parametrize("size", [(1280, 480), (640, 360), (1920, 1080), (3840, 2160), (700, 1200)])
@pytest.mark.parametrize(
    ("wide", "tall"), [(640, 360), (360, 640), (3840, 2160), (32, 24), (9, 900)]
)
def test_every_picture_keeps_its_shape_in_every_window(
    size: tuple[int, int], wide: int, tall: int
) -> None:
    canvas = drawn(pair(left=plain(RED, wide, tall), right=plain(BLUE, tall, wide)), size)
    assert canvas.shape == (size[1], size[0], 3)
    for colour, width, height, half in (
        (RED, wide, tall, (0, size[0] // 2)),
        (BLUE, tall, wide, (size[0] // 2, size[0])),
    ):
        left, top, right, bottom = box(canvas, colour)
        assert half[0] <= left < right <= half[1]
        shape = (right - left) / (bottom - top)
        assert abs(shape / (width / height) - 1) < 0.02 or min(right - left, bottom - top) < 50
        fills = max((right - left) / (half[1] - half[0]), (bottom - top) / (size[1] * 0.7))
        assert fills > 0.95, "as large as there is room"


def test_a_window_too_small_to_be_read_gets_a_picture_that_is_scaled() -> None:
    assert drawn(pair(), (100, 30)).shape == (LEAST[1], LEAST[0], 3)


def test_the_cells_that_differ_are_outlined_in_both() -> None:
    share = np.zeros((9, 16), np.float32)
    share[2, 3], share[5:7, 10] = 1.4, 0.6
    canvas = drawn(pair(share=share))
    for half, colour in ((canvas[:, :640], RED), (canvas[:, 640:], GREEN)):
        place = box(half, colour)
        cell = ((place[2] - place[0]) / 16, (place[3] - place[1]) / 9)
        for outline, (left, top, right, bottom) in ((OVER, (3, 2, 4, 3)), (NEAR, (10, 5, 11, 7))):
            where = box(half[place[1] : place[3], place[0] : place[2]], outline)
            asked = (left * cell[0], top * cell[1], right * cell[0], bottom * cell[1])
            assert where == pytest.approx(asked, abs=3)
        inside = half[place[1] + round(2.5 * cell[1]), place[0] + round(3.5 * cell[0])]
        assert tuple(inside) == colour, "what is in a cell stays to be seen"
    assert not holds(drawn(pair()), OVER).any()


@pytest.mark.parametrize(("distance", "share"), [(0.5, 0.25), (1.0, 0.5), (1.5, 0.75), (20.0, 1.0)])
def test_the_scale_is_filled_by_the_distance_with_the_limit_in_its_middle(
    distance: float, share: float
) -> None:
    low = drawn(pair(replace(ONE, distance=0.0)))
    full = drawn(pair(replace(ONE, distance=distance)))
    most = drawn(pair(replace(ONE, distance=99.0)))
    colour = NEAR if distance > 1 else (240, 155, 143)
    row = slice(round(480 * 0.8), None)
    begin, _, end, _ = box(most[row], NEAR)
    left, _, right, _ = box(full[row], colour)
    assert left == begin
    assert right - left == pytest.approx((end - begin) * share, abs=3)
    assert not holds(low[row], NEAR).any()


@pytest.mark.parametrize(
    ("reason", "colour"),
    [
        (Reason.NOVEL, (107, 194, 76)),
        (Reason.NEAR_DUPLICATE, (240, 155, 143)),
        (Reason.BLURRY, (62, 155, 227)),
        (Reason.DECODE_ERROR, (114, 123, 255)),
    ],
)
def test_the_outcome_has_its_colour_at_the_left_above(
    reason: Reason, colour: tuple[int, int, int]
) -> None:
    canvas = drawn(pair(replace(ONE, reason=reason)))
    left, top, right, bottom = box(canvas[:26], colour)
    assert left < 10
    assert right - left > 100
    assert bottom - top > 15


def test_each_measure_is_written_and_what_was_not_taken_is_not() -> None:
    row = slice(round(480 * 0.8), None)
    full = drawn(pair())[row]
    for less in (
        replace(ONE, similarity=None),
        replace(ONE, distance=None),
        replace(ONE, novelty=None),
        replace(ONE, sharpness=None),
    ):
        assert (drawn(pair(less))[row] != full).any(), less
    none = replace(ONE, similarity=None, distance=None, novelty=None, sharpness=None)
    bare = drawn(pair(none))
    # In the row of the measures nothing is left but its ground.
    begin = 480 - round(3.9 * 27) + 2
    assert len(np.unique(bare[begin : begin + 20].reshape(-1, 3), axis=0)) == 1


def test_a_frame_without_another_one_says_so() -> None:
    alone = drawn(ShownPair(Side(replace(ONE, nearest_kept=None), plain(RED)), None))
    assert holds(alone, RED).any()
    right = alone[40:370, 660:]
    assert len(np.unique(right.reshape(-1, 3), axis=0)) > 1, "no words in its place"
    gone = drawn(ShownPair(Side(ONE, plain(RED)), None))
    assert (gone[40:370, 660:] != right).any(), "one that is not at hand is told from none"


def test_what_has_no_picture_says_so() -> None:
    failed = replace(ONE, reason=Reason.DECODE_ERROR, nearest_kept=None, distance=None)
    canvas = drawn(ShownPair(Side(failed, None), None))
    assert len(np.unique(canvas[40:370, :600].reshape(-1, 3), axis=0)) > 1


@pytest.mark.parametrize(
    "name", ["d" * 300, "Straße Ü 車.mp4", "a\nb\x1b[31m.mp4", "\udcff.mp4", ""]
)
def test_no_name_leaves_its_place(name: str) -> None:
    usual = drawn(pair())
    canvas = drawn(pair(replace(ONE, file=Path("/srv") / name)))
    assert (canvas[:, 640:] == usual[:, 640:]).all()
    assert (canvas[:27, :640] != usual[:27, :640]).any()


def test_objects_are_framed_where_they_were_found() -> None:
    found = replace(ONE, detections=(Detection("person", 0.9, (160.0, 90.0, 320.0, 270.0)),))
    canvas = drawn(pair(found))
    left, top, right, bottom = box(canvas, RED)
    frame = box(canvas[:, :640], (255, 220, 80))
    wide, tall = right - left, bottom - top
    asked = (left + wide / 4, top + tall / 4, left + wide / 2, top + tall * 0.75)
    assert frame == pytest.approx(asked, abs=5)


def test_what_is_said_takes_the_place_of_the_keys() -> None:
    usual, said = drawn(pair()), pair_canvas(pair(), (1280, 480), replace(FOOT, said="kept"))
    assert (usual[:450] == said[:450]).all()
    assert not holds(usual, (98, 214, 250)).any()
    assert holds(said[450:], (98, 214, 250)).any()


def test_help_lies_over_the_middle() -> None:
    helped = pair_canvas(pair(), (1280, 480), FOOT, [("q", "quit"), ("n", "next one")])
    changed = (helped != drawn(pair())).any(axis=2)
    rows, columns = np.nonzero(changed)
    assert rows.min() > 100
    assert abs((columns.min() + columns.max()) / 2 - 640) < 5


def test_before_the_first_frame_it_says_what_it_waits_for() -> None:
    canvas = drawn(None)
    assert len(np.unique(canvas[200:240, 400:880].reshape(-1, 3), axis=0)) > 1
