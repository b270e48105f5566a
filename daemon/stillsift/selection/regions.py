"""Regions: the parts of a picture that count, and the rest painted over.

Points are shares of the picture's width and height, 0 to 1 from the top left, so a region holds at
any resolution. What is painted is what the picture is compared by; what is kept is kept whole.
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
"""Corners (x, y), shares of width and height; the last is joined to the first."""

LEAST = 0.01
"""Share of the picture that has to count: two cells of the embedder's grid."""
_GREY = 128
_MOST_MASKS = 32
"""Of one source: a camera needs three, a folder of pictures of many shapes three for each shape."""
_FINE = 4
"""Samples per pixel and axis, when a pixel is asked whether most of it counts."""


@dataclass(frozen=True, slots=True)
class Regions:
    """Which parts of a source's pictures count."""

    ignore: tuple[Polygon, ...] = ()
    """What lies in any of these does not."""
    roi: tuple[Polygon, ...] = ()
    """What lies outside all of these does not. Empty: everything may count."""
    _masks: dict[tuple[int, int], Mask] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    """By width and height. Of each source its own, however many sources there are."""

    def __bool__(self) -> bool:
        """Whether anything is left out."""
        return bool(self.ignore or self.roi)

    @property
    def key(self) -> str:
        """Tells pictures that were painted otherwise apart; empty: none is painted."""
        text = repr((self.ignore, self.roi))
        return hashlib.sha256(text.encode()).hexdigest()[:16] if self else ""

    @property
    def share(self) -> float:
        """Of the picture that counts, 0 to 1."""
        return float(_coverage(self, 320, 180).mean()) if self else 1.0

    def counting(self, rows: int, columns: int) -> Mask | None:
        """(rows, columns) cells that count for the most part, never none. None: all count."""
        return self._counting(columns, rows) if self else None

    def paint(self, image: Image) -> Image:
        """The image, grey or in colour, with one grey where it does not count."""
        if not self:
            return image
        painted = image.copy()
        painted[~self._counting(image.shape[1], image.shape[0])] = _GREY
        return painted

    def painted(self, picture: Picture) -> Picture:
        """The picture as the embedder is to see it; itself if all of it counts."""
        return Painted(picture, self.paint) if self else picture

    def _counting(self, width: int, height: int) -> Mask:
        """(height, width) pixels of which at least half counts; of a region too thin for that,
        any."""
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
    """A picture of which `rgb` is painted. All else is the picture's own."""

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

    def bgr(self) -> Image:
        return self.picture.bgr()


def polygon_mistake(points: Iterable[tuple[float, float]]) -> str | None:
    """What is wrong with a polygon, as the end of a sentence; None: nothing."""
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
    (x0, y0), *others = corners
    vectors = [(x - x0, y - y0) for x, y in others]
    return all(abs(a * d - b * c) < 1e-9 for a, b in vectors for c, d in vectors)


def _coverage(regions: Regions, width: int, height: int) -> NDArray[np.float32]:
    """(height, width) share of each pixel that counts, 0 to 1."""
    size = (height * _FINE, width * _FINE)
    counts = np.full(size, 0 if regions.roi else 1, np.uint8)
    for polygons, value in ((regions.roi, 1), (regions.ignore, 0)):
        for polygon in polygons:
            _fill(counts, polygon, value)
    blocks = counts.reshape(height, _FINE, width, _FINE)
    return np.asarray(blocks.mean((1, 3)), np.float32)


def _fill(counts: NDArray[np.uint8], polygon: Polygon, value: int) -> None:
    """A sample lies inside when its centre does; cv2 draws the border too, within half a sample."""
    height, width = counts.shape
    corners = np.array(polygon) * (width, height) - 0.5
    cv2.fillPoly(counts, [np.round(corners * 256).astype(np.int32)], value, shift=8)
