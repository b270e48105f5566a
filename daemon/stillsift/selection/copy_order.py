"""Tells which of two copies of one picture is the better one.

Of 59 photographs the original was kept beside a noisy copy 51 to 53 times, beside a thumbnail
always, beside JPEG quality 30 58 times, beside a grey copy always. Mild sharpening and mild blur
cannot be told apart, so neither is called worse.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from ..arrays import Floats, Image
from .light import has_colours
from .overview import LONGEST, Overview, scaled
from .pixel_difference import PixelDifference
from .sharpness import sharpness

_WIDER = 1.04
"""Factor by which one framing must be wider."""
_MOST_SHIFTED = 0.12
"""Shift of the middle up to which a wider framing shows all of the other one."""
_MORE = 1.2
"""Factor from which one picture has more pixels."""
_ENLARGED = 2.9
"""Factor on the pixels from which an enlargement is one: the originals of mild ones are no
better."""
_FRAME_LEVELS = 12
"""Levels of a colour channel within which the outermost lines of a picture are a frame."""
_ENOUGH = 0.9
"""Share of what an enlarged picture's detail needs that the smaller one has to have."""
_SOFT, _SOFTER = 0.6, 0.75
"""Share of the other's sharpness, at half the size, below which a picture is blurred in spite of
its pixels; and below which it is blurred if it has no more of them."""
_SHARP = 0.36
"""Sharpness of an ordinary picture. Measured on 40: originals .4 to .8 but for one, blurred by 1.5
pixels .14 to .27."""
_QUALITY, _SOME_QUALITY = 25, 10
"""Difference of the JPEG qualities that shows, and that decides where nothing else does."""
_NOISE = 1.0
"""Grey levels of noise that show."""
_ALIKE = 0.3
"""Correlation of what one picture adds with the detail of the other, up to which it is noise."""
_TINT = 2.0
"""Levels of chroma that JPEG gives to paper that is nearly white."""
_HALO = 4.5
"""Grey levels by which edges of a picture overshoot those of another: sharpened too much. Of 32
photographs that a 3 x 3 kernel sharpened, 6 were beyond 1 / 0.55 of the sharpness and softened the
original at half the size as well; blur that leaves a picture sharp does not."""


@dataclass(frozen=True, slots=True)
class Better:
    """Says which of two copies is the better one, and why."""

    first: bool | None
    """Whether it is the first; None: nothing tells."""
    why: str
    """What is said of the better one: "is larger"."""
    plain: bool = True
    """Whether it is so much better that it may take the place of one that was kept. The sharper one
    of two, as a rule, is not."""


def better(a: Overview, b: Overview, difference: PixelDifference | None) -> Better:
    """Returns which of two copies to keep.

    `difference`: that of `a` and `b`; None: they are near to each other, but no copies in pixels.
    """
    if difference is not None:
        scale = difference.scale
        if not 1 / _WIDER < scale < _WIDER and difference.shift < _MOST_SHIFTED:
            framed = _is_framed(a.bgr), _is_framed(b.bgr)
            if framed[0] != framed[1]:
                return Better(framed[1], "has no frame around it")
            return Better(scale > 1, "shows more of the scene")
        if difference.is_grey_copy and (first := _is_more_coloured(a, b)) is not None:
            return Better(first, "is in colour")
    looks = _Looks(a, b)
    if max(a.pixels, b.pixels) > _MORE * min(a.pixels, b.pixels):
        return _by_size(a, b, looks)
    found = _by_look(a, b, looks)
    if found.first is None and difference is None and looks.sharp[0] != looks.sharp[1]:
        # Two shots, and no copies: nothing but the pictures themselves can tell.
        return Better(looks.sharp[0] > looks.sharp[1], "is sharper", plain=False)
    return found


def _by_size(a: Overview, b: Overview, looks: _Looks) -> Better:
    if looks.softness < _SOFT:  # out of focus: no pixels make up for it
        return Better(looks.first_is_crisper, "is not blurred")
    first_is_larger = a.pixels > b.pixels
    large, small = (a, b) if first_is_larger else (b, a)
    needed = large.pixels * large.resolution**2
    if large.pixels > _ENLARGED * small.pixels and small.pixels >= _ENOUGH * needed:
        return Better(not first_is_larger, "is not enlarged")
    return Better(first_is_larger, "is larger")


def _by_look(a: Overview, b: Overview, looks: _Looks) -> Better:
    """Returns the better one of two of about one size."""
    lower = min(looks.sharp)
    if looks.softness < _SOFTER and lower < _SHARP:
        return Better(looks.first_is_crisper, "is not blurred")
    qualities = (a.quality, b.quality)
    quality = 0.0 if a.quality is None or b.quality is None else a.quality - b.quality
    if abs(quality) >= _QUALITY and looks.softness > 0.85:
        return Better(quality > 0, "is less compressed")
    if looks.noisier_is_sharper and looks.noise_is_noise:
        return Better(looks.noise[0] < looks.noise[1], "is less noisy")
    first_is_sharper = looks.sharp[0] > looks.sharp[1]
    share = lower / max(*looks.sharp, 1e-6)
    if share < 0.87:
        beyond_a_lens = share >= 0.55 or looks.softness < _SOFTER
        if lower >= _SHARP and beyond_a_lens and looks.halo >= _HALO:
            return Better(not first_is_sharper, "is not sharpened", plain=False)
        return Better(first_is_sharper, "is sharper", plain=False)
    if None not in qualities and abs(quality) >= _SOME_QUALITY:
        return Better(quality > 0, "is less compressed", plain=False)
    return Better(None, "came first", plain=False)


class _Looks:
    """Measures two copies side by side, at one size, as far as something depends on it."""

    def __init__(self, a: Overview, b: Overview) -> None:
        longest = min(LONGEST, max(a.bgr.shape[:2]), max(b.bgr.shape[:2]))
        share = longest / max(a.bgr.shape[:2])
        height, width = (max(8, round(side * share)) for side in a.bgr.shape[:2])
        self._lumas = scaled(a.luma, width, height), scaled(b.luma, width, height)
        coarse = self._sharpness(0.5)
        self.first_is_crisper = coarse[0] > coarse[1]
        self.softness = min(coarse) / max(*coarse, 1e-6)
        """Sharpness of the softer one, at half the size, as a share of the other's."""

    @cached_property
    def sharp(self) -> tuple[float, float]:
        """Gives the sharpness of both."""
        return self._sharpness(1.0)

    @cached_property
    def noise(self) -> tuple[float, float]:
        """Gives the standard deviation of the noise in the quietest parts of both, grey levels."""
        return _noise(self._lumas[0]), _noise(self._lumas[1])

    def _sharpness(self, share: float) -> tuple[float, float]:
        height, width = (max(8, round(side * share)) for side in self._lumas[0].shape)
        a, b = (sharpness(scaled(luma, width, height)).value for luma in self._lumas)
        return a, b

    @property
    def noisier_is_sharper(self) -> bool:
        """Tells whether one is clearly noisier, and counts as sharper for it."""
        most, apart = max(self.noise), abs(self.noise[0] - self.noise[1])
        clearly = most > _NOISE and apart > max(0.5, 0.3 * most)
        return clearly and (self.noise[0] > self.noise[1]) == (self.sharp[0] > self.sharp[1])

    @property
    def noise_is_noise(self) -> bool:
        """Tells whether what the sharper one adds has nothing to do with the other's detail."""
        sharper, softer = self._by_sharpness()
        detail = _detail(softer)
        added = _detail(sharper) - detail
        alike = float((added * detail).mean() / (added.std() * detail.std() + 1e-3))
        return alike < _ALIKE

    @property
    def halo(self) -> float:
        """Gives by how much the edges of the sharper one overshoot, grey levels."""
        sharper, softer = self._by_sharpness()
        kernel = np.ones((5, 5), np.uint8)
        above = cv2.subtract(sharper, cv2.dilate(softer, kernel))
        below = cv2.subtract(cv2.erode(softer, kernel), sharper)
        beyond = np.maximum(above, below)
        return float(np.percentile(beyond, 99))

    def _by_sharpness(self) -> tuple[Image, Image]:
        a, b = self._lumas
        return (a, b) if self.sharp[0] > self.sharp[1] else (b, a)


def _detail(luma: Image) -> Floats:
    values = luma.astype(np.float32)
    return np.asarray(values - cv2.GaussianBlur(values, (0, 0), 1.5), np.float32)


_NOISE_KERNEL = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6
"""Kernel that leaves noise alone: J. Immerkaer, "Fast Noise Variance Estimation", 1996."""
_TILE = 16


def _noise(luma: Image) -> float:
    """Returns the noise in the quietest tenth of a picture that is neither black nor white."""
    left = cv2.filter2D(luma, cv2.CV_32F, _NOISE_KERNEL)
    size = max(1, luma.shape[1] // _TILE), max(1, luma.shape[0] // _TILE)
    power, level = (
        cv2.resize(each, size, interpolation=cv2.INTER_AREA).ravel()
        for each in (left * left, luma.astype(np.float32))
    )
    inside = power[(level > 8) & (level < 247)]
    return float(np.sqrt(np.percentile(inside, 10))) if inside.size else 0.0


def _is_framed(bgr: Image) -> bool:
    """Tells whether all four outermost lines of a (height, width, 3) picture have one colour."""
    lines = np.concatenate([bgr[0], bgr[-1], bgr[:, 0], bgr[:, -1]]).astype(np.int16)
    return bool((lines.max(0) - lines.min(0)).max() <= _FRAME_LEVELS)


def _is_more_coloured(a: Overview, b: Overview) -> bool | None:
    """Tells whether the first of two has more colours, as against one tone; or more of its tone.

    None: neither has.
    """
    samples = []
    for each in (a, b):
        small = cv2.cvtColor(each.at(64, 64), cv2.COLOR_BGR2YCrCb)
        samples.append(small.reshape(-1, 3).astype(np.float32))
    many = [has_colours(sample) for sample in samples]
    if many[0] != many[1]:
        return many[0]
    chroma = [float(np.abs(sample[:, 1:] - 128).mean()) for sample in samples]
    return chroma[0] > chroma[1] if abs(chroma[0] - chroma[1]) > _TINT else None
