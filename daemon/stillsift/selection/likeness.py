"""Tells whether two photographs show the same, by the embedder's cells and by their pixels.

The embedder sees what is in a picture; pixels see whether two are copies, or the same page with
another number on it. Measured on 3,000 pairs (`pixel_difference` says which): copies called the
same .985 by cells alone, 1.000 so; other pages and invoices told apart .53 and 1.000; one digit on
an A4 page 0 and 1.000; another colour of .5 to 3 % of the picture .70 and .96.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from ..arrays import Image
from ..embedding import Embedding, similarity
from .cells import Cells
from .novelty import Novelty
from .overview import Overview
from .pixel_difference import PixelDifference, aligned_difference, pixel_difference

LIMIT = 1.0
"""Distance up to which two photographs repeat each other, on the scale of `Likeness`."""
_FEATURES = 0.80
"""Cosine from which a crop is looked for with features: crops of 10 % have .81 and more."""
_EMPTY, _EMPTY_STRUCTURE = 0.005, 0.3
"""Share of the picture with structure, and difference of it, up to which both are empty."""
_FIELDS, _FIELD_LEVELS = 8, 24.0
"""Fields a side of a picture, and levels of a colour channel by which one of an empty picture may
differ."""
_MOST_FIELD_LEVELS = 96.0
"""The same of two that are nearly the same: 43 at most on 57 pairs of photographs that followed
each other; a dark icon on white and a light one on black have 255."""
_DRAWN_LEVELS = 40.0
"""The same, of the luma of a drawing and its grey copy: whatever weighs the colours otherwise makes
30 of it, and a scan 25."""
_ONE_VIEW, _ONE_PLACE = 0.3, 2.5
"""`Novelty.view_apart` up to which most of two pictures is the same, and distance of one cell then
above which it is no copy. Measured on copies of 40 pictures at most: light by a quarter 2.0, grey
1.9, a turn of one degree and a crop of 2 % 1.4; crops of 4 % and more change the view. Icons on one
ground are told apart so."""
_AS_THEY_ARE = 0.1
"""`CellsApart.view` up to which copies mostly lie on each other as they are: 118 of 121 that do, of
other size, quality or light, and 5 of 80 that do not, cropped by 0 to 2 % a side."""
_OTHER_TEXT = "a document: other text"
_BEYOND = 1.001
"""Distance of two that are told apart by something else; beyond 1 also with the digits shown."""


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """Holds what is compared of one photograph."""

    id: str
    embedding: Embedding
    cells: Cells
    overview: Overview | None
    """None: its pixels cannot be had."""
    page: Image | None = None
    """`pages.page_of` it; None: it is no document and no drawing, or nothing is sought with it."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """Describes how far two photographs are from each other."""

    distance: float
    """0 the same, up to `LIMIT` they repeat each other."""
    why: str
    difference: PixelDifference | None = None
    """Difference of copies; None: they are no copies of one picture in pixels."""

    @property
    def same(self) -> bool:
        return self.distance <= LIMIT


@dataclass(frozen=True, slots=True)
class CellsApart:
    """Describes how far two photographs are from each other by their cells alone."""

    largest: float
    """`Novelty.between`, over what two that repeat each other have at most."""
    view: float
    """`Novelty.view_apart`, over the factor that was asked for if that is more than 1."""

    @classmethod
    def of(cls, new: Cells, kept: Sequence[Cells], novelty: Novelty) -> list[CellsApart]:
        """Compares a grid with each of others."""
        if not kept:
            return []
        limit, factor = novelty.picture_limit(new), max(1.0, novelty.picture_factor)
        both = zip(*novelty.both_apart(new, kept), strict=True)
        return [cls(float(largest) / limit, float(view) / factor) for largest, view in both]

    @property
    def is_other(self) -> bool:
        """Tells that the two do not show the same, whatever their pixels are.

        They show another view, or one view in which one place is as different as no copy makes it.
        """
        return self.view > 1 or (self.view <= _ONE_VIEW and self.largest > _ONE_PLACE)

    def near(self, novelty: Novelty) -> bool:
        """Tells whether the cells would take the two for one also at a limit of 1."""
        factor = novelty.picture_factor
        return self.largest * factor <= 1 and self.view * max(1.0, factor) <= 1

    def other(self) -> Likeness:
        """Returns the likeness of two that are other pictures; it never counts as the same."""
        return Likeness(max(self.largest, self.view, _BEYOND), "another picture")


def likeness(
    new: Shown, kept: Shown, novelty: Novelty, cells: CellsApart | None = None
) -> Likeness:
    """Compares two photographs. `cells`: what their cells tell; None: not compared yet."""
    if cells is None:
        (cells,) = CellsApart.of(new.cells, [kept.cells], novelty)
    if cells.is_other:
        return cells.other()
    apart = cells.largest
    if new.overview is None or kept.overview is None:
        return Likeness(apart, "its pixels cannot be had: compared by the embedder alone")
    cosine = similarity(new.embedding, kept.embedding)
    # Crops are far apart cell by cell; what is near repeats the other in any case.
    features = cosine >= _FEATURES and apart > 1
    alike = cells.view <= _AS_THEY_ARE
    found = pixel_difference(new.overview, kept.overview, features=features, alike=alike)
    if found.texture < _EMPTY and found.structure < _EMPTY_STRUCTURE:
        apart = _fields_apart(new.overview, kept.overview) / _FIELD_LEVELS
        return Likeness(apart / novelty.picture_factor, "nothing in it but colour")
    in_pixels = found.distance / novelty.picture_factor
    page, other_page = new.overview.closer(), kept.overview.closer()
    if in_pixels <= 1 and page is not None and other_page is not None:
        closer = pixel_difference(page, other_page, features=False)
        if closer.registered and closer.distance > novelty.picture_factor:
            return Likeness(closer.distance / novelty.picture_factor, _OTHER_TEXT)
    are_drawn = new.overview.is_drawn and kept.overview.is_drawn
    if in_pixels <= 1 and are_drawn and found.is_grey_copy:
        # A grey copy is as bright: an icon in black is none of one in red.
        lumas = _fields_apart(new.overview, kept.overview, luma=True) / _DRAWN_LEVELS
        in_pixels = max(in_pixels, lumas / novelty.picture_factor)
        if in_pixels > 1:
            return Likeness(in_pixels, "another colour")
    if in_pixels <= 1:
        return Likeness(in_pixels, _copy_words(new.overview, kept.overview, found), found)
    if apart > 1:
        return Likeness(min(in_pixels, apart), "another picture")
    if page is not None and other_page is not None:
        return Likeness(in_pixels, _OTHER_TEXT)
    fields = _fields_apart(new.overview, kept.overview) / _MOST_FIELD_LEVELS
    if fields > novelty.picture_factor:
        return Likeness(fields / novelty.picture_factor, "another colour")
    if not found.whole:
        found = aligned_difference(new.overview, kept.overview, found)
    # Nobody draws one thing twice from two sides, as who photographs it does. Those that the cells
    # tell apart by themselves are measured by these at every limit.
    drawn = are_drawn and (found.is_exact or (not found.whole and cells.near(novelty)))
    if drawn or (found.registered and found.clear):
        what = "another colour" if found.of_colour_only else "another thing in it"
        return Likeness(max(found.distance / novelty.picture_factor, _BEYOND), what)
    return Likeness(apart, "nearly the same")


def same_but_blurred(soft: Overview, crisp: Overview) -> Likeness:
    """Compares two photographs at a size at which blur does not matter."""
    a, b = (_coarse(each) for each in (soft, crisp))
    found = pixel_difference(a, b, features=False)
    apart = max(found.structure / _COARSE_STRUCTURE, found.chroma / _COARSE_CHROMA)
    return Likeness(apart, "the same, but blurred")


_COARSE = 128
_COARSE_BLUR = 1.6
_COARSE_STRUCTURE, _COARSE_CHROMA = 0.30, 15.0
"""Longer side (pixels) and smoothing (pixels) at which blur does not matter, and the highest
structure and chroma of two that are the same there."""


def _coarse(overview: Overview) -> Overview:
    height, width = overview.bgr.shape[:2]
    share = min(1.0, _COARSE / max(height, width))
    small = overview.at(max(1, round(width * share)), max(1, round(height * share)))
    smooth = cv2.GaussianBlur(small, (0, 0), _COARSE_BLUR)
    return replace(overview, bgr=np.asarray(smooth, np.uint8))


def _fields_apart(a: Overview, b: Overview, *, luma: bool = False) -> float:
    """Returns the largest difference of a colour channel, or of the luma, of any field, levels."""
    fields = [each.at(_FIELDS, _FIELDS).astype(np.float32) for each in (a, b)]
    if luma:
        fields = [np.asarray(cv2.cvtColor(each, cv2.COLOR_BGR2GRAY)) for each in fields]
    return float(np.abs(fields[0] - fields[1]).max())


def _copy_words(new: Overview, kept: Overview, found: PixelDifference) -> str:
    """Returns what kind of copy the new picture is."""
    if found.is_grey_copy:
        return "a copy: the same picture, one of them grey or toned"
    if not 0.96 < found.scale < 1.04 or found.shift > 0.02:
        return "a copy: the same picture, framed otherwise"
    size = (new.pixels / kept.pixels) ** 0.5
    if not 0.97 < size < 1.03:
        return f"a copy: the same picture at {100 * size:.0f} % of the size"
    return "a copy: the same picture"
