"""For which stretches of time kept frames stand."""

from __future__ import annotations

import numpy as np

from stillsift.dataset.cover import cover
from stillsift.dataset.groups import Group
from stillsift.dataset.time_cover import time_cover
from stillsift.decisions import Reason
from stillsift.ledger.covered import Slot
from stillsift.ledger.records import GapRecord

HOUR = 3600 * 10**9


def test_what_is_kept_shows_what_was_dropped_for_it_and_no_more() -> None:
    slots = [
        Slot("gate", 0, Reason.NOVEL, 2),
        Slot("gate", 0, Reason.NEAR_DUPLICATE, 5),
        Slot("gate", HOUR, Reason.AUDIT, 1),
        Slot("gate", HOUR, Reason.DARK, 3),
        Slot("gate", HOUR, Reason.HEARTBEAT, 1),
        Slot("gate", HOUR, Reason.GAP, 1),
        Slot("yard", 0, Reason.OVERLOAD, 4),
    ]
    gate, yard = time_cover(slots, [], HOUR)
    assert (gate.frames, gate.kept, gate.shown) == (12, 3, 8)
    assert (gate.with_frames, gate.covered) == (2, 1)
    assert [stretch.dropped_unseen for stretch in gate.stretches] == [0, 4]
    assert (yard.frames, yard.shown, yard.covered) == (4, 0, 0)


def test_a_gap_is_told_in_each_stretch_that_it_touches() -> None:
    gap = GapRecord("gate", HOUR // 2, 3 * HOUR + HOUR // 4, "no answer")
    (gate,) = time_cover([Slot("gate", 0, Reason.NOVEL, 1)], [gap], HOUR)
    assert [stretch.away_s for stretch in gate.stretches] == [1800, 3600, 3600, 900]
    assert (gate.gaps, gate.with_frames, gate.away_s) == (1, 1, 9900)


def test_the_cover_of_a_set_takes_the_largest_groups_first() -> None:
    groups = [Group(np.arange(size), np.ones(size, np.float32)) for size in (50, 20, 15, 10, 4, 1)]
    assert [(step.share, step.pictures) for step in cover(groups)] == [
        (0.5, 1),
        (0.8, 3),
        (0.95, 4),
        (1.0, 6),
    ]
    assert cover([]) == []
