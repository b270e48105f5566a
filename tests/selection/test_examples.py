"""Cleaning by good and bad examples: what resembles them, and how a refused frame is treated."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import sifting
from sifting import LIMITS, blocks, frame, fresh, noisy, photo, reasons, sift, with_object
from stillsift.arrays import Image
from stillsift.decisions import Outcome, Reason, outcome_of
from stillsift.embedding import Embedding
from stillsift.frames import ArrayPicture
from stillsift.selection.budgets import Amounts
from stillsift.selection.examples import LEAST, Example, Examples, in_both, measures
from stillsift.selection.limits import Limits

GOOD, BAD = 0, 1
"""Views that are shown as examples."""


def scene(view: int) -> Image:
    """A view, each in colours of its own: that is what the small embedder sees."""
    tint = np.random.default_rng(view).permutation([0.4, 0.7, 1.0])
    return np.asarray(sifting.scene(view) * tint, np.uint8)


def embedded(picture: Image) -> Embedding:
    return blocks(ArrayPicture(picture)).in_half_precision()


def example(name: str, picture: Image) -> Example:
    return Example(name, measures(embedded(picture)))


def varied(view: int, seed: int) -> Image:
    """A view with something in it, now here and now there."""
    return noisy(with_object(scene(view), 30 + 12 * (seed % 15), seed), seed)


def shown(view: int, count: int = 8) -> list[Example]:
    return [example(f"{view}-{seed}.jpg", varied(view, seed)) for seed in range(count)]


def limits(*, good: bool = True, bad: bool = True, **more: object) -> Limits:
    examples = Examples(shown(GOOD) if good else (), shown(BAD) if bad else ())
    return replace(LIMITS, examples=examples, **more)  # type: ignore[arg-type]


# -- what resembles them ---------------------------------------------------------------------------


def test_a_picture_resembles_the_kind_that_it_is_nearer_to() -> None:
    examples = Examples(shown(GOOD), shown(BAD))
    assert all(examples.unlike(embedded(varied(GOOD, seed))) is None for seed in range(20, 30))
    for seed in range(20, 30):
        why = examples.unlike(embedded(varied(BAD, seed)))
        assert why is not None
        assert "nearer to the bad examples (1-" in why
        assert "than to the good ones (0-" in why
        assert (why.count(" away, "), why.count(" with others)")) == (2, 2)


def test_good_ones_alone_let_pass_what_is_as_near_as_they_are_to_each_other() -> None:
    examples = Examples(shown(GOOD, 12))
    passed = [examples.unlike(embedded(varied(GOOD, seed))) is None for seed in range(20, 40)]
    assert np.mean(passed) > 0.5
    why = examples.unlike(embedded(scene(3)))
    assert why is not None
    assert "resembles no good example: the nearest is 0-" in why
    assert "limit" in why


def test_bad_ones_alone_stop_what_is_as_near_as_they_are_to_each_other() -> None:
    examples = Examples((), shown(BAD, 12))
    assert examples.unlike(embedded(scene(3))) is None
    stopped = [examples.unlike(embedded(varied(BAD, seed))) for seed in range(20, 40)]
    assert np.mean([why is not None for why in stopped]) > 0.5
    assert any("resembles a bad example: 1-" in (why or "") for why in stopped)


def test_many_of_the_same_do_not_outweigh_the_others() -> None:
    """Forty of one burst among the bad ones, and good ones as many as ever."""
    burst = [example(f"b{seed}", noisy(varied(BAD, 0), seed)) for seed in range(40)]
    examples = Examples(shown(GOOD), [*burst, *shown(BAD)])
    report = examples.report()
    assert report.bad is not None
    assert (report.bad.pictures, report.bad.prototypes) == (48, 12)
    assert all(examples.unlike(embedded(varied(GOOD, seed))) is None for seed in range(20, 30))
    assert all(examples.unlike(embedded(varied(BAD, seed))) for seed in range(20, 30))


def test_too_few_are_refused() -> None:
    for good, bad in (((), ()), (shown(GOOD, LEAST - 1), ()), (shown(GOOD), shown(BAD, 1))):
        with pytest.raises(ValueError, match=f"{LEAST} examples"):
            Examples(good, bad)


def test_the_fewest_and_all_alike_give_a_limit() -> None:
    same = [example(str(number), scene(GOOD)) for number in range(LEAST)]
    examples = Examples(same)
    assert examples.unlike(embedded(scene(BAD))) is not None
    assert np.isfinite(examples.margin(embedded(scene(GOOD))))


# -- the report ------------------------------------------------------------------------------------


def test_what_separates_is_told_so() -> None:
    report = Examples(shown(GOOD), shown(BAD)).report()
    assert report.good is not None
    assert report.bad is not None
    assert (report.auc, report.good.passing, report.bad.passing) == (1.0, 1.0, 1.0)
    assert report.contradictions == ()


def test_what_lies_in_the_wrong_folder_is_named_the_worst_first() -> None:
    half = noisy((scene(GOOD) // 2 + scene(BAD) // 2 + 1).astype(np.uint8), 0)
    wrong = [example("wrong.jpg", varied(BAD, 50)), example("half.jpg", half)]
    report = Examples([*shown(GOOD), *wrong], shown(BAD)).report()
    assert report.auc is not None
    assert report.auc < 1
    first = report.contradictions[0]
    assert (first.name, first.good) == ("wrong.jpg", True)
    assert first.other is not None
    assert first.other < first.own
    assert first.nearest.startswith("1-")
    short = [(each.other or 0) - each.own for each in report.contradictions]
    assert short == sorted(short)


def test_the_nearest_picture_is_told_with_its_own_distance() -> None:
    """That is 0 for the very picture, prototype or not, though more than one decide."""
    bad = shown(BAD, 40)
    examples = Examples(shown(GOOD), bad)
    for seed in (0, 17, 39):
        why = examples.unlike(embedded(varied(BAD, seed)))
        assert why is not None
        assert f"bad examples ({BAD}-{seed}.jpg, 0.00 away, " in why
    report = Examples([*shown(GOOD), example("odd", varied(BAD, 3))], bad).report()
    (odd,) = (each for each in report.contradictions if each.name == "odd")
    assert odd.nearest == f"{BAD}-3.jpg"
    assert odd.nearest_distance == pytest.approx(0, abs=1e-6)
    assert odd.other is not None
    assert odd.other > 0


def test_one_folder_tells_who_is_unlike_the_others() -> None:
    report = Examples([*shown(GOOD, 19), example("odd.jpg", scene(3))]).report()
    assert report.auc is None
    assert report.bad is None
    assert report.contradictions[0].name == "odd.jpg"
    assert report.contradictions[0].other is None


def test_the_same_picture_in_both_is_found() -> None:
    twin = example("copy.png", varied(GOOD, 3))
    assert in_both(shown(GOOD), [*shown(BAD), twin]) == [("0-3.jpg", "copy.png")]
    assert in_both(shown(GOOD), shown(BAD)) == []


# -- what becomes of frames ------------------------------------------------------------------------


def test_it_is_a_reason_to_drop() -> None:
    assert outcome_of(Reason.UNLIKE_EXAMPLES) is Outcome.DROPPED


@pytest.mark.parametrize("every_change", [False, True])
def test_on_a_time_line_what_is_unlike_is_dropped_and_later_frames_judged_anew(
    every_change: bool,
) -> None:
    order = [BAD] * 8 + [GOOD] * 8 + [BAD] * 8
    frames = [frame(noisy(scene(view), index), index) for index, view in enumerate(order)]
    sifter = fresh(limits(every_change=every_change))
    verdicts = sift(sifter, frames)
    kept = [v.decision.frame_index for v in verdicts if v.is_kept]
    assert len(kept) == 1
    assert 8 <= kept[0] < 16
    refused = [v.decision for v in verdicts if v.decision.reason is Reason.UNLIKE_EXAMPLES]
    at_once = {16} if every_change else set()  # else within a second of the last kept one
    assert {each.frame_index for each in refused} == {*range(8), *range(17, 24), *at_once}
    assert all("bad examples" in (each.detail or "") for each in refused)
    assert [each.id for each in sifter.gallery.kept] == [
        v.decision.id for v in verdicts if v.is_kept
    ], "what was refused shows nothing"


def test_of_photographs_those_that_are_unlike_are_dropped() -> None:
    views = [BAD, BAD, GOOD, GOOD, BAD]
    frames = [photo(noisy(scene(view), index), index) for index, view in enumerate(views)]
    sifter = fresh(limits())
    found = reasons(sift(sifter, frames))
    unlike = Reason.UNLIKE_EXAMPLES
    assert (found[0], found[1], found[4]) == (unlike, unlike, unlike)
    assert sorted(found[2:4]) == [Reason.NEAR_DUPLICATE, Reason.NOVEL]
    assert len(sifter.album) == 1


def test_a_heartbeat_waits_for_a_frame_that_resembles_them() -> None:
    order = [GOOD] * 10 + [BAD] * 40 + [GOOD] * 20
    frames = [frame(noisy(scene(view), index), index) for index, view in enumerate(order)]
    amounts = Amounts(heartbeat_s=3.0)
    kept = [v.decision for v in sift(fresh(limits(amounts=amounts)), frames) if v.is_kept]
    assert Reason.HEARTBEAT in {each.reason for each in kept}
    assert all(each.frame_index < 10 or each.frame_index >= 50 for each in kept)
    without = replace(LIMITS, amounts=amounts)
    plain = [v.decision.frame_index for v in sift(fresh(without), frames) if v.is_kept]
    assert any(10 <= index < 50 for index in plain)


class Counting(Examples):
    """Counts how often it is asked."""

    asked = 0

    def unlike(self, embedding: Embedding) -> str | None:
        self.asked += 1
        return super().unlike(embedding)


def test_only_news_is_asked_about_and_each_frame_once() -> None:
    """Of 40 frames of a view at rest, those that wait as one moment."""
    counting = Counting(shown(GOOD), shown(BAD))
    frames = [frame(noisy(scene(GOOD), index), index) for index in range(40)]
    verdicts = sift(fresh(replace(LIMITS, examples=counting)), frames)
    assert reasons(verdicts).count(Reason.NOVEL) == 1
    assert counting.asked == 6, "frames within a second, the first of them not twice"

    spent = Counting(shown(GOOD), shown(BAD))
    none = replace(LIMITS, examples=spent, amounts=Amounts(max_per_minute=1))
    order = [GOOD] * 8 + [BAD] * 8
    found = reasons(sift(fresh(none), [frame(noisy(scene(v), i), i) for i, v in enumerate(order)]))
    assert Reason.BUDGET in found, "a budget is cheaper, and asked first"
    assert Reason.UNLIKE_EXAMPLES not in found


def test_the_keep_ratio_learns_nothing_from_what_is_unlike() -> None:
    frames = [frame(noisy(scene(BAD), index), index) for index in range(40)]
    sifter = fresh(limits(amounts=Amounts(keep_ratio=0.2)))
    assert set(reasons(sift(sifter, frames))) == {Reason.UNLIKE_EXAMPLES}
    assert sifter._context.keep_ratio.factor == 1.0
