"""Pages of one layout are told apart, and the copy of each is found among them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

import photographs as made
from sifting import lite0, photo, reasons, sift, thumbnail_of
from stillsift.arrays import Image
from stillsift.decisions import Reason
from stillsift.frames import ArrayPicture
from stillsift.selection import Album, Gallery, Limits, Sifter
from stillsift.selection.pages import Pages, alike, page_of

ITEMS = ("paper", "pencil", "ruler", "cable", "lamp", "screw", "board", "chair")


def invoice(number: int) -> Image:
    """One form; all that differs is its number, the prices and the total."""
    random = np.random.default_rng(number)
    page = np.full((877, 620, 3), 255, np.uint8)
    made.write(page, "ACME OFFICE SUPPLY", 45, 65)
    made.write(page, f"Invoice {random.integers(10_000, 99_999)}", 45, 150)
    for line in range(14):
        made.write(page, f"{line + 1} {ITEMS[line % 8]} standard article", 45, 230 + 30 * line)
        made.write(page, f"{random.integers(1000, 9999) / 100:.2f}", 450, 230 + 30 * line)
    made.write(page, f"Total {random.integers(10_000, 99_999) / 100:.2f} EUR", 380, 740)
    return page


def copy_of(page: Image) -> Image:
    return made.compressed(made.resized(page, 0.75), 75)


def test_copies_are_found_among_many_pages_of_one_form() -> None:
    """To the embedder they are all alike: a copy is far from being the nearest."""
    pages = [invoice(number) for number in range(24)]
    offered = [photo(each, n) for n, each in enumerate([*pages, *map(copy_of, pages)])]
    pictures = {each.id: ArrayPicture(each.picture.bgr()) for each in offered}
    limits = Limits(lite0().model.spec.cell_limit)
    sifter = Sifter(limits, lite0(), Gallery(2), model="lite0", picture=pictures.get)
    verdicts = sift(sifter, offered)
    assert reasons(verdicts) == [Reason.NOVEL] * 24 + [Reason.NEAR_DUPLICATE] * 24
    named = [each.decision.nearest_kept for each in verdicts[24:]]
    assert named == [each.id for each in offered[:24]]


def test_only_documents_and_drawings_are_pages() -> None:
    assert page_of(None, thumbnail_of(invoice(0))) is None
    for picture, is_page in (
        (invoice(0), True),
        (made.slide("Results", "recall 98 %"), True),
        (made.real_photo(), False),
        (made.textured(1), False),
    ):
        found = page_of(made.overview(picture), thumbnail_of(picture))
        assert (found is not None) == is_page


def test_the_most_alike_comes_first_and_what_is_removed_no_more() -> None:
    pages = [page_of(made.overview(each), thumbnail_of(each)) for each in map(invoice, range(70))]
    held = Pages()
    for number, page in enumerate(pages):
        assert page is not None
        held.add(str(number), page)
    darker = np.asarray(cv2.convertScaleAbs(copy_of(invoice(66)), alpha=0.9), np.uint8)
    sought = page_of(made.overview(darker), thumbnail_of(darker))
    assert sought is not None
    assert held.nearest(sought, 3)[0] == "66"
    other = held.copy()
    held.remove("66")
    held.remove("no page")
    assert "66" not in held.nearest(sought, 70)
    assert len(held.nearest(sought, 70)) == 69
    assert other.nearest(sought, 1) == ["66"]


def test_a_blank_page_is_like_none() -> None:
    blank = np.full((18, 32), 255, np.uint8)
    other = page_of(made.overview(invoice(1)), thumbnail_of(invoice(1)))
    assert other is not None
    rows = np.stack([blank.reshape(-1), other.reshape(-1)])
    assert alike(rows, blank).tolist() == [0, 0]
    assert alike(rows, other).tolist() == pytest.approx([0, 1], abs=1e-5)


def test_an_album_goes_on_with_the_pages_that_were_recorded() -> None:
    """Beside the sixteen photographs nearest by their vectors, it gives the pages most alike."""
    random = np.random.default_rng(1)
    vectors = random.normal(0, 1, (40, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    pages = [page_of(made.overview(each), thumbnail_of(each)) for each in map(invoice, range(40))]
    read: list[str] = []

    def recorded(id_: str) -> None:
        read.append(id_)

    known = ((str(n), vectors[n], pages[n]) for n in range(40))
    album = Album(known, recorded)
    farthest = int(np.argmin(vectors @ vectors[0]))
    album.like(vectors[0], pages[farthest])
    assert str(farthest) in read
    assert len(read) <= 19
