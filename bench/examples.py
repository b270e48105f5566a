"""How well good and bad example pictures tell the rest of a source apart.

    python bench/examples.py [--media DIR] [--even]

Each task has good and bad pictures. A draw takes some of each kind as examples, and what shows the
same thing (the same potato, the same car, the same camera trap) is never both among the examples
and among the pictures that are judged. AUC is the share of the pairs of a good and a bad picture
that come out in order: 0.5 is chance. Mean and standard deviation are over the draws.

The method was chosen on the even draws of the tasks that are not marked `new`; the odd draws are
printed, and the tasks marked `new` were judged for the first time when all was fixed.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "daemon"))

from stillsift.config import Config  # noqa: E402
from stillsift.embedding import Embedder, Embedding  # noqa: E402
from stillsift.frames import ArrayPicture  # noqa: E402
from stillsift.pipeline import model_choice  # noqa: E402
from stillsift.selection.examples import LEAST, Example, Examples, measures  # noqa: E402

DRAWS = 10
SIZES = (5, 10, 20)
STEP = 4
"""Frames of a clip from one that is looked at to the next."""
EDGE = 6
"""Frames beside the edge of an event that are neither the one nor the other."""

DOTTED, CLEAN = ("0321", "0322", "0325"), ("0311", "0312", "0318", "0320", "0326", "0332")
"""Potatoes by the first digits of their numbers, told by eye: skin with dots, holes and dirt, and
smooth skin."""
ANIMALS = {
    "2480": (0.83, 0.60),
    "2595": (1.00, 0.72),
    "2999": (0.85, 0.60),
    "422": (0.33, 0.73),
    "4330": (0.55, 0.93),
    "4451": (0.86, 0.72),
    "49": (0.47, 0.80),
    "5899": (0.48, 0.55),
    "7951": (0.31, 0.57),
    "8786": (0.35, 0.62),
    "9455": (0.30, 0.34),
}
"""Where the animal is in each picture of a camera trap, told by eye, as shares of width and height.
There is an animal in all of them, so the empty pictures are windows of the same size beside it."""

Array = NDArray[np.float32]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """A picture as the embedder saw it."""

    thing: object
    """What it shows; two with the same are never on both sides of a draw."""
    good: bool
    embedding: Embedding


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    name: str
    pictures: list[Shown]
    new: bool = False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--media", type=Path, default=ROOT.parent / "shared" / "media")
    parser.add_argument("--even", action="store_true", help="the draws that it was chosen on")
    given = parser.parse_args()
    cv2.setNumThreads(1)
    embedder = Embedder(model_choice.open_model(Config().model))
    head = "task                        examples"
    print(head + "".join(f"{name:>16}" for name in METHODS) + "   good kept   bad kept")
    means: dict[str, list[tuple[float, float, float]]] = {name: [] for name in METHODS}
    for task in tasks(given.media, embedder):
        for size in SIZES:
            draws = [Draw.of(task, size, seed) for seed in seeds(given.even)]
            row = [f"{task.name + (' (new)' if task.new else ''):28}{size:>8}"]
            for name, method in METHODS.items():
                scores = [method(draw) for draw in draws]
                aucs = [auc(each, draw.wanted) for each, draw in zip(scores, draws, strict=True)]
                means[name].append((float(np.mean(aucs)), *kept(scores, draws)))
                row.append(f"{np.mean(aucs):10.2f} ±{np.std(aucs):.2f}")
            row += [f"{share:10.0%}" for share in means["stillsift"][-1][1:]]
            print("".join(row), flush=True)
    print("\nmean of all rows          AUC   good kept    bad kept")
    for name, rows in means.items():
        mean, wanted, others = np.mean(rows, 0)
        shares = f"{wanted:12.0%}{others:12.0%}" if METHODS[name] in DECIDING else ""
        print(f"{name:20}{mean:9.3f}{shares}")


def seeds(even: bool) -> range:
    return range(0 if even else 1, 2 * DRAWS, 2)


# -- the pictures ----------------------------------------------------------------------------------


def tasks(media: Path, embedder: Embedder) -> Iterator[Task]:
    def shown(thing: object, good: bool, pixels: NDArray[np.uint8]) -> Shown:
        picture = ArrayPicture(np.ascontiguousarray(pixels))
        return Shown(thing, good, embedder(picture).in_half_precision())

    lots = list(potatoes(media, embedder))
    skin = [(lot, each) for lot, each in lots if lot in DOTTED + CLEAN]
    yield Task("potatoes: clean, not dotted", [good(each, lot in CLEAN) for lot, each in skin])
    for lot, new in (("0321", False), ("0325", False), ("0332", False), ("0320", True)):
        pictures = [good(each, its == lot) for its, each in lots]
        yield Task(f"potatoes: lot {lot}", pictures, new)
    roads = []
    for name in ("bgs_overhead_road.avi", "intel_car-detection.mp4"):
        road = [shown((name, thing), car, px) for thing, car, px in road_frames(media / "a" / name)]
        yield Task(f"road {len(roads) // 69 + 1}: a vehicle", road)
        roads += road
    yield Task("both roads: a vehicle", roads)
    yield Task("camera traps: an animal", [shown(*each) for each in traps(media / "f" / "ena24")])


def good(each: Shown, is_good: bool) -> Shown:
    return Shown(each.thing, is_good, each.embedding)


def potatoes(media: Path, embedder: Embedder) -> Iterator[tuple[str, Shown]]:
    """All potatoes with their lots; a group of the labels is one potato."""
    groups = json.loads((media / "gt" / "potatoes.groups.json").read_text("utf-8"))["groups"]
    for number, names in enumerate(groups):
        for name in names:
            pixels = cv2.imread(str(media / "f" / "potatoes" / name))
            assert pixels is not None, name
            picture = ArrayPicture(np.asarray(pixels, np.uint8))
            embedding = embedder(picture).in_half_precision()
            yield name.split("-")[-1][:4], Shown(number, False, embedding)


def road_frames(path: Path) -> Iterator[tuple[int, bool, NDArray[np.uint8]]]:
    """Every `STEP`th frame: the event it belongs to, whether that is a vehicle, and its pixels."""
    labels = json.loads((path.parents[1] / "gt" / f"{path.stem}.events.json").read_text("utf-8"))
    events = [(e["start_frame"], e["end_frame"], "empty" in e["what"]) for e in labels["events"]]
    clip = cv2.VideoCapture(str(path))
    frame = -1
    while (read := clip.read())[0]:
        frame += 1
        at_edge = any(min(abs(frame - a), abs(frame - b)) < EDGE for a, b, _ in events if a > 0)
        if frame % STEP or at_edge:
            continue
        now = [(place, empty) for place, (a, b, empty) in enumerate(events) if a <= frame <= b]
        if now:
            place, empty = min(now, key=lambda one: one[1])
            yield place, not empty, np.asarray(read[1], np.uint8)


def traps(folder: Path) -> Iterator[tuple[str, bool, NDArray[np.uint8]]]:
    """Windows of a third of the width and height, one on the animal and up to nine beside it."""
    for stem, (across, down) in ANIMALS.items():
        pixels = np.asarray(cv2.imread(str(folder / f"{stem}.jpg")), np.uint8)
        whole = pixels.shape[:2]
        height, width = whole[0] // 3, whole[1] // 3

        def corner(x: float, y: float, size: tuple[int, ...] = whole) -> tuple[int, int]:
            high, wide = size[0] // 3, size[1] // 3
            left = int(np.clip(x * size[1] - wide / 2, 0, size[1] - wide))
            return left, int(np.clip(y * size[0] - high / 2, 0.04 * size[0], 0.95 * size[0] - high))

        left, top = corner(across, down)
        yield stem, True, pixels[top : top + height, left : left + width]
        for y in (0.10, 0.42, 0.75):
            for x in (0.17, 0.50, 0.83):
                other, below = corner(x, y)
                if abs(other - left) >= width or abs(below - top) >= height:
                    yield stem, False, pixels[below : below + height, other : other + width]


# -- draws -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Draw:
    """Examples of each kind, and pictures of other things to be judged."""

    good: list[Embedding]
    bad: list[Embedding]
    judged: list[Embedding]
    wanted: Bools
    """Which of those are good."""

    @classmethod
    def of(cls, task: Task, size: int, seed: int) -> Draw:
        """Takes up to `size` examples of each kind from half of the things."""
        for again in range(1000):
            random = np.random.default_rng([seed, size, again])
            things = sorted({each.thing for each in task.pictures}, key=str)
            kinds: dict[object, set[bool]] = {thing: set() for thing in things}
            for each in task.pictures:
                kinds[each.thing].add(each.good)
            shown: set[object] = set()
            for kind in ({True}, {False}, {True, False}):
                some = [thing for thing in things if kinds[thing] == kind]
                shown |= {some[i] for i in random.permutation(len(some))[: (len(some) + 1) // 2]}
            own = [each for each in task.pictures if each.thing in shown]
            rest = [each for each in task.pictures if each.thing not in shown]
            sides = [[e.embedding for e in own if e.good is is_good] for is_good in (True, False)]
            wanted = np.array([each.good for each in rest])
            if min(map(len, sides)) >= LEAST and wanted.any() and not wanted.all():
                picked = [[side[i] for i in random.permutation(len(side))[:size]] for side in sides]
                return cls(picked[0], picked[1], [each.embedding for each in rest], wanted)
        raise SystemExit(f"{task.name}: too few pictures")


def auc(scores: Array, wanted: Bools) -> float:
    apart = scores[wanted][:, None] - scores[~wanted][None]
    return float((apart > 0).mean() + (apart == 0).mean() / 2)


def kept(scores: Sequence[Array], draws: Sequence[Draw]) -> tuple[float, float]:
    """Share of the good and of the bad pictures with a score above 0."""
    pairs = list(zip(scores, draws, strict=True))
    good = [float((score[draw.wanted] > 0).mean()) for score, draw in pairs]
    bad = [float((score[~draw.wanted] > 0).mean()) for score, draw in pairs]
    return float(np.mean(good)), float(np.mean(bad))


# -- methods ---------------------------------------------------------------------------------------


def _vectors(some: Sequence[Embedding]) -> Array:
    return np.stack([each.vector for each in some])


def _unit(vectors: Array) -> Array:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), np.float32)


def _nearest(judged: Array, good: Array, bad: Array, most: int = 1) -> Array:
    """Mean cosine to the nearest good ones less that to the nearest bad ones."""

    def near(examples: Array) -> Array:
        return np.asarray(np.sort(judged @ examples.T, 1)[:, -most:].mean(1), np.float32)

    return near(good) - near(bad)


def pooled(draw: Draw) -> Array:
    """The cosine of the pooled vectors to the nearest example of each kind."""
    return _nearest(_vectors(draw.judged), _vectors(draw.good), _vectors(draw.bad))


def whitened(draw: Draw) -> Array:
    """The same of vectors whitened by the covariance within each kind, to the nearest three."""
    good, bad, judged = map(_vectors, (draw.good, draw.bad, draw.judged))
    inner = np.vstack([good - good.mean(0), bad - bad.mean(0)])
    covariance = inner.T @ inner / len(inner)
    shrunk = covariance + np.eye(len(covariance)) * np.trace(covariance) / len(covariance)
    values, axes = np.linalg.eigh(shrunk)
    white = axes / np.sqrt(values)
    middle = (good.mean(0) + bad.mean(0)) / 2
    turned = [_unit((each - middle) @ white) for each in (judged, good, bad)]
    return _nearest(turned[0], turned[1], turned[2], 3)


def cells(draw: Draw) -> Array:
    """The tenth of the cells that is most like good cells and least like bad ones."""
    random = np.random.default_rng(0)

    def all_of(some: Sequence[Embedding]) -> Array:
        grids = [
            each.grid.reshape(-1, each.grid.shape[-1]) for each in some if each.grid is not None
        ]
        own = _unit(np.concatenate(grids))
        return own[random.permutation(len(own))[:1024]]

    good, bad = all_of(draw.good), all_of(draw.bad)
    scores = []
    for each in draw.judged:
        assert each.grid is not None
        own = _unit(each.grid.reshape(-1, each.grid.shape[-1]))
        news = np.sort((own @ good.T).max(1) - (own @ bad.T).max(1))
        scores.append(news[-max(1, len(news) // 10) :].mean())
    return np.array(scores, np.float32)


def _examples(some: Sequence[Embedding]) -> list[Example]:
    return [Example(str(place), measures(each)) for place, each in enumerate(some)]


def _margins(examples: Examples, draw: Draw) -> Array:
    return np.array([examples.margin(each) for each in draw.judged], np.float32)


def stillsift(draw: Draw) -> Array:
    return _margins(Examples(_examples(draw.good), _examples(draw.bad)), draw)


def only_good(draw: Draw) -> Array:
    return _margins(Examples(_examples(draw.good)), draw)


def only_bad(draw: Draw) -> Array:
    return _margins(Examples((), _examples(draw.bad)), draw)


METHODS: dict[str, Callable[[Draw], Array]] = {
    "pooled cosine": pooled,
    "whitened": whitened,
    "cells": cells,
    "stillsift": stillsift,
    "good ones only": only_good,
    "bad ones only": only_bad,
}
DECIDING = (stillsift, only_good, only_bad)
"""Those that keep what has a score above 0."""

if __name__ == "__main__":
    main()
