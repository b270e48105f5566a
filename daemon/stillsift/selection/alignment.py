"""Finds how one picture must be moved, turned and scaled to lie on another that shows the same."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from ..arrays import Floats, Image
from .overview import scaled

_STAGES = ((80, 30, 5), (160, 20, 5), (320, 8, 3))
"""Longer side (pixels), iterations, and width of the smoothing (pixels) of each step of ECC, from
coarse to fine. ECC: Evangelidis and Psarakis, "Parametric Image Alignment Using Enhanced
Correlation Coefficient Maximization", 2008."""
_REFINING = ((160, 10, 5), (320, 8, 3))
"""The same where a coarse alignment is known."""
_SCALES = 0.75, 1.33
_SHIFT = 0.15
_TURN = 0.08
"""Least and largest scale, largest shift (share of a side) and turn (radians, about) of what still
counts as the same picture framed otherwise."""
_WORSE = 0.002
"""By how much the correlation may fall in a finer step, which sees more noise."""


@dataclass(frozen=True, slots=True, eq=False)
class Placement:
    """Describes where the pixels of one picture lie in another; both were made of one size."""

    matrix: Floats
    """(2, 3) affine matrix from x, y (pixels) of the first to those of the second."""

    @classmethod
    def same(cls) -> Placement:
        """Returns the placement that moves nothing."""
        return cls(np.eye(2, 3, dtype=np.float32))

    @property
    def moves(self) -> bool:
        return float(np.abs(self.matrix - np.eye(2, 3)).max()) >= 1e-6

    def at(self, factor: float) -> Placement:
        """Returns the same for pictures that are scaled by a factor."""
        matrix = self.matrix.copy()
        matrix[:, 2] *= factor
        return Placement(matrix)

    @property
    def scale(self) -> float:
        """Gives pixels of the second per pixel of the first; above 1: the first shows more."""
        return math.sqrt(abs(float(np.linalg.det(self.matrix[:, :2]))))

    def shift(self, width: int, height: int) -> float:
        """Returns how far the middle moves, as a share of a side."""
        x, y = self._middle_moves(width, height)
        return max(abs(x) / width, abs(y) / height)

    def is_plausible(self, width: int, height: int) -> bool:
        """Tells whether two framings of one picture may differ by as much."""
        if np.linalg.det(self.matrix[:, :2]) <= 0:
            return False
        scale = self.scale
        turned = float(np.abs(self.matrix[:, :2] / scale - np.eye(2)).max())
        small, large = _SCALES
        return small < scale < large and turned < _TURN and self.shift(width, height) < _SHIFT

    def _middle_moves(self, width: int, height: int) -> tuple[float, float]:
        middle = np.array([width / 2, height / 2])
        x, y = self.matrix[:, :2] @ middle + self.matrix[:, 2] - middle
        return float(x), float(y)

    def laid(self, pixels: Image, *, mask: bool = False) -> Image:
        """Returns the second picture as it lies on the first.

        `mask`: 0 instead of the nearest pixel where the second has none.
        """
        height, width = pixels.shape[:2]
        kind = cv2.INTER_NEAREST if mask else cv2.INTER_LINEAR
        border = cv2.BORDER_CONSTANT if mask else cv2.BORDER_REPLICATE
        flags = kind | cv2.WARP_INVERSE_MAP
        laid = cv2.warpAffine(pixels, self.matrix, (width, height), flags=flags, borderMode=border)
        return np.asarray(laid, np.uint8)


def placed(a: Image, b: Image, start: Placement | None = None) -> Placement:
    """Returns how two (height, width) uint8 lumas lie on each other, by ECC from coarse to fine.

    `start`: what is known so far; None: a phase correlation gives the first guess.
    """
    height, width = a.shape
    sizes = {size: _pair(a, b, size) for size, _, _ in _STAGES}
    guess = sizes[160]
    if start is None:
        found = max((Placement.same(), _shifted(guess)), key=lambda each: guess.correlation(each))
        found = found.at(1 / guess.factor)
    else:
        found = start
    best = guess.correlation(found.at(guess.factor))
    for size, steps, smoothing in _STAGES if start is None else _REFINING:
        if size > 160 and max(height, width) <= 160:
            continue  # there is nothing finer in it
        finer = sizes[size].ecc(found, steps, smoothing)
        if finer is None or not finer.is_plausible(width, height):
            continue
        correlation = guess.correlation(finer.at(guess.factor))
        if correlation >= best - _WORSE:
            found, best = finer, max(best, correlation)
    return found


def correlation(a: Image, b: Image, placement: Placement) -> float:
    """Returns that of two uint8 lumas of one size that lie on each other so; -1: less than half."""
    return _pair(a, b, max(a.shape)).correlation(placement)


@dataclass(frozen=True, slots=True, eq=False)
class _Pair:
    """Holds two lumas of one size, made smaller by `factor`."""

    a: Floats
    b: Floats
    factor: float

    def correlation(self, placement: Placement) -> float:
        """Returns the correlation of both where they overlap; -1: that is less than half."""
        height, width = self.b.shape
        a, b = self.a, self.b
        if placement.moves:
            inside = placement.laid(np.full(b.shape, 255, np.uint8), mask=True) > 0
            if inside.mean() < 0.5:
                return -1.0
            flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            warped = cv2.warpAffine(b, placement.matrix, (width, height), flags=flags)
            a, b = a[inside], np.asarray(warped, np.float32)[inside]
        x, y = a.ravel() - a.mean(), b.ravel() - b.mean()
        return float(x @ y / np.sqrt((x @ x) * (y @ y) + 1e-3))

    def ecc(self, start: Placement, steps: int, smoothing: int) -> Placement | None:
        """Returns a finer placement, in pixels of the pictures as given; None: none was found."""
        criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, steps, 1e-4)
        matrix = start.at(self.factor).matrix.astype(np.float32)
        mask = np.full(self.a.shape, 255, np.uint8)
        try:
            _, found = cv2.findTransformECC(
                self.a, self.b, matrix, cv2.MOTION_AFFINE, criteria, mask, smoothing
            )
        except cv2.error:  # nothing in them is alike, or there is nothing in them
            return None
        return Placement(np.asarray(found, np.float32)).at(1 / self.factor)


def _pair(a: Image, b: Image, size: int) -> _Pair:
    height, width = a.shape
    factor = min(1.0, size / max(height, width))
    to = max(8, round(width * factor)), max(8, round(height * factor))
    return _Pair(scaled(a, *to).astype(np.float32), scaled(b, *to).astype(np.float32), factor)


def _shifted(pair: _Pair) -> Placement:
    """Returns the shift that a phase correlation finds, or none where it is too far."""
    height, width = pair.a.shape
    window = cv2.createHanningWindow((width, height), cv2.CV_32F)
    (x, y), _ = cv2.phaseCorrelate(pair.a, pair.b, window)
    if abs(x) >= _SHIFT * width or abs(y) >= _SHIFT * height:
        return Placement.same()
    return Placement(np.array([[1, 0, x], [0, 1, y]], np.float32))


_FEATURES = 600
_LEAST_MATCHES = 8
_LEAST_SHARE = 0.15
_FEATURE_SCALES = 0.7, 1.45


def placed_by_features(a: Image, b: Image) -> Placement | None:
    """Returns how two (height, width) uint8 lumas lie on each other by ORB features, or None.

    It finds crops that are too far off for ECC. None: too few features agree. ORB: Rublee et al.,
    "ORB: an efficient alternative to SIFT or SURF", 2011.
    """
    height, width = a.shape
    factor = min(1.0, 480 / max(height, width))
    to = max(1, round(width * factor)), max(1, round(height * factor))
    orb = cv2.ORB.create(_FEATURES, edgeThreshold=15, patchSize=21, fastThreshold=8, nlevels=6)
    points_a, about_a = orb.detectAndCompute(scaled(a, *to), None)
    points_b, about_b = orb.detectAndCompute(scaled(b, *to), None)
    if about_a is None or about_b is None or min(len(points_a), len(points_b)) < _LEAST_MATCHES:
        return None
    matches = cv2.BFMatcher(cv2.NORM_HAMMING, crossCheck=True).match(about_a, about_b)
    if len(matches) < _LEAST_MATCHES:
        return None
    from_a = np.array([points_a[match.queryIdx].pt for match in matches], np.float32)
    to_b = np.array([points_b[match.trainIdx].pt for match in matches], np.float32)
    matrix, agree = cv2.estimateAffinePartial2D(
        from_a, to_b, method=cv2.RANSAC, ransacReprojThreshold=2.5, maxIters=500
    )
    if matrix is None or agree.sum() < max(_LEAST_MATCHES, _LEAST_SHARE * len(matches)):
        return None
    found = Placement(np.asarray(matrix, np.float32)).at(1 / factor)
    small, large = _FEATURE_SCALES
    if np.linalg.det(found.matrix[:, :2]) <= 0 or not small < found.scale < large:
        return None
    pair = _pair(a, b, 320)
    finer = pair.ecc(found, 10, 3)
    if finer is None:
        return found
    gains = pair.correlation(finer.at(pair.factor)) - pair.correlation(found.at(pair.factor))
    return finer if gains >= -_WORSE / 2 else found
