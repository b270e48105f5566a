"""Choosing the most different of many pictures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillsift.arrays import Floats
from stillsift.selection.farthest_first import farthest_first


def unit(count: int, size: int = 8, seed: int = 0) -> Floats:
    vectors = np.random.default_rng(seed).normal(size=(count, size)).astype(np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def test_each_next_one_is_the_farthest() -> None:
    angles = np.radians([0, 5, 90, 40, 180])
    vectors = np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)
    choice = farthest_first(vectors, 3)
    assert choice.chosen == [0, 4, 2]
    assert choice.nearest.tolist() == [0, 0, 2, 0, 4]
    assert choice.cosine == pytest.approx([1, np.cos(angles[1]), 1, np.cos(angles[3]), 1])


def test_what_is_fixed_is_chosen_first_and_counts() -> None:
    angles = np.radians([0, 5, 90, 40, 180])
    vectors = np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)
    assert farthest_first(vectors, 2, [3]).chosen == [3, 4]
    assert farthest_first(vectors, 1, [3, 2]).chosen == [3, 2]
    assert farthest_first(vectors, 9).chosen == [0, 4, 2, 3, 1]
    with pytest.raises(ValueError, match="at least one"):
        farthest_first(vectors, 0)


def test_equal_pictures_fill_up() -> None:
    vectors = np.repeat(unit(1), 4, axis=0)
    assert farthest_first(vectors, 3).chosen == [0, 1, 2]


@given(st.integers(2, 40), st.integers(1, 12), st.integers(0, 99), st.randoms())
def test_of_fewer_pictures_the_same_are_chosen(
    count: int, most: int, seed: int, random: np.random.Generator
) -> None:
    vectors = unit(count, seed=seed)
    whole = farthest_first(vectors, most).chosen
    left = sorted({*whole, *(place for place in range(count) if random.random() < 0.5)})
    part = farthest_first(vectors[left], most).chosen
    assert [left[place] for place in part] == whole


@given(st.integers(3, 9), st.integers(0, 99))
def test_no_picture_lies_farther_than_twice_the_best_radius(count: int, seed: int) -> None:
    """The bound of Gonzalez, for Euclidean distances, beside all choices of two."""
    vectors = unit(count, seed=seed)
    apart = np.linalg.norm(vectors[:, None] - vectors[None], axis=2)
    best = min(float(apart[[a, b]].min(0).max()) for a in range(count) for b in range(a + 1, count))
    chosen = farthest_first(vectors, 2).chosen
    assert float(apart[chosen].min(0).max()) <= 2 * best + 1e-5
