"""The nearest pictures by their vectors, exactly and by the index."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from stillsift.arrays import Floats
from stillsift.dataset import neighbours
from stillsift.dataset.neighbours import nearest
from stillsift.dataset.pictures import SetError


def vectors(count: int, seed: int = 0, size: int = 16) -> Floats:
    """(count, size) of length 1, around a few centres as pictures are."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(8, size))
    made = centres[random.integers(0, 8, count)] + 0.3 * random.normal(size=(count, size))
    return np.asarray(made / np.linalg.norm(made, axis=1, keepdims=True), np.float32)


def test_the_nearest_come_first_and_not_the_picture_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(neighbours, "_CELLS", 700)  # several blocks
    some = vectors(60)
    alone = np.arange(60)
    found = nearest(some, some, 4, (alone, alone))
    for place in range(60):
        cosines = some @ some[place]
        cosines[place] = -2
        expected = np.argsort(-cosines)[:4]
        assert list(found.places[place]) == list(expected)
        assert found.similarity[place] == pytest.approx(cosines[expected], abs=1e-6)


def test_of_equal_ones_the_first_come_first_however_many_are_wanted() -> None:
    copies = np.asarray([[1.0, 0.0]] + 40 * [[0.0, 1.0]] + [[1.0, 0.0]], np.float32)
    for most in range(1, 42):
        found = nearest(np.asarray([[0.6, 0.8]], np.float32), copies, most)
        assert list(found.places[0]) == [*range(1, 41), 0, 41][:most]


def test_where_there_are_too_few_there_is_none() -> None:
    some = vectors(3)
    found = nearest(some, some, 3, (np.array([0, 0, 1]), np.array([0, 0, 1])))
    assert list(found.places[0]) == [2, -1, -1]
    assert sorted(found.places[2]) == [-1, 0, 1]
    assert nearest(some, some[:0], 3).places.shape == (3, 0)


@pytest.mark.skipif(
    importlib.util.find_spec("usearch") is None, reason="not installed: usearch (extra `set`)"
)
def test_the_index_finds_nearly_all_that_the_exact_search_finds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    some = vectors(1500, size=32)
    alone = np.arange(len(some))
    exact = nearest(some, some, 5, (alone, alone))
    monkeypatch.setattr(neighbours, "EXACT", 100)
    found = nearest(some, some, 5, (alone, alone))
    assert not (found.places == alone[:, None]).any()
    shared = [len(set(a) & set(b)) for a, b in zip(exact.places, found.places, strict=True)]
    assert np.mean(shared) > 0.9 * 5
    place = int(np.argmax(shared))
    assert found.similarity[place] == pytest.approx(exact.similarity[place], abs=1e-6)


def test_without_the_index_the_way_out_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "EXACT", 10)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(SetError, match=r"pip install 'stillsift\[set\]'"):
        nearest(vectors(11), vectors(11), 1)
