"""Cuts a large picture into strips, so that what is computed of it takes a few MB at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

_VALUES = 1 << 20
"""Values of one strip."""
_BAND = 32
"""Rows of one band of a sample: enough to see noise from row to row."""


def strips(pixels: NDArray[Any]) -> Iterator[slice]:
    """Yields the rows of a picture in strips of about a million values."""
    step = max(1, _VALUES // max(1, pixels[0].size))
    return (slice(start, start + step) for start in range(0, len(pixels), step))


def sample(pixels: NDArray[Any]) -> list[NDArray[Any]]:
    """Returns bands of whole rows, spread over the picture, of about a million values together.

    A small picture is one band.
    """
    most = max(_BAND, _VALUES // max(1, pixels[0].size))
    if len(pixels) <= most:
        return [pixels]
    starts = np.linspace(0, len(pixels) - _BAND, max(1, most // _BAND)).astype(int)
    return [pixels[start : start + _BAND] for start in starts]
