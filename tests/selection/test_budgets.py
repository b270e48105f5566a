"""How much is kept: gap, budgets, ratio and heartbeat, as the sifter holds to them."""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sifting import (
    LIMITS,
    STEP,
    blocks,
    footage,
    frame,
    fresh,
    lite0,
    noisy,
    photo,
    real,
    scene,
    sift,
    with_object,
    world,
)
from stillsift.arrays import Image
from stillsift.decisions import Decision, Outcome, Reason
from stillsift.frames import Frame
from stillsift.selection import Gallery, GalleryFrame, Limits, Sifter, Verdict
from stillsift.selection.budgets import Amounts
from stillsift.selection.gates import Gates
from stillsift.selection.measured import on_time_line

MINUTE_S = 20.0
"""The times of `frame` begin at second 40: the first minute is over after this long."""


def allowing(
    *,
    max_wait_s: float = 1.0,
    min_gap_s: float = 0.0,
    max_per_minute: int | None = None,
    max_per_hour: int | None = None,
    max_per_day: int | None = None,
    keep_ratio: float | None = None,
    heartbeat_s: float = 0.0,
) -> Limits:
    allowed = Amounts(min_gap_s, max_per_minute, max_per_hour, max_per_day, keep_ratio, heartbeat_s)
    return replace(LIMITS, max_wait_s=max_wait_s, amounts=allowed)


def kept_of(verdicts: list[Verdict]) -> list[Decision]:
    return [verdict.decision for verdict in verdicts if verdict.is_kept]


def views(count: int, every: int = 10) -> list[Frame]:
    """Another view every so many frames of a fifth of a second."""
    return [frame(noisy(scene(index // every), index), index) for index in range(count * every)]


def parked(arrives: int, leaves: int, end: int) -> list[Frame]:
    """A quiet view in which something stands for a while."""
    empty, thing = scene(0), with_object(scene(0), 100, 1)
    return [
        frame(noisy(thing if arrives <= index < leaves else empty, index), index)
        for index in range(end)
    ]


# -- the gap -------------------------------------------------------------------------------------


@pytest.mark.parametrize("gap_s", [5.0, 15.0, 40.0])
def test_what_is_still_there_after_the_gap_is_kept_then(gap_s: float) -> None:
    """Longer than the scene needs to find something usual: 3 s, and 13 s for noise."""
    end = round(gap_s * 5) + 20
    verdicts = sift(real(allowing(min_gap_s=gap_s)), parked(10, end, end))
    view, thing = kept_of(verdicts)
    assert thing.reason is Reason.NOVEL
    waited_s = (thing.captured_at_ns - view.captured_at_ns) / 1e9
    assert gap_s <= waited_s <= gap_s + 1.2
    refused = [v.decision for v in verdicts if v.decision.reason is Reason.RATE_LIMITED]
    assert len(refused) > 4 * (gap_s - 3)
    assert "min_gap is" in (refused[-1].detail or "")


def test_what_is_gone_when_the_gap_is_over_is_not_kept() -> None:
    verdicts = sift(real(allowing(min_gap_s=10.0)), parked(15, 35, 80))
    assert len(kept_of(verdicts)) == 1
    assert len(kept_of(sift(real(), parked(15, 35, 80)))) == 2


def test_another_view_waits_for_the_end_of_the_gap_too() -> None:
    verdicts = sift(fresh(allowing(min_gap_s=5.0)), views(2, 40))
    assert [round(each.frame_index, -1) for each in kept_of(verdicts)] == [0, 40]
    verdicts = sift(fresh(allowing(min_gap_s=12.0)), views(2, 40))
    assert [each.frame_index >= 60 for each in kept_of(verdicts)] == [False, True]


# -- budgets -------------------------------------------------------------------------------------


def test_a_budget_ends_with_its_minute() -> None:
    frames = views(16)
    verdicts = sift(fresh(allowing(max_per_minute=3)), frames)
    kept_s = [each.captured_at_ns / 1e9 - 1e9 for each in kept_of(verdicts)]
    assert sum(at_s < MINUTE_S for at_s in kept_s) == 3
    assert sum(at_s >= MINUTE_S for at_s in kept_s) == 3
    assert kept_s[3] < MINUTE_S + 1.2, "what still stands when the minute begins is kept"
    told = {v.decision.detail for v in verdicts if v.decision.reason is Reason.BUDGET}
    assert any("3 were kept this minute, and max_per_minute is 3" in (why or "") for why in told)


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        (allowing(max_per_hour=2), "2 were kept this hour, and max_per_hour is 2"),
        (allowing(max_per_day=2), "2 were kept on this day, and max_per_day is 2"),
    ],
)
def test_hours_and_days_have_budgets_of_their_own(limits: Limits, told: str) -> None:
    verdicts = sift(fresh(limits), views(6))
    assert len(kept_of(verdicts)) == 2
    assert told in (verdicts[-1].decision.detail or "")


def test_photographs_count_in_the_minute_of_their_own_time() -> None:
    """In any order: six pictures from two minutes, two of each may be kept."""
    minutes = [0, 30, 0, 30, 0, 30]
    frames = [
        replace(photo(scene(number), number), captured_at_ns=round((1e9 + at_s) * 1e9))
        for number, at_s in enumerate(minutes)
    ]
    verdicts = sift(fresh(allowing(max_per_minute=2)), frames)
    reasons = [verdict.decision.reason for verdict in verdicts]
    assert reasons == [Reason.NOVEL] * 4 + [Reason.BUDGET] * 2
    again = replace(frames[4], frame_index=9, captured_at_ns=round((1e9 + 90) * 1e9))
    assert sift(fresh(allowing(max_per_minute=2)), [*frames, again])[-1].is_kept


def test_a_frame_that_could_not_be_written_gives_its_place_back() -> None:
    sifter = fresh(allowing(max_per_day=1, min_gap_s=60.0, max_wait_s=0.0))
    first, second, third = views(3, 6)[:13:6]
    (verdict,) = sifter.offer(first)
    assert verdict.is_kept
    sifter.forget(verdict.decision.id)
    assert [v.is_kept for v in sifter.offer(second)] == [True]
    assert [v.decision.reason for v in sifter.offer(third)] == [Reason.RATE_LIMITED]


# -- what holds for every world --------------------------------------------------------------------

WORLD = st.lists(STEP, min_size=1, max_size=40).map(world)


@settings(max_examples=40, deadline=None)
@given(WORLD, st.integers(1, 3), st.sampled_from([0.0, 2.0, 9.0]), st.sampled_from([0.0, 3.0]))
def test_no_minute_and_no_gap_is_ever_undercut(
    frames: list[Frame], most: int, gap_s: float, heartbeat_s: float
) -> None:
    """With time that jumps back too, and with every fifth frame a photograph."""
    mixed = [
        replace(each, content_hash="h", captured_at_origin=photo(scene(0), 0).captured_at_origin)
        if number % 5 == 4
        else each
        for number, each in enumerate(frames)
    ]
    limits = allowing(max_per_minute=most, min_gap_s=gap_s, heartbeat_s=heartbeat_s)
    verdicts = sift(fresh(limits), mixed)
    assert [v.decision.frame_index for v in verdicts] == list(range(len(frames)))
    kept = kept_of(verdicts)
    minutes = Counter(each.captured_at_ns // (60 * 10**9) for each in kept)
    assert max(minutes.values(), default=0) <= most
    line = [v.frame.captured_at_ns for v in verdicts if v.is_kept and on_time_line(v.frame)]
    assert all(abs(later - earlier) >= gap_s * 1e9 for earlier, later in pairwise(line))


EACH = {
    "gap": allowing(min_gap_s=2.0),
    "minute": allowing(max_per_minute=2),
    "hour": allowing(max_per_hour=4),
    "day": allowing(max_per_day=4),
    "ratio": allowing(keep_ratio=0.05),
    "heartbeat": allowing(heartbeat_s=1.5),
    "all": allowing(
        min_gap_s=1.0, max_per_minute=5, max_per_day=20, keep_ratio=0.1, heartbeat_s=3.0
    ),
}


def again_at_every_frame(limits: Limits, frames: list[Frame]) -> list[Decision]:
    """A restart after every frame, with what a ledger would have held."""
    decided: list[Decision] = []
    sifter, position, furthest = fresh(limits), 0, 0
    while position < len(frames):
        decided += [verdict.decision for verdict in sifter.offer(frames[position])]
        position += 1
        if position > furthest:
            furthest = position
            stored = [(kept.id, kept.to_bytes()) for kept in sifter.gallery.kept]
            gallery = Gallery(32, (GalleryFrame.from_bytes(id_, data) for id_, data in stored))
            position -= sifter.waiting
            sifter = Sifter(limits, blocks, gallery, sifter.state(), model="blocks")
    return decided + [verdict.decision for verdict in sifter.flush()]


@pytest.mark.parametrize("name", EACH)
@settings(max_examples=12, deadline=None)
@given(WORLD)
def test_a_restart_at_every_frame_changes_nothing(name: str, frames: list[Frame]) -> None:
    limits = EACH[name]
    undisturbed = [verdict.decision for verdict in sift(fresh(limits), frames)]
    assert again_at_every_frame(limits, frames) == undisturbed


def test_a_state_without_an_allowance_is_gone_on_from_and_holds_none_while_all_is_off() -> None:
    frames = views(4)
    off = fresh()
    sift(off, frames[:20])
    with np.load(io.BytesIO(off.state())) as arrays:
        assert not [name for name in arrays if name.startswith(("kept_", "keep_", "heart"))]
    gallery = Gallery(32, off.gallery.kept)
    limits = EACH["all"]
    on = Sifter(limits, blocks, gallery, off.state(), model="blocks")
    assert len(kept_of(sift(on, frames[20:]))) == 2


def test_a_budget_outlives_a_change_of_the_model() -> None:
    limits = allowing(max_per_day=1)
    sifter = fresh(limits)
    sift(sifter, views(1))
    other = Sifter(limits, blocks, Gallery(32), sifter.state(), model="another")
    assert kept_of(sift(other, views(1))) == []


# -- the heartbeat ---------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [5, 25])
@pytest.mark.parametrize("noise", [False, True])
def test_a_quiet_camera_gives_a_frame_for_every_heartbeat(rate: int, noise: bool) -> None:
    """Also where every frame looks the same and is not measured any more."""
    pictures = [noisy(scene(0), index) if noise else scene(0) for index in range(12)]
    frames = [frame(pictures[index % 12], index, index / rate) for index in range(35 * rate)]
    sifter = fresh(allowing(heartbeat_s=10.0))
    kept = kept_of(sift(sifter, frames))
    assert [each.reason for each in kept] == [Reason.NOVEL, *[Reason.HEARTBEAT] * 3]
    assert [each.outcome for each in kept] == [Outcome.KEPT] * 4
    apart_s = np.diff([each.captured_at_ns / 1e9 for each in kept])
    assert all(10.0 <= each <= 10.2 for each in apart_s.round(6))
    assert kept[1].detail == "nothing was kept for the heartbeat of 10s"
    assert len(sifter.gallery) == 1, "it is no part of what later frames are compared with"
    assert {each.nearest_kept for each in kept[1:]} == {kept[0].id}


def test_heartbeats_change_no_other_decision() -> None:
    frames = footage("bikes")
    limit = lite0().model.spec.cell_limit
    plain = sift(Sifter(Limits(limit), lite0(), Gallery(32)), frames)
    beating = sift(
        Sifter(Limits(limit, amounts=Amounts(heartbeat_s=0.6)), lite0(), Gallery(32)), frames
    )
    differ = [
        (a.decision.reason, b.decision.reason)
        for a, b in zip(plain, beating, strict=True)
        if a.decision != b.decision
    ]
    assert differ
    assert all(before is not Reason.NOVEL for before, _ in differ)
    assert {after for _, after in differ} == {Reason.HEARTBEAT}


def blurred(view: Image) -> Image:
    return np.asarray(cv2.GaussianBlur(view, (0, 0), 3), np.uint8)


def test_a_heartbeat_waits_for_a_sharp_frame_and_not_for_ever() -> None:
    """Due at 4 s, in a moment that is dropped for its blur; a sharp frame is back at 4.6 s."""
    view = scene(0)
    sharp = [noisy(view, index) for index in range(30)]
    soft = sharp[:20] + [blurred(view)] * 3 + sharp[23:]
    limits = allowing(heartbeat_s=4.0)
    verdicts = sift(real(limits), [frame(p, i) for i, p in enumerate(soft)])
    first, beat = kept_of(verdicts)
    assert beat.reason is Reason.HEARTBEAT
    assert first.frame_index in (0, 1, 2)
    assert beat.frame_index == 23

    lasting = sharp[:20] + [blurred(view)] * 10
    verdicts = sift(real(limits), [frame(p, i) for i, p in enumerate(lasting)])
    first, beat = kept_of(verdicts)
    assert beat.reason is Reason.HEARTBEAT
    assert beat.frame_index == first.frame_index + 25, "max_wait after it was due"
    assert {v.decision.reason for v in verdicts[24:]} == {Reason.BLURRY, Reason.HEARTBEAT}


def test_budgets_and_the_gap_refuse_a_heartbeat() -> None:
    quiet = [frame(scene(0), index) for index in range(90)]
    kept = kept_of(sift(fresh(allowing(heartbeat_s=2.0, max_per_minute=3)), quiet))
    assert len(kept) == 3
    kept = kept_of(sift(fresh(allowing(heartbeat_s=2.0, min_gap_s=5.0)), quiet))
    assert [each.frame_index for each in kept] == [0, 25, 50, 75]


# -- the ratio -------------------------------------------------------------------------------------


def busy(count: int) -> list[Frame]:
    """Something of another size and look every second, in a view that stays."""
    made = []
    for index in range(count):
        event = index // 5
        picture = scene(0)
        if event % 2:
            thing = with_object(picture, event * 37 % 220, event)
            height = 8 + event * 13 % 32
            picture[48 : 48 + height] = thing[48 : 48 + height]
        made.append(frame(noisy(picture, index), index))
    return made


def test_a_ratio_raises_the_limit_until_about_that_share_is_kept() -> None:
    frames = busy(800)
    assert len(kept_of(sift(fresh(), frames[:200]))) > 3 * 0.02 * 200
    verdicts = sift(fresh(allowing(keep_ratio=0.02)), frames)
    assert 0.01 * 400 <= len(kept_of(verdicts[400:])) <= 0.03 * 400


def test_the_decisions_show_the_limit_in_force() -> None:
    raised = 0
    for verdict in sift(fresh(allowing(keep_ratio=0.01)), busy(300)):
        decision = verdict.decision
        if decision.novelty is None or decision.novelty_limit is None:
            continue
        if decision.reason is Reason.NEAR_DUPLICATE:
            assert decision.novelty <= decision.novelty_limit
            raised += decision.novelty > 3 / 2
        elif verdict.is_kept:
            assert decision.novelty > decision.novelty_limit
    assert raised, "what was news before is a near duplicate at the limit in force"


def test_a_quiet_stretch_lowers_the_limit_to_a_quarter_and_no_further() -> None:
    still = [frame(scene(0), index) for index in range(600)]
    limits = [v.decision.novelty_limit or 0.0 for v in sift(fresh(allowing(keep_ratio=0.5)), still)]
    assert limits[-1] == pytest.approx(limits[0] / 4)
    assert min(limits) >= limits[0] / 4 - 1e-12


def test_an_empty_budget_does_not_move_the_limit() -> None:
    frames = views(12)
    sifter = fresh(allowing(keep_ratio=0.2, max_per_minute=1))
    early = sift(sifter, frames[:90])
    assert len(kept_of(early)) == 1
    limits = {v.decision.novelty_limit for v in early if v.decision.reason is Reason.BUDGET}
    assert len(limits) == 1


def test_a_closed_gate_does_not_move_the_limit() -> None:
    limits = replace(allowing(keep_ratio=0.1), gates=Gates(min_brightness=16))
    view = scene(0)
    day = [frame(noisy(view, index), index) for index in range(30)]
    night = [frame(np.zeros_like(view), 30 + index) for index in range(600)]
    sifter = fresh(limits)
    sift(sifter, day)
    before = sifter._context.keep_ratio.factor
    dark = sift(sifter, night)
    assert {verdict.decision.reason for verdict in dark} == {Reason.DARK}
    assert sifter._context.keep_ratio.factor == before
