"""People one after another: 24 in each of three clips, cut out of a real clip of pedestrians.

They walk over the empty view of the same camera, with gaps of 1 to 4 s, of 3 to 8 s, and with
the next one mostly there before the last has left. Somebody counts as an event while a good part
of the way is left on both sides, so that at least half of them is in the picture.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import av
import cv2
import numpy as np
import plots
from bench import Bench, judged
from days import HEIGHT, RATE, WIDTH, Image, Weather, fitted, made
from numpy.typing import NDArray
from scores import total

from labels import Labelled, Span

PEOPLE = 24
GAPS = {"gaps of 1-4 s": (1.0, 4.0), "gaps of 3-8 s": (3.0, 8.0), "overlapping": (-3.0, 2.0)}
VERSION = 1


@dataclass(frozen=True, slots=True, eq=False)
class Cutout:
    """A thing on transparent ground."""

    picture: Image
    """(height, width, 3) BGR."""
    alpha: NDArray[np.float32]
    """(height, width) 0 to 1."""

    def sized(self, height: float) -> Cutout:
        factor = max(height, 2.0) / len(self.alpha)
        size = (max(2, round(self.alpha.shape[1] * factor)), max(2, round(height)))
        mode = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
        picture = np.asarray(cv2.resize(self.picture, size, interpolation=mode), np.uint8)
        return Cutout(picture, np.asarray(cv2.resize(self.alpha, size), np.float32))

    def flipped(self) -> Cutout:
        return Cutout(self.picture[:, ::-1], self.alpha[:, ::-1])


def paste(image: Image, thing: Cutout, x: int, y: int) -> tuple[slice, slice, NDArray[np.float32]]:
    """Lays a thing over a picture, left upper corner at x, y; what is outside is cut off.

    Returns the rows and columns that it covers, and its alpha there.
    """
    height, width = thing.alpha.shape
    top, left = max(0, y), max(0, x)
    bottom, right = min(image.shape[0], y + height), min(image.shape[1], x + width)
    rows, columns = slice(top, max(top, bottom)), slice(left, max(left, right))
    inside = slice(top - y, max(top, bottom) - y), slice(left - x, max(left, right) - x)
    alpha = thing.alpha[inside]
    share = alpha[..., None]
    image[rows, columns] = image[rows, columns] * (1 - share) + thing.picture[inside] * share
    return rows, columns, alpha


def empty_of(pictures: list[Image]) -> Image:
    """The view without what moves: the median of every eighth picture."""
    return np.asarray(np.median(np.stack(pictures[::8]), 0), np.uint8)


def cutouts(
    pictures: list[Image], empty: Image, height: tuple[int, int], shape: tuple[float, float]
) -> list[Cutout]:
    """Moving things that stand alone; `height` in pixels, `shape` is width over height."""
    found = []
    for picture in pictures:
        differs = np.abs(picture.astype(np.int16) - empty).max(2) > 28
        mask = differs.astype(np.uint8)
        mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((7, 5), np.uint8))
        mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
        count, places, boxes, _ = cv2.connectedComponentsWithStats(mask)
        for number in range(1, count):
            x, y, w, h, area = (int(v) for v in boxes[number])
            whole = x > 3 and y > 3 and x + w < picture.shape[1] - 3 and y + h < len(picture) - 3
            of_shape = shape[0] <= w / h <= shape[1] and area > 0.45 * w * h
            if whole and of_shape and height[0] <= h <= height[1]:
                alpha = (places[y : y + h, x : x + w] == number).astype(np.float32)
                soft = np.asarray(cv2.GaussianBlur(alpha, (0, 0), 0.7), np.float32)
                found.append(Cutout(picture[y : y + h, x : x + w].copy(), soft))
    return found


def pedestrians(media: Path) -> tuple[Image, list[Cutout]]:
    """The empty view, and people of it. An empty list: the clip is not there."""
    path = media / "a/opencv_vtest_pets09s2l1.avi"
    if not path.is_file():
        return np.zeros((HEIGHT, WIDTH, 3), np.uint8), []
    with av.open(str(path)) as container:
        pictures = [
            fitted(frame.to_ndarray(format="bgr24"))
            for number, frame in enumerate(container.decode(video=0))
            if number % 4 == 0
        ]
    empty = empty_of(pictures)
    return empty, cutouts(pictures[::3], empty, (30, 85), (0.25, 0.75))


def clips(media: Path, folder: Path) -> list[Labelled]:
    empty, some = pedestrians(media)
    return [
        _clip(empty, some, name, gap, folder, seed)
        for seed, (name, gap) in enumerate(GAPS.items(), 1)
        if some
    ]


def _clip(
    empty: Image,
    some: list[Cutout],
    name: str,
    gap: tuple[float, float],
    folder: Path,
    seed: int,
) -> Labelled:
    def compose(write: Callable[[Image], None], weather: Weather) -> list[Span]:
        rng, walks, events, at_s = np.random.default_rng(seed), [], [], 20.0
        chosen = rng.permutation(len(some))[:PEOPLE]
        for number in range(PEOPLE):
            somebody = some[int(chosen[number % len(chosen)])]
            tall = len(somebody.alpha) * rng.uniform(0.7, 1.3)
            takes = rng.uniform(6, 12)
            ways = rng.uniform(100, HEIGHT - 5 - tall, 2)
            ways[1] = np.clip(ways[1], ways[0] - 60, ways[0] + 60)
            walks.append((at_s, takes, somebody.sized(tall), ways, bool(rng.integers(2))))
            first, last = (int((at_s + share * takes) * RATE) for share in (0.12, 0.88))
            events.append(Span(first, last, f"person {number}"))
            at_s += takes + rng.uniform(*gap)
        for number in range(int((at_s + 15) * RATE)):
            image, t = empty.copy(), number / RATE
            for began, takes, somebody, ways, to_right in walks:
                share = (t - began) / takes
                if 0 <= share <= 1:
                    wide = somebody.alpha.shape[1]
                    x = -wide + (WIDTH + wide) * (share if to_right else 1 - share)
                    y = ways[0] + (ways[1] - ways[0]) * share + 1.5 * np.sin(8 * t)
                    paste(image, somebody, round(x), round(y))
            write(weather.noise(image, 2.5))
        return events

    made_name = "people_" + name.replace(" ", "_").replace("-", "_")
    clip = made(folder, made_name, seed, compose, version=VERSION)
    quiet = Span(0, 20 * RATE - 1, "nobody came yet")
    return replace(clip, kind="people", nothing=(quiet,))


def measure(bench: Bench) -> None:
    some = clips(bench.media, bench.cache / "people")
    ours, evenly = judged(bench, "people one after another", some)
    if not ours:
        return
    names = [*ours, "all"]
    both = {
        "stillsift": [*ours.values(), total(ours.values())],
        "uniform, as many": [*evenly.values(), total(evenly.values())],
    }
    shares = {name: [s.hit / s.events for s in each] for name, each in both.items()}
    plots.bars(bench.out / "people.png", names, shares, "people of whom a frame is kept")
