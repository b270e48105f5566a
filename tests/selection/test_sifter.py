"""What selection promises, on made-up worlds of many shapes and on real footage."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sifting import (
    LIMITS,
    STEP,
    WORLD,
    blocks,
    describe,
    elsewhere,
    footage,
    frame,
    fresh,
    lite0,
    noisy,
    photo,
    scene,
    sift,
    with_object,
    world,
)
from stillsift.arrays import packed
from stillsift.config.settings import ModelSettings
from stillsift.decisions import Decision, Outcome, Reason
from stillsift.embedding import Embedder, Embedding
from stillsift.frames import ArrayPicture, Frame, Picture
from stillsift.pipeline.model_choice import CPU_MODEL, CUDA_MODEL, open_model
from stillsift.selection import Gallery, GalleryFrame, Limits, Sifter
from stillsift.selection.budgets import Amounts
from stillsift.selection.novelty import Novelty
from stillsift.selection.sensitivity import Sensitivity


def held(steps: list[tuple[int, int | None, int, bool, float]]) -> list[Frame]:
    """A world at 25 frames/s: every step lasts for some frames, of which the first is blurred."""
    lasting = [
        (view, thing, x, blurred and frame_no == 0, 0.04)
        for view, thing, x, blurred, step_s in steps
        for frame_no in range(1 + round(5 * abs(step_s)))
    ]
    return world(lasting[:120])


FAST = st.lists(STEP, min_size=4, max_size=40).map(held)


@settings(max_examples=40, deadline=None)
@given(WORLD, st.sampled_from([1, 3, 32]), st.sampled_from([0.0, 0.5, 1.0]))
def test_every_frame_gets_one_decision_in_its_order(
    frames: list[Frame], gallery: int, max_wait_s: float
) -> None:
    sifter = fresh(replace(LIMITS, max_wait_s=max_wait_s), gallery)
    verdicts = sift(sifter, frames)
    assert [verdict.decision.frame_index for verdict in verdicts] == list(range(len(frames)))
    assert sifter.waiting == 0


@settings(max_examples=40, deadline=None)
@given(WORLD, st.sampled_from([1, 3, 32]))
def test_what_is_kept_exceeds_its_limit_and_what_repeats_does_not(
    frames: list[Frame], gallery: int
) -> None:
    firsts = 0
    for verdict in sift(fresh(gallery=gallery), frames):
        decision = verdict.decision
        if decision.outcome is Outcome.KEPT:
            if decision.novelty is None:
                firsts += 1  # nothing to compare with: the gallery was empty
                continue
            assert decision.novelty_limit is not None
            assert decision.novelty > decision.novelty_limit
        elif decision.reason is Reason.NEAR_DUPLICATE:
            assert decision.novelty is not None
            assert decision.novelty_limit is not None
            assert decision.novelty <= decision.novelty_limit
    assert firsts == 1


@settings(max_examples=30, deadline=None)
@given(WORLD)
def test_a_repeat_names_a_kept_frame(frames: list[Frame]) -> None:
    verdicts = sift(fresh(), frames)
    kept = {v.decision.id for v in verdicts if v.decision.outcome is Outcome.KEPT}
    for verdict in verdicts:
        if verdict.decision.reason is Reason.NEAR_DUPLICATE:
            assert verdict.decision.nearest_kept in kept


def test_it_does_not_matter_when_the_same_was_taken() -> None:
    """Frames exactly a second apart are so in every year, whatever a float makes of it."""
    calm = [noisy(scene(0), index) for index in range(30)]
    passing = [noisy(with_object(scene(0), 6 * x, x // 8), x) for x in range(32)]
    told = []
    for later_ns in (0, 123_456_789, 700_000_001, 77 * 10**15 + 300_000_000, -9 * 10**17):
        frames = [frame(picture, index) for index, picture in enumerate([*calm, *passing, *calm])]
        frames = [replace(f, captured_at_ns=f.captured_at_ns + later_ns) for f in frames]
        decisions = [verdict.decision for verdict in sift(fresh(), frames)]
        told.append([replace(each, captured_at_ns=0) for each in decisions])
    assert told == told[:1] * len(told)
    assert sum(decision.outcome is Outcome.KEPT for decision in told[0]) > 1


CROWDED = [
    *((0, 1, 219, False, -3.0), (2, 2, 54, True, 0.2), (1, 1, 201, False, 0.2)),
    *((2, 0, 215, True, -3.0), (0, None, 81, False, 1.0), (1, 1, 201, False, 0.2)),
    *((1, 1, 162, False, 0.2), (1, 3, 90, False, -3.0), (0, None, 81, False, 1.0)),
    *((1, 1, 201, False, 0.2), (2, 2, 22, False, 7.0), (0, 2, 25, False, 0.2)),
    *((0, None, 81, False, 1.0), (0, 2, 123, False, 1.0), (1, None, 106, False, 7.0)),
]
"""A world in which a frame at rest is followed by one that depends on what was explained in it."""


@settings(max_examples=40, deadline=None)
@example(held(CROWDED), [58], LIMITS)
@given(
    WORLD | FAST,
    st.lists(st.integers(0, 119), max_size=4),
    st.sampled_from([LIMITS, replace(LIMITS, every_change=True)]),
)
def test_a_restart_at_any_point_changes_nothing(
    frames: list[Frame], stops: list[int], limits: Limits
) -> None:
    undisturbed = [verdict.decision for verdict in sift(fresh(limits), frames)]
    decided = []
    sifter, position = fresh(limits), 0
    while position < len(frames):
        decided += [verdict.decision for verdict in sifter.offer(frames[position])]
        position += 1
        if position in stops:
            stops = [stop for stop in stops if stop != position]
            stored = [(kept.id, kept.to_bytes()) for kept in sifter.gallery.kept]
            gallery = Gallery(32, (GalleryFrame.from_bytes(id_, data) for id_, data in stored))
            position -= sifter.waiting
            sifter = Sifter(limits, blocks, gallery, sifter.state(), model="blocks")
    decided += [verdict.decision for verdict in sifter.flush()]
    assert decided == undisturbed


def test_a_kept_frame_has_the_same_tags_after_a_restart() -> None:
    """Frames that look the same share an embedding, also with one from before the restart."""

    def embedded(picture: Picture) -> Embedding:
        return replace(blocks(picture), length=float(picture.bgr().mean()))

    limits = replace(LIMITS, amounts=Amounts(heartbeat_s=1.0))
    sifter, lengths = Sifter(limits, embedded, Gallery(32), model="blocks"), []
    for index in range(30):
        verdicts = sifter.offer(frame(scene(0), index))
        stored = [(kept.id, kept.to_bytes()) for kept in sifter.gallery.kept]
        gallery = Gallery(32, (GalleryFrame.from_bytes(id_, data) for id_, data in stored))
        if not sifter.waiting:
            sifter = Sifter(limits, embedded, gallery, sifter.state(), model="blocks")
        kept = [each.embedding for each in verdicts if each.is_kept]
        lengths += [None if each is None else each.length for each in kept]
    assert len(lengths) > 3
    assert set(lengths) == {float(scene(0).mean())}


@settings(max_examples=40, deadline=None)
@given(WORLD | FAST, st.dictionaries(st.integers(1, 119), st.sampled_from([1, 2, 32]), max_size=4))
def test_new_settings_between_two_frames_are_a_restart_with_them(
    frames: list[Frame], sizes: dict[int, int]
) -> None:
    """`sizes`: number of frames offered to the gallery's size from there on; `limits` change, too.

    With the same size and limits as before nothing changes at all.
    """
    undisturbed = [verdict.decision for verdict in sift(fresh(), frames)]
    live, restarted = fresh(), fresh()
    told: list[Decision] = []
    read: list[Decision] = []
    position = 0  # in what the restarted one is offered
    for offered, each in enumerate(frames, 1):
        told += [verdict.decision for verdict in live.offer(each)]
        while position < offered:
            read += [verdict.decision for verdict in restarted.offer(frames[position])]
            position += 1
        if (size := sizes.get(offered)) is not None:
            limits = LIMITS if size == 32 else replace(LIMITS, sensitivity=Sensitivity.LOWEST)
            live, due = live.successor(limits, size, alarms=True)
            told += [verdict.decision for verdict in due]
            position -= restarted.waiting
            gallery = Gallery(size, restarted.gallery.kept)
            restarted = Sifter(limits, blocks, gallery, restarted.state(), model="blocks")
    told += [verdict.decision for verdict in live.flush()]
    while position < len(frames):
        read += [verdict.decision for verdict in restarted.offer(frames[position])]
        position += 1
    read += [verdict.decision for verdict in restarted.flush()]
    assert told == read
    if set(sizes.values()) <= {32}:
        assert told == undisturbed


def test_what_was_not_read_behind_a_waiting_frame_is_not_forgotten_with_new_settings() -> None:
    def offered() -> Sifter:
        sifter = fresh()
        for index in range(12):
            sifter.offer(frame(scene(index // 10), index))
        assert sifter.waiting
        sifter.repeated(round(1e18 + 2.3e9), "copy", f"{2:064x}")
        return sifter

    plain = offered()
    heir, _ = offered().successor(LIMITS, 32, alarms=True)
    plain.flush()
    heir.flush()
    assert heir.state() == plain.state()


def at_rest() -> tuple[Sifter, Frame]:
    """A sifter that keeps three views and sees nothing stir in the last; the next frame of it."""
    sifter = fresh()
    frames = [frame(scene(min(index // 10, 2)), index) for index in range(31)]
    kept = sum(verdict.is_kept for each in frames[:30] for verdict in sifter.offer(each))
    assert kept == 3
    return sifter, frames[30]


@pytest.mark.parametrize("size", [1, 2])
def test_another_size_of_the_gallery_names_no_other_frame(size: int) -> None:
    sifter, following = at_rest()
    showing = sifter.gallery.kept[-1].id
    again = Sifter(
        LIMITS, blocks, Gallery(size, sifter.gallery.kept), sifter.state(), model="blocks"
    )
    assert [each.decision.nearest_kept for each in again.offer(following)] == [showing]


def test_the_frame_that_shows_a_view_at_rest_may_be_gone_from_the_gallery() -> None:
    sifter, following = at_rest()
    others = sifter.gallery.kept[:-1]
    again = Sifter(LIMITS, blocks, Gallery(32, others), sifter.state(), model="blocks")
    assert [each.is_kept for each in [*again.offer(following), *again.flush()]] == [True]


@pytest.mark.parametrize(
    "limits",
    [
        replace(LIMITS, asked=2.0),
        replace(LIMITS, sensitivity=Sensitivity.LOWEST),
    ],
)
def test_a_view_at_rest_is_held_to_the_limits_in_force(limits: Limits) -> None:
    sifter, following = at_rest()
    gallery = Gallery(32, sifter.gallery.kept)
    again = Sifter(limits, blocks, gallery, sifter.state(), model="blocks")
    (verdict,) = again.offer(following)
    in_force = Novelty(limits.novelty, limits.sensitivity, asked=limits.asked)
    assert verdict.decision.novelty_limit == in_force.in_force(timed=True) > 1


def test_another_limit_makes_no_news_of_an_unchanged_view() -> None:
    frames = [frame(noisy(scene(0), index), index) for index in range(120)]
    sifter = Sifter(LIMITS, lite0(), Gallery(32), model="lite0")
    verdicts = [verdict for each in frames[:60] for verdict in sifter.offer(each)]
    sifter, due = sifter.successor(replace(LIMITS, novelty=0.8), 32, alarms=True)
    verdicts += due + sift(sifter, frames[60:])
    assert [v.decision.frame_index < 60 for v in verdicts if v.is_kept] == [True]


def test_a_state_that_names_the_nearest_by_its_place_is_still_read() -> None:
    sifter, following = at_rest()
    with np.load(io.BytesIO(sifter.state())) as arrays:
        older = {
            name: arrays[name] for name in arrays if name not in {"last_nearest_id", "last_rule"}
        }
    older["last_nearest"] = np.array(7)
    again = Sifter(LIMITS, blocks, Gallery(2, sifter.gallery.kept), packed(older), model="blocks")
    showing = sifter.gallery.kept[-1].id
    assert [each.decision.nearest_kept for each in again.offer(following)] == [showing]


@settings(max_examples=40, deadline=None)
@example(world([(0, None, 0, False, 1.0)] * 6), [3], 32)
@given(WORLD, st.lists(st.integers(0, 39), max_size=4), st.sampled_from([1, 32]))
def test_a_restart_at_any_point_changes_nothing_in_a_group(
    frames: list[Frame], stops: list[int], size: int
) -> None:
    others = elsewhere()

    def made(gallery: Gallery, state: bytes | None = None) -> Sifter:
        return Sifter(LIMITS, blocks, gallery, state, model="blocks", elsewhere=lambda: others)

    undisturbed = [verdict.decision for verdict in sift(made(Gallery(size)), frames)]
    decided = []
    sifter, position = made(Gallery(size)), 0
    while position < len(frames):
        decided += [verdict.decision for verdict in sifter.offer(frames[position])]
        position += 1
        if position in stops:
            stops = [stop for stop in stops if stop != position]
            stored = [(kept.id, kept.to_bytes()) for kept in sifter.gallery.kept]
            gallery = Gallery(size, (GalleryFrame.from_bytes(id_, data) for id_, data in stored))
            position -= sifter.waiting
            sifter = made(gallery, sifter.state())
    decided += [verdict.decision for verdict in sifter.flush()]
    assert decided == undisturbed
    assert [decision.frame_index for decision in decided] == list(range(len(frames)))
    known = {kept.id for kept in others}
    known |= {each.id for each in decided if each.outcome is Outcome.KEPT}
    assert {each.nearest_kept for each in decided} <= known | {None}
    assert {kept.by for kept in sifter.gallery.kept if kept.id.startswith("yard")} <= {"yard"}


@settings(max_examples=30, deadline=None)
@given(WORLD)
def test_a_frame_offered_twice_running_is_kept_once(frames: list[Frame]) -> None:
    for each in frames:
        sifter = fresh()
        sift(sifter, frames[: each.frame_index])
        twice = [each, replace(each, frame_index=each.frame_index + 1000)]
        assert sum(verdict.is_kept for verdict in sift(sifter, twice)) <= 1
        if each.frame_index > 5:
            break


def test_a_fast_stream_is_embedded_ten_times_a_second_and_at_a_cut() -> None:
    looked: list[int] = []
    world = [with_object(scene(0), 4 * number, 1) for number in range(40)]
    world[30:] = [scene(1)] * 10
    frames = [frame(noisy(p, i), i, i / 25) for i, p in enumerate(world)]
    pictures = {id(each.picture): each.frame_index for each in frames}

    def embed(picture: Picture) -> Embedding:
        looked.append(pictures[id(picture)])
        return blocks(picture)

    verdicts = sift(Sifter(LIMITS, embed, Gallery(32), model="blocks"), frames)
    assert len(verdicts) == 40
    moving = [index for index in looked if index < 30]
    assert 9 <= len(moving) <= 11
    assert 30 in looked
    assert any(v.is_kept and v.decision.frame_index >= 30 for v in verdicts)


@pytest.mark.parametrize("name", ["bikes", "bigbuckbunny", "carphone_pristine"])
def test_the_decisions_about_real_footage_are_the_golden_ones(name: str) -> None:
    """tests/golden/NAME.txt: a line per frame. Written anew with `python tests/golden.py`."""
    model = lite0().model.spec
    sifter = Sifter(Limits(novelty=model.cell_limit), lite0(), Gallery(32), model=model.name)
    golden = (Path(__file__).parents[1] / "golden" / f"{name}.txt").read_text("utf-8")
    assert describe(sift(sifter, footage(name))) == golden


def test_int8_keeps_what_fp32_keeps() -> None:
    """Not each frame: of two that show the same thing, either may be the better one."""
    frames = footage("bikes")
    kept = []
    for name in (CPU_MODEL, CUDA_MODEL):
        embedder = Embedder(open_model(ModelSettings(name=name)))
        limits = Limits(embedder.model.spec.cell_limit)
        verdicts = sift(Sifter(limits, embedder, Gallery(32), model=name), frames)
        kept.append({v.decision.frame_index for v in verdicts if v.is_kept})
    assert len(kept[0] ^ kept[1]) <= 2
    assert len(kept[0]) > 10


def _asks_the_model(state: bytes) -> dict[str, bytes]:
    """What of a state means nothing to another model; the watch over the source goes on."""
    with np.load(io.BytesIO(state)) as arrays:
        return {name: arrays[name].tobytes() for name in arrays if not name.startswith("alarms")}


def test_the_state_of_another_model_is_forgotten() -> None:
    frames = [frame(noisy(scene(0), index), index) for index in range(10)]
    sifter = fresh()
    sift(sifter, frames)
    again = Sifter(LIMITS, blocks, Gallery(32), sifter.state(), model="another")
    new = Sifter(LIMITS, blocks, Gallery(32), model="another")
    assert _asks_the_model(again.state()) == _asks_the_model(new.state())


def test_numbered_stills_that_are_measured_ahead_are_decided_alike() -> None:
    """While the view rests, nothing is embedded ahead that nobody needs."""
    asked: list[Picture] = []

    def embed(picture: Picture) -> Embedding:
        asked.append(picture)
        return blocks(picture)

    view = scene(1)
    pictures = [*[view] * 6, with_object(view, 40, 1), with_object(view, 120, 1), scene(2)]
    stills = [
        replace(photo(picture, index), timed=True, captured_at_ns=round(1e18 + index * 5e8))
        for index, picture in enumerate(pictures)
    ]
    plainly = Sifter(LIMITS, embed, Gallery(32), model="blocks")
    told = describe(sift(plainly, stills))
    needed = len(asked)
    asked.clear()
    sifter = Sifter(LIMITS, embed, Gallery(32), model="blocks")
    verdicts = []
    for still in stills:
        assert isinstance(still.picture, ArrayPicture)
        measured = sifter.ahead(still.picture, photograph=False)
        assert measured.overview is None
        verdicts += sifter.offer(replace(still, ahead=measured))
    verdicts += sifter.flush()
    assert describe(verdicts) == told
    assert len(asked) <= needed + 1  # the first one at rest
    assert len(asked) < len(stills)
