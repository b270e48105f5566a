"""Regions: what lies outside of them counts for nothing, and is kept all the same."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from clips import real_pictures
from stillsift.arrays import Image
from stillsift.config import Config, ConfigError
from stillsift.config.errors import OverrideError
from stillsift.config.settings import ModelSettings
from stillsift.config.yaml_file import parse, with_overrides
from stillsift.embedding import Embedder, Embedding
from stillsift.frames import ArrayPicture, Frame, Picture, TimeOrigin
from stillsift.pipeline.model_choice import open_model
from stillsift.selection import Gallery, Limits, Sifter, Verdict, regions
from stillsift.selection.regions import EVERYTHING, Polygon, Regions

LEFT: Polygon = ((0, 0), (0.5, 0), (0.5, 1), (0, 1))
RIGHT: Polygon = ((0.5, 0), (1, 0), (1, 1), (0.5, 1))


@cache
def embedder() -> Embedder:
    return Embedder(open_model(ModelSettings()))


class Counted:
    """The real embedder, or what it says of a picture as a whole, counted."""

    def __init__(self, *, pooled: bool = False) -> None:
        self.pooled = pooled
        self.asked = 0
        self.last: Picture

    def __call__(self, picture: Picture) -> Embedding:
        self.asked += 1
        self.last = picture
        made = embedder()(picture)
        return Embedding(made.vector, None) if self.pooled else made


def pictures(side: str, count: int = 30) -> list[Image]:
    """A real still view in which, from the ninth on, a piece of other footage comes and goes and
    looks different each time: in the left or the right half."""
    view = cv2.cvtColor(real_pictures("bigbuckbunny", 1)[0], cv2.COLOR_RGB2BGR)
    moving = real_pictures("bikes", count)
    x = 40 if side == "left" else 200
    made = []
    for number in range(count):
        picture = view.copy()
        if number >= 8:
            piece = cv2.resize(moving[number], (80, 80), interpolation=cv2.INTER_AREA)
            y = 20 + 10 * (number % 7)
            picture[y : y + 80, x : x + 80] = piece[..., ::-1]
        made.append(np.asarray(picture, np.uint8))
    return made


def frames(images: list[Image], *, photographs: bool = False) -> list[Frame]:
    made = [
        Frame("yard", "c", i, 10**18 + i * 10**9, TimeOrigin.PTS, ArrayPicture(image), pts_s=i)
        for i, image in enumerate(images)
    ]
    if photographs:
        made = [replace(each, content_hash=f"{each.frame_index:064x}", pts_s=None) for each in made]
    return made


def sifter(
    regions: Regions,
    embed: Counted | None = None,
    gallery: Gallery | None = None,
    state: bytes | None = None,
) -> Sifter:
    embed = embed or Counted()
    novelty = 0.05 if embed.pooled else embedder().model.spec.cell_limit
    limits = Limits(novelty, regions=regions)
    return Sifter(limits, embed, gallery or Gallery(32), state, model="m")


def sift(made: Sifter, given: list[Frame]) -> list[Verdict]:
    verdicts = [verdict for frame in given for verdict in made.offer(frame)]
    return verdicts + made.flush()


def kept(made: Sifter, given: list[Frame]) -> list[int]:
    return [v.decision.frame_index for v in sift(made, given) if v.is_kept]


@pytest.mark.parametrize("photographs", [False, True])
@pytest.mark.parametrize("regions", [Regions(ignore=(LEFT,)), Regions(roi=(RIGHT,))])
def test_what_changes_where_nothing_counts_is_no_news(
    regions: Regions, *, photographs: bool
) -> None:
    given = frames(pictures("left"), photographs=photographs)
    counted = Counted()
    assert len(kept(sifter(regions, counted), given)) == 1
    assert counted.asked == 1
    assert len(kept(sifter(EVERYTHING), given)) > 1


def test_however_many_sources_there_are_each_shape_is_drawn_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn: list[Regions] = []
    coverage = regions._coverage

    def counted(given: Regions, width: int, height: int) -> NDArray[np.float32]:
        drawn.append(given)
        return coverage(given, width, height)

    monkeypatch.setattr(regions, "_coverage", counted)
    sources = [Regions(ignore=(((0, 0), (0.5, 0), (0.5, 0.5 + n / 100)),)) for n in range(40)]
    for _frame in range(3):
        for source in sources:
            source.paint(np.zeros((36, 64), np.uint8))
            source.counting(9, 16)
    assert len(drawn) == 2 * len(sources)


@pytest.mark.parametrize("photographs", [False, True])
@pytest.mark.parametrize("regions", [Regions(ignore=(LEFT,)), Regions(roi=(RIGHT,))])
def test_what_changes_elsewhere_is_kept(regions: Regions, *, photographs: bool) -> None:
    given = frames(pictures("right"), photographs=photographs)
    assert len(kept(sifter(regions), given)) > 1


def test_a_model_without_a_grid_is_given_the_painted_picture_too() -> None:
    ignored, seen = (frames(pictures(side)) for side in ("left", "right"))
    regions = Regions(ignore=(LEFT,))
    assert len(kept(sifter(regions, Counted(pooled=True)), ignored)) == 1
    assert len(kept(sifter(EVERYTHING, Counted(pooled=True)), ignored)) > 1
    assert len(kept(sifter(regions, Counted(pooled=True)), seen)) > 1


def test_another_view_is_found_in_a_small_region() -> None:
    """The cells that never change must not outvote the ones that count."""
    small = Regions(roi=(((0.6, 0.2), (0.9, 0.2), (0.9, 0.8), (0.6, 0.8)),))
    images = [real_pictures(name, 1)[0] for name in ("bigbuckbunny", "bikes") for _ in range(8)]
    verdicts = sift(sifter(small), frames(images))
    assert any(v.is_kept and "another view" in (v.decision.detail or "") for v in verdicts)


def test_the_embedder_sees_what_counts_and_grey_for_the_rest() -> None:
    counted, (given,) = Counted(), frames(pictures("left", 1))
    sift(sifter(Regions(ignore=(LEFT,)), counted), [given])
    seen, whole = counted.last.rgb(288, 160), given.picture.rgb(288, 160)
    assert np.all(seen[:, :144] == 128)
    assert np.array_equal(seen[:, 144:], whole[:, 144:])
    assert np.array_equal(counted.last.bgr(), given.picture.bgr())
    assert np.array_equal(counted.last.luma(), given.picture.luma())


def test_a_frame_is_handed_on_whole() -> None:
    given = frames(pictures("left"))
    before = [each.picture.bgr().copy() for each in given]
    (first,) = [v for v in sift(sifter(Regions(ignore=(LEFT,))), given) if v.is_kept]
    assert np.array_equal(first.frame.picture.bgr(), before[first.decision.frame_index])


def test_decisions_are_the_same_after_a_restart_at_any_frame() -> None:
    regions = Regions(ignore=(LEFT,))
    given = frames(pictures("right", 16))
    straight = [v.decision for v in sift(sifter(regions), given)]
    made, restarted, begun = sifter(regions), [], 0
    while begun < len(given):
        for frame in given[begun:]:
            if verdicts := made.offer(frame):
                break
        else:
            verdicts = made.flush()
        restarted += [v.decision for v in verdicts]
        begun = len(restarted)
        made = sifter(regions, gallery=Gallery(32, made.gallery.kept), state=made.state())
    assert restarted == straight


def test_other_regions_begin_the_gallery_anew_once() -> None:
    given = frames(pictures("right", 8))
    made = sifter(EVERYTHING)
    sift(made, given)
    other = sifter(Regions(ignore=(LEFT,)), gallery=made.gallery, state=made.state())
    assert other.regions_changed
    assert not len(other.gallery)
    assert len(kept(other, given)) == 1
    same = sifter(Regions(ignore=(LEFT,)), gallery=other.gallery, state=other.state())
    assert not same.regions_changed
    assert kept(same, given) == []


def test_masks_follow_the_shares_at_any_size() -> None:
    tenth = Regions(ignore=(((0, 0), (1, 0), (1, 0.1), (0, 0.1)),))
    for rows, columns in ((160, 288), (10, 18), (1080, 1920)):
        counting = tenth.counting(rows, columns)
        assert counting is not None
        assert not counting[: rows // 10].any()
        assert counting[rows // 10 :].all()
    assert tenth.share == pytest.approx(0.9, abs=0.01)
    assert EVERYTHING.counting(10, 18) is None


BAD = (
    ("[[[0,0],[1,0]]]", "polygon 1 has 2 points; a polygon needs three or more"),
    ("[[[0,0],[1,0],[1,1.5]]]", "polygon 1 has the point [1, 1.5]; write shares of width"),
    ("[[[0,0],[0.5,0.5],[1,1]]]", "polygon 1 covers no area; its points lie on one line"),
    ("[[0,0],[1,0],[1,1]]", "polygon 1 is no list of points [x, y]; write a list of polygons"),
    ("3", "is 3; write a list of polygons such as"),
    ("[[[0,0],[1,0],[1,1],[0,1]]]", "leaves 0.0% of the picture to be looked at; make ignore"),
)


@pytest.mark.parametrize(("text", "message"), BAD)
def test_a_region_that_cannot_be_is_told_with_the_way_out(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as told:
        parse(f"log:\ndefaults:\n  ignore: {text}", "c")
    assert str(told.value).startswith(f"c:3: defaults.ignore: {message}")
    with pytest.raises(OverrideError) as told:
        with_overrides(Config(), [f"ignore={text}"])
    assert str(told.value).startswith(f"--set: ignore: {message}")


def test_regions_are_read_and_written() -> None:
    config = with_overrides(Config(), ["ignore=[[[0,0],[1,0],[1,0.1],[0,0.1]]]"])
    assert config.defaults.ignore == (((0, 0), (1, 0), (1, 0.1), (0, 0.1)),)
    assert parse(config.to_yaml()).defaults.ignore == config.defaults.ignore
