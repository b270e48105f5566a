"""Photographs that show the same, by cells and by pixels; with the embedder that comes along."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

import photographs as made
from sifting import LIMIT, lite0
from stillsift.arrays import Image
from stillsift.frames import ArrayPicture
from stillsift.selection.cells import Cells
from stillsift.selection.documents import is_document
from stillsift.selection.likeness import Likeness, Shown, likeness
from stillsift.selection.novelty import Novelty
from stillsift.selection.sensitivity import Sensitivity

RULE = Novelty(LIMIT)


def shown(picture: Image, *, readable: bool = True) -> Shown:
    embedding = lite0()(ArrayPicture(picture)).in_half_precision()
    overview = made.overview(picture) if readable else None
    return Shown(str(hash(picture.tobytes())), embedding, Cells.of(embedding), overview)


def compared(a: Image, b: Image) -> Likeness:
    return likeness(shown(a), shown(b), RULE)


def test_pages_are_documents_and_photographs_are_not() -> None:
    assert is_document(made.overview(made.page(1)).luma)
    assert is_document(made.overview(made.resized(made.page(2), 2.0)).luma)
    for picture in (made.real_photo(), made.textured(1), np.full((400, 300, 3), 255, np.uint8)):
        assert not is_document(made.overview(picture).luma)


def test_other_words_are_another_page() -> None:
    assert not compared(made.page(1), made.page(2)).same


def test_one_digit_is_news_on_a_page() -> None:
    for total in ("471.03", "471.09", "417.08"):
        found = compared(made.page(1, total), made.page(1, "471.08"))
        assert not found.same
        assert found.why == "a document: other text"
    assert compared(made.compressed(made.page(1), 60), made.page(1)).same


def test_one_word_is_news_on_a_slide() -> None:
    """It has too little text for a document; to the embedder both are the same."""
    lines = "Margin", "Net: 12 %", "Cash is fine"
    slide, other = made.slide(*lines, "Gross: 31 %"), made.slide(*lines, "Gross: 37 %")
    for picture in (other, made.compressed(other, 60), made.resized(other, 1.5)):
        found = compared(picture, slide)
        assert not found.same
        assert found.why == "another thing in it"
    for share in (0.5, 1.5):
        assert compared(made.resized(made.compressed(slide, 40), share), slide).same


def test_a_light_shape_on_black_is_another_one_than_a_dark_shape_on_white() -> None:
    """As transparent icons of two colours come out; the embedder hardly sees the ground."""

    def dot(ground: int, *bgr: int) -> Image:
        picture = np.full((64, 64, 3), ground, np.uint8)
        cv2.circle(picture, (32, 32), 24, bgr, -1, cv2.LINE_AA)
        return picture

    red, amber, green = dot(255, 30, 30, 220), dot(0, 20, 180, 245), dot(255, 60, 170, 30)
    assert not compared(red, amber).same
    assert not compared(amber, green).same


def test_a_shape_in_black_is_no_grey_copy_of_one_in_colour() -> None:
    """A grey copy is as bright as what it was made of."""

    def dot(*bgr: int) -> Image:
        picture = np.full((96, 96, 3), 255, np.uint8)
        cv2.circle(picture, (48, 48), 36, bgr, -1, cv2.LINE_AA)
        return picture

    red, blue, black = dot(30, 30, 220), dot(220, 60, 30), dot(0, 0, 0)
    assert not compared(black, red).same
    assert not compared(black, blue).same
    for shape in (red, blue):
        assert compared(made.compressed(made.grey(shape), 80), shape).same


def squares(seed: int) -> Image:
    """(656, 656, 3): black and white at random, as in the codes of tickets."""
    drawn = np.random.default_rng(seed).random((33, 33)) > 0.5
    for y, x in ((0, 0), (0, 26), (26, 0)):
        drawn[y : y + 7, x : x + 7] = False
        drawn[y + 1 : y + 6, x + 1 : x + 6] = True
        drawn[y + 2 : y + 5, x + 2 : x + 5] = False
    quiet = np.pad(np.where(drawn, 255, 0).astype(np.uint8), 4, constant_values=255)
    large = np.kron(quiet, np.ones((16, 16), np.uint8))
    return np.asarray(cv2.cvtColor(large, cv2.COLOR_GRAY2BGR), np.uint8)


def test_another_code_of_squares_is_another_one() -> None:
    """To the embedder all are nearly the same."""
    for other in (1, 2, 3):
        assert not compared(squares(other), squares(0)).same
    for copy in (made.resized(squares(0), 0.5), made.compressed(squares(0), 50)):
        assert compared(copy, squares(0)).same


@pytest.mark.parametrize("size", [128, 512])
def test_a_shape_of_one_colour_has_copies(size: int) -> None:
    """Its colour rises as its luma falls: what a white balance did to it cannot be told."""
    dot = np.full((size, size, 3), 255, np.uint8)
    cv2.circle(dot, (size // 2, size // 2), size * 3 // 8, (30, 30, 220), -1, cv2.LINE_AA)
    for copy in (made.resized(dot, 1.5), made.compressed(dot, 60)):
        assert compared(copy, dot).same


@pytest.mark.parametrize("picture", [made.textured(1), made.textured(2, 480, 640)])
def test_a_toned_copy_is_a_copy(picture: Image) -> None:
    found = compared(made.compressed(made.sepia(picture), 80), picture)
    assert found.same
    assert found.why.endswith("grey or toned")


def test_another_colour_in_one_place_is_no_tone() -> None:
    """Most of a real picture has nearly one tone; 2 % of it get another colour, of equal luma."""
    ycc = cv2.cvtColor(made.real_photo(), cv2.COLOR_BGR2YCrCb).astype(np.float32)
    ycc[..., 1:] = 128 + (ycc[..., 1:] - 128) * 1.6
    picture, tinted = ycc.astype(np.uint8), ycc.astype(np.uint8)
    tinted[150:220, 280:350, 1:] += np.array((40, 10), np.uint8)
    one, other = (cv2.cvtColor(each, cv2.COLOR_YCrCb2BGR) for each in (picture, tinted))
    assert not compared(np.asarray(other, np.uint8), np.asarray(one, np.uint8)).same


def test_two_tones_are_two_colours() -> None:
    toned = made.sepia(made.textured(1))
    assert not compared(toned, np.ascontiguousarray(toned[..., ::-1])).same


def test_the_colour_of_a_cup_is_news() -> None:
    """Equal luma: to the embedder the two are nearly the same."""
    ground = made.textured(3)
    red, green = (made.with_disc(ground, colour, 60) for colour in ((60, 60, 200), (60, 130, 60)))
    found = compared(red, green)
    assert not found.same
    assert compared(made.resized(red, 0.5), red).same


def test_empty_pictures_are_the_same_only_in_one_colour() -> None:
    def flat(*bgr: int) -> Image:
        return np.asarray(np.full((300, 400, 3), bgr), np.uint8)

    assert compared(flat(30, 30, 200), flat(32, 30, 205)).same
    assert not compared(flat(30, 30, 200), flat(30, 200, 30)).same
    assert not compared(flat(250, 250, 250), flat(10, 10, 10)).same
    half = flat(200, 200, 200)
    half[:, 200:] = np.linspace(200, 120, 200, dtype=np.uint8)[None, :, None]
    assert not compared(flat(200, 200, 200), half).same


def test_a_picture_that_cannot_be_read_is_compared_by_the_embedder_and_says_so() -> None:
    picture = made.textured(1)
    found = likeness(shown(picture), shown(picture, readable=False), RULE)
    assert found.same
    assert "pixels cannot be had" in found.why


def test_the_words_tell_the_size_of_a_copy() -> None:
    picture = made.textured(1)
    assert compared(made.resized(picture, 0.5), picture).why.endswith("at 50 % of the size")


@pytest.mark.parametrize("word", [Sensitivity.LOWEST, Sensitivity.HIGHEST])
def test_the_limit_is_always_one(word: Sensitivity) -> None:
    """A more sensitive rule takes the same pair to be further apart."""
    a, b = shown(made.compressed(made.textured(1), 40)), shown(made.textured(1))
    normal = likeness(a, b, RULE).distance
    factor = likeness(a, b, Novelty(LIMIT, word)).distance / normal
    assert (factor < 1) == (word is Sensitivity.LOWEST)
