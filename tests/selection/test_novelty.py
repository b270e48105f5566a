"""What is new in a picture, and what only moved on."""

from __future__ import annotations

import numpy as np

from clips import real_pictures
from sifting import footage, frame, lite0, noisy, real, scene, sift, with_object
from stillsift.embedding import Embedding
from stillsift.frames import Picture
from stillsift.selection import Gallery, Limits, Sifter
from stillsift.selection.sensitivity import Sensitivity


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
        limits = Limits(model.novelty_limit, sensitivity=word)
        verdicts = sift(Sifter(limits, lite0(), Gallery(32), model=model.name), frames)
        kept.append(sum(verdict.is_kept for verdict in verdicts))
    assert kept == sorted(kept)
    assert kept[0] < kept[2] < kept[4]
