"""Makes small grey pictures, in which what can be seen to have changed is counted."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from ..arrays import Floats, Image

_SIZE = (80, 45)
"""Width and height, pixels. One is 24 pixels wide at 1080p, so sensor noise averages out."""
_LEVELS = 20
"""Grey levels. Above it a pixel of a small picture has changed; coding and noise reach a few."""


def small_picture(
    luma: Image, levels: tuple[int, int] = (0, 255), paint: Callable[[Image], Image] = np.asarray
) -> Image:
    """Returns the (45, 80) uint8 means of a luma of any size, 0 for black and 255 for white.

    `levels`: the luma of black and of white. `paint` is applied before.
    """
    small = cv2.resize(paint(luma), _SIZE, interpolation=cv2.INTER_AREA)
    black, white = levels
    scale = 255 / (white - black)
    # Rounds and clips: video has room below its black and above its white.
    return np.asarray(cv2.convertScaleAbs(np.maximum(small, black), None, scale, -black * scale))


def changed(pictures: Image, one: Image) -> Floats:
    """Returns the (K,) share of the pixels in which each of (K, 45, 80) pictures differs from one.

    No change of light is taken off: it can be seen.
    """
    apart = np.maximum(pictures, one) - np.minimum(pictures, one)
    return np.asarray((apart > _LEVELS).mean((1, 2)), np.float32)
