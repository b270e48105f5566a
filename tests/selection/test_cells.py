"""What cells are compared with: shares of their values, as numpy gives them."""

from __future__ import annotations

import numpy as np
import pytest

from stillsift.selection.cells import median, percentile


@pytest.mark.parametrize("size", [1, 2, 3, 10, 64, 180, 181])
def test_medians_and_percentiles_equal_those_of_numpy_bit_for_bit(size: int) -> None:
    made = np.random.default_rng(size)
    for _ in range(50):
        values = (made.random(size) ** 3).astype(np.float32)
        assert median(values) == np.median(values)
        for percent in (0, 10, 50, 75, 90, 100):
            assert percentile(values, percent) == float(np.percentile(values, percent))
