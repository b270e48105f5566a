"""Lays a transparent picture over a plain ground, as a viewer does.

The colour under the transparency is never seen, and is often the same everywhere: of black icons on
transparent ground it shows nothing but black.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .strips import strips

_WHITE = 255.0
_BLACK = 0.0
_LIGHT = 170.0
"""Mean luma from which the opaque part is light, and is laid over black instead of white. Light
icons on white ground would be as invisible as black ones on black."""
_LUMA = np.array((0.114, 0.587, 0.299), np.float32)
"""Weights of blue, green and red in luma (ITU-R BT.601)."""


def laid_over_ground(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Returns (height, width, 3) uint8 BGR of (height, width, 4) uint8 BGRA.

    The ground is white, or black where the opaque part is light.
    """
    if int(pixels[..., 3].min()) == 255:
        return np.ascontiguousarray(pixels[..., :3])
    laid = np.empty((*pixels.shape[:2], 3), np.uint8)
    ground = _ground(pixels)
    for rows in strips(pixels):
        colour, cover = _parts(pixels[rows])
        laid[rows] = colour * cover + ground * (1 - cover) + 0.5
    return laid


def _ground(pixels: NDArray[Any]) -> float:
    """Returns the grey level of the ground for a picture, 0 or 255."""
    light, weight = 0.0, 0.0
    for rows in strips(pixels):
        colour, cover = _parts(pixels[rows])
        light += float(((colour @ _LUMA) * cover[..., 0]).sum(dtype=np.float64))
        weight += float(cover.sum(dtype=np.float64))
    return _BLACK if light >= _LIGHT * weight > 0 else _WHITE


def _parts(pixels: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Returns the colour, 0-255, and how much of the ground each pixel covers, 0-1."""
    values = pixels.astype(np.float32)
    return values[..., :3], values[..., 3:] / np.float32(255)
