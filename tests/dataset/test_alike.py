"""Groups and odd ones among vectors, and the limit that is taken from a set."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillsift.arrays import Floats
from stillsift.dataset import groups
from stillsift.dataset.alike import LEAST_ALIKE, MOST_ALIKE, similarity_limit
from stillsift.dataset.groups import groups_of
from stillsift.dataset.outliers import ODD, outliers_of


def around(sizes: list[int], spread: float, seed: int = 0) -> Floats:
    """Clusters of vectors of length 1, one after the other, in 24 dimensions."""
    random = np.random.default_rng(seed)
    parts = [
        random.normal(size=24) / 24**0.5 + spread * random.normal(size=(size, 24)) / 24**0.5
        for size in sizes
    ]
    made = np.concatenate(parts)
    return np.asarray(made / np.linalg.norm(made, axis=1, keepdims=True), np.float32)


def test_clusters_are_found_and_shown_by_their_medoid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "_AT_ONCE", 7)  # several steps
    some = around([9, 20, 4, 1], 0.15)
    found = groups_of(some, similarity_limit(some))
    assert [len(group.members) for group in found] == [20, 9, 4, 1]
    assert set(found[0].members) == set(range(9, 29))
    for group in found:
        members = some[group.members]
        total = (members @ members.T).sum(1)
        assert total[0] == pytest.approx(total.max(), abs=1e-4)
        assert (np.diff(group.similarity) <= 0).all()


@given(st.integers(0, 60), st.floats(0.0, 1.0), st.integers(0, 1000))
def test_each_picture_is_in_one_group_and_no_two_begin_alike(
    count: int, limit: float, seed: int
) -> None:
    some = around([count], 1.0, seed)[:count] if count else np.zeros((0, 24), np.float32)
    found = groups_of(some, limit)
    members = [int(place) for group in found for place in group.members]
    assert sorted(members) == list(range(count))
    leaders = groups._leaders(some, limit) if count else np.zeros(0, np.intp)
    cosines = some[leaders] @ some[leaders].T
    assert (cosines[~np.eye(len(leaders), dtype=np.bool_)] < limit).all()
    assert not count or ((some @ some[leaders].T).max(1) >= min(limit, 0.999)).all()


def test_the_limit_is_twice_the_usual_distance_within_bounds() -> None:
    some = around([40, 40], 0.2)
    cosines = some @ some.T - 3 * np.eye(80)
    usual = float(np.quantile(1 - cosines.max(1), 0.9))
    assert similarity_limit(some) == pytest.approx(1 - 2 * usual, abs=1e-5)
    assert LEAST_ALIKE < similarity_limit(some) < MOST_ALIKE
    assert similarity_limit(around([50], 3.0)) == pytest.approx(LEAST_ALIKE)
    assert similarity_limit(np.repeat(some[:1], 5, 0)) == pytest.approx(MOST_ALIKE)
    assert similarity_limit(some[:1]) == MOST_ALIKE


def test_odd_ones_come_first_also_a_few_of_a_kind() -> None:
    some = around([60, 30, 3, 1], 0.15)
    found = outliers_of(some)
    assert {each.place for each in found[:4]} == {90, 91, 92, 93}
    assert all(each.score >= ODD for each in found[:4])
    assert all(each.score < ODD for each in found[4:])
    assert len(found) == 94
    first = found[0]
    assert first.score == pytest.approx((1 - first.around) / (1 - first.usual), rel=1e-4)


def test_what_moves_a_little_is_not_odd_among_copies() -> None:
    still = np.repeat(around([1], 0), 30, 0)
    near = still[:1] + 0.01 * around([1], 0, seed=1)
    near /= np.linalg.norm(near)
    assert outliers_of(np.concatenate([still, near]))[0].score < ODD
    assert outliers_of(still[:2]) == []
