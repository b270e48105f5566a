"""What is new in a picture, and what only moved on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clips import real_pictures
from sifting import (
    LIMIT,
    LIMITS,
    STEP,
    blocks,
    footage,
    frame,
    fresh,
    lite0,
    noisy,
    real,
    reasons,
    scene,
    sift,
    with_object,
    world,
)
from stillsift.arrays import Image
from stillsift.decisions import Reason
from stillsift.embedding import Embedding
from stillsift.frames import Frame, Picture
from stillsift.selection import Gallery, Limits, Sifter, Verdict
from stillsift.selection.cells import Cells, cell_distances
from stillsift.selection.regions import EVERYTHING, Regions
from stillsift.selection.sensitivity import Sensitivity
from stillsift.selection.thumbnail import colours

Step = tuple[int, int | None, int, bool, float]


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


def test_a_scene_that_goes_on_changing_is_kept_again_and_again() -> None:
    """People at desks for a minute: each of them is explained, but no kept frame shows them all."""
    random = np.random.default_rng(2)
    frames, homes, dressed = [], (30, 105, 180), [0, 1, 2]
    places = list(homes)
    for index in range(300):
        picture = scene(0)
        for person, home in enumerate(homes):
            if random.random() < 0.2:
                places[person] = home + int(random.integers(-10, 11))
            if random.random() < 0.1:
                dressed[person] = person + 3 * int(random.integers(0, 3))
            picture = with_object(picture, places[person], dressed[person])
        frames.append(frame(noisy(picture, index), index))
    verdicts = sift(fresh(), frames)
    kept = [v.frame.captured_at_ns / 1e9 for v in verdicts if v.is_kept]
    assert np.diff([*kept, frames[-1].captured_at_ns / 1e9]).max() <= 15


def test_a_gallery_of_one_is_the_previous_kept_frame() -> None:
    """A, B, A, B: one remembered frame keeps each change, a gallery keeps each view once."""
    pictures = [scene(number // 8 % 2) for number in range(64)]
    frames = [frame(noisy(p, i), i) for i, p in enumerate(pictures)]
    assert sum(v.is_kept for v in sift(real(gallery=1), frames)) == 8
    assert sum(v.is_kept for v in sift(real(gallery=32), frames)) == 2


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


def test_a_higher_sensitivity_keeps_more_of_real_footage() -> None:
    model = lite0().model.spec
    frames = footage("bikes")
    kept = []
    for word in Sensitivity:
        limits = Limits(model.cell_limit, sensitivity=word)
        verdicts = sift(Sifter(limits, lite0(), Gallery(32), model=model.name), frames)
        kept.append(sum(verdict.is_kept for verdict in verdicts))
    assert kept == sorted(kept)
    assert kept[0] < kept[2] < kept[4]


def blend(one: Image, other: Image, share: float) -> Image:
    """`one`, with a share of `other` laid over it, 0 to 1."""
    return np.asarray(cv2.addWeighted(one, 1 - share, other, share, 0), np.uint8)


def two_views() -> tuple[Image, Image]:
    return real_pictures("bigbuckbunny", 1)[0], real_pictures("bikes", 1)[0]


def assert_named_frames_show_it(sifter: Sifter, frames: list[Frame]) -> list[Verdict]:
    """Each `near_duplicate` is within the limit of the kept frame that it names, compared anew."""
    verdicts = sift(sifter, frames)
    grids = {v.frame.id: Cells.of(lite0()(v.frame.picture)) for v in verdicts}
    kept = {v.frame.id for v in verdicts if v.is_kept}
    for verdict in verdicts:
        decision = verdict.decision
        if verdict.is_kept and decision.nearest_kept is not None:
            assert decision.distance is not None
            assert decision.distance > 1
        if decision.reason is Reason.NEAR_DUPLICATE:
            assert decision.nearest_kept in kept
            assert decision.distance is not None
            assert decision.distance <= 1
            apart = cell_distances(grids[verdict.frame.id], grids[decision.nearest_kept])
            # A frame that looks the same as the last is not embedded again, hence the margin.
            assert float(np.median(apart)) <= 0.65 + 0.1
    return verdicts


def assert_repeats_are_within_their_limit(
    sifter: Sifter, frames: list[Frame], embed: Callable[[Picture], Embedding]
) -> int:
    """Each repeat and the frame it names, embedded anew, are within the limit that is in force.

    Returns the number of repeats.
    """
    by_id = {each.id: each for each in frames}
    context, repeats = sifter._context, 0

    def cells(id_: str) -> Cells:
        picture = by_id[id_].picture
        return Cells.of(embed(picture).in_half_precision()).coloured(colours(picture))

    def look(verdicts: list[Verdict]) -> int:
        names = [
            (each.decision.id, each.decision.nearest_kept)
            for each in verdicts
            if each.decision.reason is Reason.NEAR_DUPLICATE
        ]
        for id_, named in names:
            assert named is not None
            apart = context.novelty.direct(cells(id_), cells(named), context.scene)
            assert apart <= 1
        return len(names)

    for each in frames:
        repeats += look(sifter.offer(each))
    return repeats + look(sifter.flush())


@pytest.mark.parametrize("name", ["bikes", "bigbuckbunny", "carphone_pristine"])
def test_a_repeat_compared_directly_and_afresh_is_within_its_limit(name: str) -> None:
    assert assert_repeats_are_within_their_limit(real(), footage(name), lite0()) >= 5


@settings(max_examples=40, deadline=None)
@given(st.lists(STEP, min_size=1, max_size=40))
def test_a_repeat_in_any_world_is_within_its_limit(steps: list[Step]) -> None:
    """Frames nearer to each other than a glance stand for one another, and are left out."""
    apart = [(*step[:4], 0.2 if 0 < step[4] < 0.2 else step[4]) for step in steps]
    assert_repeats_are_within_their_limit(fresh(), world(apart), blocks)


@pytest.mark.parametrize("name", ["bikes", "bigbuckbunny", "carphone_pristine"])
def test_a_repeat_is_within_the_limit_of_the_frame_it_names(name: str) -> None:
    verdicts = assert_named_frames_show_it(real(), footage(name))
    assert Reason.NEAR_DUPLICATE in reasons(verdicts)


def test_a_slow_dissolve_keeps_its_end_and_what_lies_between() -> None:
    one, other = two_views()
    shares = [0.0] * 40 + [i / 400 for i in range(401)] + [1.0] * 20
    frames = [frame(noisy(blend(one, other, s), i), i, i / 5) for i, s in enumerate(shares)]
    verdicts = assert_named_frames_show_it(real(), frames)
    kept = [shares[v.decision.frame_index] for v in verdicts if v.is_kept]
    assert 3 <= len(kept) <= 10
    assert max(kept) >= 0.8


def test_a_thing_that_fades_in_is_kept_however_slowly() -> None:
    view, other = two_views()
    thing = np.asarray(cv2.resize(other, (80, 45)), np.uint8)

    def with_thing(share: float) -> Image:
        made = view.copy()
        made[80:125, 160:240] = blend(made[80:125, 160:240], thing, share)
        return made

    shares = [0.0] * 40 + [i / 300 for i in range(301)] + [1.0] * 20
    frames = [frame(noisy(with_thing(s), i), i, i / 5) for i, s in enumerate(shares)]
    kept = [shares[v.decision.frame_index] for v in sift(real(), frames) if v.is_kept]
    assert 2 <= len(kept) <= 6
    assert max(kept) >= 0.5


def test_each_line_of_a_slide_is_news() -> None:
    """Slides do not flicker, so their limits fall far below those of a camera."""
    pictures = []
    slide = np.full((360, 640, 3), 245, np.uint8)
    cv2.putText(slide, "Results", (40, 60), cv2.FONT_HERSHEY_SIMPLEX, 1.2, (40, 30, 20), 2)
    for number, line in enumerate(("recall 98 %", "2.5 a second", "sixteen cameras")):
        slide = slide.copy()
        place = (60, 130 + 60 * number)
        cv2.putText(slide, line, place, cv2.FONT_HERSHEY_SIMPLEX, 0.6, (40, 30, 20), 1)
        pictures += [slide] * 20
    frames = [frame(picture, i, i / 5) for i, picture in enumerate(pictures)]
    kept = [v.decision.frame_index // 20 for v in sift(real(), frames) if v.is_kept]
    assert kept == [0, 1, 2]


def test_of_one_view_the_frame_that_is_lit_is_kept() -> None:
    view = real_pictures("bikes", 1)[0]
    light = [0.06] * 15 + [0.06 + 0.94 * i / 40 for i in range(41)] + [1.0] * 40
    pictures = [np.asarray(cv2.convertScaleAbs(view, alpha=a), np.uint8) for a in light]
    frames = [frame(noisy(p, i), i, i / 5) for i, p in enumerate(pictures)]
    kept = [light[v.decision.frame_index] for v in sift(real(), frames) if v.is_kept]
    assert max(kept) >= 0.6
    assert len(kept) <= 5


def test_where_a_thing_has_left_other_kept_frames_show_what_is_behind_it() -> None:
    """The two frames that the gallery holds show a thing in two places, and together all else."""
    view = scene(0)
    things = [with_object(view, 20, 2)] * 8 + [with_object(view, 200, 2)] * 8
    pictures = [view] * 30 + things + [view] * 10
    verdicts = sift(real(gallery=2), [frame(noisy(p, i), i, i / 5) for i, p in enumerate(pictures)])
    assert sum(v.is_kept for v in verdicts) == 3
    last = verdicts[-1].decision
    assert last.reason is Reason.SAME_BACKGROUND
    assert last.distance is not None
    assert last.distance > 1, "neither shows the empty view by itself"


@pytest.mark.parametrize("deviation", [0.0, 2.0])
def test_a_picture_at_rest_that_no_single_kept_frame_shows_is_kept(deviation: float) -> None:
    view = scene(0)
    things = [with_object(view, 20, 2)] * 8 + [with_object(view, 200, 2)] * 8
    random = np.random.default_rng(3)
    frames = []
    for index, picture in enumerate([view] * 30 + things + [view] * 30):
        loud = np.clip(picture + random.normal(0, deviation, picture.shape), 0, 255)
        frames.append(frame(np.asarray(loud, np.uint8), index, index / 5))
    verdicts = sift(real(gallery=2), frames)
    left_at = 30 + len(things)
    view_at, *kept = (v.decision.frame_index for v in verdicts if v.is_kept)
    assert view_at < 30
    assert [index >= left_at for index in kept] == [False, False, True]
    assert verdicts[-1].decision.reason is Reason.NEAR_DUPLICATE


def test_what_a_kept_thing_explains_is_no_repeat_of_its_frame() -> None:
    view = scene(0)
    pictures = [view] * 30 + [with_object(view, 20 + 6 * i, 2) for i in range(20)]
    verdicts = sift(real(), [frame(noisy(p, i), i, i / 5) for i, p in enumerate(pictures)])
    moving = [v.decision for v in verdicts[30:] if not v.is_kept]
    explained = [each for each in moving if each.reason is Reason.SAME_OBJECT]
    assert explained
    assert all(each.distance is not None and each.distance > 1 for each in explained)


def test_with_a_gallery_of_one_a_repeat_is_within_its_limit_though_all_differs() -> None:
    """In rain, or noise at night, all cells are far and none is further than the rest."""
    random = np.random.default_rng(1)
    pictures = [random.integers(0, 255, (144, 256, 3)).astype(np.uint8) for _ in range(60)]
    sifter = real(Limits(LIMIT, max_wait_s=0.0), gallery=1)
    verdicts = sift(sifter, [frame(p, i, i / 5) for i, p in enumerate(pictures)])
    repeats = [v.decision for v in verdicts if v.decision.reason is Reason.NEAR_DUPLICATE]
    assert repeats
    assert all((repeat.distance or 0) <= 1 for repeat in repeats)


def test_a_pan_keeps_one_frame_for_each_sixth_of_its_way_and_its_end() -> None:
    left, right = two_views()
    wide = np.concatenate([left, left[:, ::-1], right], 1)
    width = left.shape[1]
    # The width of the picture in 100 s, then a rest.
    ways = [0.0] * 30 + [width * i / 500 for i in range(501)] + [float(width)] * 70
    frames = [
        frame(noisy(wide[:, round(way) : round(way) + width], i), i, i / 5)
        for i, way in enumerate(ways)
    ]
    verdicts = sift(real(), frames)
    kept = [ways[v.decision.frame_index] / width for v in verdicts if v.is_kept]
    assert 4 <= len(kept) <= 10
    assert np.diff([*kept, 1.0]).max() < 0.3
    moved = [v.decision for v in verdicts if "the view has moved on" in (v.decision.detail or "")]
    assert moved
    assert all(each.reason is Reason.SAME_BACKGROUND for each in moved)
    assert all((each.distance or 0) > 1 for each in moved)


def detailed(width: int, height: int) -> Image:
    """A picture full of small things, of every size from 3 to 40 pixels."""
    random = np.random.default_rng(1)
    made = np.full((height, width, 3), 90, np.uint8)
    for number in range(width * height // 400):
        x, y = int(random.integers(width)), int(random.integers(height))
        colour, size = random.integers(0, 255, 3).tolist(), int(random.integers(3, 26))
        if number % 3 == 0:
            cv2.circle(made, (x, y), size // 2, colour, -1)
        elif number % 3 == 1:
            cv2.rectangle(made, (x, y), (x + size, y + size // 2), colour, -1)
        else:
            other = (x + int(random.integers(-40, 40)), y + int(random.integers(-40, 40)))
            cv2.line(made, (x, y), other, colour, 2, cv2.LINE_AA)
    return made


def test_a_slow_pan_over_many_small_things_keeps_no_more() -> None:
    """Between two cells, what lies there is found by its neighbours less well."""
    width, height = 480, 270
    wide = detailed(2 * width, height)
    frames = []
    for index in range(520):
        by = np.array([[1, 0, width * index / 512], [0, 1, 0]], np.float32)
        how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        picture = np.asarray(cv2.warpAffine(wide, by, (width, height), flags=how), np.uint8)
        frames.append(frame(noisy(picture, index), index))
    kept = [v.decision.frame_index / 512 for v in sift(real(), frames) if v.is_kept]
    assert 4 <= len(kept) <= 10
    assert np.diff([*kept, 1.0]).max() < 0.3


@cache
def kept_of_a_pan(regions: Regions) -> int:
    """How many frames are kept of a pan by the width of the picture in 28 s."""
    left, _ = two_views()
    wide, width = np.concatenate([left, left[:, ::-1]], 1), left.shape[1]
    ways = [0] * 12 + [round(width * step / 140) for step in range(141)]
    frames = [frame(noisy(wide[:, way : way + width], i), i) for i, way in enumerate(ways)]
    return sum(v.is_kept for v in sift(real(replace(LIMITS, regions=regions)), frames))


@pytest.mark.parametrize(
    ("regions", "most_apart"),
    [
        (Regions(ignore=(((0, 0), (0.3, 0), (0.3, 0.2), (0, 0.2)),)), 1),
        (Regions(roi=(((0.05, 0.05), (0.95, 0.05), (0.95, 0.95), (0.05, 0.95)),)), 1),
        (Regions(ignore=(((0, 0), (0.5, 0), (0.5, 1), (0, 1)),)), 4),
    ],
    ids=["corner", "border", "half"],
)
def test_of_a_pan_about_as_much_is_kept_although_a_part_does_not_count(
    regions: Regions, most_apart: int
) -> None:
    """What does not count is painted, so that it stands still while all else moves on. Half of a
    picture is moved out of sooner than the whole of it, so some more are kept."""
    assert 5 <= kept_of_a_pan(EVERYTHING) <= 8
    assert abs(kept_of_a_pan(regions) - kept_of_a_pan(EVERYTHING)) <= most_apart


@pytest.mark.parametrize(("far", "between"), [(0.18, 0.08), (0.2, 0.08), (0.2, 0.09)])
def test_a_view_that_rests_between_two_kept_ones_is_kept(far: float, between: float) -> None:
    left, _ = two_views()
    wide = np.concatenate([left, left[:, ::-1]], 1)
    width = left.shape[1]
    frames = []
    for index, way in enumerate([0.0] * 20 + [far] * 20 + [between] * 60):
        start = round(way * width)
        frames.append(frame(noisy(wide[:, start : start + width], index), index))
    kept = [v.decision.frame_index for v in sift(real(), frames) if v.is_kept]
    assert [index // 20 for index in kept[:2]] == [0, 1]
    # At first it is the nearer one, moved on a little; it becomes another view after 10 s.
    assert [index >= 40 + 50 for index in kept[2:]] == [True]


def test_a_thing_that_arrives_while_the_view_moves_is_kept() -> None:
    left, _ = two_views()
    wide = np.concatenate([left, left[:, ::-1]], 1)
    width = left.shape[1]
    frames = []
    for index in range(100):
        way = round(width * max(0, index - 40) / 900)
        picture = wide[:, way : way + width].copy()
        if index >= 80:
            picture = with_object(picture, 60, 1)
        frames.append(frame(noisy(picture, index), index, index / 5))
    kept = [v.decision.frame_index for v in sift(real(), frames) if v.is_kept]
    assert any(index >= 80 for index in kept)
    assert len(kept) <= 4


def with_lamp(picture: Image, colour: tuple[int, int]) -> Image:
    """The same with a round lamp of this Cr and Cb, as bright as what was there."""
    around = cv2.cvtColor(picture, cv2.COLOR_BGR2YCrCb)
    lamp = np.zeros(picture.shape[:2], np.uint8)
    cv2.circle(lamp, (120, 60), 12, 255, -1)
    around[..., 1:][lamp > 0] = colour
    return np.asarray(cv2.cvtColor(around, cv2.COLOR_YCrCb2BGR), np.uint8)


LAMPS = [with_lamp(scene(0), colour) for colour in ((60, 90), (170, 150), (90, 190))]


def test_another_colour_of_equal_brightness_is_kept_once_it_rests() -> None:
    pictures = [scene(0), *LAMPS]
    frames = [frame(noisy(pictures[i // 30], i), i, i / 5) for i in range(120)]
    kept = [v.decision.frame_index for v in sift(real(), frames) if v.is_kept]
    assert [index // 30 for index in kept] == [0, 1, 2, 3]


def test_another_colour_is_kept_although_a_sibling_has_kept_the_first() -> None:
    frames = [frame(noisy(LAMPS[i // 20], i), i, i / 5) for i in range(60)]
    sibling = real()
    sift(sibling, frames[:20])
    (first,) = [replace(each, id="yard0", by="yard") for each in sibling.gallery.kept]
    sifter = Sifter(LIMITS, lite0(), Gallery(32), model="lite0", elsewhere=lambda: [first])
    verdicts = sift(sifter, frames)
    assert [v.decision.frame_index // 20 for v in verdicts if v.is_kept] == [1, 2]
    assert {v.decision.nearest_kept for v in verdicts[5:20]} == {"yard0"}


def test_other_text_on_a_slide_is_another_slide() -> None:
    random = np.random.default_rng(4)
    words = ("river", "stone", "market", "engine", "copper", "yellow", "window", "garden")
    frames = []
    for index in range(160):
        if index % 20 == 0:
            slide = np.full((360, 640, 3), 250, np.uint8)
            for line in range(5):
                text = " ".join(random.choice(words, 5))
                place = (30, 100 + 50 * line)
                cv2.putText(slide, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.7, (30, 30, 30), 1)
        frames.append(frame(slide.copy(), index, index / 5))
    kept = {v.decision.frame_index // 20 for v in sift(real(), frames) if v.is_kept}
    assert kept == set(range(8))
