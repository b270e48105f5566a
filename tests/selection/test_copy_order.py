"""Of two copies, the better one: whichever of the two came first."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

import photographs as made
from clips import real_pictures
from stillsift.arrays import Image
from stillsift.selection.copy_order import better
from stillsift.selection.overview import Overview, resolution
from stillsift.selection.pixel_difference import pixel_difference

PICTURES = [made.real_photo(), made.textured(1)]


def sharp_detail(picture: Image) -> Image:
    """The same with the fine detail that a lens gives, so that its pixels are used."""
    grain = made.textured(9, picture.shape[1], picture.shape[0]).astype(np.int16)
    fine = grain - made.blurred(grain.astype(np.uint8), 1.0).astype(np.int16)
    return np.asarray(np.clip(picture.astype(np.int16) + fine // 2, 0, 255), np.uint8)


def better_of(original: Overview, copy: Overview) -> str:
    """Why the original is preferred, in both orders; "" where it is not."""
    one = better(original, copy, pixel_difference(original, copy))
    other = better(copy, original, pixel_difference(copy, original))
    assert one.why == other.why
    return one.why if one.first is True and other.first is False else ""


@pytest.mark.parametrize("picture", PICTURES)
def test_more_pixels_win(picture: Image) -> None:
    whole = sharp_detail(picture)
    original = made.overview(whole)
    for share in (0.25, 0.4, 0.8):
        assert better_of(original, made.overview(made.resized(whole, share))) == "is larger"


def test_an_enlarged_copy_has_no_more_to_show() -> None:
    picture = sharp_detail(made.textured(1))
    enlarged = made.resized(picture, 2.0)
    assert better_of(made.overview(picture), made.overview(enlarged)) == "is not enlarged"


def test_the_resolution_of_an_enlarged_picture_is_that_of_its_original() -> None:
    luma = sharp_detail(made.textured(1))[..., 1]
    assert resolution(luma) == 1
    assert resolution(made.resized(luma, 2.0)) == 0.5
    assert resolution(np.full((40, 40), 7, np.uint8)) < 1


@pytest.mark.parametrize("quality", [92, 95])
def test_a_smooth_part_does_not_hide_that_a_picture_was_enlarged(quality: int) -> None:
    """There, nothing but rounding is left in any octave."""
    noise = made.noisy(np.full((400, 640, 3), 150, np.uint8), 30)
    picture = np.concatenate([made.blurred(noise, 4), sharp_detail(made.textured(1))])
    assert resolution(made.compressed(picture, quality)[..., 1]) == 1
    enlarged = made.compressed(made.resized(picture, 2.0), quality)
    assert resolution(enlarged[..., 1]) == 0.5


@pytest.mark.parametrize("picture", PICTURES)
def test_pixels_do_not_make_up_for_blur(picture: Image) -> None:
    blurred = made.overview(made.blurred(made.resized(picture, 1.5), 9))
    assert better_of(made.overview(picture), blurred) == "is not blurred"


@pytest.mark.parametrize("picture", PICTURES)
def test_colour_wins(picture: Image) -> None:
    assert better_of(made.overview(picture), made.overview(made.grey(picture))) == "is in colour"


def test_the_colours_win_over_one_tone() -> None:
    """Though the tone has more colour in it."""
    picture = np.asarray(made.textured(1) * 0.5 + made.grey(made.textured(1)) * 0.5, np.uint8)
    assert better_of(made.overview(picture), made.overview(made.sepia(picture))) == "is in colour"


def test_the_tint_of_paper_is_no_colour() -> None:
    page = made.page(1)
    page = np.asarray(page.astype(np.float32) * (0.97, 0.985, 0.99), np.uint8)
    copy = made.overview(made.compressed(page, 40), 40)
    assert better_of(made.overview(page, 100), copy) == "is less compressed"


@pytest.mark.parametrize("picture", PICTURES)
def test_a_clean_picture_wins(picture: Image) -> None:
    copy = made.overview(made.noisy(picture, 8))
    assert better_of(made.overview(picture), copy) == "is less noisy"


@pytest.mark.parametrize("picture", PICTURES)
def test_less_compression_wins(picture: Image) -> None:
    copy = made.overview(made.compressed(picture, 30), 30)
    assert better_of(made.overview(picture, 92), copy) == "is less compressed"


@pytest.mark.parametrize("picture", PICTURES)
def test_a_wider_framing_wins(picture: Image) -> None:
    copy = made.overview(made.cropped(picture, 0.08))
    assert better_of(made.overview(picture), copy) == "shows more of the scene"


@pytest.mark.parametrize("picture", PICTURES)
@pytest.mark.parametrize("grey", [0, 255])
def test_a_frame_around_a_picture_shows_no_more_of_the_scene(picture: Image, grey: int) -> None:
    framed = np.pad(picture, ((16, 16), (16, 16), (0, 0)), constant_values=grey)
    assert better_of(made.overview(picture), made.overview(framed)) == "has no frame around it"


def test_a_picture_sharpened_too_much_loses() -> None:
    picture = sharp_detail(made.textured(1))
    soft = made.blurred(picture, 2).astype(np.float32)
    sharpened = np.asarray(np.clip(2.5 * picture - 1.5 * soft, 0, 255), np.uint8)
    assert better_of(made.overview(picture), made.overview(sharpened)) == "is not sharpened"


@pytest.mark.parametrize(
    "picture",
    [
        sharp_detail(made.textured(1)),
        np.ascontiguousarray(real_pictures("bigbuckbunny")[12][..., ::-1]),
    ],
)
def test_edges_sharpened_by_a_kernel_are_no_detail(picture: Image) -> None:
    """The copy has more than twice the sharpness, as a sharp picture has beside a blurred one."""
    kernel = np.full((3, 3), -1, np.float32)
    kernel[1, 1] = 9
    sharpened = np.asarray(cv2.filter2D(picture, -1, kernel), np.uint8)
    look = made.overview(picture), made.overview(sharpened)
    assert better(*look, None).why == better(*look[::-1], None).why == "is not sharpened"
    assert better(*look, None).first is True


@pytest.mark.parametrize("picture", [sharp_detail(made.textured(1)), made.textured(2)])
def test_a_picture_is_not_sharpened_beside_a_softer_one(picture: Image) -> None:
    for sigma in (1.0, 1.5, 2.0, 4.0):
        blurred = made.overview(made.blurred(picture, sigma))
        assert better(made.overview(picture), blurred, None).first is True


def test_the_same_twice_is_not_better() -> None:
    picture = made.overview(made.textured(1))
    assert better(picture, picture, pixel_difference(picture, picture)).first is None
