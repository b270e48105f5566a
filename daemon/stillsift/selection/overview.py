"""Holds a photograph at the size at which photographs are compared pixel by pixel."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np

from ..arrays import Image
from ..frames import ArrayPicture, Picture, shrink
from .documents import is_document, is_drawn

LONGEST = 640
"""Pixels of the longer side."""
PAGE = 1280
"""The same for documents, which are compared a second time, closer: at 640 pixels the digits of a
letter are 7 pixels high, and a 3 is an 8."""


@dataclass(frozen=True)
class Overview:
    """Holds one photograph, made small. Is never changed."""

    bgr: Image
    """(height, width, 3) uint8 BGR, the longer side at most `LONGEST` pixels."""
    width: int
    height: int
    """Size of the photograph itself, pixels."""
    quality: float | None = None
    """Quality of its JPEG compression, 0 to 100; 100: without loss; None: not known."""
    page: Image | None = None
    """(height, width) uint8 luma of a document, the longer side at most `PAGE` pixels. None: it is
    no document."""
    whole: Callable[[], Image | None] | None = None
    """Decodes the photograph at its full size, (height, width, 3) BGR; None from it: that cannot be
    done any more. None: `known_resolution` says what it is asked for."""
    known_resolution: float = 1.0
    """`resolution` where it is known."""

    @cached_property
    def resolution(self) -> float:
        """Gives the share of its pixels a side that its detail needs, as `resolution` gives it.

        It is measured at the first use: only the larger one of two copies is asked for it.
        """
        pixels = None if self.whole is None else self.whole()
        return self.known_resolution if pixels is None else resolution(_luma(pixels))

    @property
    def pixels(self) -> int:
        """Gives the number of pixels of the photograph itself."""
        return self.width * self.height

    @cached_property
    def luma(self) -> Image:
        """Gives (height, width) uint8 luma of the small picture."""
        return _luma(self.bgr)

    @cached_property
    def is_drawn(self) -> bool:
        """Tells whether it was drawn, as a slide or a map is."""
        return is_drawn(self.luma)

    def closer(self) -> Overview | None:
        """Returns a document in more pixels, without its colour; None: it is no document."""
        if self.page is None:
            return None
        bgr = cv2.cvtColor(self.page, cv2.COLOR_GRAY2BGR)
        return Overview(np.asarray(bgr, np.uint8), self.width, self.height)

    def at(self, width: int, height: int) -> Image:
        """Returns (height, width, 3) uint8 BGR, scaled to exactly this size."""
        return scaled(self.bgr, width, height)


def _luma(bgr: Image) -> Image:
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY), np.uint8)


def _as_it_is(pixels: Image) -> Image:
    return pixels


def overview_of(
    picture: Picture,
    quality: float | None = None,
    luma: Image | None = None,
    paint: Callable[[Image], Image] = _as_it_is,
) -> Overview:
    """Makes the overview of a picture that is in memory, whose `luma` may be known already.

    `paint` covers what does not count, at any size.
    """
    luma = picture.luma() if luma is None else luma
    small = paint(within(picture.bgr(), LONGEST))
    whole = picture.whole if isinstance(picture, ArrayPicture) else None
    page = None
    if is_document(_luma(small)):
        if whole is not None and max(luma.shape) < PAGE and (pixels := whole()) is not None:
            luma, whole = _luma(pixels), None
        page = paint(within(luma, PAGE))
    known = 1.0 if whole is not None else resolution(luma)
    return Overview(small, picture.width, picture.height, quality, page, whole, known)


def within(pixels: Image, longest: int) -> Image:
    """Returns pixels of any number of channels, scaled down to this longer side."""
    height, width = pixels.shape[:2]
    share = min(1.0, longest / max(width, height))
    return scaled(pixels, max(1, round(width * share)), max(1, round(height * share)))


_REMEMBERED = 16
"""Overviews of kept pictures that stay in memory: about 15 MB, and 30 MB of documents.
Copies mostly lie close together."""


class Overviews:
    """Gives the overviews of kept pictures; the last ones stay in memory."""

    def __init__(
        self,
        picture: Callable[[str], ArrayPicture | None],
        paint: Callable[[Image], Image] = _as_it_is,
    ) -> None:
        """Takes what returns the picture of a kept frame by its id; None: it cannot be had.

        It has to be the very picture that was offered, so that it makes no difference whether an
        overview was still in memory. `paint` covers what does not count.
        """
        self._picture = picture
        self._paint = paint
        self._known: OrderedDict[str, Overview] = OrderedDict()

    def of(self, id_: str) -> Overview | None:
        """Returns the overview of a kept frame; None: its picture cannot be had."""
        known = self._known.get(id_)
        if known is None:
            picture = self._picture(id_)
            if picture is None:
                return None
            known = overview_of(picture, picture.quality, paint=self._paint)
        self._remember(id_, known)
        return known

    def add(self, id_: str, overview: Overview) -> None:
        """Remembers the overview of a frame that is kept now.

        What is asked of it later is read where it is kept: its original may have gone by then.
        """
        if overview.whole is not None:
            overview = replace(overview, whole=lambda: self._whole(id_))
        self._remember(id_, overview)

    def _remember(self, id_: str, overview: Overview) -> None:
        self._known[id_] = overview
        self._known.move_to_end(id_)
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)

    def _whole(self, id_: str) -> Image | None:
        picture = self._picture(id_)
        if picture is None or picture.whole is None:
            return None if picture is None else picture.bgr()
        return picture.whole()

    def forget(self, id_: str) -> None:
        """Forgets a frame that is no longer kept."""
        self._known.pop(id_, None)


def scaled(pixels: Image, width: int, height: int) -> Image:
    """Scales to (height, width), without aliasing where it becomes smaller."""
    if pixels.shape[1] >= width and pixels.shape[0] >= height:
        return shrink(pixels, width, height)
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


_CROP = 256
"""Pixels of a side of the parts that are looked at."""
_FLOOR = 0.3
"""Grey levels of detail that rounding to 8 bits makes by itself."""
_ROUNDED = 0.5
"""The same of what halving takes away, which is rounded twice: a smooth part of an enlarged picture
has no more, and says nothing of its detail."""
_FINE = 0.35
"""Detail of the finest octave, as a share of that of the next, from which it is there. Measured on
40 pictures: originals .65 and more, softened by 1.5 pixels .24 to .49, enlarged to the double .21
to .56, half of them below .31. Between, a picture passes for an original: a larger picture that
goes is the greater loss."""
_OCTAVES = 3


def resolution(luma: Image) -> float:
    """Returns the share of its pixels a side that a picture's detail needs: 1, 1/2, 1/4 or 1/8.

    An enlarged picture has nothing in its finest octave. Nine parts of it are looked at, and the
    finest counts, since the others may be out of focus.
    """
    height, width = luma.shape
    least = _OCTAVES
    for top in sorted({max(0, round((height - _CROP) * place / 2)) for place in range(3)}):
        for left in sorted({max(0, round((width - _CROP) * place / 2)) for place in range(3)}):
            part = luma[top : top + _CROP, left : left + _CROP]
            least = min(least, _empty_octaves(part, least))
    return float(0.5**least)


def _empty_octaves(part: Image, most: int) -> int:
    """Returns how often a part can be halved, at most, before that takes detail away."""
    for octave in range(most):
        if min(part.shape) < 8:
            return octave
        half = _halved(part)
        lost = part.astype(np.float32) - _doubled(half, part)
        below = half.astype(np.float32) - _doubled(_halved(half), half)
        if float(lost.std()) >= max(_ROUNDED, _FINE * (float(below.std()) + _FLOOR)):
            return octave
        part = half
    return most


def _halved(luma: Image) -> Image:
    size = (max(1, luma.shape[1] // 2), max(1, luma.shape[0] // 2))
    return np.asarray(cv2.resize(luma, size, interpolation=cv2.INTER_AREA), np.uint8)


def _doubled(luma: Image, like: Image) -> Image:
    size = (like.shape[1], like.shape[0])
    return np.asarray(cv2.resize(luma, size, interpolation=cv2.INTER_CUBIC), np.uint8)
