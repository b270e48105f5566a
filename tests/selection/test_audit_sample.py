"""Which dropped frames are laid aside for the audit, and what a sample says of all."""

from __future__ import annotations

import pytest

from audited import dropped
from stillsift.decisions import Reason
from stillsift.selection.audit_sample import clopper_pearson, is_chosen


def test_a_share_is_a_random_sample_that_only_grows() -> None:
    frames = [dropped(index) for index in range(20_000)]
    taken = {share: [f for f in frames if is_chosen(f, share)] for share in (0, 0.05, 0.2, 1)}
    assert taken[0] == []
    assert taken[1] == frames
    assert len(taken[0.05]) == pytest.approx(1000, abs=120)
    assert len(taken[0.2]) == pytest.approx(4000, abs=220)
    assert {f.id for f in taken[0.05]} < {f.id for f in taken[0.2]}
    assert not any(is_chosen(dropped(1, reason), 1) for reason in (Reason.NOVEL, Reason.GAP))


@pytest.mark.parametrize(
    ("hits", "trials", "low", "high"),
    [  # as tables and SciPy's beta.ppf have them
        (0, 10, 0, 0.30850),
        (1, 10, 0.00253, 0.44502),
        (5, 10, 0.18709, 0.81291),
        (10, 10, 0.69150, 1),
        (3, 100, 0.00623, 0.08518),
        (0, 3000, 0, 0.00123),
        (999, 1000, 0.99444, 0.99997),
        (1, 1, 0.02500, 1),
    ],
)
def test_the_interval_is_that_of_the_tables(
    hits: int, trials: int, low: float, high: float
) -> None:
    assert clopper_pearson(hits, trials) == pytest.approx((low, high), abs=6e-6)
