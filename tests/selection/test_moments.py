"""Which frame of a moment is kept: the sharp one that shows most."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from clips import real_pictures
from sifting import LIMIT, LIMITS, footage, frame, fresh, noisy, real, scene, sift, with_object
from stillsift.arrays import Image
from stillsift.decisions import Reason
from stillsift.selection import Limits
from stillsift.selection.sensitivity import Sensitivity


@pytest.mark.parametrize(
    ("asked", "size", "lighter", "gap"), [("highest", 16, 48, "0.25 s"), ("normal", 32, 48, "1 s")]
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


@pytest.mark.parametrize(
    ("before", "name", "sigma"), [("bikes", "bigbuckbunny", 3.0), ("bigbuckbunny", "bikes", 2.0)]
)
def test_a_view_that_was_kept_blurred_is_kept_once_more_when_it_is_sharp(
    before: str, name: str, sigma: float
) -> None:
    """After a cut the camera takes four seconds to focus."""
    old, view = (real_pictures(each, 1)[0] for each in (before, name))
    softness = [sigma] * 8 + [sigma * (1 - step / 12) for step in range(12)] + [0.0] * 30
    soft = [
        np.asarray(cv2.GaussianBlur(view, (0, 0), each), np.uint8) if each > 0.2 else view
        for each in softness
    ]
    frames = [frame(noisy(p, i), i) for i, p in enumerate([old] * 20 + soft)]
    kept = [v.decision for v in sift(real(), frames) if v.is_kept and v.decision.frame_index >= 20]
    assert [softness[each.frame_index - 20] <= sigma / 3 for each in kept] == [False, True]
    blurred, sharp = (each.sharpness or 0.0 for each in kept)
    assert sharp > 1.67 * blurred


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


def test_two_things_in_a_moment_are_two() -> None:
    """One that is gone before the other, which is larger, is there."""
    view = scene(0)
    small, large = with_object(view, 20, 2), view.copy()
    other = real_pictures("bikes", 1)[0]
    large[30:120, 130:250] = np.asarray(cv2.resize(other, (120, 90)), np.uint8)
    for looks in (2, 3, 4):
        pictures = [view] * 30 + [small] * looks + [large] * 10 + [view] * 20
        verdicts = sift(real(), [frame(noisy(p, i), i, i / 5) for i, p in enumerate(pictures)])
        kept = [v.decision.frame_index for v in verdicts if v.is_kept]
        assert any(30 <= index < 30 + looks for index in kept), looks
        assert any(30 + looks <= index < 40 + looks for index in kept), looks
        assert len(kept) == 3


def test_what_one_look_of_many_shows_is_a_shake_or_a_flash() -> None:
    view = scene(0)
    flash = view.copy()
    flash[60:84, 100:124] = cv2.convertScaleAbs(view[60:84, 100:124], alpha=1.2, beta=40)
    pictures = [view] * 30 + [flash] + [view] * 20
    verdicts = sift(real(), [frame(noisy(p, i), i, i / 5) for i, p in enumerate(pictures)])
    assert sum(v.is_kept for v in verdicts) == 1
    assert verdicts[30].decision.reason is Reason.FLEETING


def test_a_frame_that_was_not_called_blurred_has_no_limit_of_it_before_one_is_known() -> None:
    lesser, *_ = [v.decision for v in sift(real(), footage("bigbuckbunny")) if not v.is_kept]
    assert lesser.reason is Reason.SAME_OBJECT
    assert lesser.sharpness is not None
    assert lesser.sharpness_limit is None


def test_three_things_in_a_moment_are_three() -> None:
    view, other = (
        np.asarray(cv2.resize(real_pictures(name, 1)[0], (640, 360)), np.uint8)
        for name in ("carphone_pristine", "bikes")
    )
    parts = other[200:260, 100:150], other[60:140, 400:500], other[100:260, 250:450]
    pictures = [view] * 60
    for (left, top), part in zip(((60, 280), (200, 10), (430, 180)), parts, strict=True):
        shown = view.copy()
        shown[top : top + len(part), left : left + part.shape[1]] = part
        pictures += [shown] * 2
    pictures += [view] * 20
    verdicts = sift(real(), [frame(noisy(p, i), i, i / 5) for i, p in enumerate(pictures)])
    kept = [v.decision.frame_index for v in verdicts if v.is_kept]
    assert {(index - 60) // 2 for index in kept if 60 <= index < 66} == {0, 1, 2}
    assert len(kept) <= 5
