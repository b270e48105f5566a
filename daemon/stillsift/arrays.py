"""Names the arrays that travel between modules, and packs named ones into bytes."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""(height, width) or (height, width, 3), uint8, 0-255."""

Floats = NDArray[np.float32]
"""Cell features, distances and other measures; the shape stands where it is used."""

Mask = NDArray[np.bool_]
"""(rows, columns) cells, or (height, width) pixels, that are meant."""

Arrays = dict[str, NDArray[np.generic]]
"""What a part of the state remembers, by name; `packed` writes it down."""


def packed(arrays: Mapping[str, NDArray[np.generic]]) -> bytes:
    """Named arrays as numpy's npz, for the ledger."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]  # numpy's stub takes allow_pickle too
    return buffer.getvalue()


def floats(array: NDArray[np.generic]) -> Floats:
    """The same values as float32, as they were before they were written down in half precision."""
    return np.asarray(array, np.float32)


def optional_floats(arrays: Mapping[str, NDArray[np.generic]], name: str) -> Floats | None:
    """What was written down by this name; None: nothing was."""
    return floats(arrays[name]) if name in arrays else None
