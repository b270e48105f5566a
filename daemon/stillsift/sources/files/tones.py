"""Maps pictures of 16 bits and of floats to 8 bits.

An ordinary picture that was saved in more bits uses most of its scale, and keeps it: it comes out
as its twin of 8 bits. What a thermal or depth camera measures lies in a small part of the scale,
and would be one or two grey levels: it is stretched.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .strips import sample, strips

_TAILS = (0.2, 99.8)
"""Percentiles taken for darkest and brightest: a single hot or far pixel is beyond them."""
_MARGIN = 0.05
"""Share of the range that is left free at either end."""
_HOLES = 0.02
"""Share of one value above which it may mean that nothing was measured: zero, as in depth pictures,
or the lowest or highest one where it is further from all others than they span: -9999, -3.4e38."""
_LABELS = 16
"""Most values of a picture that shows labels, and has no holes."""
_NOISE_SPAN = 24.0
"""Least range, in standard deviations of the noise. A picture of nothing but noise stays flat."""
_FULL = 0.5
"""Share of its scale from which a picture counts as using it: stretching it would not double its
contrast."""
_NOISE_KERNEL = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
"""Kernel that leaves noise alone: J. Immerkaer, "Fast Noise Variance Estimation", 1996."""


@dataclass(frozen=True, slots=True)
class _Range:
    """Describes the values of a picture that matter."""

    low: float
    high: float
    middle: float
    noise: float
    """Standard deviation of the noise."""
    holes: tuple[float, ...]
    """Values that mean that nothing was measured."""


def eight_bit(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Returns pixels of any depth as 0-255, of the same shape.

    A picture that uses half of its scale or more, and is not below 0, keeps it. Scales: 65,535;
    4,095 where the picture is below it (a 12-bit sensor leaves the upper bits empty); for floats 1
    or 255, or the highest value. There NaN becomes 0. Any other is stretched by its own range, from
    the 0.2 to the 99.8 percentile; NaN and holes come out as its median, and infinity as black or
    white.
    """
    if pixels.dtype == np.uint8:
        return pixels
    found = _range_of(pixels)
    if found is None:
        return np.zeros(pixels.shape, np.uint8)
    whole = pixels.dtype == np.uint16
    scale = _scale(found, whole=whole)
    mapped = np.empty(pixels.shape, np.uint8)
    fills = found.high >= _FULL * scale and found.high - found.low >= _FULL * scale
    if fills and found.low >= -_MARGIN * scale:  # no photograph is darker than black
        factor = 1 / (16.0 if scale < 4096 else 256.0) if whole else 255.0 / scale
        half = 0.0 if whole else 0.5  # 16 bits: the high byte
        for rows in strips(pixels):
            mapped[rows] = np.clip(_finite(pixels[rows], 0.0), 0, 255 / factor) * factor + half
        return mapped
    least = 1e-6 * max(abs(found.low), abs(found.high), 1e-30)
    span = max(found.high - found.low, _NOISE_SPAN * found.noise, least) * (1 + 2 * _MARGIN)
    low = (found.low + found.high) / 2 - span / 2
    for rows in strips(pixels):
        values = _finite(pixels[rows], found.middle)
        for hole in found.holes:
            values[values == hole] = found.middle
        # Clipped first: what is infinite may not be multiplied.
        mapped[rows] = (np.clip(values, low, low + span) - low) * (255.0 / span) + 0.5
    return mapped


def _scale(found: _Range, *, whole: bool) -> float:
    """Returns the value that stands for white; `whole`: the picture has 16 bits, not floats."""
    if whole:
        return 4095.0 if found.high < 4096 else 65535.0
    return next((top for top in (1.0, 255.0) if found.high <= top), found.high)


def _range_of(pixels: NDArray[Any]) -> _Range | None:
    """Returns the range of a picture; None: nothing was measured anywhere."""
    bands = [_grey(_measured(band)) for band in sample(pixels)]
    values = np.concatenate([band[::2, ::2].ravel() for band in bands])
    values = values[np.isfinite(values)]
    holes = _holes(values)
    values = values[~np.isin(values, holes)]
    if not values.any():
        return None
    low, middle, high = (float(v) for v in np.percentile(values, (_TAILS[0], 50, _TAILS[1])))
    return _Range(low, high, middle, _noise(bands, middle, holes), holes)


def _holes(values: NDArray[np.float32]) -> tuple[float, ...]:
    """Returns the values that mean that nothing was measured."""
    holes: tuple[float, ...] = ()
    for at_the_top in (False, True, False):  # zeros may come after a value below them
        rest = values[~np.isin(values, holes)]
        if not rest.size:
            break
        value = float(rest.max() if at_the_top else rest.min())
        others = rest[rest != value]
        if not others.size or rest.size - others.size <= _HOLES * values.size:
            continue
        low, high = (float(v) for v in np.percentile(others, _TAILS))
        gap = value - high if at_the_top else low - value
        if value == 0 or gap > high - low:
            holes = (*holes, value)
    return holes if holes and len(np.unique(values)) > _LABELS else ()


def _noise(bands: list[NDArray[np.float32]], middle: float, holes: tuple[float, ...]) -> float:
    """Returns the standard deviation of the noise, robust against edges."""
    steps = []
    for band in bands:
        unknown = ~np.isfinite(band) | np.isin(band, holes)
        filled = np.where(unknown, np.float32(middle), band)
        steps.append(np.abs(cv2.filter2D(filled, cv2.CV_32F, _NOISE_KERNEL)).ravel()[::2])
    return float(np.median(np.concatenate(steps))) / 0.6745 / 6


def _grey(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return values if values.ndim == 2 else values.mean(2, dtype=np.float32)


def _measured(pixels: NDArray[Any]) -> NDArray[np.float32]:
    """Returns float32; what is not finite was not measured."""
    with np.errstate(over="ignore"):  # a double may be too large for a float
        return pixels.astype(np.float32)


def _finite(pixels: NDArray[Any], instead: float) -> NDArray[np.float32]:
    """Returns float32; NaN becomes `instead`, and the infinite the largest that there is."""
    return np.nan_to_num(_measured(pixels), copy=False, nan=instead)
