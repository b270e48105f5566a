"""Compares two pictures pixel by pixel: aligned, light taken off, in small windows.

Measured on 3,000 pairs of 59 photographs and 24 documents; half of them were not looked at while
the limits were chosen, and gave the same. Of copies (other size, JPEG or WebP quality, light
+-10 %) all were found, of other pages, invoices and receipts none was taken for a copy, and a
foreign object of 0.3 % of the picture was always seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from ..arrays import Floats, Image, Mask, floats
from .alignment import Placement, correlation, placed, placed_by_features
from .light import LEAST_BLOCKS, block_size, chroma_left, is_grey_copy, is_toned_copy, lit_alike
from .overview import LONGEST, Overview

_STRUCTURE = 0.30
_FINE = 0.38
_CHROMA = 12.5
"""Highest `structure`, `fine` and `chroma` of copies."""
_COVER = 0.78
"""Least share of each of two copies that the other one shows."""
_COARSE = 160
"""Pixels of the longer side at which most other pictures are told apart."""
_COARSE_STRUCTURE, _COARSE_CHROMA = 0.5, 22.0
"""Differences at that size from which no copy was seen at full size."""
_ALIGNED = 0.985
"""Correlation at that size from which features find no better place: 41 crops of 312 that only they
found had .981 at most. Half of the pairs of potatoes have more."""
_WINDOW, _CHROMA_WINDOW = 16, 20
"""Pixels of a side of the windows, at 640 pixels. At half of it, a clock keeps every picture."""
_LEAST_CHROMA_WINDOW = 12
"""Pixels of a side of the blocks of colour in a thumbnail: in half as many, the colours that JPEG
keeps for 2 x 2 pixels each told a quarter of 396 thumbnails from their originals. In these, another
colour of 1 % of the picture is missed in two of 396, both of 96 pixels."""
_COARSE_WINDOW = 12
_SHIFTS = 1
"""Pixels that a window may lie off, after alignment."""
_SAME = 0.2
"""Difference up to which only every `_EVERY`th window is looked at, and none is moved: copies that
lie on each other as they are have less."""
_ROUNDING = 5.0
"""Grey levels of noise that structure must exceed."""
_REGISTERED, _EXACT = 0.05, 0.02
"""`typical` up to which two pictures lie exactly on each other; and so exactly that no alignment
can be better: pages of other text, a scene with another thing in it."""
_UNREFINED = 0.15
"""The same before the last alignment, from which they will not: it made three quarters of the
windows at most 2.1 times as alike, on 76 pairs."""
_EVERY = 2
"""Pixels from one window to the next where not all are looked at; they overlap, and are smooth."""
_TILE = 64
"""Pixels of a side of the parts in which windows are moved, at most."""
_UNLIKE = 1.0
"""1 - correlation of windows that have nothing in common."""
_MOVES = [
    (down, right)
    for down in range(2 * _SHIFTS + 1)
    for right in range(2 * _SHIFTS + 1)
    if (down, right) != (_SHIFTS, _SHIFTS)
]
"""Pixels down and right at which the other luma, padded by `_SHIFTS` more, is moved."""
_OFF = 128.0
"""Taken off before squares are summed: float32 loses the small variance of bright windows."""
_BLOWN = 249
"""Highest colour channel from which light was cut off, and colour with it."""


@dataclass(frozen=True, slots=True)
class PixelDifference:
    """Describes how two pictures differ once they lie on each other in the same light."""

    structure: float
    """Highest 1 - correlation of any window, 0 to 2."""
    fine: float
    """The same in windows of half the size, less what three quarters of them have; 0: the structure
    tells that they are no copies."""
    chroma: float
    """Highest difference of colour of any block, levels."""
    typical: float
    """What three quarters of the windows have at most. Small: the two lie exactly on each other.
    1: that was not measured."""
    texture: float
    """Share of the pictures, 0 to 1, in which either shows structure."""
    scale: float
    """Pixels of the second per pixel of the first; above 1: the first shows more of the scene."""
    shift: float
    """How far the middle lies off, as a share of a side."""
    is_grey_copy: bool
    """Whether one is grey, or of one tone, and the other coloured; then colour says nothing."""
    whole: bool
    """Whether it was seen at full size; else the two are too far apart for that."""
    placement: Placement | None = None
    """How they lie on each other, for a longer side of one pixel; None: they cannot."""

    @property
    def distance(self) -> float:
        """Gives the largest difference; up to 1 the two are copies of one picture."""
        return max(self.structure / _STRUCTURE, self.fine / _FINE, self.chroma / _CHROMA, 0.0)

    @property
    def registered(self) -> bool:
        """Tells whether the two lie exactly on each other, so that every difference is real."""
        return self.typical <= _REGISTERED

    @property
    def clear(self) -> bool:
        """Tells whether a difference is more than what another compression or light makes."""
        return self.structure > 0.5 or self.chroma > _CHROMA

    @property
    def is_exact(self) -> bool:
        """Tells whether the two are the same but for their differences."""
        return self.typical <= _EXACT

    @property
    def of_colour_only(self) -> bool:
        return self.chroma > _CHROMA and self.structure <= 0.5


_FAR = PixelDifference(9, 9, 99, 9, 1, 1, 1, is_grey_copy=False, whole=False)
"""Two pictures that cannot be laid on each other."""


def pixel_difference(
    a: Overview, b: Overview, *, features: bool = True, alike: bool = False
) -> PixelDifference:
    """Compares two photographs. `features`: also looks for crops that only features find.

    The larger is brought to the size of the smaller. Cheapest first: whether they are far apart is
    seen at 160 pixels, and pictures that lie on each other as they are need no alignment. `alike`:
    they probably do, so that the look at 160 pixels comes only where they do not.
    """
    longest = min(max(a.bgr.shape[:2]), max(b.bgr.shape[:2]))
    first, second = _planes(a, b, longest)
    as_they_are = _judged(first, second, Placement.same(), longest) if alike else None
    if as_they_are is not None and as_they_are.distance <= 1:
        return as_they_are
    small = _planes(a, b, _COARSE) if longest >= 1.5 * _COARSE else None
    if small is None or _near_as_they_are(*small):
        found = as_they_are or _judged(first, second, Placement.same(), longest)
        if found.distance <= 1 or found.is_exact:
            return found
    start = None
    if small is not None:
        found, start = _coarse(small, (first, second), features=features)
        if start is None:
            return found
    found = _judged(first, second, placed(first.luma, second.luma, start), longest)
    if found.structure > _STRUCTURE and features and not found.registered:
        placement = placed_by_features(first.luma, second.luma)
        if placement is not None:
            other = _judged(first, second, placement, longest)
            return other if other.structure < found.structure else found
    return found


def aligned_difference(a: Overview, b: Overview, coarse: PixelDifference) -> PixelDifference:
    """Compares two photographs at full size that are far apart at 160 pixels, without features.

    `coarse`: what `pixel_difference` returned of them. The same is returned where they do not lie
    exactly on each other at full size: then nothing is told by the differences.
    """
    if coarse.placement is None:
        return coarse
    longest = min(max(a.bgr.shape[:2]), max(b.bgr.shape[:2]))
    first, second = _planes(a, b, longest)
    start = coarse.placement.at(longest)
    laid = _Laid.of(first, second, start, longest)
    if laid is None or laid.structures().typical(laid.window) > _UNREFINED:
        return coarse
    return _judged(first, second, placed(first.luma, second.luma, start), longest)


def _coarse(
    small: tuple[_Planes, _Planes], planes: tuple[_Planes, _Planes], *, features: bool
) -> tuple[PixelDifference, Placement | None]:
    """Compares at 160 pixels; returns also where to start at full size, or None: too far apart."""
    a, b = small
    factor = max(planes[0].luma.shape) / max(a.luma.shape)
    placement = placed(a.luma, b.luma)
    found = _judged(a, b, placement, None)
    if _near(found):
        return found, placement.at(factor)
    lost = features and correlation(a.luma, b.luma, placement) < _ALIGNED
    if lost and found.structure > _COARSE_STRUCTURE:
        by_features = placed_by_features(planes[0].luma, planes[1].luma)
        if by_features is not None:
            found = _judged(a, b, by_features.at(1 / factor), None)
            if _near(found):
                return found, by_features
    return found, None


def _near(found: PixelDifference) -> bool:
    return found.structure <= _COARSE_STRUCTURE and found.chroma <= _COARSE_CHROMA


def _near_as_they_are(a: _Planes, b: _Planes) -> bool:
    """Tells `_near` of two that were made coarse, the cheaper part first."""
    laid = _Laid.of(a, b, Placement.same(), None)
    if laid is None:
        return False
    if laid.structures().of(laid.window, typical=False).highest > _COARSE_STRUCTURE:
        return False
    return laid.colours(alike=True)[1] <= _COARSE_CHROMA


@dataclass(frozen=True, eq=False)
class _Planes:
    """Holds a picture as it is compared: (height, width) uint8 each."""

    luma: Image
    red: Image
    blue: Image
    """Cr and Cb."""
    brightest: Image
    """The highest of B, G and R."""

    @classmethod
    def of(cls, overview: Overview, width: int, height: int) -> _Planes:
        """Makes them of a photograph, scaled to this size."""
        bgr = overview.at(width, height)
        colours = cv2.split(cv2.cvtColor(bgr, cv2.COLOR_BGR2YCrCb))
        channels = cv2.split(bgr)
        brightest = cv2.max(cv2.max(channels[0], channels[1]), channels[2])
        return cls(*(np.asarray(each, np.uint8) for each in (*colours, brightest)))

    @cached_property
    def halves(self) -> list[Floats]:
        """Gives Y, Cr and Cb at half of the size."""
        return [_halved(each.astype(np.float32)) for each in (self.luma, self.red, self.blue)]

    def laid(self, placement: Placement) -> _Planes:
        """Returns the same as it lies on another picture so."""
        if not placement.moves:
            return self
        merged = cv2.merge([self.luma, self.red, self.blue, self.brightest])
        laid = cv2.split(placement.laid(np.asarray(merged, np.uint8)))
        return _Planes(*(np.asarray(each, np.uint8) for each in laid))


def _planes(a: Overview, b: Overview, longest: int) -> tuple[_Planes, _Planes]:
    """Returns both at one size, the longer side of this many pixels."""
    share = longest / max(a.bgr.shape[:2])
    height, width = (max(16, round(side * share)) for side in a.bgr.shape[:2])
    return _Planes.of(a, width, height), _Planes.of(b, width, height)


def _halved(values: Floats) -> Floats:
    """Returns the means of 2 x 2 values each; an odd row or column is left out."""
    height, width = (side // 2 for side in values.shape)
    even = values[: 2 * height, : 2 * width]
    return np.asarray(cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA), np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class _Laid:
    """Holds two pictures that lie on each other."""

    first: _Planes
    second: _Planes
    samples: list[Floats]
    """(n, 3) YCrCb of each, of blocks that can be compared."""
    inner: Mask | None
    """Where both can be compared; None: everywhere."""
    window: int
    chroma_window: int

    @classmethod
    def of(cls, a: _Planes, b: _Planes, placement: Placement, longest: int | None) -> _Laid | None:
        """Lays the second on the first; None: too little of one is in the other.

        `longest`: their longer side, which scales the windows; None: they were made coarse.
        """
        height, width = a.luma.shape
        window, chroma_window = _COARSE_WINDOW, _COARSE_WINDOW
        if longest is not None:
            share = min(1.0, longest / LONGEST)
            window = max(6, round(_WINDOW * share))
            chroma_window = max(_LEAST_CHROMA_WINDOW, 2 * round(_CHROMA_WINDOW * share / 2))
        inner, overlap = None, 1.0
        if placement.moves:
            seen = placement.laid(np.full((height, width), 255, np.uint8), mask=True)
            overlap = float((seen > 0).mean())
            border = 2 * (max(window, chroma_window) // 2) + 5
            kernel = np.ones((border, border), np.uint8)
            inner = cv2.erode(seen, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=255) > 0
        size = block_size(width, height)
        inside: Mask | slice = slice(None)
        if inner is not None:
            inside = _reduced(inner.astype(np.float32), size).ravel() > 0.99
            if inside.sum() < LEAST_BLOCKS or min(overlap, overlap * placement.scale**2) < _COVER:
                return None
        elif size[0] * size[1] < LEAST_BLOCKS:
            return None
        laid = b.laid(placement)
        samples = [
            np.stack([_reduced(each, size).ravel()[inside] for each in planes.halves], 1)
            for planes in (a, laid)
        ]
        return cls(a, laid, samples, inner, window, chroma_window)

    def structures(self) -> _Structures:
        one, other = self.samples
        lumas = lit_alike(self.first.luma, self.second.luma, one[:, 0], other[:, 0])
        return _Structures(*lumas, self.inner, self.window)

    def colours(self, *, alike: bool) -> tuple[bool, float]:
        """Returns whether only one of them has colours, and else how far these are apart.

        `alike`: what else is in the two is about the same.
        """
        if is_grey_copy(*self.samples):
            return True, 0.0
        chroma = self._chroma()
        if alike and chroma > _CHROMA and is_toned_copy(*self.samples):
            return True, 0.0
        return False, chroma

    def _chroma(self) -> float:
        """Returns the highest difference of colour of any block, levels.

        Blocks are so large that colours at half of the size tell it.
        """
        window = self.chroma_window // 2
        left = chroma_left(self.first.halves, self.second.halves, *self.samples)
        red, blue = (_mean(each, window) for each in left)
        apart = red * red + blue * blue
        if self.inner is not None:
            height, width = apart.shape
            apart[~self.inner[: 2 * height : 2, : 2 * width : 2]] = 0
        blown = cv2.max(self.first.brightest, self.second.brightest) > _BLOWN
        if blown.any():
            apart[_mean(_halved(blown.astype(np.float32)), window) > 0.25] /= 4
        return float(np.sqrt(_highest(apart)))


def _judged(a: _Planes, b: _Planes, placement: Placement, longest: int | None) -> PixelDifference:
    """Compares two pictures that lie on each other so; `longest` as in `_Laid.of`."""
    laid = _Laid.of(a, b, placement, longest)
    if laid is None:
        return _FAR
    height, width = a.luma.shape
    structures = laid.structures()
    coarser = structures.of(laid.window, typical=longest is not None)
    finer = None if coarser.highest > _STRUCTURE else structures.of(max(5, laid.window // 2))
    grey, chroma = laid.colours(alike=coarser.highest <= _COARSE_STRUCTURE)
    return PixelDifference(
        coarser.highest,
        0.0 if finer is None else finer.highest - finer.typical,
        chroma,
        coarser.typical,
        coarser.texture,
        placement.scale,
        placement.shift(width, height),
        grey,
        whole=longest is not None,
        placement=placement.at(1 / max(height, width)),
    )


def _reduced(channel: Floats, size: tuple[int, int]) -> Floats:
    return np.asarray(cv2.resize(channel, size, interpolation=cv2.INTER_AREA), np.float32)


@dataclass(frozen=True, slots=True)
class _Structure:
    """Describes how the structure of two lumas differs in windows of one size."""

    highest: float
    """Highest 1 - correlation."""
    typical: float
    """What three quarters of the windows with texture have at most."""
    texture: float
    """Share of the windows, 0 to 1, in which either shows structure."""


class _Structures:
    """Compares the structure of two (height, width) lumas.

    A window may lie `_SHIFTS` pixels off: resampling moves edges by parts of a pixel.
    """

    def __init__(self, a: Floats, b: Floats, inner: Mask | None, window: int) -> None:
        """`inner`: where both can be compared; None: everywhere. `window`: the largest one."""
        self._margin = 2 * (window // 4) + 2
        self._lumas = _smooth(a), _smooth(b)
        self._inner = inner

    @cached_property
    def _one(self) -> Floats:
        return _padded(self._lumas[0], self._margin)

    @cached_property
    def _other(self) -> Floats:
        return _padded(self._lumas[1], self._margin + _SHIFTS)

    def of(self, window: int, *, typical: bool = True) -> _Structure:
        """Compares in windows of one size. Without `typical`, that of the result is 1."""
        found = self._some(window, typical=typical)
        if found.highest <= _SAME:
            return found
        windows = self._windows(window)
        highest = windows.highest_moved()
        for down, right in _MOVES if typical else ():
            windows.move(down, right)
        return _Structure(highest, windows.typical if typical else 1.0, windows.texture)

    def typical(self, window: int) -> float:
        """Returns `_Structure.typical` of windows of one size."""
        windows = self._windows(window)
        for down, right in _MOVES:
            windows.move(down, right)
        return windows.typical

    def _windows(self, window: int) -> _Windows:
        return _Windows(self._one, self._other, window, self._margin, self._inner)

    @cached_property
    def _moments(self) -> list[Floats]:
        """Gives both lumas, their squares and their product, padded, at half of the size."""
        one, other = (_padded(each, self._margin) for each in self._lumas)
        return [_halved(each) for each in (one, other, one * one, other * other, one * other)]

    def _some(self, window: int, *, typical: bool) -> _Structure:
        """Compares in every `_EVERY`th window, none of which is moved.

        What is averaged over a window is so of its 2 x 2 pixels each: a third of the time. A window
        of an odd size is one pixel smaller, which raises differences.
        """
        height, width = self._lumas[0].shape
        rows, columns = (
            slice(self._margin // 2, self._margin // 2 + side // 2) for side in (height, width)
        )
        one, other, square, other_square, product = (
            _mean(each, window // 2)[rows, columns] for each in self._moments
        )
        rounding = np.float32(_ROUNDING**2)
        variance = np.maximum(square - one * one, 0)
        other_variance = np.maximum(other_square - other * other, 0)
        textured = np.maximum(variance, other_variance) > 5 * rounding
        inner = self._inner
        if inner is not None:
            inner = inner[: 2 * textured.shape[0] : 2, : 2 * textured.shape[1] : 2]
            textured &= inner
        alike = (product - one * other + rounding) / np.sqrt(
            (variance + rounding) * (other_variance + rounding)
        )
        apart = _apart(floats(alike), inner, round(_half(window) / _EVERY))
        middle = _three_quarters(apart[textured]) if typical else 1.0
        return _Structure(_highest(apart), middle, float(textured.mean()))


class _Windows:
    """Compares the windows of one size around each pixel of two lumas."""

    def __init__(
        self, one: Floats, other: Floats, window: int, margin: int, inner: Mask | None
    ) -> None:
        """Compares two lumas that were padded by `margin`, the other one by `_SHIFTS` more."""
        self._lumas, self._window, self._margin, self._inner = (one, other), window, margin, inner
        self._means = [_mean(luma, window) for luma in (one, other)]
        variances = [
            np.maximum(_mean(luma * luma, window) - mean * mean, 0)
            for luma, mean in zip(self._lumas, self._means, strict=True)
        ]
        rounding = np.float32(_ROUNDING**2)
        self._inverse = [floats(1 / np.sqrt(each + rounding)) for each in variances]
        height, width = (side - 2 * margin for side in one.shape)
        self._shape = height, width
        first, second = (
            variance[by : by + height, by : by + width]
            for variance, by in zip(variances, (margin, margin + _SHIFTS), strict=True)
        )
        self._textured = np.maximum(first, second) > 5 * rounding
        if inner is not None:
            self._textured &= inner
        self.texture = float(self._textured.mean())
        everywhere = slice(0, height), slice(0, width)
        self._best = self._correlation(everywhere, _SHIFTS, _SHIFTS)
        self._apart = _apart(self._best, inner, _half(window))
        self.highest = _highest(self._apart)
        self._sampled = self._best[::_EVERY, ::_EVERY].copy()

    def _correlation(self, region: tuple[slice, slice], down: int, right: int) -> Floats:
        """Returns the correlations in a region of the pictures, the other one being moved."""
        reach = self._window // 2 + 1
        near = [slice(each.start - reach, each.stop + reach) for each in region]
        one, other = self._lumas
        products = _at(one, near, self._margin) * _at(other, near, self._margin, down, right)
        height, width = (each.stop - each.start for each in region)
        mean = _mean(products, self._window)[reach : reach + height, reach : reach + width]
        return self._correlated(mean, region, down, right)

    def _correlated(self, mean: Floats, region: Sequence[slice], down: int, right: int) -> Floats:
        """Returns correlations from the mean product of each window."""
        margin = self._margin
        mean = mean - _at(self._means[0], region, margin) * _at(
            self._means[1], region, margin, down, right
        )
        mean += np.float32(_ROUNDING**2)
        mean *= _at(self._inverse[1], region, margin, down, right)
        mean *= _at(self._inverse[0], region, margin)
        return mean

    def move(self, down: int, right: int) -> None:
        """Lets the windows that `typical` is taken of lie this far off."""
        one, other = self._lumas
        sums = cv2.integral(one * other[down : down + one.shape[0], right : right + one.shape[1]])
        height, width = self._shape
        region = slice(0, height, _EVERY), slice(0, width, _EVERY)
        top = self._margin - self._window // 2
        low = top + self._window
        rows, low_rows = (slice(by, by + height, _EVERY) for by in (top, low))
        columns, right_columns = (slice(by, by + width, _EVERY) for by in (top, low))
        total = sums[low_rows, right_columns] - sums[rows, right_columns]
        total += sums[rows, columns] - sums[low_rows, columns]
        mean = floats(total / self._window**2)
        found = self._correlated(mean, region, down, right)
        np.maximum(self._sampled, found, out=self._sampled)

    @property
    def typical(self) -> float:
        """What three quarters of the windows with texture have at most."""
        textured = self._textured[::_EVERY, ::_EVERY]
        inner = None if self._inner is None else self._inner[::_EVERY, ::_EVERY]
        half = round(_half(self._window) / _EVERY)
        return _three_quarters(_apart(self._sampled, inner, half)[textured])

    def highest_moved(self) -> float:
        """Returns the highest 1 - correlation where every window may be moved.

        That makes none higher, so tiles are looked at, the highest first, until no other can be;
        or until one is so high that nothing depends on how much higher another one is.
        """
        height, width = self._shape
        tiles = [
            (slice(top, min(top + _TILE, height)), slice(left, min(left + _TILE, width)))
            for top in range(0, height, _TILE)
            for left in range(0, width, _TILE)
        ]
        before = [_highest(self._apart[tile]) for tile in tiles]
        highest = 0.0
        for most, tile in sorted(zip(before, tiles, strict=True), key=lambda pair: -pair[0]):
            if most <= highest or highest > _UNLIKE:
                break
            highest = max(highest, self._tile_moved(tile))
        return highest

    def _tile_moved(self, tile: tuple[slice, slice]) -> float:
        reach = _half(self._window)
        rows, columns = (
            slice(max(0, part.start - reach), min(side, part.stop + reach))
            for part, side in zip(tile, self._shape, strict=True)
        )
        region = rows, columns
        best = self._best[region]
        for down, right in _MOVES:
            best = np.maximum(best, self._correlation(region, down, right))
        inner = None if self._inner is None else self._inner[region]
        top, left = (part.start - around.start for part, around in zip(tile, region, strict=True))
        apart = _apart(best, inner, reach)[top:, left:]
        height, width = (part.stop - part.start for part in tile)
        return _highest(apart[:height, :width])


def _three_quarters(of: Floats) -> float:
    """Returns what three quarters of so many windows have at most; 0: they are too few."""
    return float(np.percentile(of, 75)) if of.size > 20 else 0.0


def _highest(values: Floats) -> float:
    return cv2.minMaxLoc(values)[1]  # a tenth of the time that numpy takes for a part of an array


def _at(
    values: Floats, region: Sequence[slice], margin: int, down: int = 0, right: int = 0
) -> Floats:
    """Returns a region of the pictures from values that are padded by a margin."""
    rows, columns = region
    return values[
        slice(rows.start + margin + down, rows.stop + margin + down, rows.step),
        slice(columns.start + margin + right, columns.stop + margin + right, columns.step),
    ]


def _half(window: int) -> int:
    return max(3, window // 2)


def _apart(best: Floats, inner: Mask | None, half: int) -> Floats:
    """Returns 1 - correlation of each window, averaged over half a window."""
    apart = 1 - np.minimum(best, 1)
    if inner is not None:
        apart[~inner] = 0
    return _mean(apart, half)


def _smooth(luma: Floats) -> Floats:
    return np.asarray(cv2.GaussianBlur(luma - np.float32(_OFF), (0, 0), 0.8), np.float32)


def _padded(luma: Floats, by: int) -> Floats:
    padded = cv2.copyMakeBorder(luma, by, by, by, by, cv2.BORDER_REFLECT_101)
    return np.asarray(padded, np.float32)


def _mean(values: Floats, window: int) -> Floats:
    """Returns the mean of the window around each pixel."""
    size = (window, window)
    mean = cv2.boxFilter(values, cv2.CV_32F, size, borderType=cv2.BORDER_REFLECT)
    return np.asarray(mean, np.float32)
