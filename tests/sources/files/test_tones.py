"""Pictures of more than 8 bits: what uses its scale keeps it, what does not is stretched."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from clips import real_pictures
from stillsift.sources.files.tones import eight_bit


def thermal(person: int | None, kelvin: float = 0.04) -> NDArray[np.uint16]:
    """(120, 160) of a wall at 20 C, with noise; a person of 31 C stands at a column, or nobody."""
    values = np.random.default_rng(3).normal(293.0, 0.05, (120, 160))
    if person is not None:
        values[40:110, person : person + 24] += 11
    return np.asarray(values / kelvin, np.uint16)


def test_a_person_in_a_thermal_picture_stands_out() -> None:
    shown = eight_bit(thermal(60)).astype(int)
    assert shown[60:100, 64:80].mean() - shown[:, :40].mean() > 120


def test_noise_alone_is_not_stretched_to_a_picture() -> None:
    shown = eight_bit(thermal(None)).astype(float)
    assert shown.std() < 255 / 12


def test_a_single_far_value_changes_nothing() -> None:
    depth = np.linspace(600, 2400, 120 * 160).reshape(120, 160).astype(np.uint16)
    far = depth.copy()
    far[60, 80] = 9000
    apart = np.abs(eight_bit(depth).astype(int) - eight_bit(far).astype(int))
    assert np.percentile(apart, 99.9) <= 1


def test_what_was_not_measured_does_not_count_as_near() -> None:
    depth = np.linspace(600, 2400, 120 * 160).reshape(120, 160).astype(np.uint16)
    holes = depth.copy()
    holes[:20, :60] = 0
    apart = np.abs(eight_bit(depth).astype(int) - eight_bit(holes).astype(int))
    assert apart[40:].max() <= 12
    assert 100 < eight_bit(holes)[:20, :60].mean() < 155


def test_nothing_but_holes_is_black() -> None:
    assert not eight_bit(np.full((20, 20), np.nan, np.float32)).any()
    assert not eight_bit(np.zeros((20, 20), np.uint16)).any()


@pytest.mark.parametrize(
    ("dtype", "scale"),
    [(np.uint16, 257), (np.uint16, 16), (np.float32, 1 / 255), (np.float64, 1)],
)
def test_a_picture_that_uses_its_scale_comes_out_as_its_twin_of_8_bits(
    dtype: Any, scale: float
) -> None:
    twin = real_pictures()[0]
    deep = (twin.astype(np.float64) * scale).astype(dtype)
    assert np.abs(eight_bit(deep).astype(int) - twin.astype(int)).max() <= 1


def test_metres_of_depth_are_stretched() -> None:
    depth = np.linspace(0.6, 0.9, 120 * 160).reshape(120, 160).astype(np.float32)
    shown = eight_bit(depth)
    assert shown.min() < 20
    assert shown.max() > 235


def warm(column: int) -> NDArray[np.float32]:
    """(120, 160) degrees: a wall at 20 C with noise, and a person of 31 C at a column."""
    return np.asarray(thermal(column) * np.float32(0.04) - 273.15, np.float32)


@pytest.mark.parametrize("nothing", [np.inf, -np.inf, -3.4e38, -9999.0, 1e20, np.nan])
def test_a_person_stands_out_beside_what_was_not_measured(nothing: float) -> None:
    values = warm(60)
    values[:12] = nothing
    shown = eight_bit(values).astype(int)
    assert shown[60:100, 64:80].mean() - shown[60:100, :40].mean() > 120


def test_values_below_zero_are_seen() -> None:
    across = np.linspace(-1, 1, 160, dtype=np.float32)[None].repeat(120, 0)
    assert len(np.unique(eight_bit(across)[:, :70])) > 30
    assert len(np.unique(eight_bit(across * 200)[:, :70])) > 30


def test_labels_are_no_holes() -> None:
    mask = np.zeros((120, 160), np.uint16)
    mask[30:60, 40:90], mask[70:100, 20:60] = 1, 2
    shown = eight_bit(mask).astype(int)
    assert shown[0, 0] + 60 < shown[40, 60] < shown[80, 30] - 60
