"""Says which parts of a picture count, and paints over the rest.

Points are shares of the picture's width and height, 0 to 1 from the top left, so a region holds at
any resolution. Pictures are compared as painted; a kept frame is stored whole.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from ..arrays import Image, Mask
from ..frames import Picture

Polygon = tuple[tuple[float, float], ...]
"""Corners (x, y), shares of width and height; the last corner is joined to the first."""

LEAST = 0.01
"""Least share of the picture that has to count: two cells of the embedder's grid."""
_GREY = 128
_MOST_MASKS = 32
"""Most masks of one source. A camera needs three; a folder of pictures of many shapes needs three
for each shape."""
_FINE = 4
"""Samples per pixel and axis by which the counting share of a pixel is measured."""


@dataclass(frozen=True, slots=True)
class Regions:
    """Says which parts of a source's pictures count."""

    ignore: tuple[Polygon, ...] = ()
    """Areas that do not count."""
    roi: tuple[Polygon, ...] = ()
    """Areas outside of which nothing counts. Empty: everything may count."""
    _masks: dict[tuple[int, int], Mask] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    """Masks by width and height. Each source has its own, however many sources there are."""

    def __bool__(self) -> bool:
        """Tells whether any part of the picture does not count."""
        return bool(self.ignore or self.roi)

    @property
    def key(self) -> str:
        """Gives a hash that differs if pictures are painted differently; empty: none is painted."""
        text = repr((self.ignore, self.roi))
        return hashlib.sha256(text.encode()).hexdigest()[:16] if self else ""

    @property
    def share(self) -> float:
        """Gives the share of the picture that counts, 0 to 1."""
        return float(_coverage(self, 320, 180).mean()) if self else 1.0

    def counting(self, rows: int, columns: int) -> Mask | None:
        """Returns (rows, columns): cells of which most counts, at least one. None: all count."""
        return self._counting(columns, rows) if self else None

    def paint(self, image: Image) -> Image:
        """Returns the image, grey or in colour, with one grey over all parts that do not count."""
        if not self:
            return image
        painted = image.copy()
        painted[~self._counting(image.shape[1], image.shape[0])] = _GREY
        return painted

    def painted(self, picture: Picture) -> Picture:
        """Returns the picture as the embedder is to see it; the same one if all of it counts."""
        return Painted(picture, self.paint) if self else picture

    def _counting(self, width: int, height: int) -> Mask:
        """Returns (height, width): the pixels of which at least half counts.

        If a region is too thin for that, the pixels of which any part counts.
        """
        if (mask := self._masks.get((width, height))) is None:
            coverage = _coverage(self, width, height)
            most = coverage >= 0.5
            mask = most if most.any() else coverage > 0
            if len(self._masks) >= _MOST_MASKS:
                self._masks.clear()
            self._masks[width, height] = mask
        return mask


EVERYTHING = Regions()


@dataclass(frozen=True, slots=True)
class Painted:
    """Wraps a picture so that `rgb` is painted; all else is the picture's own."""

    picture: Picture
    paint: Callable[[Image], Image]

    @property
    def width(self) -> int:
        return self.picture.width

    @property
    def height(self) -> int:
        return self.picture.height

    @property
    def levels(self) -> tuple[int, int]:
        return self.picture.levels

    def luma(self) -> Image:
        return self.picture.luma()

    def rgb(self, width: int, height: int) -> Image:
        return self.paint(self.picture.rgb(width, height))

    def chroma(self, width: int, height: int) -> Image:
        return self.paint(self.picture.chroma(width, height))

    def bgr(self) -> Image:
        return self.picture.bgr()


def polygon_mistake(points: Iterable[tuple[float, float]]) -> str | None:
    """Returns what is wrong with a polygon, as the end of a sentence; None: nothing."""
    corners = list(points)
    if len(corners) < 3:
        return f"has {len(corners)} points; a polygon needs three or more"
    for x, y in corners:
        if not (math.isfinite(x) and math.isfinite(y) and 0 <= x <= 1 and 0 <= y <= 1):
            return (
                f"has the point [{x:g}, {y:g}]; write shares of width and height from 0 to 1, that "
                "is pixels divided by the picture's size"
            )
    covered = float(_coverage(Regions(roi=(tuple(corners),)), 320, 180).mean())
    if covered == 0 or _flat(corners):
        return "covers no area; its points lie on one line"
    return None


def _flat(corners: list[tuple[float, float]]) -> bool:
    """Tells whether all corners lie on one line."""
    (x0, y0), *others = corners
    vectors = [(x - x0, y - y0) for x, y in others]
    return all(abs(a * d - b * c) < 1e-9 for a, b in vectors for c, d in vectors)


def _coverage(regions: Regions, width: int, height: int) -> NDArray[np.float32]:
    """Returns (height, width): the share of each pixel that counts, 0 to 1."""
    size = (height * _FINE, width * _FINE)
    counts = np.full(size, 0 if regions.roi else 1, np.uint8)
    for polygons, value in ((regions.roi, 1), (regions.ignore, 0)):
        for polygon in polygons:
            _fill(counts, polygon, value)
    blocks = counts.reshape(height, _FINE, width, _FINE)
    return np.asarray(blocks.mean((1, 3)), np.float32)


def _fill(counts: NDArray[np.uint8], polygon: Polygon, value: int) -> None:
    """Sets the samples whose centre lies inside a polygon.

    cv2 draws the border too, which is within half a sample.
    """
    height, width = counts.shape
    corners = np.array(polygon) * (width, height) - 0.5
    cv2.fillPoly(counts, [np.round(corners * 256).astype(np.int32)], value, shift=8)
