"""What selection promises, on made-up worlds of many shapes and on real footage."""

from __future__ import annotations

import io
from dataclasses import replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from clips import real_clip, real_pictures
from stillsift.arrays import Image, packed
from stillsift.config.settings import ModelSettings
from stillsift.decisions import Decision, Outcome, Reason
from stillsift.embedding import Embedder, Embedding
from stillsift.frames import ArrayPicture, Frame, Picture, TimeOrigin
from stillsift.pipeline.model_choice import CPU_MODEL, CUDA_MODEL, open_model
from stillsift.selection import Gallery, GalleryFrame, Limits, Sifter, Verdict
from stillsift.selection.cells import Cells
from stillsift.selection.noise import NoiseFloor
from stillsift.selection.novelty import Novelty
from stillsift.selection.sensitivity import Sensitivity
from stillsift.selection.thumbnail import thumbnail
from stillsift.sources.files import ClipReader

LIMIT = 0.40
LIMITS = Limits(novelty=LIMIT)


def blocks(picture: Picture) -> Embedding:
    """A small honest embedder: colour and structure of 16 x 9 blocks."""
    colours = picture.rgb(64, 36).astype(np.float32) / 255
    cells = colours.reshape(9, 4, 16, 4, 3)
    mean = cells.mean((1, 3))
    spread = cells.std((1, 3))
    grid = np.concatenate([mean - 0.5, spread, np.full((9, 16, 1), 0.05, np.float32)], -1)
    vector = grid.mean((0, 1))
    return Embedding(vector / np.linalg.norm(vector), np.ascontiguousarray(grid, np.float32))


def scene(seed: int) -> Image:
    """(144, 256, 3): a view with structure at every scale, sharp."""
    random = np.random.default_rng(seed)
    picture = np.zeros((144, 256, 3), np.float32)
    for size in (4, 9, 18, 36):
        part = random.uniform(0, 255, (144 // size + 1, 256 // size + 1, 3)).astype(np.float32)
        picture += cv2.resize(part, (256, 144), interpolation=cv2.INTER_NEAREST) / 4
    return np.asarray(picture, np.uint8)


def with_object(picture: Image, x: int, colour: int) -> Image:
    """The same with a textured object at a place."""
    made = picture.copy()
    tint = np.random.default_rng(colour).integers(0, 255, 3)
    made[48:88, x : x + 32] = tint
    made[56:80:6, x + 4 : x + 28] = 255 - tint
    return made


def noisy(picture: Image, seed: int) -> Image:
    noise = np.random.default_rng(seed).normal(0, 2, picture.shape)
    return np.asarray(np.clip(picture + noise, 0, 255), np.uint8)


def frame(picture: Image, index: int, at_s: float | None = None) -> Frame:
    at_s = index / 5 if at_s is None else at_s
    return Frame(
        "door",
        "clip",
        index,
        round(1e18 + at_s * 1e9),
        TimeOrigin.PTS,
        ArrayPicture(picture),
        pts_s=at_s,
    )


def photo(picture: Image, index: int) -> Frame:
    made = replace(
        frame(picture, index, 0.0), content_hash=f"{index:064x}", file=Path(f"/p/{index}.jpg")
    )
    return replace(made, captured_at_origin=TimeOrigin.MTIME, pts_s=None)


@cache
def lite0() -> Embedder:
    return Embedder(open_model(ModelSettings()))


def thumbnail_of(picture: Image) -> Image:
    return thumbnail(ArrayPicture(picture).luma())


def fresh(limits: Limits = LIMITS, gallery: int = 32) -> Sifter:
    return Sifter(limits, blocks, Gallery(gallery), model="blocks")


def real(limits: Limits = LIMITS, gallery: int = 32) -> Sifter:
    """With the embedder that comes with stillsift."""
    return Sifter(limits, lite0(), Gallery(gallery), model="lite0")


def sift(sifter: Sifter, frames: list[Frame]) -> list[Verdict]:
    return [verdict for each in frames for verdict in sifter.offer(each)] + sifter.flush()


def reasons(verdicts: list[Verdict]) -> list[Reason]:
    return [verdict.decision.reason for verdict in verdicts]


# A step of a world: which view, an object or none, where it is, blurred or not, seconds since.
STEP = st.tuples(
    st.integers(0, 2),
    st.one_of(st.none(), st.integers(0, 3)),
    st.integers(0, 220),
    st.booleans(),
    st.sampled_from([0.04, 0.2, 0.2, 0.2, 1.0, 7.0, -3.0]),
)


def world(steps: list[tuple[int, int | None, int, bool, float]]) -> list[Frame]:
    frames, at_s = [], 0.0
    for index, (view, thing, x, blurred, step_s) in enumerate(steps):
        picture = scene(view)
        if thing is not None:
            picture = with_object(picture, x, thing)
        if blurred:
            picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), 4), np.uint8)
        at_s += step_s
        frames.append(frame(noisy(picture, index), index, at_s))
    return frames


WORLD = st.lists(STEP, min_size=1, max_size=40).map(world)


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


@settings(max_examples=40, deadline=None)
@given(WORLD | FAST, st.lists(st.integers(0, 119), max_size=4))
def test_a_restart_at_any_point_changes_nothing(frames: list[Frame], stops: list[int]) -> None:
    undisturbed = [verdict.decision for verdict in sift(fresh(), frames)]
    decided = []
    sifter, position = fresh(), 0
    while position < len(frames):
        decided += [verdict.decision for verdict in sifter.offer(frames[position])]
        position += 1
        if position in stops:
            stops = [stop for stop in stops if stop != position]
            stored = [(kept.id, kept.to_bytes()) for kept in sifter.gallery.kept]
            gallery = Gallery(32, (GalleryFrame.from_bytes(id_, data) for id_, data in stored))
            position -= sifter.waiting
            sifter = Sifter(LIMITS, blocks, gallery, sifter.state(), model="blocks")
    decided += [verdict.decision for verdict in sifter.flush()]
    assert decided == undisturbed


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
        replace(LIMITS, novelty=0.8),
        replace(LIMITS, sensitivity=Sensitivity.LOWEST),
    ],
)
def test_a_view_at_rest_is_held_to_the_limits_in_force(limits: Limits) -> None:
    sifter, following = at_rest()
    gallery = Gallery(32, sifter.gallery.kept)
    again = Sifter(limits, blocks, gallery, sifter.state(), model="blocks")
    (verdict,) = again.offer(following)
    in_force = Novelty(limits.novelty, limits.sensitivity).weight
    assert verdict.decision.novelty_limit == pytest.approx(in_force)


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


def elsewhere() -> tuple[GalleryFrame, ...]:
    """What another source of the group has kept: two of the views, and one with an object."""
    pictures = (scene(0), scene(1), with_object(scene(0), 80, 1))
    kept = []
    for number, picture in enumerate(pictures):
        view = blocks(ArrayPicture(picture)).in_half_precision()
        kept.append(
            GalleryFrame(f"yard{number}", view, thumbnail_of(picture), Cells.of(view), "yard")
        )
    return tuple(kept)


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
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=30))
def test_no_photograph_is_kept_that_a_sibling_has_kept(shots: list[tuple[int, int]]) -> None:
    """And what is dropped for it is within the limit of the very one that it names: no chains."""
    others = elsewhere()
    pictures = [
        noisy(with_object(scene(view), 40 * shift, 1) if shift else scene(view), number)
        for number, (view, shift) in enumerate(shots)
    ]
    frames = [photo(picture, number) for number, picture in enumerate(pictures)]
    sifter = Sifter(LIMITS, blocks, Gallery(2), model="blocks", elsewhere=lambda: others)
    verdicts = sift(sifter, frames)
    assert [verdict.decision.frame_index for verdict in verdicts] == list(range(len(frames)))
    rule = Novelty(LIMIT)
    cells = {
        each.id: Cells.of(blocks(ArrayPicture(picture)).in_half_precision())
        for each, picture in zip(frames, pictures, strict=True)
    } | {kept.id: kept.cells for kept in others}
    limit = rule.picture_limit(others[0].cells)
    for verdict in verdicts:
        decision = verdict.decision
        if verdict.is_kept:
            apart = min(rule.between(cells[decision.id], kept.cells) for kept in others)
            assert apart > limit * 0.9
        else:
            assert decision.nearest_kept is not None
            assert rule.between(cells[decision.id], cells[decision.nearest_kept]) <= limit * 1.1


def test_a_burst_that_a_sibling_knows_in_part_makes_no_chain() -> None:
    """The sharpest repeats what the sibling has kept, the others only repeat the sharpest."""
    first = scene(0)
    steps = [
        np.asarray(cv2.addWeighted(first, 1 - weight, scene(1), weight, 0), np.uint8)
        for weight in (0.0, 0.28, 0.56)
    ]
    views = [blocks(ArrayPicture(step)).in_half_precision() for step in steps]
    cells = [Cells.of(view) for view in views]
    rule = Novelty(LIMIT)
    limit = rule.picture_limit(cells[0])
    assert rule.between(cells[0], cells[1]) <= limit
    assert rule.between(cells[1], cells[2]) <= limit < rule.between(cells[0], cells[2])
    soft = np.asarray(cv2.GaussianBlur(steps[2], (0, 0), 0.7), np.uint8)
    yard = GalleryFrame("yard", views[0], thumbnail_of(first), cells[0], "yard")
    sifter = Sifter(LIMITS, blocks, Gallery(32), model="blocks", elsewhere=lambda: (yard,))
    burst = [photo(soft, 0), photo(steps[1], 1), photo(soft, 2)]
    verdicts = sift(sifter, burst)
    assert reasons(verdicts) == [Reason.NOVEL, Reason.NEAR_DUPLICATE, Reason.NEAR_DUPLICATE]
    assert verdicts[1].decision.nearest_kept in ("yard", burst[0].id)


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


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=30))
def test_photographs_make_no_chains(shots: list[tuple[int, int]]) -> None:
    """Every dropped photograph is within the limit of the very one that it names."""
    pictures = [
        noisy(with_object(scene(view), 40 * shift, 1) if shift else scene(view), number)
        for number, (view, shift) in enumerate(shots)
    ]
    frames = [photo(picture, number) for number, picture in enumerate(pictures)]
    verdicts = sift(fresh(), frames)
    assert [verdict.decision.frame_index for verdict in verdicts] == list(range(len(frames)))
    rule = Novelty(LIMIT)
    limit = rule.picture_limit(Cells.of(blocks(ArrayPicture(pictures[0]))))
    cells = {
        each.id: Cells.of(blocks(ArrayPicture(picture)).in_half_precision())
        for each, picture in zip(frames, pictures, strict=True)
    }
    kept = [v.decision.id for v in verdicts if v.is_kept]
    for verdict in verdicts:
        decision = verdict.decision
        if decision.outcome is Outcome.DROPPED:
            assert decision.nearest_kept is not None
            apart = rule.between(cells[decision.id], cells[decision.nearest_kept])
            # One thumbnail stands for pictures that look the same, so allow for its noise.
            assert apart <= limit * 1.1
    for number, one in enumerate(kept):
        for other in kept[:number]:
            assert rule.between(cells[one], cells[other]) > limit * 0.9


def test_a_quiet_view_is_kept_once() -> None:
    view = scene(0)
    verdicts = sift(real(), [frame(noisy(view, index), index) for index in range(60)])
    assert sum(verdict.is_kept for verdict in verdicts) == 1


def test_an_arrival_is_kept_and_its_way_through_the_picture_is_not() -> None:
    view = scene(0)
    quiet = [frame(noisy(view, index), index) for index in range(40)]
    walk = [
        frame(noisy(with_object(view, 8 + 6 * step, 1), 100 + step), 40 + step)
        for step in range(30)
    ]
    verdicts = sift(real(), quiet + walk)
    kept = [v.decision.frame_index for v in verdicts if v.is_kept]
    assert kept[0] < 6
    assert 1 <= len(kept[1:]) <= 3
    assert all(index >= 40 for index in kept[1:])


@pytest.mark.parametrize(
    ("asked", "size", "lighter", "gap"), [("highest", 16, 48, "0.5 s"), ("normal", 32, 48, "1 s")]
)
def test_news_too_soon_after_the_last_says_how_soon(
    asked: str, size: int, lighter: int, gap: str
) -> None:
    def with_patch(picture: Image, y: int, x: int) -> Image:
        made = picture.astype(np.int16)
        made[y : y + size, x : x + size] += lighter
        return np.asarray(np.clip(made, 0, 255), np.uint8)

    one = with_patch(scene(0), 48, 32)
    pictures = [scene(0)] * 30 + [one] * 2 + [with_patch(one, 96, 176)] * 2
    sifter = fresh(Limits(LIMIT, max_wait_s=0.0, sensitivity=Sensitivity(asked)))
    verdicts = sift(sifter, [frame(picture, i, i / 10) for i, picture in enumerate(pictures)])
    limited = [v.decision for v in verdicts if v.decision.reason is Reason.RATE_LIMITED]
    told = {str(each.detail).split(", but ")[1] for each in limited}
    assert told == {f"within {gap} of the last"}


def test_a_burst_of_blur_on_a_known_view_is_dropped() -> None:
    view = scene(0)
    soft = np.asarray(cv2.GaussianBlur(view, (0, 0), 3), np.uint8)
    pictures = [view] * 20 + [soft] * 4 + [view] * 10
    verdicts = sift(real(), [frame(noisy(p, i), i) for i, p in enumerate(pictures)])
    kept = [v.decision for v in verdicts if v.is_kept]
    assert [decision.reason for decision in kept] == [Reason.NOVEL]


def test_a_moment_without_a_sharp_frame_keeps_its_sharpest() -> None:
    view = scene(0)
    sharp = [frame(noisy(view, index), index) for index in range(20)]
    thing = with_object(view, 100, 2)
    softness = [5.0, 3.0, 4.0, 6.0, 6.0, 6.0]
    soft = [
        frame(np.asarray(cv2.GaussianBlur(thing, (0, 0), sigma), np.uint8), 20 + number)
        for number, sigma in enumerate(softness)
    ]
    verdicts = sift(real(), sharp + soft)
    kept = [v.decision for v in verdicts if v.is_kept][1:]
    assert [decision.reason for decision in kept] == [Reason.SHARPEST]
    assert kept[0].frame_index == 21


@pytest.mark.parametrize("sigma", [1.5, 2.0])
def test_a_small_thing_that_comes_with_blur_is_kept_as_the_sharpest(sigma: float) -> None:
    """Seen as a whole, such a picture is a kept one with blur."""
    view, other = (real_pictures(name, 1)[0] for name in ("bigbuckbunny", "bikes"))
    thing = view.copy()
    thing[110:146, 200:264] = np.asarray(cv2.resize(other, (64, 36)), np.uint8)  # 4 %
    soft = np.asarray(cv2.GaussianBlur(thing, (0, 0), sigma), np.uint8)
    pictures = [view] * 30 + [soft] * 6 + [view] * 10
    verdicts = sift(real(), [frame(noisy(p, i), i) for i, p in enumerate(pictures)])
    kept = [v.decision for v in verdicts if v.is_kept]
    assert [decision.reason for decision in kept] == [Reason.NOVEL, Reason.SHARPEST]


def test_a_gallery_of_one_is_the_previous_kept_frame() -> None:
    """A, B, A, B: one remembered frame keeps each change, a gallery keeps each view once."""
    pictures = [scene(number // 8 % 2) for number in range(64)]
    frames = [frame(noisy(p, i), i) for i, p in enumerate(pictures)]
    assert sum(v.is_kept for v in sift(real(gallery=1), frames)) == 8
    assert sum(v.is_kept for v in sift(real(gallery=32), frames)) == 2


def test_what_is_blurred_at_one_limit_is_blurred_at_every_higher_one() -> None:
    """Until the first frame that is kept at one of them and not at the other."""
    view = scene(0)
    frames = [
        frame(np.asarray(cv2.GaussianBlur(view, (0, 0), 0.1 + (i % 7) / 3), np.uint8), i)
        for i in range(40)
    ]
    limits: dict[int, list[float]] = {}
    for share in (0.3, 0.5, 0.7):
        for verdict in sift(fresh(replace(LIMITS, min_sharpness=share)), frames):
            decision = verdict.decision
            if decision.sharpness is not None and decision.sharpness_limit is not None:
                limits.setdefault(decision.frame_index, []).append(decision.sharpness_limit)
    assert all(values == sorted(values) for values in limits.values())
    assert limits


def test_an_embedder_without_a_grid_still_tells_views_apart() -> None:
    """An embedder with only a pooled output: views are told apart, objects are not."""

    def pooled(picture: Picture) -> Embedding:
        return Embedding(lite0()(picture).vector, None)

    sifter = Sifter(Limits(novelty=0.05), pooled, Gallery(32))
    views = [
        np.ascontiguousarray(real_pictures(name, 1)[0][..., ::-1])
        for name in ("bikes", "bigbuckbunny", "carphone_pristine")
    ]
    pictures = [views[number // 8 % 3] for number in range(48)]
    verdicts = sift(sifter, [frame(noisy(p, i), i) for i, p in enumerate(pictures)])
    assert sum(verdict.is_kept for verdict in verdicts) == 3


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


def footage(name: str) -> list[Frame]:
    items = ClipReader(real_clip(name), name, rate=5).items()
    return [replace(item, origin=name) for item in items if isinstance(item, Frame)]


@pytest.mark.parametrize("name", ["bikes", "bigbuckbunny", "carphone_pristine"])
def test_the_decisions_about_real_footage_are_the_golden_ones(name: str) -> None:
    """tests/golden/NAME.txt: a line per frame. Written anew with `python tests/golden.py`."""
    model = lite0().model.spec
    sifter = Sifter(Limits(novelty=model.novelty_limit), lite0(), Gallery(32), model=model.name)
    golden = (Path(__file__).parent / "golden" / f"{name}.txt").read_text("utf-8")
    assert describe(sift(sifter, footage(name))) == golden


def test_a_higher_sensitivity_keeps_more_of_real_footage() -> None:
    model = lite0().model.spec
    frames = footage("bikes")
    kept = []
    for word in Sensitivity:
        limits = Limits(model.novelty_limit, sensitivity=word)
        verdicts = sift(Sifter(limits, lite0(), Gallery(32), model=model.name), frames)
        kept.append(sum(verdict.is_kept for verdict in verdicts))
    assert kept == sorted(kept)
    assert kept[0] < kept[2] < kept[4]


def test_a_higher_sensitivity_tells_more_photographs_apart() -> None:
    cells = Cells.of(blocks(ArrayPicture(scene(0))))
    limits = [Novelty(LIMIT, word).picture_limit(cells) for word in Sensitivity]
    assert limits == sorted(limits, reverse=True)
    assert limits[2] == Novelty(LIMIT).picture_limit(cells)


def test_int8_keeps_what_fp32_keeps() -> None:
    """Not each frame: of two that show the same thing, either may be the better one."""
    frames = footage("bikes")
    kept = []
    for name in (CPU_MODEL, CUDA_MODEL):
        embedder = Embedder(open_model(ModelSettings(name=name)))
        limits = Limits(embedder.model.spec.novelty_limit)
        verdicts = sift(Sifter(limits, embedder, Gallery(32), model=name), frames)
        kept.append({v.decision.frame_index for v in verdicts if v.is_kept})
    assert len(kept[0] ^ kept[1]) <= 2
    assert len(kept[0]) > 10


def describe(verdicts: list[Verdict]) -> str:
    """Decisions as a person reads them: position, reason, and the kept frame they repeat."""
    indexes = {verdict.decision.id: verdict.decision.frame_index for verdict in verdicts}
    lines = []
    for verdict in verdicts:
        decision = verdict.decision
        nearest = None if decision.nearest_kept is None else indexes[decision.nearest_kept]
        repeats = "" if nearest is None else f" beside {nearest}"
        mark = "*" if verdict.is_kept else " "
        lines.append(f"{decision.frame_index:5} {mark} {decision.reason}{repeats}")
    return "\n".join(lines) + "\n"


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


def test_what_noise_puts_together_is_learned_while_calm_and_outlives_a_restart() -> None:
    floor = NoiseFloor(0.4)
    cells = np.zeros((2, 2), np.float32)
    for number in range(40):
        calm = number < 30
        floor.learn(cells, 0.3 * (number % 3) if calm else None, float(number))
    later = NoiseFloor(0.4)
    later.restore(floor.arrays())

    assert floor.chance() == later.chance() == pytest.approx(0.6)

    floor.restart()
    assert floor.chance() == 0
