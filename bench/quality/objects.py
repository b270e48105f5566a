"""Whether two pictures of objects show the same one: how well `compare: object` tells them apart.

    python bench/quality/objects.py [--media DIR] [--even]

tracked   vehicles and people that NanoDet finds in three clips, five times a second, linked where
          their boxes overlap. The same: two views of one track at least a second apart (of vehicles
          any two, as they are gone sooner). Different: two tracks; of people, two that are seen in
          one frame
another   vehicles and people cut out of these clips, three times each before other views, in
sky       another light, size and place. Different: vehicles of another cut-out and another tint,
          people of one frame. "Repainted": vehicles of one cut-out and two tints

Objects with an odd number are reported; --even shows the others, with which the numbers of
`selection/shown_objects.py` were found. Beside it: one less the cosine of the pooled vectors of
the same crops, at the limit with which as many of the different ones pass for the same.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import detectors
import numpy as np
import people
import views
from days import HEIGHT, WIDTH, fitted
from numpy.typing import NDArray
from people import Cutout

from stillsift.arrays import Floats, Image
from stillsift.decisions import Box
from stillsift.detection import detect_around
from stillsift.detection.outputs import apart
from stillsift.embedding import Embedder, Embedding
from stillsift.embedding.manifest import manifest
from stillsift.embedding.onnx_model import load
from stillsift.frames import Picture
from stillsift.selection.shown_objects import ShownObject, objects_apart, shown_objects

ROAD = ("intel_car-detection.mp4", "bgs_overhead_road.avi")
WALK = "opencv_vtest_pets09s2l1.avi"
GROUNDS = (
    "b/udacity_solidWhiteRight.mp4",
    "d/dvrscan_brightness_change.avi",
    "d/opencv_tree.avi",
    "d/synth_nuisance_road.mp4",
)
MOST = 600
"""Pairs of a kind."""
CELL_LIMIT = manifest()["efficientnet-lite0-trunk-int8"].cell_limit


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """One object in one frame."""

    who: int
    at_s: float
    shown: ShownObject
    vector: Floats


class Eye:
    """Embeds objects as stillsift does, and keeps the pooled vector beside."""

    def __init__(self) -> None:
        self._embed = Embedder(load(manifest()["efficientnet-lite0-trunk-int8"], "cpu"))
        self._last: Embedding | None = None

    def _look(self, picture: Picture) -> Embedding:
        self._last = self._embed(picture)
        return self._last

    def view(self, picture: Image, box: Box, who: int, at_s: float) -> View:
        """`box` in pixels."""
        height, width = picture.shape[:2]
        shares = box[0] / width, box[1] / height, box[2] / width, box[3] / height
        (shown,) = shown_objects(picture, [shares], self._look)
        assert self._last is not None
        return View(who, at_s, shown, self._last.vector)


Pairs = list[tuple[View, View]]
Kinds = dict[str, tuple[Pairs, Pairs]]
"""Pairs of the same and of different objects, by what they are."""


# -- tracked ---------------------------------------------------------------------------------------


def overlap(a: Box, b: Box) -> float:
    """Intersection over union."""
    across = min(a[2], b[2]) - max(a[0], b[0])
    down = min(a[3], b[3]) - max(a[1], b[1])
    both = max(across, 0.0) * max(down, 0.0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return both / (sum(areas) - both)


def tracked(
    path: Path, eye: Eye, wanted: frozenset[str]
) -> tuple[list[View], set[tuple[int, int]]]:
    """Whole objects of a clip that nothing covers, and which are seen in one frame."""
    nanodet = detectors.opened("nanodet-416")
    with av.open(str(path)) as container:
        rate = float(container.streams.video[0].average_rate or 25)
        step = max(1, round(rate / 5))
        pictures = [
            frame.to_ndarray(format="bgr24")
            for number, frame in enumerate(container.decode(video=0))
            if number % step == 0
        ]
    empty = np.median(pictures[::3], axis=0)
    live: dict[int, tuple[int, Box]] = {}
    found: list[View] = []
    together: set[tuple[int, int]] = set()
    for number, picture in enumerate(pictures):
        some = detect_around(nanodet, picture, detectors.changed(picture, empty), 0.3)
        some = [each for each in some if each.label in wanted]
        boxes = np.array([each.box for each in some], np.float32).reshape(-1, 4)
        scores = np.array([[each.confidence] for each in some], np.float32).reshape(-1, 1)
        kept = [some[row].box for row, _ in apart(boxes, scores, 0.0, 0.5)]
        live = {who: one for who, one in live.items() if number - one[0] <= 2}
        names: list[int] = []
        for box in kept:
            near = {who: overlap(box, one[1]) for who, one in live.items() if who not in names}
            who = max(near, key=lambda who: near[who], default=-1)
            if who < 0 or near[who] < 0.25:
                who = len(together) + number * 100 + len(names)
            names.append(who)
            live[who] = number, box
        together |= {(min(a, b), max(a, b)) for a, b in itertools.combinations(names, 2)}
        height, width = picture.shape[:2]
        for who, box in zip(names, kept, strict=True):
            whole = min(box[0] / width, box[1] / height, 1 - box[2] / width, 1 - box[3] / height)
            alone = all(overlap(box, other) < 0.1 for other in kept if other is not box)
            if whole > 0.01 and alone:
                found.append(eye.view(picture, box, who, number * step / rate))
    return found, together


def of_tracks(media: Path, eye: Eye, odd: int) -> Kinds:
    kinds: Kinds = {}
    same, different = list[tuple[View, View]](), list[tuple[View, View]]()
    for name in ROAD:
        found, _ = tracked(media / "a" / name, eye, detectors.VEHICLES)
        # Few: all are used for both, and told as such.
        for a, b in itertools.combinations(found, 2):
            (same if a.who == b.who else different).append((a, b))
    kinds["vehicles, tracked (all)"] = same, different
    found, together = tracked(media / "a" / WALK, eye, frozenset({"person"}))
    some = [each for each in found if each.who % 2 == odd]
    pairs = list(itertools.combinations(some, 2))
    kinds["people, tracked"] = (
        [(a, b) for a, b in pairs if a.who == b.who and b.at_s - a.at_s >= 1],
        [(a, b) for a, b in pairs if (min(a.who, b.who), max(a.who, b.who)) in together],
    )
    return kinds


# -- another sky -----------------------------------------------------------------------------------


def lit(picture: Image, rng: np.random.Generator) -> Image:
    """In another light, of another colour, with noise."""
    bright = (picture / 255.0) ** rng.uniform(0.7, 1.4) * rng.uniform(0.65, 1.25)
    tinted = bright * rng.uniform(0.9, 1.1, 3) * 255 + rng.normal(0, 2, picture.shape)
    return np.asarray(np.clip(tinted, 0, 255), np.uint8)


def seen(
    thing: Cutout, heights: tuple[float, float], grounds: list[Image], rng: np.random.Generator
) -> tuple[Image, Box]:
    """A picture that shows a thing somewhere, and about where, as detectors tell it."""
    picture = grounds[int(rng.integers(len(grounds)))].copy()
    sized = thing.sized(rng.uniform(*heights))
    tall, wide = sized.alpha.shape
    x, y = int(rng.integers(5, WIDTH - wide - 5)), int(rng.integers(5, HEIGHT - tall - 5))
    people.paste(picture, sized, x, y)
    left, top, right, bottom = rng.normal(0, 0.04, 4)
    box = (x + left * wide, y + top * tall, x + wide * (1 + right), y + tall * (1 + bottom))
    return lit(picture, rng), box


def composed(media: Path, eye: Eye, odd: int) -> Kinds:
    rng = np.random.default_rng(11 + odd)
    road, vehicles = views.vehicles(media)
    empty, _ = people.pedestrians(media)
    grounds = [road, empty, *(_first(media / name) for name in GROUNDS)]

    def three(thing: Cutout, who: int, heights: tuple[float, float]) -> list[View]:
        some = (seen(thing, heights, grounds, rng) for _ in range(3))
        return [eye.view(picture, box, who, 0.0) for picture, box in some]

    painted = [
        [three(views.tinted(thing, rng), number, (60, 150)) for _ in range(2)]
        for number, thing in enumerate(vehicles)
        if number % 2 == odd
    ]
    cars = [view for one in painted for tint in one for view in tint]
    same_cars = [
        pair for one in painted for tint in one for pair in itertools.combinations(tint, 2)
    ]
    other_cars = [(a, b) for a, b in itertools.combinations(cars, 2) if a.who != b.who]
    repainted = [pair for first, second in painted for pair in itertools.product(first, second)]
    same_people, other_people = list[tuple[View, View]](), list[tuple[View, View]]()
    for number, some in enumerate(_walkers(media, empty)):
        if number % 2 != odd:
            continue
        shown = [
            three(thing, who, (0.8 * len(thing.alpha), 1.6 * len(thing.alpha)))
            for who, thing in enumerate(some)
        ]
        same_people += [pair for one in shown for pair in itertools.combinations(one, 2)]
        for one, two in itertools.combinations(shown, 2):
            other_people += itertools.product(one, two)
    return {
        "vehicles, another sky": (same_cars, other_cars),
        "vehicles, repainted": (same_cars, repainted),
        "people, another sky": (same_people, other_people),
    }


def _walkers(media: Path, empty: Image) -> Iterator[list[Cutout]]:
    """People who stand alone in each of some frames."""
    with av.open(str(media / "a" / WALK)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number % 24 == 0:
                picture = fitted(frame.to_ndarray(format="bgr24"))
                yield people.cutouts([picture], empty, (30, 85), (0.25, 0.75))


def _first(path: Path) -> Image:
    with av.open(str(path)) as container:
        return fitted(next(container.decode(video=0)).to_ndarray(format="bgr24"))


# -- told ------------------------------------------------------------------------------------------


def area(same: NDArray[np.float64], different: NDArray[np.float64]) -> float:
    """The area under the curve: how often one of the same is nearer than one of the others."""
    return float((same[:, None] < different[None]).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--media", type=Path, default=detectors.MEDIA, metavar="DIR")
    parser.add_argument("--even", action="store_true", help="the half that it was tuned on")
    given = parser.parse_args()
    if not given.media.is_dir():
        raise SystemExit(f"{given.media}: no labelled media there; name them with --media")
    odd, eye, rng = int(not given.even), Eye(), np.random.default_rng(5)
    kinds = {**of_tracks(given.media, eye, odd), **composed(given.media, eye, odd)}
    print(f"{'':27}{'pairs':>12}  {'AUC':>5} {'same':>5} {'other':>6}    pooled cosine: AUC, same")
    for name, both in kinds.items():
        told, pooled = [], []
        for pairs in both:
            few = [pairs[k] for k in rng.permutation(len(pairs))[:MOST]]
            told.append([objects_apart(a.shown.cells, b.shown.cells, CELL_LIMIT) for a, b in few])
            pooled.append([1 - float(a.vector @ b.vector) for a, b in few])
        (same, other), (near, far) = (map(np.array, each) for each in (told, pooled))
        passing = float((other <= 1).mean())
        limit = np.quantile(far, passing)
        print(
            f"{name:27}{len(same):6}{len(other):6}  {area(same, other):5.3f} "
            f"{(same <= 1).mean():5.0%} {passing:6.1%}    "
            f"{area(near, far):24.3f} {(near <= limit).mean():5.0%}",
            flush=True,
        )
        if given.even:
            limits = np.arange(0.8, 1.21, 0.05)
            rates = [f"{x:.2f}: {(same <= x).mean():.0%}/{(other <= x).mean():.1%}" for x in limits]
            print(f"{'':8}at other limits, same/other: {', '.join(rates)}")


if __name__ == "__main__":
    main()
