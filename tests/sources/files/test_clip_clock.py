"""The time of a clip whose presentation time begins anew."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from stillsift.sources.files.clip_clock import ABSURD_S, ClipClock


def times(*parts: Sequence[float | None], joins: bool = False, step_s: float = 0.5) -> list[float]:
    clock = ClipClock(step_s, joins=joins)
    return [clock.at(pts_s) for part in parts for pts_s in part]


def steady(frames: int, start_s: float = 0.0) -> list[float]:
    return [start_s + 0.5 * number for number in range(frames)]


PART = steady(20, 7)


def test_one_recording_has_its_own_times() -> None:
    uneven = [3.0, 3.5, 4.0, 3.5, 4.5, 60.0, 7000.0, 7000.5]
    assert times(uneven) == uneven


def test_frames_without_a_time_follow_each_other() -> None:
    assert times([None] * 4) == steady(4)


@pytest.mark.parametrize("joins", [False, True])
def test_time_goes_on_where_a_recording_begins_anew(joins: bool) -> None:
    assert times(PART, PART, PART, joins=joins) == steady(60, 7)
    assert times(steady(20, 95000), PART, joins=joins) == steady(40, 95000)


def test_a_jump_ahead_is_another_recording_where_such_are_joined() -> None:
    ahead = steady(20, 95000)
    assert times(PART, ahead, joins=True) == steady(40, 7)
    assert times(PART, ahead, joins=False) == [*PART, *ahead]
    slow = [60.0 * number for number in range(9)]
    for step_s in (60.0, 0.04):  # what an MPEG-TS says of its rate may be wrong
        assert times(slow, joins=True, step_s=step_s) == slow, "a picture a minute is no jump"


def test_years_within_a_clip_are_no_time() -> None:
    assert times(PART, steady(20, ABSURD_S * 7)) == steady(40, 7)
    assert times([0.0, ABSURD_S, 2 * ABSURD_S], step_s=ABSURD_S) == [0, 1, 2]


@pytest.mark.parametrize("joins", [False, True])
@pytest.mark.parametrize("wrong_s", [0.0, 95000.0])
def test_a_damaged_time_changes_nothing_after_it(wrong_s: float, joins: bool) -> None:
    true = steady(20, 700)
    seen = times(true[:9], [wrong_s], true[10:], joins=joins)
    assert seen[:9] + seen[10:] == true[:9] + true[10:]


def test_a_spliced_recording_takes_its_time() -> None:
    assert times(steady(20), steady(8, 900), steady(20, 10), joins=True) == steady(48)
