"""Which frames of a stream are looked at."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillsift.sources.pace import LivePace, Pace, Standing

MS = 10**6
STEPS_MS = st.lists(st.sampled_from([1, 20, 33, 40, 199, 200, 201, 700, 8000]), min_size=1)
"""Milliseconds from each frame to the next."""


def looked_at(times_ms: list[int], rate: float, *, live: bool) -> list[int]:
    """Times of the frames that are looked at, as clips and cameras ask for them, milliseconds."""
    pace, live_pace = Pace(rate), LivePace(rate)
    standing: Standing[int] = Standing(rate)
    found = []
    for at in times_ms:
        if (stood := standing.until(at * MS)) is not None:
            found.append(stood)
        if live_pace.takes(at * MS) if live else pace.takes(at / 1000):
            found.append(at)
        else:
            standing.hold(at, at * MS)
    return found


@given(STEPS_MS)
def test_what_stands_for_a_step_is_looked_at_live_and_in_clips(steps: list[int]) -> None:
    times = [sum(steps[:number]) for number in range(len(steps) + 1)]
    long = {at for at, after in pairwise(times) if after - at >= 200}
    for live in (False, True):
        found = looked_at(times, 5, live=live)
        assert long <= set(found)
        assert found == sorted(set(found)), "in order, and none twice"
        assert len(found) <= 2 * (times[-1] / 200 + 1)


@pytest.mark.parametrize("fps", [4, 5, 6, 12.5, 25, 29.97, 60])
@pytest.mark.parametrize("live", [False, True])
def test_nothing_is_added_at_a_constant_rate(fps: float, live: bool) -> None:
    times = [round(1000 * number / fps) for number in range(300)]
    pace, live_pace = Pace(5), LivePace(5)
    alone = [at for at in times if (live_pace.takes(at * MS) if live else pace.takes(at / 1000))]
    assert looked_at(times, 5, live=live) == alone


def test_the_last_frame_stands_as_long_as_its_container_says() -> None:
    standing: Standing[str] = Standing(5)
    assert standing.for_(10**12) is None, "nothing is held"
    standing.hold("end", 7)
    assert standing.for_(100 * MS) is None
    assert standing.held == "end", "more may come"
    assert standing.for_(200 * MS) == "end"
    assert standing.held is None


def test_of_every_frame_none_is_held() -> None:
    assert Standing(None).until(0) is None
