"""Two pictures pixel by pixel: copies are the same, the smallest real difference is not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

import photographs as made
from stillsift.arrays import Floats, Image
from stillsift.selection.pixel_difference import _MOVES, _half, _Structures, pixel_difference

PICTURES = [made.real_photo(), made.textured(1), made.textured(2, 480, 640)]


def distance(a: Image, b: Image) -> float:
    return pixel_difference(made.overview(a), made.overview(b)).distance


@pytest.mark.parametrize("picture", PICTURES)
@pytest.mark.parametrize("share", [0.25, 0.5, 0.75, 2.0])
def test_another_size_is_a_copy(picture: Image, share: float) -> None:
    assert distance(made.resized(picture, share), picture) <= 1


@pytest.mark.parametrize("picture", PICTURES)
@pytest.mark.parametrize("quality", [40, 75])
def test_another_compression_is_a_copy(picture: Image, quality: int) -> None:
    assert distance(made.compressed(picture, quality), picture) <= 1


@pytest.mark.parametrize("picture", PICTURES)
@pytest.mark.parametrize("longest", [96, 160, 200, 240])
@pytest.mark.parametrize("quality", [60, 75])
def test_a_thumbnail_is_a_copy(picture: Image, longest: int, quality: int) -> None:
    """JPEG keeps one colour for 2 x 2 pixels, which in a thumbnail is much."""
    small = made.resized(picture, longest / max(picture.shape))
    assert distance(made.compressed(small, quality), picture) <= 1


@pytest.mark.parametrize("picture", PICTURES)
@pytest.mark.parametrize("gain", [0.9, 1.1])
def test_another_light_is_a_copy(picture: Image, gain: float) -> None:
    lit = np.asarray(np.clip(picture * gain, 0, 255), np.uint8)
    assert distance(lit, picture) <= 1


@pytest.mark.parametrize("picture", PICTURES)
def test_another_framing_is_a_copy(picture: Image) -> None:
    for copy in (made.cropped(picture, 0.04), made.turned(picture, 1.0)):
        assert distance(copy, picture) <= 1


@pytest.mark.parametrize("picture", PICTURES)
def test_a_wider_framing_is_told(picture: Image) -> None:
    found = pixel_difference(made.overview(picture), made.overview(made.cropped(picture, 0.08)))
    assert found.distance <= 1
    assert found.scale > 1.04


@pytest.mark.parametrize("picture", PICTURES)
def test_a_grey_copy_is_a_copy(picture: Image) -> None:
    found = pixel_difference(made.overview(made.grey(picture)), made.overview(picture))
    assert found.is_grey_copy
    assert found.distance <= 1


@pytest.mark.parametrize("picture", PICTURES)
def test_a_small_thing_is_no_copy(picture: Image) -> None:
    thing = made.with_disc(picture, (250, 250, 250))
    thing[picture.shape[0] // 2 - 6 : picture.shape[0] // 2 + 6, picture.shape[1] // 2 - 14 :][
        :, :28
    ] = 10
    assert distance(thing, picture) > 1
    assert distance(made.resized(made.compressed(thing, 60), 0.5), picture) > 1


def test_another_colour_of_equal_luma_is_no_copy() -> None:
    """1 % of the picture; the embedder hardly sees it."""
    red, green = (
        made.with_disc(made.textured(3), colour) for colour in ((60, 60, 200), (60, 130, 60))
    )
    assert distance(red, green) > 1
    for longest in (128, 200):
        thumbnail = made.compressed(made.resized(red, longest / 640), 60)
        assert distance(thumbnail, green) > 1
        assert distance(thumbnail, red) <= 1


def test_other_words_on_a_page_are_no_copy() -> None:
    assert distance(made.page(1), made.page(2)) > 1
    assert distance(made.resized(made.page(1), 0.7), made.page(1)) <= 1


def test_other_pictures_are_seen_to_be_other_at_a_glance() -> None:
    found = pixel_difference(made.overview(made.textured(1)), made.overview(made.textured(4)))
    assert found.distance > 1
    assert not found.whole


def test_bright_windows_keep_their_variance() -> None:
    """In float32, squares of 250 would leave nothing of a faint pattern."""
    bright = np.full((320, 320, 3), 244, np.uint8)
    bright[::2] = 250
    other = np.full((320, 320, 3), 244, np.uint8)
    other[:, ::2] = 250
    assert distance(bright, bright) <= 0.01
    assert pixel_difference(made.overview(bright), made.overview(other)).structure >= 0


@pytest.mark.parametrize("inner", [False, True])
@pytest.mark.parametrize("window", [16, 7])
def test_the_worst_window_is_found_though_few_are_moved(window: int, *, inner: bool) -> None:
    """Only tiles that can hold it are looked at; here it is sought everywhere."""
    luma = made.overview(made.real_photo()).luma.astype(np.float32)
    other = np.roll(luma, (1, -1), (0, 1))
    height, width = luma.shape
    other[height // 2 :, : width // 3] = np.roll(other[height // 2 :, : width // 3], 2, 1)
    mask = None
    if inner:
        mask = np.ones(luma.shape, np.bool_)
        mask[:20] = mask[:, -20:] = False
    structures = _Structures(luma, other, mask, window)
    found = structures.of(window)
    a, b, margin = structures._one, structures._other, structures._margin

    def correlation(down: int, right: int) -> Floats:
        moved = b[down : down + a.shape[0], right : right + a.shape[1]]
        means, squares, products = (
            [cv2.blur(each, (window, window)) for each in of]
            for of in ((a, moved), (a * a, moved * moved), (a * moved,))
        )
        variances = [np.maximum(s - m * m, 0) + 25 for s, m in zip(squares, means, strict=True)]
        shared = products[0] - means[0] * means[1] + 25
        alike = shared / np.sqrt(variances[0] * variances[1])
        return np.asarray(alike[margin:-margin, margin:-margin], np.float32)

    best = np.max([correlation(*move) for move in [*_MOVES, (1, 1)]], 0)
    apart = 1 - np.minimum(best, 1)
    if mask is not None:
        apart[~mask] = 0
    size = (_half(window), _half(window))
    apart = cv2.blur(apart, size, borderType=cv2.BORDER_REFLECT)
    assert 0.2 < found.highest < 1
    assert found.highest == pytest.approx(float(apart.max()), abs=1e-3)


@pytest.mark.parametrize("inner", [False, True])
@pytest.mark.parametrize(("width", "height"), [(640, 360), (427, 285)])
@pytest.mark.parametrize("window", [16, 12, 8])
def test_every_second_window_tells_of_copies_what_all_do(
    window: int, width: int, height: int, *, inner: bool
) -> None:
    picture = made.real_photo()
    size = (width, height)
    luma, other = (
        made.overview(np.asarray(cv2.resize(each, size), np.uint8)).luma.astype(np.float32)
        for each in (picture, made.compressed(picture, 70))
    )
    mask = None
    if inner:
        mask = np.ones(luma.shape, np.bool_)
        mask[:31] = mask[:, -20:] = False
    structures = _Structures(luma, other, mask, window)
    found, known = structures._some(window, typical=True), structures._windows(window)
    assert 0.005 < found.highest < 0.2
    assert found.highest == pytest.approx(known.highest, rel=0.2)
    assert found.typical == pytest.approx(known.typical, rel=0.2)
    assert found.texture == pytest.approx(known.texture, rel=0.05)
    assert structures.of(window) == found  # no window was looked at closer


def test_copies_that_lie_on_each_other_are_seen_at_once() -> None:
    """What is known of them beforehand saves a look, and changes nothing."""
    picture = made.textured(1)
    pictures = (picture, made.compressed(picture, 60), made.cropped(picture, 0.04), made.page(1))
    shown = [made.overview(each) for each in pictures]
    for other in shown[1:]:
        found = pixel_difference(shown[0], other, alike=True)
        known = pixel_difference(shown[0], other)
        assert (found.distance, found.whole) == (known.distance, known.whole)
