"""What is wrong with a source itself: each alarm begins once and ends once, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import cv2
import numpy as np
import pytest

from sifting import LIMITS, blocks
from stillsift.arrays import Image
from stillsift.frames import ArrayPicture, Frame, TimeOrigin
from stillsift.health import Alarm, AlarmKind, CameraHealth, Sighting
from stillsift.health.known_views import edges_of
from stillsift.selection import Gallery, Sifter
from stillsift.selection.budgets import Amounts
from stillsift.selection.sharpness import sharpness
from stillsift.selection.thumbnail import thumbnail
from troubled import START_NS, covered, days, frame, frozen, sift, usual, view

HOUR = 360
"""Frames of an hour, one every ten seconds."""


def moved(number: int) -> Image:
    return usual(number, view("bigbuckbunny"))


def soft(number: int) -> Image:
    return usual(number, np.asarray(cv2.GaussianBlur(view(), (0, 0), 3.5), np.uint8))


def astray(frames: list[Frame], first: int, back_s: float) -> list[Frame]:
    """The clock is set back at a frame and right after that goes on."""
    return [
        each
        if number < first
        else replace(each, captured_at_ns=each.captured_at_ns - round(back_s * 1e9))
        for number, each in enumerate(frames)
    ]


CASES = {
    AlarmKind.FROZEN: lambda: days(220, frozen, 150, 180),
    AlarmKind.COVERED: lambda: days(80, covered, 30, 60),
    AlarmKind.MOVED: lambda: days(HOUR + 80, moved, HOUR + 20, HOUR + 50),
    AlarmKind.FOCUS: lambda: days(400, soft, 250, 340),
    AlarmKind.CLOCK: lambda: astray(days(60, frozen, 0, 0), 30, 900.0),
}


@pytest.mark.parametrize("kind", CASES)
def test_each_trouble_begins_once_and_ends_once(kind: AlarmKind) -> None:
    frames = CASES[kind]()
    begun, ended = sift(frames)
    assert (begun.kind, ended.kind) == (kind, kind)
    assert begun.to_ns is None
    assert ended.to_ns is not None
    assert begun.from_ns == ended.from_ns <= ended.to_ns
    assert begun.detail == ended.detail != ""


@pytest.mark.parametrize("kind", CASES)
def test_a_restart_in_the_middle_gives_the_same_alarms(kind: AlarmKind) -> None:
    frames = CASES[kind]()
    whole = sift(frames)
    found: list[Alarm] = []
    gallery, state, at = Gallery(32), None, 0
    for stop in (*range(35, len(frames), 50), len(frames)):
        sifter = Sifter(LIMITS, blocks, gallery, state, model="blocks")
        while at < stop or (sifter.waiting and at < len(frames)):
            sifter.offer(frames[at])
            found += sifter.take_alarms()
            at += 1
        if at == len(frames):
            sifter.flush()
            found += sifter.take_alarms()
        gallery, state = Gallery(32, sifter.gallery.kept), sifter.state()
    assert found == whole


@pytest.mark.parametrize("allowed", [Amounts(max_per_day=1), Amounts(min_gap_s=7200.0)])
def test_a_camera_that_was_moved_is_told_where_the_view_may_not_be_kept(allowed: Amounts) -> None:
    frames = CASES[AlarmKind.MOVED]()
    whole = Sifter(LIMITS, blocks, Gallery(32), model="blocks")
    limited = Sifter(replace(LIMITS, amounts=allowed), blocks, Gallery(32), model="blocks")
    assert sift(frames, limited) == sift(frames, whole) != []
    assert len(limited.gallery) == 1, "kept, this shows nothing"


def test_alarms_change_no_decision_and_can_be_switched_off() -> None:
    frames = CASES[AlarmKind.MOVED]()
    on = Sifter(LIMITS, blocks, Gallery(32), model="blocks")
    off = Sifter(LIMITS, blocks, Gallery(32), model="blocks", alarms=False)
    assert [on.offer(each) for each in frames] == [off.offer(each) for each in frames]
    assert off.take_alarms() == []
    assert len(on.take_alarms()) == 2


def test_switched_off_while_an_alarm_stands_it_ends() -> None:
    frames = days(80, covered, 30, 80)
    on = Sifter(LIMITS, blocks, Gallery(32), model="blocks")
    assert [alarm.to_ns for alarm in sift(frames[:60], on)] == [None]
    off = Sifter(LIMITS, blocks, on.gallery, on.state(), model="blocks", alarms=False)
    (ended,) = sift(frames[60:], off)
    assert ended.to_ns is not None
    assert off.alarms == []


def test_switched_off_and_on_again_a_source_is_known_anew() -> None:
    frames = CASES[AlarmKind.FOCUS]()
    frames = [*frames[:330], *(frame(n, soft(n)) for n in range(330, 560))]
    on = Sifter(LIMITS, blocks, Gallery(32), model="blocks")
    assert [alarm.kind for alarm in sift(frames[:330], on)] == [AlarmKind.FOCUS]
    off = Sifter(LIMITS, blocks, on.gallery, on.state(), model="blocks", alarms=False)
    assert len(sift(frames[330:332], off)) == 1
    again = Sifter(LIMITS, blocks, off.gallery, off.state(), model="blocks")
    assert sift(frames[332:], again) == [], "as soft as it is, it is all that is known of it"


def sightings(pictures: Iterable[Image], step_s: float, *, new: bool = True) -> Iterator[Sighting]:
    """Frames as the watch gets them; `new`: each of them shows a view that was not kept."""
    for number, picture in enumerate(pictures):
        luma = ArrayPicture(picture).luma()
        at_s = number * step_s
        yield Sighting(
            START_NS + round(at_s * 1e9), "a", at_s, thumbnail(luma), sharpness(luma).value, new
        )


def watch(seen: Iterable[Sighting]) -> list[Alarm]:
    watcher = CameraHealth()
    return [alarm for each in seen for alarm in watcher.step(each)]


def test_edited_footage_and_tours_do_not_move() -> None:
    views = [view(name) for name in ("bikes", "bigbuckbunny", "carphone_pristine")]
    views = [np.asarray(cv2.resize(each, (320, 180)), np.uint8) for each in views]
    shots = [usual(n, views[n // 40 % 3]) for n in range(1200)]
    assert watch(sightings(shots, 5.0)) == []
    away = [*(usual(n) for n in range(HOUR)), *(usual(n, views[1]) for n in range(4))]
    assert watch(sightings([*away, *map(usual, range(20))], 10.0)) == [], "a look aside"
    known = [*away[:HOUR], *(usual(n, views[1]) for n in range(60))]
    assert watch(sightings(known, 10.0, new=False)) == [], "a place on the tour"


def test_dusk_infrared_and_fog_cover_nothing_and_keep_their_focus() -> None:
    dim = [np.asarray(view() * max(0.12, 1 - n / 600), np.uint8) for n in range(720)]
    grey = cv2.cvtColor(cv2.cvtColor(view(), cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    night = [np.asarray(grey * 0.45, np.uint8)] * 120
    assert watch(sightings((usual(n, each) for n, each in enumerate(dim + night)), 5.0)) == []


def pale(number: int) -> Image:
    """A third of the structure: too much for a covered lens, too little for an open one."""
    return usual(number, np.asarray(100 + (view() - view().mean()) * 0.3, np.uint8))


def test_a_view_that_stays_pale_after_it_was_covered_is_the_usual_after_an_hour() -> None:
    pictures = [*map(usual, range(30)), *map(covered, range(10)), *map(pale, range(600))]
    seen = list(sightings(pictures, 10.0))
    begun, ended = watch(seen)
    assert (begun.kind, begun.from_ns) == (AlarmKind.COVERED, seen[30].at_ns)
    assert ended.to_ns == seen[40 + HOUR - 1].at_ns
    watcher = CameraHealth()
    for each in seen:
        watcher.step(each)
    assert watcher._views[0].last_ns == seen[-1].at_ns, "nothing is looked at any more"


def test_moments_of_darkness_minutes_apart_do_not_add_up_to_a_covered_lens() -> None:
    pictures = [*map(usual, range(30)), *(pale(n) if n % 30 else covered(n) for n in range(300))]
    assert watch(sightings(pictures, 10.0)) == []


def test_what_an_encoder_repeats_is_not_frozen() -> None:
    """Measured: up to the next keyframe, 20 s apart."""
    groups = [usual(number // 100) for number in range(1500)]
    assert watch(sightings(groups, 0.2)) == []


@pytest.mark.parametrize("step_s", [0.04, 0.2, 0.25, 0.5, 1.0])
def test_a_source_that_repeated_nothing_is_frozen_after_a_minute_at_every_rate(
    step_s: float,
) -> None:
    live, minute = round(79 / step_s), round(60 / step_s) + 1
    pictures = list(sightings(map(usual, range(5)), 0.0))

    def seen(frames: int) -> Iterator[Sighting]:
        for number in range(live + frames):
            at_s, picture = number * step_s, pictures[number % 4 if number < live else 4]
            yield replace(picture, at_ns=START_NS + round(at_s * 1e9), pts_s=at_s)

    assert watch(seen(minute - 1)) == []
    (begun,) = watch(seen(minute + 10))
    assert begun.kind is AlarmKind.FROZEN


def test_a_source_that_mostly_repeats_itself_is_frozen_after_ten_minutes() -> None:
    often = [usual(n // 4) for n in range(80)]
    assert watch(sightings([*often, *[usual(20)] * 290], 2.0)) == []
    (begun,) = watch(sightings([*often, *[usual(20)] * 310], 2.0))
    assert begun.kind is AlarmKind.FROZEN


def test_what_was_remembered_by_an_older_stillsift_is_taken_up() -> None:
    old, new = CameraHealth(), CameraHealth()
    seen = list(sightings(map(usual, range(20)), 10.0))
    for each in seen:
        old.step(each)
    arrays = old.arrays()
    plain = json.loads(str(arrays["alarms"]))
    for name in ("usual_s", "content"):
        del plain["counts"][name]
    plain["counts"]["frames"] = 20
    new.restore(arrays | {"alarms": np.array(json.dumps(plain))})
    assert new._counts == replace(old._counts, usual_s=0.0, content=None)


def still(number: int, picture: Image) -> Frame:
    """Half a second after the one before, as its name tells."""
    each = frame(number, picture, step_s=0.5)
    each = replace(each, captured_at_origin=TimeOrigin.FILENAME, pts_s=None, timed=True)
    return replace(each, origin=f"{number}.png|1|1", content_hash=f"{number}")


def upload(sifter: Sifter, each: Frame, shown: int) -> list[Alarm]:
    """A still that is read, or one with the content of still number `shown`, which is not."""
    if shown == each.frame_index:
        sifter.offer(each)
    else:
        sifter.repeated(each.captured_at_ns, each.origin, f"{shown}")
    return sifter.take_alarms()


def test_a_camera_that_uploads_one_and_the_same_still_is_frozen_after_any_restart() -> None:
    """Files of a known content are not read. The first that all the others repeat shows another
    view, so that it waits while they come."""
    shown = [*range(162), *[162] * 140, *range(302, 330)]
    stills = [still(n, usual(n) if n < 162 else moved(n)) for n in range(len(shown))]
    whole = Sifter(LIMITS, blocks, Gallery(32), model="blocks")
    found = [upload(whole, each, shown[n]) for n, each in enumerate(stills)]
    assert len(whole.gallery) == 2
    begun, ended = [alarm for alarms in found for alarm in alarms]
    assert (begun.kind, ended.to_ns) == (AlarmKind.FROZEN, stills[302].captured_at_ns)
    assert (begun.from_ns, found[283]) == (stills[163].captured_at_ns, [begun])

    again, at, cuts = Sifter(LIMITS, blocks, Gallery(32), model="blocks"), 0, set()
    pieces: list[Alarm] = []
    while at < len(stills):
        for number in range(at, min(at + 4, len(stills))):
            pieces += upload(again, stills[number], shown[number])
        at = number + 1
        if again.waiting:  # read again from the first frame without a decision
            cuts.add(at)
            at = max(n for n in range(at) if shown[n] == n)
        gallery = Gallery(32, again.gallery.kept)
        again = Sifter(LIMITS, blocks, gallery, again.state(), model="blocks")
    assert pieces == [begun, ended]
    assert 164 in cuts, "none while what was not read stood behind a frame: shows nothing"


def test_what_is_not_read_changes_no_decision() -> None:
    """Neither later than the moment that is open, nor earlier, nor within it."""
    stills = []
    for number in range(60):
        picture = usual(number, np.roll(view(), 60 * (number // 7), axis=1))
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), 2 - number % 4 / 3), np.uint8)
        stills.append(still(number, picture))
    plain = Sifter(LIMITS, blocks, Gallery(32), model="blocks")
    alone = [verdict.decision for each in stills for verdict in plain.offer(each)]
    sifter, found = Sifter(LIMITS, blocks, Gallery(32), model="blocks"), []
    for each in stills:
        found += sifter.offer(each)
        for before_s in (1000.0, 0.0, -0.4):
            at_ns = each.captured_at_ns - round(before_s * 1e9)
            found += sifter.repeated(at_ns, f"{at_ns}", "0")
    assert len(plain.gallery) > 4
    assert [verdict.decision for verdict in found] == alone


def test_uploads_that_repeat_earlier_ones_in_turn_are_not_frozen() -> None:
    sifter = Sifter(LIMITS, blocks, Gallery(32), model="blocks")
    stills = [still(n, usual(n)) for n in range(400)]
    assert [a for n, each in enumerate(stills) for a in upload(sifter, each, n % 160)] == []


def test_the_sharpness_of_a_fast_stream_reaches_the_watch_whatever_was_kept() -> None:
    """Only some frames of a fast stream are measured, and a kept one changes which."""
    watched: list[Sighting] = []
    sifter = Sifter(LIMITS, blocks, Gallery(32), model="blocks")
    step = sifter._health.step
    sifter._health.step = lambda seen: watched.append(seen) or step(seen)  # type: ignore[method-assign,func-returns-value]
    shown = []
    for number in range(200):
        parking = view().copy()
        front = 200 + 10 * max(0, min(number - 43, 7))
        parking[100:150, 200:front] = 255 - parking[100:150, 200:front]
        shown.append(usual(number, parking))
    sift([frame(n, picture, step_s=0.04) for n, picture in enumerate(shown)], sifter)
    assert len(sifter.gallery) > 1, "what was parked there was not kept: this shows nothing"
    assert sum(each.sharpness is None for each in watched) > 100, "nor this"
    (home,) = sifter._health._views
    assert home.sharp_s > 0.9 * 199 * 0.04


def test_how_long_is_frozen_follows_from_repetitions_that_ended_by_themselves() -> None:
    """Four times the longest of them, which here is 40 s from its first repetition to its last."""

    def repeated(frames: int) -> list[AlarmKind]:
        before = [*map(usual, range(120)), *[usual(200)] * 10, *map(usual, range(300, 320))]
        return [alarm.kind for alarm in watch(sightings([*before, *[usual(400)] * frames], 5.0))]

    assert repeated(33) == [], "155 s"
    assert repeated(34) == [AlarmKind.FROZEN], "160 s"


def test_a_long_freeze_does_not_let_the_next_go_on_for_four_times_as_long() -> None:
    def after_usual(first: int, repeated_s: int) -> list[Image]:
        return [*map(usual, range(first, first + 30)), *[usual(9000 + first)] * (repeated_s // 10)]

    ended = [*after_usual(0, 50), *after_usual(50, 130), *after_usual(100, 450)]
    shown = [*ended, *after_usual(150, 1730), *after_usual(200, 4200), *map(usual, range(30))]
    seen = [alarm for alarm in watch(sightings(shown, 10.0)) if alarm.to_ns is None]
    assert [alarm.kind for alarm in seen] == [AlarmKind.FROZEN], "after an hour of the last"


def test_a_focus_that_does_not_come_back_is_the_usual_after_two_weeks() -> None:
    sharp, dull = (
        list(sightings((picture(n) for n in range(7)), 60.0)) for picture in (usual, soft)
    )
    watcher, found = CameraHealth(), []
    for number in range(14 * 1440):
        seen = (sharp if number < 300 else dull)[number % 7]
        at_s = 60.0 * number
        found += watcher.step(replace(seen, at_ns=START_NS + round(at_s * 1e9), pts_s=at_s))
    begun, ended = found
    assert begun.kind is AlarmKind.FOCUS
    assert ended.to_ns is not None
    assert 5 < (ended.to_ns - begun.from_ns) / 86_400e9 < 13


def test_time_that_runs_away_from_presentation_time_is_told_and_a_slow_clock_is_not() -> None:
    regular = list(sightings(map(usual, range(200)), 10.0))

    def shifted(by_s: Callable[[int], float]) -> list[Sighting]:
        return [
            replace(each, at_ns=each.at_ns + round(by_s(n) * 1e9)) for n, each in enumerate(regular)
        ]

    assert watch(shifted(lambda n: n * 0.001)) == []
    begun, ended = watch(shifted(lambda n: 40.0 if n >= 100 else 0.0))
    assert (begun.kind, ended.kind) == (AlarmKind.CLOCK, AlarmKind.CLOCK)
    assert "40 s apart" in begun.detail
    assert [a.kind for a in watch(shifted(lambda n: 4000.0 * (n >= 100)))] == [AlarmKind.CLOCK] * 2
    other = [
        replace(each, origin=str(n // 50), at_ns=START_NS - n)
        for n, each in enumerate(regular)
        if n % 50 == 0
    ]
    assert watch(other) == [], "files come in any order"


def test_a_state_of_another_version_is_read_as_far_as_it_goes_and_brings_no_durations() -> None:
    pictures = [*map(usual, range(30)), *map(covered, range(10)), *map(usual, range(30, 50))]
    seen = list(sightings(pictures, 10.0))
    first, again = CameraHealth(), CameraHealth()
    for each in seen[:32]:
        first.step(each)
    arrays = first.arrays()
    plain = json.loads(str(arrays["alarms"]))
    for part in (*plain["conditions"], plain["counts"], *plain["views"]):
        part["renamed"] = 1
    for part in plain["conditions"]:
        part["begin_s"] = 1e6
    plain["conditions"].append({"kind": "stolen", "raised": True})
    del plain["counts"]["unmeasured_s"], plain["views"][0]["frames"], plain["stranger"]
    again.restore({**arrays, "alarms": np.array(json.dumps(plain))})
    found = [alarm for each in seen[32:] for alarm in again.step(each)]
    assert found == watch(seen)
    assert [alarm.kind for alarm in found] == [AlarmKind.COVERED] * 2
    CameraHealth().restore({"alarms": np.array("{}"), "alarms_edges": arrays["alarms_edges"]})


def test_edges_are_the_same_wherever_a_picture_lies_in_memory() -> None:
    """What is remembered of a source would else differ between two runs over the same frames."""
    for number in range(20):
        noise = np.random.default_rng(number).integers(0, 256, (36, 64), np.uint8)
        seen = np.asarray(cv2.GaussianBlur(noise, (0, 0), 2), np.uint8)
        memory = np.empty(seen.size + 64, np.uint8)
        found = set()
        for at in range(64):
            there = memory[at : at + seen.size].reshape(seen.shape)
            there[...] = seen
            found.add(edges_of(there).tobytes())
        assert len(found) == 1
