"""Tells whether a picture is a document: thin strokes on one ground, where a digit is news.

Other drawings, as slides, maps, charts and screens, have a ground of one level too.
"""

from __future__ import annotations

import cv2
import numpy as np

from ..arrays import Image

_GROUND = 0.60
"""Least share of the picture that has the level of the ground, within `_GROUND_LEVELS`."""
_GROUND_LEVELS = 25
_EDGES = 0.035
"""Least share of the picture that is an edge."""
_EDGE_LEVELS, _STROKE_LEVELS = 40, 35
"""Grey levels by which an edge differs from what is beside it, and a stroke from its ground."""
_STROKE = 9
"""Pixels that the strokes of letters are narrower than, at 640 pixels a page."""
_THIN = 0.60
"""Least share of the edges that belong to strokes."""
_FLAT = 0.50
"""Least share of a drawing that has the level of its ground, within one. Measured: .52 and more of
eight drawings, also with JPEG quality 60 at half the size; .48 and less of 26 photographs with more
contrast, and of potatoes on a black ground."""


def is_drawn(luma: Image) -> bool:
    """Tells whether a (height, width) uint8 luma shows what was drawn on a ground of one level."""
    levels = np.bincount(luma.ravel(), minlength=256).astype(np.float64)
    return float(np.convolve(levels, np.ones(3), "same").max()) >= _FLAT * luma.size


def is_document(luma: Image) -> bool:
    """Tells whether a (height, width) uint8 luma of 640 pixels shows text on paper or a screen.

    Two pages, invoices or receipts of one layout look alike to an embedder, and differ in what they
    say. Measured on 24 pages, invoices and receipts and on 59 photographs.
    """
    levels = np.bincount(luma.ravel(), minlength=256).astype(np.float64)
    ground = float(np.convolve(levels, np.ones(_GROUND_LEVELS), "same").max()) / luma.size
    if ground < _GROUND:
        return False
    edges = cv2.morphologyEx(luma, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > _EDGE_LEVELS
    if float(edges.mean()) < _EDGES:
        return False
    kernel = np.ones((_STROKE, _STROKE), np.uint8)
    dark = cv2.morphologyEx(luma, cv2.MORPH_BLACKHAT, kernel)
    bright = cv2.morphologyEx(luma, cv2.MORPH_TOPHAT, kernel)
    thin = float(np.mean(np.maximum(dark, bright)[edges] > _STROKE_LEVELS))
    return thin >= _THIN
