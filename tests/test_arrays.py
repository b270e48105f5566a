"""Arrays come back from the ledger as they were."""

from __future__ import annotations

import io

import numpy as np
import pytest

from stillsift.arrays import Arrays, packed, unpacked


def test_arrays_come_back_as_numpy_reads_them() -> None:
    arrays: Arrays = {
        "vector": np.arange(5, dtype=np.float32),
        "grid": np.arange(24, dtype=np.float16).reshape(2, 3, 4),
        "turned": np.asfortranarray(np.arange(6, dtype=np.float64).reshape(2, 3)),
        "empty": np.zeros((0, 3), np.uint8),
        "mask": np.array([True, False]),
        "number": np.array(2.5),
        "name": np.array("Café"),
    }
    data = packed(arrays)
    for _ in range(2):  # headers are remembered after the first time
        found = unpacked(data)
        assert list(found) == list(arrays)
        with np.load(io.BytesIO(data), allow_pickle=False) as known:
            for name, array in found.items():
                assert array.dtype == known[name].dtype
                assert array.shape == known[name].shape
                assert np.array_equal(array, known[name])
                assert array.flags.writeable


def test_objects_are_never_read() -> None:
    with pytest.raises(ValueError, match="OBJECT"):
        unpacked(packed({"thing": np.array([{}], object)}))
