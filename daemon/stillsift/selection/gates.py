"""Drops pictures that are too dark, too bright or too empty to be compared with others.

Brightness is measured by percentiles, as FFmpeg's blackframe does it (98 of 100 pixels below a
limit). The mean would not do: a night with a few lamps has the mean of a covered lens.

Emptiness is measured by the contrast that neighbouring blocks share: noise differs from block to
block, what is in front of a lens does not. The entropy of the grey levels, which CleanVision takes,
would not do: noise has much of it (a lens cap 1.0 to 2.6 bits on the thumbnail), and a white page
with a line of text has little (1.1). A gradual shading is taken off first, since light that leaks
past a cover or falls on fog shows nothing. Measured contrast: lens caps, covered lenses and fogged
pictures with noise up to 10 grey levels 0.0 to 0.5; a road in fog that lets 8 of 100 parts of its
light through 0.8, one lamp in the night 1.2, one line of text on a page 6.7, footage 3 and more.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from ..arrays import Image
from ..decisions import Reason
from .thumbnail import THUMBNAIL

WHITE = 255.0

GATE_REASONS = frozenset({Reason.DARK, Reason.BRIGHT, Reason.LOW_INFORMATION})
"""Reasons for which a gate drops a picture, whatever is new in it."""

_LEFT_OUT = 0.01
"""Share of the picture that may be brighter than a dark one, or darker than a bright one."""


@dataclass(frozen=True, slots=True)
class Exposure:
    """Describes how the light of a picture is spread."""

    shadows: float
    """Luma, 0-255, that all but the darkest hundredth of the picture reaches."""
    highlights: float
    """Luma, 0-255, that all but the brightest hundredth of the picture stays within."""
    contrast: float
    """Root mean square contrast, grey levels, 0 and up: without noise, without gradual shading."""

    def told(self) -> dict[str, float]:
        """Returns the measures as they are recorded, to a tenth of a grey level and a hundredth."""
        return {
            "shadows": round(self.shadows, 1),
            "highlights": round(self.highlights, 1),
            "contrast": round(self.contrast, 2),
        }

    @classmethod
    def of(cls, thumb: Image, levels: tuple[int, int]) -> Exposure:
        """Measures a `thumbnail`, (36, 64); `levels`: its luma of black and of white."""
        luma = np.asarray(cv2.LUT(thumb, _full_range(*levels)), np.float32)
        ordered = np.sort(luma, axis=None)
        place = round(_LEFT_OUT * (len(ordered) - 1))
        return cls(float(ordered[place]), float(ordered[-1 - place]), _contrast(luma))


@dataclass(frozen=True, slots=True)
class Gates:
    """Says which pictures are dropped without a comparison; every gate is off by default."""

    min_brightness: float = 0.0
    """Luma, 0-255; a picture whose highlights are below it is dark."""
    max_brightness: float = WHITE
    """Luma, 0-255; a picture whose shadows are above it is bright."""
    min_contrast: float = 0.0
    """Contrast, grey levels; a picture with less has too little information."""

    def dropped(self, found: Exposure) -> tuple[Reason, str] | None:
        """Returns why a picture is dropped, and the measure that says so; None: it passes."""
        if found.highlights < self.min_brightness:
            return Reason.DARK, f"brightness {found.highlights:.1f} < {self.min_brightness:g}"
        if found.shadows > self.max_brightness:
            return Reason.BRIGHT, f"brightness {found.shadows:.1f} > {self.max_brightness:g}"
        if found.contrast < self.min_contrast:
            return Reason.LOW_INFORMATION, f"contrast {found.contrast:.2f} < {self.min_contrast:g}"
        return None


NO_GATES = Gates()
"""Gates that drop nothing."""


@cache
def _full_range(black: int, white: int) -> NDArray[np.float32]:
    """Returns the (256,) luma, 0-255, of each level of a picture with these for black and white."""
    levels = (np.arange(256, dtype=np.float32) - black) * (WHITE / (white - black))
    return np.asarray(np.clip(levels, 0, WHITE), np.float32)


def _shadings() -> NDArray[np.float32]:
    """Returns (6, blocks), orthonormal: planes and parabolas that describe gradual shading."""
    across, down = THUMBNAIL
    y, x = np.mgrid[-1 : 1 : down * 1j, -1 : 1 : across * 1j]
    made = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], -1).reshape(-1, 6)
    return np.ascontiguousarray(np.linalg.qr(made)[0].T, np.float32)


_SHADINGS = _shadings()


def _contrast(luma: NDArray[np.float32]) -> float:
    """Returns the root of the variance that neighbouring blocks of a (36, 64) luma share.

    It is taken along rows or columns, whichever is more: lines of text share along one only.
    """
    flat = luma.ravel()
    rest = np.asarray(flat - (_SHADINGS @ flat) @ _SHADINGS, np.float32).reshape(luma.shape)
    along_rows = _mean_product(rest[:, 1:], rest[:, :-1])
    along_columns = _mean_product(rest[1:], rest[:-1])
    return float(np.sqrt(max(0.0, along_rows, along_columns)))


def _mean_product(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Returns the mean of a * b; np.mean takes five times as long for blocks this few."""
    return float(np.einsum("yx,yx", a, b)) / a.size
