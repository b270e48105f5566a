"""Covers objects in what is kept, so that nobody can be recognised."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import cv2
import numpy as np

from ..arrays import Image
from ..decisions import Box, Detection
from ..detection import DetectError
from ..ledger import LedgerReader
from ..store import StoreError
from ..store.repair import ANONYMOUS
from ..units import counted

LEAST = 0.3
"""Confidence from which an object is covered: one too many costs less than one that is missed."""
_MARGIN = 0.2
"""Share of a box by which each side of what is covered lies farther out."""
_BLOCKS = 5
"""Blocks a side that a covered object is made of; they hold no more of it than its colours."""
_TILE = 960
"""Pixels of a side of the parts in which a large picture is looked at as well: a detector makes it
640 pixels wide or less, and small faces would be lost."""


def uncovered(ledger: LedgerReader, source: str) -> str | None:
    """Returns a sentence about what a source has kept before anything was covered in it.

    None: there is no such frame. Raises LedgerError.
    """
    number = ledger.kept_without(source, ANONYMOUS)
    if not number:
        return None
    which = "1 frame that was" if number == 1 else f"{number} frames that were"
    return (
        f"anonymize covers nothing in {which} kept before: of `decisions --source {source} "
        f'--outcome kept --format csv` those whose repairs do not begin with "{ANONYMOUS}"'
    )


class Finder(Protocol):
    """Finds objects with these labels in a picture, and closely in parts of it."""

    def find(
        self, picture: Image, parts: Sequence[Box], labels: Sequence[str], least: float
    ) -> list[Detection]: ...


@dataclass(frozen=True, slots=True)
class Cover:
    """Covers objects with some labels in pictures."""

    labels: tuple[str, ...]
    finder: Finder

    def __call__(self, pixels: Image) -> tuple[Image, str]:
        """Returns a (height, width, 3) BGR picture with the objects covered, and what was done.

        Raises StoreError if no detector can look at it: then it must not be kept.
        """
        try:
            found = self._found(pixels)
        except DetectError as error:
            raise StoreError(f"not kept, as it cannot be made anonymous: {error}") from error
        covered = pixels.copy()
        for each in found:
            _cover(covered, each.box)
        numbers = Counter(each.label for each in _once(found))
        told = ", ".join(counted(number, label) for label, number in sorted(numbers.items()))
        return covered, f"{ANONYMOUS}: {told or f'no {_or(self.labels)} found'}"

    def _found(self, pixels: Image) -> list[Detection]:
        """Returns what is found in the whole picture and in the parts of a large one.

        What lies in two parts comes twice.
        """
        found = self.finder.find(pixels, (), self.labels, LEAST)
        for left, top, right, bottom in _tiles(pixels):
            for each in self.finder.find(pixels[top:bottom, left:right], (), self.labels, LEAST):
                x1, y1, x2, y2 = each.box
                found.append(replace(each, box=(x1 + left, y1 + top, x2 + left, y2 + top)))
        return found


def _once(found: Sequence[Detection]) -> list[Detection]:
    """Returns what was found without what lies at the place of another with its label."""
    apart: list[Detection] = []
    for each in found:
        x, y = (each.box[0] + each.box[2]) / 2, (each.box[1] + each.box[3]) / 2
        if not any(
            one.label == each.label
            and one.box[0] <= x <= one.box[2]
            and one.box[1] <= y <= one.box[3]
            for one in apart
        ):
            apart.append(each)
    return apart


def _or(labels: tuple[str, ...]) -> str:
    return " or ".join(labels)


def _tiles(pixels: Image) -> list[tuple[int, int, int, int]]:
    """Returns (left, top, right, bottom) of parts that cover a picture and overlap by a fifth; none
    if it is small enough."""
    height, width = pixels.shape[:2]
    if max(height, width) <= _TILE:
        return []
    return [
        (left, top, min(left + _TILE, width), min(top + _TILE, height))
        for top in _starts(height)
        for left in _starts(width)
    ]


def _starts(side: int) -> list[int]:
    if side <= _TILE:
        return [0]
    number = -(-(side - _TILE) // int(0.8 * _TILE)) + 1
    return [int(at) for at in np.linspace(0, side - _TILE, number)]


def _cover(pixels: Image, box: Box) -> None:
    """Makes a box of a picture, and a margin around it, a few blocks of one colour each."""
    height, width = pixels.shape[:2]
    across, down = _MARGIN * (box[2] - box[0]), _MARGIN * (box[3] - box[1])
    left, top = max(0, int(box[0] - across)), max(0, int(box[1] - down))
    right, bottom = min(width, int(box[2] + across) + 1), min(height, int(box[3] + down) + 1)
    part = pixels[top:bottom, left:right]
    if not part.size:
        return
    blocks = cv2.resize(part, (_BLOCKS, _BLOCKS), interpolation=cv2.INTER_AREA)
    size = (right - left, bottom - top)
    pixels[top:bottom, left:right] = cv2.resize(blocks, size, interpolation=cv2.INTER_NEAREST)
