"""Fits pictures of any shape into the input of a network without stretching them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ..arrays import Floats, Image

_GREY = 114
"""Value of the pixels beside the picture: what YOLO is trained with, and near NanoDet's mean."""


@dataclass(frozen=True, slots=True)
class Letterbox:
    """Describes how a picture lies in an input: scaled alike both ways, at the top left."""

    width: int
    height: int
    """Size of the input, in pixels."""
    across: int
    down: int
    """Size of the picture within it, in pixels."""
    picture: tuple[int, int]
    """(width, height) of the picture itself."""

    def filled(self, picture: Image) -> Image:
        """Returns the input, (height, width, 3) uint8, from a picture of the described size."""
        smaller = self.across * self.down < self.picture[0] * self.picture[1]
        how = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
        scaled = cv2.resize(picture, (self.across, self.down), interpolation=how)
        if (self.across, self.down) == (self.width, self.height):
            return np.asarray(scaled, np.uint8)
        image = np.full((self.height, self.width, 3), _GREY, np.uint8)
        image[: self.down, : self.across] = scaled
        return image

    def in_picture(self, boxes: Floats) -> Floats:
        """Returns (N, 4) boxes of the input (left, top, right, bottom) in pixels of the picture."""
        across, down = self.picture[0] / self.across, self.picture[1] / self.down
        scaled = boxes * np.asarray((across, down, across, down), np.float32)
        return scaled.clip(0, np.asarray(self.picture * 2, np.float32))


def fitted(picture: tuple[int, int], size: tuple[int, int]) -> Letterbox:
    """Returns how a picture of (width, height) fits into an input of one size."""
    factor = min(size[0] / picture[0], size[1] / picture[1])
    across, down = (
        min(max(1, round(side * factor)), most) for side, most in zip(picture, size, strict=True)
    )
    return Letterbox(*size, across, down, picture)


def trimmed(picture: tuple[int, int], longest: int, multiple: int) -> Letterbox:
    """Returns how a picture of (width, height) fits into the smallest input that holds it.

    Its longer side becomes `longest` pixels, and both sides of the input multiples of `multiple`:
    a wide picture needs no room below it, and costs the less.
    """
    inner = fitted(picture, (longest, longest))
    width, height = (-(-side // multiple) * multiple for side in (inner.across, inner.down))
    return Letterbox(width, height, inner.across, inner.down, picture)
