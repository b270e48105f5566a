"""What is asked for by its label: required, inhibited, or worth a frame of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sifting import LIMITS, blocks, frame, noisy, photo, reasons, scene, sift
from stillsift.arrays import Image, packed, unpacked
from stillsift.decisions import Box, Detection, Reason
from stillsift.detection import DetectError
from stillsift.embedding import Embedding, EmbedError
from stillsift.frames import ArrayPicture, Frame, Picture
from stillsift.selection import Gallery, GalleryFrame, Limits, Sifter, Verdict
from stillsift.selection.budgets import Amounts
from stillsift.selection.regions import Regions
from stillsift.selection.targets import Target, Targets

COLOURS = {"red": (20, 20, 230), "blue": (230, 20, 20)}


@dataclass
class Seen:
    """A small honest detector of plates of one colour; it counts how often it is asked."""

    asked: int = 0
    closely: list[Sequence[Box]] = field(default_factory=list)
    broken: bool = False

    def __call__(self, picture: Image, parts: Sequence[Box], targets: Targets) -> list[Detection]:
        self.asked += 1
        self.closely.append(parts)
        if self.broken:
            raise DetectError("out of order")
        found = []
        for label in targets.labels:
            apart = np.abs(picture.astype(np.int16) - COLOURS[label]).max(2)
            _, _, stats, _ = cv2.connectedComponentsWithStats((apart < 40).astype(np.uint8))
            for left, top, width, height, area in stats[1:].tolist():
                confidence = min(1.0, area / 1000)
                if confidence >= targets.least:
                    box = (float(left), float(top), float(left + width), float(top + height))
                    found.append(Detection(label, confidence, box))
        return found


def plate(picture: Image, label: str, x: int = 100, y: int = 60, side: int = 36) -> Image:
    made = picture.copy()
    made[y : y + side, x : x + side] = COLOURS[label]
    return made


def sifter(
    targets: Targets, seen: Seen, limits: Limits = LIMITS, state: Sifter | None = None
) -> Sifter:
    """A new sifter, or one that goes on from another as after a restart."""
    gallery = Gallery(32)
    if state is not None:
        kept = [GalleryFrame.from_bytes(each.id, each.to_bytes()) for each in state.gallery.kept]
        gallery = Gallery(32, kept)
    return Sifter(
        replace(limits, targets=targets),
        blocks,
        gallery,
        None if state is None else state.state(),
        model="blocks",
        detect=seen,
    )


def film(*shots: tuple[Image, float]) -> list[Frame]:
    """Pictures, each for so many seconds, 5 frames/s."""
    pictures = [picture for picture, for_s in shots for _ in range(round(5 * for_s))]
    return [frame(noisy(picture, index), index) for index, picture in enumerate(pictures)]


def shown(verdicts: Sequence[Verdict], reason: Reason) -> list[int]:
    return [v.decision.frame_index for v in verdicts if v.decision.reason is reason]


RED = Target("red")
VIEW = scene(0)
CLOSER = [(60, 24), (75, 28), (90, 32), (105, 36), (120, 40), (135, 44)]
"""Left edge and side of a plate that comes closer, in six frames."""


@pytest.mark.parametrize("changes", [False, True])
def test_only_what_shows_the_object_is_kept(changes: bool) -> None:
    """The empty view is refused, and so is another thing; the object is not lost for that."""
    frames = film((VIEW, 4), (plate(VIEW, "blue"), 3), (plate(VIEW, "red"), 3), (VIEW, 3))
    seen = Seen()
    made = sifter(Targets(require=(RED,)), seen, replace(LIMITS, every_change=changes))
    verdicts = sift(made, frames)
    kept = [v.decision for v in verdicts if v.is_kept]
    assert kept
    assert all(35 <= each.frame_index < 50 for each in kept), "only while the red plate is there"
    (found,) = {(each.label, each.box) for one in kept for each in one.detections or ()}
    assert found[0] == "red"
    assert np.allclose(found[1], (100, 60, 136, 96), atol=2)
    assert len(shown(verdicts, Reason.NO_TARGET)) > 20
    refused = [v.decision for v in verdicts if v.decision.reason is Reason.NO_TARGET]
    assert all("require asks for red of 0.3" in str(each.detail) for each in refused)
    assert {each.detections for each in refused} == {(), None}, "None: not looked at"


def test_a_view_at_rest_is_looked_at_once_a_minute() -> None:
    seen = Seen()
    verdicts = sift(sifter(Targets(require=(RED,)), seen), film((VIEW, 150)))
    assert not [v for v in verdicts if v.is_kept]
    assert 3 <= seen.asked <= 15, "at 0 s, 60 s and 120 s, up to five frames each"


def test_who_leaves_before_the_best_frame_of_a_moment_is_not_lost() -> None:
    """Most news is in later frames of the moment, but the object is only in the first ones."""
    large = VIEW.copy()
    large[20:130, 20:220] = scene(5)[20:130, 20:220]
    frames = film((VIEW, 6), (plate(VIEW, "red", side=30), 0.4), (large, 3))
    verdicts = sift(sifter(Targets(require=(RED,)), Seen()), frames)
    assert [30 <= v.decision.frame_index < 32 for v in verdicts if v.is_kept] == [True]


@settings(max_examples=12, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from([None, "red", "blue"]), st.integers(5, 12)),
        min_size=1,
        max_size=8,
    ),
    st.booleans(),
)
def test_nothing_is_kept_that_may_not_be_and_every_frame_is_decided(
    shots: list[tuple[int, str | None, int]], changes: bool
) -> None:
    pictures = [
        (scene(view) if label is None else plate(scene(view), label), count / 5)
        for view, label, count in shots
    ]
    frames = film(*pictures)
    labels = [label for _, label, count in shots for _ in range(count)]
    targets = Targets(require=(RED,), inhibit=(Target("blue"),))
    limits = replace(LIMITS, every_change=changes, amounts=Amounts(heartbeat_s=2))
    verdicts = sift(sifter(targets, Seen(), limits), frames)
    assert [v.decision.frame_index for v in verdicts] == list(range(len(frames)))
    for verdict in verdicts:
        if verdict.is_kept:
            label = labels[verdict.decision.frame_index]
            assert label != "blue"
            assert label == "red" or verdict.decision.reason is Reason.HEARTBEAT
    ids = {v.decision.id for v in verdicts if v.is_kept}
    assert {v.decision.nearest_kept for v in verdicts} <= {None, *ids}


def test_a_trigger_keeps_what_is_not_new_at_most_as_often_as_it_says() -> None:
    target = Target("red", every_s=10)
    frames = film((VIEW, 4), (plate(VIEW, "red"), 40), (VIEW, 20))
    seen = Seen()
    verdicts = sift(sifter(Targets(trigger=(target,)), seen), frames)
    at = shown(verdicts, Reason.TRIGGER)
    novel = [i for i in shown(verdicts, Reason.NOVEL) if 20 <= i < 220]
    assert len(novel) == 1
    assert len(at) == 3
    apart = np.diff([*novel, *at])
    assert all(50 <= between <= 55 for between in apart), "within a second after 10"
    assert seen.asked <= 70, "once a second"
    assert "it shows red 1.00; at most one each 10s" in [
        v.decision.detail for v in verdicts if v.decision.reason is Reason.TRIGGER
    ]


def test_a_trigger_for_the_uncertain_passes_over_what_is_sure() -> None:
    target = Target("red", 0.3, most=0.6, every_s=2)
    sure, unsure = plate(VIEW, "red", side=36), plate(VIEW, "red", x=180, side=21)
    frames = film((VIEW, 4), (sure, 20), (VIEW, 4), (unsure, 20))
    verdicts = sift(sifter(Targets(trigger=(target,)), Seen()), frames)
    at = shown(verdicts, Reason.TRIGGER)
    assert len(at) >= 5
    assert all(index >= 140 for index in at)
    assert "of which the detector is not sure" in str(verdicts[at[0]].decision.detail)


@pytest.mark.parametrize("changes", [False, True])
def test_what_must_not_be_kept_is_neither_heartbeat_nor_trigger(changes: bool) -> None:
    targets = Targets(inhibit=(Target("blue"),), trigger=(Target("red", every_s=1),))
    both = plate(plate(VIEW, "red"), "blue", x=180)
    limits = replace(LIMITS, every_change=changes, amounts=Amounts(heartbeat_s=1))
    verdicts = sift(sifter(targets, Seen(), limits), film((VIEW, 3), (both, 6), (VIEW, 3)))
    kept = [v.decision.frame_index for v in verdicts if v.is_kept]
    assert kept
    assert not [index for index in kept if 15 <= index < 45]
    assert Reason.INHIBITED in reasons(verdicts)


@pytest.mark.parametrize("inhibit", [False, True])
def test_a_frame_that_no_detector_can_look_at_is_kept_unless_something_must_not_be(
    inhibit: bool,
) -> None:
    asked = Targets(require=(RED,), inhibit=(Target("blue"),) if inhibit else ())
    verdicts = sift(sifter(asked, Seen(broken=True)), film((VIEW, 4)))
    assert bool([v for v in verdicts if v.is_kept]) != inhibit
    assert (Reason.INHIBITED in reasons(verdicts)) == inhibit


@pytest.mark.parametrize("changes", [False, True])
def test_a_restart_after_any_frame_changes_nothing(changes: bool) -> None:
    """What was refused, and when a trigger was last met, is remembered."""
    targets = Targets(
        require=(RED, Target("blue", 0.9)), trigger=(Target("red", every_s=3),), inhibit=()
    )
    shots = ((VIEW, 3), (scene(3), 3), (plate(VIEW, "red"), 8), (VIEW, 2), (scene(3), 3))
    frames = film(*shots)
    limits = replace(LIMITS, every_change=changes)
    whole = sift(sifter(targets, Seen(), limits), frames)
    made, verdicts, waiting = sifter(targets, Seen(), limits), list[Verdict](), list[Frame]()
    for each in frames:
        waiting.append(each)
        done = made.offer(each)
        verdicts += done
        del waiting[: len(done)]
        made = sifter(targets, Seen(), limits, made)
        for again in waiting:
            assert not made.offer(again)
    verdicts += made.flush()
    assert [v.decision for v in verdicts] == [v.decision for v in whole]
    assert {Reason.NO_TARGET, Reason.TRIGGER, Reason.NOVEL} <= set(reasons(whole))


def test_photographs_are_looked_at_one_by_one() -> None:
    pictures = [scene(1), plate(scene(2), "red"), plate(scene(3), "blue"), plate(scene(4), "red")]
    targets = Targets(require=(RED,), trigger=(Target("blue"),))
    verdicts = sift(
        sifter(targets, Seen()), [photo(each, number) for number, each in enumerate(pictures)]
    )
    assert reasons(verdicts) == [Reason.NO_TARGET, Reason.NOVEL, Reason.NO_TARGET, Reason.NOVEL]


def test_a_better_copy_without_the_object_replaces_nothing() -> None:
    """The sharper one of a burst, in which the object has left, is no view of it."""
    view = scene(1)
    first = plate(view, "red", side=28)
    soft = np.asarray(cv2.GaussianBlur(first, (0, 0), 1.2), np.uint8)
    verdicts = sift(
        sifter(Targets(require=(RED,)), Seen()), [photo(soft, 0), photo(view, 1), photo(first, 2)]
    )
    kept = [v.decision for v in verdicts if v.is_kept]
    assert all(each.frame_index != 1 for each in kept)
    assert len(kept) >= 1


@pytest.mark.parametrize("targets", [Targets(require=(RED,)), Targets(trigger=(RED,))])
def test_new_cells_are_looked_at_closely(targets: Targets) -> None:
    """Beside a kept view, and beside one that was refused."""
    seen = Seen()
    frames = film((VIEW, 6), (plate(VIEW, "red", x=180, y=90), 2))
    sift(sifter(targets, seen), frames)
    ((left, top, right, bottom),) = next(parts for parts in seen.closely if parts)
    assert left <= 184
    assert top <= 94
    assert right >= 212
    assert bottom >= 122
    assert (right - left) * (bottom - top) < 256 * 144 / 4


@pytest.mark.parametrize(
    ("target", "met"),
    [
        (Target("red"), True),
        (Target("blue"), False),
        (Target("red", confidence=0.9), False),
        (Target("red", confidence=0.3, most=0.7), False),
        (Target("red", confidence=0.3, most=0.8), True),
        (Target("red", min_size=0.25), True),
        (Target("red", min_size=0.26), False),
        (Target("red", zone=(((0, 0.5), (1, 0.5), (1, 1), (0, 1)),)), True),
        (Target("red", zone=(((0, 0), (1, 0), (1, 0.7), (0, 0.7)),)), False),
        (
            Target("red", zone=(((0, 0), (0.2, 0), (0, 0.2)), ((0, 0), (1, 0), (1, 1), (0, 1)))),
            True,
        ),
    ],
)
def test_a_target_is_met_by_label_confidence_size_and_place(target: Target, met: bool) -> None:
    """A box of a quarter of the picture that stands on its lower half."""
    found = Detection("red", 0.8, (100.0, 25.0, 200.0, 75.0))
    assert target.met_by(found, 200, 100) is met


def test_an_inhibited_object_in_an_ignored_part_is_still_inhibited() -> None:
    """What is kept is kept whole. A required one counts only where the picture counts."""
    left = Regions(ignore=(((0, 0), (0.5, 0), (0.5, 1), (0, 1)),))
    limits = replace(LIMITS, regions=left)
    frames = film((plate(VIEW, "blue", x=20), 3), (VIEW, 3))
    verdicts = sift(sifter(Targets(inhibit=(Target("blue"),)), Seen(), limits), frames)
    assert [v.decision.frame_index for v in verdicts if v.is_kept]
    assert all(v.decision.frame_index >= 15 for v in verdicts if v.is_kept)
    for x, kept in ((20, False), (180, True)):
        frames = film((plate(VIEW, "red", x=x), 3))
        verdicts = sift(sifter(Targets(require=(RED,)), Seen(), limits), frames)
        assert any(v.is_kept for v in verdicts) == kept


def test_what_must_not_be_kept_is_told_though_another_frame_lacks_the_object() -> None:
    """The best frame shows nothing that is required, a later one what is inhibited."""
    targets = Targets(require=(RED,), inhibit=(Target("blue"),))
    other = scene(3)
    frames = film((other, 0.4), (plate(other, "blue", side=24), 0.4), (scene(4), 2))
    verdicts = sift(sifter(targets, Seen()), frames)
    seen = [v.decision for v in verdicts if v.decision.detections]
    assert seen
    assert {each.reason for each in seen} == {Reason.INHIBITED}


def test_other_objects_are_not_refused_by_what_was_refused_before() -> None:
    frames = film((plate(VIEW, "blue"), 30))
    first = sifter(Targets(require=(RED,)), Seen())
    for each in frames[:50]:
        first.offer(each)
    heir, _ = first.successor(
        replace(LIMITS, targets=Targets(require=(Target("blue"),))), 32, alarms=False
    )
    verdicts = sift(heir, frames[50:])
    kept = [v.decision.frame_index for v in verdicts if v.is_kept]
    assert kept
    assert kept[0] < 60, "at once, and not after a minute"


@pytest.mark.parametrize("changes", [False, True])
def test_a_heartbeat_and_a_trigger_come_also_where_the_required_object_is_missing(
    changes: bool,
) -> None:
    targets = Targets(require=(RED,), trigger=(Target("blue", every_s=4),))
    limits = replace(LIMITS, every_change=changes, amounts=Amounts(heartbeat_s=10))
    frames = film((VIEW, 25), (plate(VIEW, "blue"), 13))
    verdicts = sift(sifter(targets, Seen(), limits), frames)
    assert len(shown(verdicts, Reason.HEARTBEAT)) >= 2
    assert len(shown(verdicts, Reason.TRIGGER)) >= 3


def test_a_heartbeat_that_may_not_come_looks_once_a_second() -> None:
    targets = Targets(inhibit=(Target("blue"),))
    seen = Seen()
    limits = replace(LIMITS, amounts=Amounts(heartbeat_s=1))
    sift(sifter(targets, seen, limits), film((plate(VIEW, "blue"), 40)))
    assert seen.asked <= 55


def test_a_frame_that_cannot_be_converted_loses_no_other() -> None:
    class Broken(ArrayPicture):
        def bgr(self) -> Image:
            raise DetectError("cannot be converted")

    coming = [(plate(VIEW, "red", x=x, side=side), 0.2) for x, side in CLOSER]
    frames = film((VIEW, 4), *coming)
    frames = [replace(each, picture=Broken(each.picture.bgr())) for each in frames]
    verdicts = sift(sifter(Targets(require=(RED,)), Seen()), frames)
    assert [v.decision.frame_index for v in verdicts] == list(range(26))
    assert any(v.is_kept for v in verdicts)


def test_a_change_without_the_object_is_no_repeat_of_one_with_it() -> None:
    """A near duplicate is within the limit of the frame that it names, also then."""
    limits = replace(LIMITS, every_change=True)
    pictures = [(scene(number), 0.4) for number in (1, 2)] + [(plate(scene(1), "red"), 0.4)]
    verdicts = sift(sifter(Targets(require=(RED,)), Seen(), limits), film(*pictures, (VIEW, 2)))
    for each in verdicts:
        if each.decision.reason is Reason.NEAR_DUPLICATE:
            assert each.decision.distance is not None
            assert each.decision.distance <= 1


def test_a_state_that_lacks_what_is_remembered_now_is_taken_all_the_same() -> None:
    targets = Targets(require=(RED,))
    frames = film((VIEW, 20))
    first = sifter(targets, Seen())
    for each in frames[:40]:
        first.offer(each)
    arrays = unpacked(first.state())
    for name in ("targets_beat_s", "targets_key"):
        del arrays[name]
    heir = Sifter(
        replace(LIMITS, targets=targets),
        blocks,
        Gallery(32),
        packed(arrays),
        model="blocks",
        detect=Seen(),
    )
    assert reasons(sift(heir, frames[40:])) == [Reason.NO_TARGET] * 60


# -- compare: object -------------------------------------------------------------------------------

BOTH = Targets(require=(RED, Target("blue")), by_object=True)


@pytest.mark.parametrize("changes", [False, True])
def test_an_object_is_news_once_wherever_it_comes_again(changes: bool) -> None:
    """At another place, and in another view; the kept frame is named, with how near the two are."""
    limits = replace(LIMITS, every_change=changes)
    shots = (
        *((VIEW, 3), (plate(VIEW, "red"), 3), (VIEW, 3), (plate(VIEW, "red", x=180, y=20), 3)),
        *((VIEW, 3), (plate(scene(5), "red", x=40, y=90), 3), (plate(VIEW, "blue"), 3)),
    )
    frames = film(*shots)
    for by_object in (False, True):
        targets = replace(BOTH, by_object=by_object)
        verdicts = sift(sifter(targets, Seen(), limits), frames)
        kept = [v.decision for v in verdicts if v.is_kept]
        shot_of = [each.frame_index // 15 for each in kept]
        assert sorted(set(shot_of)) == ([1, 6] if by_object else [1, 3, 5, 6])
    assert len(kept) == 2
    told = [(v.decision, str(v.decision.detail)) for v in verdicts]
    same = [each for each, why in told if "compared by itself" in why]
    looked = [each for each in same if each.detections is not None]
    assert {each.frame_index // 15 for each in looked} == {3, 5}
    for each in same:
        assert each.reason is Reason.SAME_OBJECT
        assert each.nearest_kept == kept[0].id
    assert all(each.distance is not None and each.distance <= 1 for each in looked)


def test_what_shows_no_object_is_dropped_also_where_only_a_trigger_names_some() -> None:
    targets = Targets(trigger=(Target("red", every_s=1000),), by_object=True)
    frames = film((VIEW, 3), (plate(VIEW, "red"), 3), (scene(4), 3), (plate(scene(6), "red"), 3))
    verdicts = sift(sifter(targets, Seen()), frames)
    kept = [v.decision for v in verdicts if v.is_kept]
    assert [each.frame_index // 15 for each in kept] == [1]
    assert "compare: object asks for red of 0.3" in str(verdicts[0].decision.detail)
    assert {Reason.NO_TARGET, Reason.SAME_OBJECT} <= set(reasons(verdicts))


def test_of_several_objects_one_that_is_new_is_enough() -> None:
    one = plate(VIEW, "red")
    frames = film((one, 3), (VIEW, 3), (plate(plate(VIEW, "red", x=20), "blue", x=180), 3))
    verdicts = sift(sifter(BOTH, Seen()), frames)
    assert [v.decision.frame_index // 15 for v in verdicts if v.is_kept] == [0, 2]


def test_photographs_are_compared_by_object_as_well() -> None:
    pictures = [
        plate(scene(1), "red"),
        plate(scene(2), "red", x=180, y=20),
        plate(scene(3), "blue"),
        scene(4),
        plate(scene(5), "blue", x=20, y=90),
    ]
    verdicts = sift(sifter(BOTH, Seen()), [photo(each, n) for n, each in enumerate(pictures)])
    assert reasons(verdicts) == [
        *(Reason.NOVEL, Reason.SAME_OBJECT, Reason.NOVEL, Reason.NO_TARGET, Reason.SAME_OBJECT)
    ]
    for dropped, by in ((1, 0), (4, 2)):
        decision = verdicts[dropped].decision
        assert decision.nearest_kept == verdicts[by].decision.id
        assert decision.distance is not None
        assert decision.distance <= 1


@pytest.mark.parametrize("changes", [False, True])
def test_objects_are_remembered_over_a_restart_after_any_frame(changes: bool) -> None:
    shots = (
        *((VIEW, 1), (plate(VIEW, "red"), 2), (VIEW, 2), (plate(VIEW, "red", x=180, y=20), 3)),
        *((plate(scene(5), "red", x=40, y=90), 2), (plate(VIEW, "blue"), 2)),
    )
    frames = film(*shots)
    limits = replace(LIMITS, every_change=changes)
    whole = sift(sifter(BOTH, Seen(), limits), frames)
    made, verdicts, waiting = sifter(BOTH, Seen(), limits), list[Verdict](), list[Frame]()
    for each in frames:
        waiting.append(each)
        done = made.offer(each)
        verdicts += done
        del waiting[: len(done)]
        made = sifter(BOTH, Seen(), limits, made)
        for again in waiting:
            assert not made.offer(again)
    verdicts += made.flush()
    assert [v.decision for v in verdicts] == [v.decision for v in whole]
    assert Reason.SAME_OBJECT in reasons(whole)


def test_an_object_of_a_frame_that_is_not_there_any_more_is_new() -> None:
    """It could not be written, or was deleted: no frame is a repeat of it."""
    made = sifter(BOTH, Seen())
    frames = film((plate(VIEW, "red"), 2), (plate(scene(5), "red", x=40, y=90), 30))
    kept = [v.decision.id for each in frames[:15] for v in made.offer(each) if v.is_kept]
    for each in frames[15:40]:
        assert not any(v.is_kept for v in made.offer(each))
    made.miss(kept[0])
    verdicts = sift(made, frames[40:80])
    again = [v.decision.frame_index for v in verdicts if v.is_kept]
    assert len(again) == 1
    assert again[0] < 60, "and not after a minute"


def test_an_embedder_that_fails_on_an_object_loses_no_frame() -> None:
    def embed(picture: Picture) -> Embedding:
        if picture.width < 100:
            raise EmbedError("too small")
        return blocks(picture)

    frames = film((plate(VIEW, "red"), 2), (plate(scene(5), "red"), 2))
    made = Sifter(replace(LIMITS, targets=BOTH), embed, Gallery(32), model="blocks", detect=Seen())
    assert len([v for v in sift(made, frames) if v.is_kept]) == 2


# -- the best view ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("steps", "best"), [(CLOSER, 5), (CLOSER[::-1], 0)])
def test_of_a_moment_the_largest_view_is_kept(steps: list[tuple[int, int]], best: int) -> None:
    """Without objects it is the first that shows nearly all of what is new."""
    coming = [(plate(VIEW, "red", x=x, side=side), 0.2) for x, side in steps]
    frames = film((VIEW, 4), *coming, (VIEW, 3))
    for by_object in (False, True):
        seen = Seen()
        verdicts = sift(sifter(Targets(require=(RED,), by_object=by_object), seen), frames)
        kept = [v.decision.frame_index - 20 for v in verdicts if v.is_kept]
        assert best in kept
        assert not by_object or kept == [best], "its other views are the same object"
        assert seen.asked <= 12, "a few of each moment"


def test_a_blurred_moment_keeps_its_sharpest_frame_as_ever() -> None:
    def soft(picture: Image, much: float) -> Image:
        return np.asarray(cv2.GaussianBlur(picture, (0, 0), much), np.uint8)

    coming = [
        (soft(plate(VIEW, "red", x=x, side=side), much), 0.2)
        for x, side, much in ((60, 24, 2.0), (90, 34, 2.5), (120, 40, 3.0))
    ]
    frames = film((VIEW, 4), *coming, (soft(VIEW, 3.0), 1), (VIEW, 2))
    verdicts = sift(sifter(Targets(require=(RED,)), Seen()), frames)
    assert [v.decision.frame_index for v in verdicts if v.decision.reason is Reason.SHARPEST] == [
        20
    ]
