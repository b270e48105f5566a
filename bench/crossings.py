"""Days of three cameras that people and vehicles cross, with the box of each in every frame.

Composed as bench/quality composes: real cut-outs over real empty views, which change as weather and
light do. People of a day to test on are cut out of another part of their clip than those of a day
to train on; of the vehicles there are a handful, and each is tinted anew.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

sys.path.append(str(Path(__file__).resolve().parent / "quality"))

import people
import views
from days import HEIGHT, RATE, REGIMES, WIDTH, Image, Weather, made, read_pictures

from labels import Span

CLASSES = ("person", "vehicle")
CAMERAS = ("square", "road", "carriageway")
REGIME_S = 20
VISIBLE = 1 / 3
"""Share of a thing that has to be in the picture for it to have a box."""
VERSION = 1


@dataclass(frozen=True, slots=True)
class Box:
    """One thing in one frame; pixels of the clip, what is outside of the picture cut off."""

    thing: int
    """0-based number within its clip."""
    kind: int
    """Index into CLASSES."""
    left: int
    top: int
    right: int
    bottom: int


@dataclass(frozen=True, slots=True, eq=False)
class Filmed:
    """A clip of one camera."""

    path: Path
    boxes: list[list[Box]]
    """Of each frame."""
    things: int


@cache
def _material(media: Path) -> tuple[dict[str, Image], list[people.Cutout], list[people.Cutout]]:
    """The empty view of each camera, people, and vehicles."""
    square, some = people.pedestrians(media)
    road, vehicles = views.vehicles(media)
    carriageway = read_pictures(media / "a/bgs_overhead_road.avi")[0]
    return dict(zip(CAMERAS, (square, road, carriageway), strict=True)), some, vehicles


def day(
    media: Path, folder: Path, seed: int, gap: float, minutes: float, *, test: bool = False
) -> list[Filmed]:
    """A clip of each camera; `gap`: seconds from one thing to the next, on average."""
    return [
        _clip(media, folder, camera, 100 * seed + number, gap, minutes, test)
        for number, camera in enumerate(CAMERAS)
    ]


def _clip(
    media: Path, folder: Path, camera: str, seed: int, gap: float, minutes: float, test: bool
) -> Filmed:
    name = f"{camera}_{gap:g}s_{minutes:g}min{'_test' * test}"
    told = folder / f"{name}.boxes.v{VERSION}.{seed}.json"

    def compose(write: Callable[[Image], None], weather: Weather) -> list[Span]:
        rng, end_s = np.random.default_rng(seed), 60 * minutes
        grounds, some, vehicles = _material(media)
        two_thirds = len(some) * 2 // 3
        some = some[two_thirds:] if test else some[:two_thirds]
        starts = np.cumsum(rng.exponential(gap, int(4 * end_s / gap) + 20)) + 5
        moves = [
            _vehicle(vehicles, rng, n) if camera == "road" else _person(some, rng)
            for n in range(int(np.sum(starts < end_s - 5)))
        ]
        regimes = [str(r) for r in rng.permutation(REGIMES)]
        boxes: list[list[tuple[int, ...]]] = []
        for number in range(round(end_s * RATE)):
            image, t = grounds[camera].copy(), number / RATE
            boxes.append([])
            for thing, (takes, move) in enumerate(moves):
                share = (t - starts[thing]) / takes
                if 0 <= share <= 1:
                    cut, x, y = move(float(share))
                    people.paste(image, cut, x, y)
                    box = _visible(cut.alpha, x, y)
                    if box is not None:
                        boxes[-1].append((thing, int(camera == "road"), *box))
            regime = regimes[int(t / REGIME_S) % len(regimes)]
            write(weather.dress(regime, image, t % REGIME_S))
        folder.mkdir(parents=True, exist_ok=True)
        told.write_text(json.dumps(boxes), "utf-8")
        there: dict[int, list[int]] = {}
        for frame, row in enumerate(boxes):
            for thing, *_ in row:
                there.setdefault(thing, []).append(frame)
        return [Span(min(f), max(f), f"thing {thing}") for thing, f in there.items()]

    labelled = made(folder, name, seed, compose, version=VERSION)
    rows = [[Box(*box) for box in row] for row in json.loads(told.read_text("utf-8"))]
    return Filmed(labelled.path, rows, len(labelled.events))


Move = Callable[[float], tuple[people.Cutout, int, int]]
"""What is to be pasted, and its left and top, when a share of the way is done."""


def _person(some: list[people.Cutout], rng: np.random.Generator) -> tuple[float, Move]:
    """Somebody crosses from one side to the other: seconds that it takes, and the way."""
    somebody = some[int(rng.integers(len(some)))]
    tall = len(somebody.alpha) * rng.uniform(0.7, 1.3)
    somebody = somebody.sized(tall)
    first = rng.uniform(100, HEIGHT - 5 - tall)
    last = first + np.clip(rng.uniform(100, HEIGHT - 5 - tall) - first, -60, 60)
    wide, to_right = somebody.alpha.shape[1], bool(rng.integers(2))

    def move(share: float) -> tuple[people.Cutout, int, int]:
        across = share if to_right else 1 - share
        y = first + (last - first) * share + 1.5 * np.sin(60 * share)
        return somebody, round(-wide + (WIDTH + wide) * across), round(y)

    return rng.uniform(6, 12), move


def _vehicle(some: list[people.Cutout], rng: np.random.Generator, n: int) -> tuple[float, Move]:
    """A vehicle comes closer and grows, or goes, in one of five lanes."""
    vehicle = views.tinted(some[int(rng.integers(len(some)))], rng)
    lane, closer = n % views.LANES, bool(rng.integers(2))

    def move(share: float) -> tuple[people.Cutout, int, int]:
        return views.driven(vehicle, lane, share if closer else 1 - share)

    return rng.uniform(5, 9), move


def _visible(alpha: NDArray[np.float32], x: int, y: int) -> tuple[int, int, int, int] | None:
    """Left, top, right, bottom of what is inside of the picture. None: too little of it is."""
    left, top, wide, tall = cv2.boundingRect((alpha > 0.5).astype(np.uint8))
    left, top = left + x, top + y
    box = max(0, left), max(0, top), min(WIDTH, left + wide), min(HEIGHT, top + tall)
    inside = max(0, box[2] - box[0]) * max(0, box[3] - box[1])
    return box if inside >= VISIBLE * wide * tall and inside > 0 else None
