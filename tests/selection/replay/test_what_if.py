"""What a replay of stored measures says, beside what the sifter does with the same frames."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audited import aside, dropped
from clips import real_clip
from sifting import LIMITS, WORLD, frame, fresh, noisy, photo, real, scene, sift, with_object
from stillsift.arrays import Image
from stillsift.decisions import Decision, Outcome
from stillsift.frames import Frame
from stillsift.ledger import Ledger
from stillsift.ledger.records import Batch
from stillsift.selection import Limits
from stillsift.selection.budgets import Amounts
from stillsift.selection.gates import Gates
from stillsift.selection.replay import Measures, what_if
from stillsift.selection.sensitivity import Sensitivity
from stillsift.sources.files import ClipReader


def recorded(folder: Path, decisions: Sequence[Decision]) -> Measures:
    """What a real ledger tells of decisions."""
    path = folder / "l.sqlite"
    path.unlink(missing_ok=True)
    with Ledger(path) as ledger:
        ledger.commit(Batch("", "", [(each, None) for each in decisions]))
        return ledger.measures(decisions[0].source)


def kept(decisions: Sequence[Decision]) -> list[str]:
    return [each.id for each in decisions if each.outcome is Outcome.KEPT]


def decided(frames: list[Frame], limits: Limits = LIMITS) -> list[Decision]:
    return [verdict.decision for verdict in sift(fresh(limits), frames)]


def crowd() -> list[Frame]:
    """Objects of many sizes that come and go for a minute."""

    def shown(index: int) -> Image:
        there = index % 12 < 8
        return with_object(scene(0), 7 * index % 220, index // 12) if there else scene(0)

    return [frame(noisy(shown(index), 1), index) for index in range(300)]


@settings(max_examples=25, deadline=None)
@given(WORLD, st.sampled_from([LIMITS, replace(LIMITS, sensitivity=Sensitivity.HIGH)]))
def test_with_the_same_limits_nothing_changes(
    tmp_path_factory: pytest.TempPathFactory, frames: list[Frame], limits: Limits
) -> None:
    decisions = decided(frames, limits)
    measures = recorded(tmp_path_factory.mktemp("ledger"), decisions)
    told = what_if(measures, limits, limits)
    assert measures.those(told.kept) == kept(decisions)
    assert (told.added, told.lost, told.error) == ([], [], 0)
    # A gate and a budget that nothing meets go all the way, and change nothing either.
    wide = replace(limits, gates=Gates(max_brightness=254.9), amounts=Amounts(max_per_day=10**6))
    assert measures.those(what_if(measures, limits, wide).kept) == kept(decisions)


@settings(max_examples=25, deadline=None)
@given(WORLD, st.integers(1, 3), st.sampled_from(Sensitivity))
def test_no_budget_is_exceeded(
    tmp_path_factory: pytest.TempPathFactory, frames: list[Frame], most: int, word: Sensitivity
) -> None:
    measures = recorded(tmp_path_factory.mktemp("ledger"), decided(frames))
    limits = replace(LIMITS, sensitivity=word, amounts=Amounts(max_per_minute=most))
    told = what_if(measures, LIMITS, limits)
    minutes = Counter((measures.at_ns[told.kept] // (60 * 10**9)).tolist())
    assert max(minutes.values(), default=0) <= most
    assert set(told.lost) <= set(measures.those(measures.kept))
    assert not set(told.added) & set(measures.those(measures.kept))


@pytest.mark.parametrize("name", ["bikes", "carphone_pristine", "bigbuckbunny"])
def test_a_real_clip_is_told_about_as_it_is_sifted(tmp_path: Path, name: str) -> None:
    clip = ClipReader(real_clip(name), "door", rate=5.0)
    frames = [each for each in clip.items() if isinstance(each, Frame)]
    decisions = [verdict.decision for verdict in sift(real(), frames)]
    measures = recorded(tmp_path, decisions)
    off = before = 0
    for word in Sensitivity:
        limits = replace(LIMITS, sensitivity=word)
        truth = len(kept([verdict.decision for verdict in sift(real(limits), frames)]))
        told = what_if(measures, LIMITS, limits)
        off += abs(told.count - truth)
        before += abs(int(measures.kept.sum()) - truth)
    assert off < before
    assert off <= 8


def test_gaps_and_heartbeats_are_told_as_they_are_sifted(tmp_path: Path) -> None:
    frames = crowd()
    decisions = decided(frames)
    measures = recorded(tmp_path, decisions)
    assert len(kept(decisions)) > 15
    for amounts in (
        Amounts(min_gap_s=5),
        Amounts(max_per_minute=4),
        Amounts(heartbeat_s=2),
        Amounts(keep_ratio=0.02),
    ):
        limits = replace(LIMITS, amounts=amounts)
        truth = kept(decided(frames, limits))
        told = what_if(measures, LIMITS, limits)
        assert abs(told.count - len(truth)) <= max(2, told.error), amounts


def test_a_gate_is_tried_on_the_light_that_was_recorded(tmp_path: Path) -> None:
    dim = [noisy((scene(view) * 0.3).astype(np.uint8), view) for view in range(3)]
    pictures = [picture for view in range(3) for picture in (dim[view], scene(view + 5))]
    frames = [frame(picture, index, 4.0 * index) for index, picture in enumerate(pictures)]
    decisions = decided(frames)
    gated = replace(LIMITS, gates=Gates(min_brightness=100))
    truth = kept(decided(frames, gated))
    assert 0 < len(truth) < len(kept(decisions))
    told = what_if(recorded(tmp_path, decisions), LIMITS, gated)
    assert told.lost == [each for each in kept(decisions) if each not in truth]
    assert told.doubts == ()
    unlit = [replace(each, shadows=None, highlights=None, contrast=None) for each in decisions]
    told = what_if(recorded(tmp_path, unlit), LIMITS, gated)
    assert told.lost == []
    assert told.doubts == ("of 6 frames the light was not recorded; no gate is tried on them",)


def test_what_a_gate_dropped_is_not_known(tmp_path: Path) -> None:
    gated = replace(LIMITS, gates=Gates(min_brightness=16))
    black = np.zeros_like(scene(0))
    decisions = decided([frame(scene(0), 0), frame(black, 1), frame(black, 2)], gated)
    told = what_if(recorded(tmp_path, decisions), gated, LIMITS)
    assert told.added == []
    assert "2 frames that a gate dropped were compared with nothing" in told.doubts[0]


def test_a_frame_of_the_audit_counts_as_dropped(tmp_path: Path) -> None:
    measures = recorded(tmp_path, [aside(0), dropped(1)])
    assert not measures.kept.any()


def test_photographs_nearer_than_the_limit_are_kept_at_a_lower_one(tmp_path: Path) -> None:
    views = [scene(0), with_object(scene(0), 60, 1), scene(1), noisy(scene(1), 3)]
    frames = [photo(picture, index) for index, picture in enumerate(views)]
    decisions = decided(frames)
    measures = recorded(tmp_path, decisions)
    assert not measures.timed.any()
    low, high = (what_if(measures, LIMITS, replace(LIMITS, asked=asked)) for asked in (0.01, 50))
    assert low.count == sum(each.novelty != 0 for each in decisions)
    assert high.count == 1
