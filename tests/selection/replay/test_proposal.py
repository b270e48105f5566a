"""Limits for a wanted number of kept frames, and for what people said of decisions."""

from __future__ import annotations

from dataclasses import replace

import pytest

from clips import real_clip
from sifting import LIMITS, real, sift
from stillsift.frames import Frame
from stillsift.ledger import Ledger
from stillsift.ledger.records import Batch
from stillsift.selection.replay import (
    FACTORS_TRIED,
    Measures,
    Tried,
    Wish,
    fitted,
    nearest,
    tried,
    what_if,
)
from stillsift.selection.sensitivity import Sensitivity
from stillsift.sources.files import ClipReader


@pytest.fixture(scope="module")
def measures(tmp_path_factory: pytest.TempPathFactory) -> Measures:
    clip = ClipReader(real_clip("bikes"), "door", rate=5.0)
    frames = [each for each in clip.items() if isinstance(each, Frame)]
    decisions = [verdict.decision for verdict in sift(real(), frames)]
    with Ledger(tmp_path_factory.mktemp("ledger") / "l.sqlite") as ledger:
        ledger.commit(Batch("", "", [(each, None) for each in decisions]))
        return ledger.measures("door")


@pytest.fixture(scope="module")
def some(measures: Measures) -> list[Tried]:
    pairs = [(word, factor) for word in Sensitivity for factor in FACTORS_TRIED]
    return tried(measures, LIMITS, LIMITS, pairs)


def test_as_many_as_today_are_kept_by_the_limits_of_today(
    measures: Measures, some: list[Tried]
) -> None:
    best = nearest(some, float(measures.kept.sum()), LIMITS)
    assert (best.sensitivity, best.asked) == (Sensitivity.NORMAL, 1.0)


def test_fewer_are_kept_by_stricter_limits(measures: Measures, some: list[Tried]) -> None:
    today = int(measures.kept.sum())
    fewer, more = nearest(some, today / 2, LIMITS), nearest(some, today * 1.5, LIMITS)
    assert fewer.found.count < today < more.found.count
    assert abs(fewer.found.count - today / 2) <= max(2, fewer.found.error)


def test_limits_of_before_count_and_not_those_of_today(measures: Measures) -> None:
    high = replace(LIMITS, sensitivity=Sensitivity.HIGH)
    (as_made,) = tried(measures, LIMITS, high, [(Sensitivity.NORMAL, 1.0)])
    assert as_made.found.count == measures.kept.sum()


def test_corrections_that_agree_with_today_change_nothing(
    measures: Measures, some: list[Tried]
) -> None:
    now = what_if(measures, LIMITS, LIMITS)
    wishes = [Wish((id_,), True) for id_ in measures.those(measures.kept)]
    wishes += [Wish((id_,), False) for id_ in measures.those(~measures.kept)[:5]]
    fit = fitted(measures, some, now, wishes, LIMITS)
    assert fit is not None
    assert (fit.wishes, fit.now, fit.left, fit.left_out) == (len(wishes), 0, 0, 0)
    assert (fit.best.sensitivity, fit.best.asked) == (Sensitivity.NORMAL, 1.0)


def test_limits_are_found_again_from_what_they_keep(measures: Measures, some: list[Tried]) -> None:
    """Somebody says of each frame what stricter limits would have done."""
    (meant,) = (e for e in some if (e.sensitivity, e.asked) == (Sensitivity.LOWEST, 1.0))
    wishes = [
        Wish((id_,), bool(meant.found.kept[place]))
        for place, id_ in enumerate(measures.ids)
        if measures.kept[place]
    ]
    now = what_if(measures, LIMITS, LIMITS)
    fit = fitted(measures, some, now, wishes, LIMITS)
    assert fit is not None
    assert fit.left == 0 < fit.now
    assert fit.left_out < fit.now


def test_a_pair_is_the_same_if_not_both_are_kept(measures: Measures, some: list[Tried]) -> None:
    first, second, *_ = measures.those(measures.kept)
    dropped = measures.those(~measures.kept)[0]
    now = what_if(measures, LIMITS, LIMITS)
    for pair, kept, against in (
        ((first, second), True, 0),
        ((first, second), False, 1),
        ((first, dropped), False, 0),
    ):
        fit = fitted(measures, some, now, [Wish(pair, kept)], LIMITS)
        assert fit is not None
        assert fit.now == against


def test_what_is_forgotten_does_not_count(measures: Measures, some: list[Tried]) -> None:
    now = what_if(measures, LIMITS, LIMITS)
    assert fitted(measures, some, now, [Wish(("gone",), True)], LIMITS) is None
