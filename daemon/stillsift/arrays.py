"""Defines the types of the arrays that modules share, and packs named ones into bytes."""

from __future__ import annotations

import io
import threading
import zipfile
from collections.abc import Mapping
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""(height, width) or (height, width, 3), uint8, 0-255."""

Floats = NDArray[np.float32]
"""Cell features, distances and other measures; the shape is documented where it is used."""

Mask = NDArray[np.bool_]
"""(rows, columns) cells, or (height, width) pixels; True where one is selected."""

Labels = NDArray[np.int32]
"""(rows, columns) numbers of what cells belong to; 0: to nothing."""

_UNPACKING = threading.Lock()
_PRELUDE = 10
"""Bytes before the header of an array: a signature, the version, and the header's length."""

Arrays = dict[str, NDArray[np.generic]]
"""Arrays by name that a part of the state stores; `packed` turns them into bytes."""


def packed(arrays: Mapping[str, NDArray[np.generic]]) -> bytes:
    """Returns named arrays as numpy's npz, for the ledger."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]  # numpy's stub takes allow_pickle too
    return buffer.getvalue()


def unpacked(data: bytes) -> Arrays:
    """Returns what `packed` was given.

    Like `np.load`, which takes three times as long: it evaluates the header of each array, though
    photographs of one size have the same.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        return {name.removesuffix(".npy"): _array(file.read(name)) for name in file.namelist()}


def _array(data: bytes) -> NDArray[np.generic]:
    begin = _PRELUDE + int.from_bytes(data[_PRELUDE - 2 : _PRELUDE], "little")
    shape, columns_first, dtype = _header(data[:begin])
    values = np.frombuffer(data, dtype, offset=begin).copy()
    return values.reshape(shape, order="F" if columns_first else "C")


@lru_cache(maxsize=1024)
def _header(data: bytes) -> tuple[tuple[int, ...], bool, np.dtype[np.generic]]:
    """Returns what numpy's format, version 1.0, says of an array.

    One thread at a time: numpy reads headers with `ast.literal_eval`, and CPython 3.11 counts its
    depth for all threads together, so that many sources that start at once fail with "AST
    constructor recursion depth mismatch".
    """
    file = io.BytesIO(data)
    with _UNPACKING:
        if (version := np.lib.format.read_magic(file)) != (1, 0):
            raise ValueError(f"arrays of numpy's format {version} are never written")
        return np.lib.format.read_array_header_1_0(file)


def floats(array: NDArray[np.generic]) -> Floats:
    """Returns stored values, such as those in half precision, as float32."""
    return np.asarray(array, np.float32)


def optional_mask(arrays: Mapping[str, NDArray[np.generic]], name: str) -> Mask | None:
    """Returns the stored array of this name as a mask; None: there is none."""
    return np.asarray(arrays[name], np.bool_) if name in arrays else None


def optional_floats(arrays: Mapping[str, NDArray[np.generic]], name: str) -> Floats | None:
    """Returns the stored array of this name as float32; None: there is none."""
    return floats(arrays[name]) if name in arrays else None
