"""What instances of change are drawn with: real stills and real things, chosen by a seed.

What is drawn lies over real stills and under sensor noise. Sizes, speeds, colours, contrast, noise,
coding, rate and place come from the seed. A state lasts while it is wholly visible; it is stated
by what draws it, never by what a rule makes of it. `most` is what somebody who chooses frames by
hand would still accept: one of each state, one or two on the way between far states.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from days import Image, filled, read_still
from numpy.typing import NDArray
from people import Cutout, cutouts, empty_of, pedestrians

Timed = tuple[float, float, str]
"""From, to in seconds, what."""
Draw = Callable[[float], Image]
"""The picture at a time in seconds."""

SIZES = ((640, 360), (640, 360), (640, 360), (480, 270), (960, 540), (640, 480))
"""Width and height; most cameras are watched in a stream of about this size."""
LONGEST = 240
"""Most frames of a change that takes minutes: it is written with fewer frames per second."""
NEARLY = 1 / 8
"""Share of the picture by which a view that moves may be off a view that somebody wants."""
_LARGE = 1280
"""Pixels of width that a still needs for a view to move or zoom in it."""


@dataclass(frozen=True, slots=True, eq=False)
class Instance:
    """One clip before noise and coding."""

    draw: Draw
    times: list[float]
    """Seconds at which its frames begin."""
    states: list[Timed]
    most: int
    nothing: list[Timed] = field(default_factory=list)
    """A frame kept here shows nothing new, unless it is the first of a state."""
    noise: float = 2.0
    crf: int = 26
    """Of H.264: 18 looks like the original, 38 is a camera on a bad line."""


class Places:
    """Real pictures to draw on, and real things to draw."""

    def __init__(self, media: Path) -> None:
        self._stills = sorted((media / "f/ena24").glob("*.jpg"))
        self._stills += sorted((media / "f/imagededup_base").glob("*.jpg"))
        clips = ["a/opencv_vtest_pets09s2l1.avi", "a/bgs_overhead_road.avi"]
        clips += ["b/udacity_solidWhiteRight.mp4", "b/udacity_vd_test_video.mp4"]
        clips += ["c/intel_asl_walk.mkv"]
        self._clips = [media / clip for clip in clips]
        self.views = [self._inner(read_still(still)) for still in self._stills]
        self.views += [_frames(clip, 1)[0] for clip in self._clips]
        self.street, self.people = pedestrians(media)
        road = _frames(media / "a/bgs_overhead_road.avi", 374)
        self.road = empty_of(road)
        self.cars = cutouts(road[::3], self.road, (70, 200), (1.0, 2.5))
        self.webcam = _frames(media / "c/intel_asl_book.mkv", 120)[::6]

    @staticmethod
    def _inner(still: Image) -> Image:
        """Leaves out the lines of text that a wildlife camera writes into its border."""
        border = round(0.07 * len(still))
        inner = still[border : len(still) - border]
        factor = min(1.0, 1920 / inner.shape[1])
        return np.asarray(
            cv2.resize(inner, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        )


def _frames(path: Path, count: int) -> list[Image]:
    pictures: list[Image] = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            pictures.append(np.asarray(frame.to_ndarray(format="bgr24"), np.uint8))
            if len(pictures) == count:
                break
    return pictures


class Stage:
    """What one instance is drawn with; everything that it chooses comes from its `rng`."""

    def __init__(self, places: Places, rng: np.random.Generator, seed: int) -> None:
        self.places, self.rng, self.seed = places, rng, seed
        self.width, self.height = SIZES[int(rng.integers(len(SIZES)))]
        self.noise = float(rng.choice([0.0, 1.5, 3.0, 5.0]))
        self.crf = int(rng.choice([20, 26, 32]))

    def between(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def over(self, low: float, high: float) -> float:
        """Returns seconds between two limits, as often below as above their geometric mean."""
        return float(np.exp(self.rng.uniform(np.log(low), np.log(high))))

    def any(self, *choices: int) -> int:
        return int(self.rng.choice(choices))

    def view(self, factor: float = 1.0) -> Image:
        """Returns a real view of `factor` times the size of the picture."""
        width, height = round(self.width * factor), round(self.height * factor)
        some = [v for v in self.places.views if factor == 1 or v.shape[1] >= _LARGE]
        return filled(some[int(self.rng.integers(len(some)))], width, height)

    def views(self, count: int) -> list[Image]:
        """Returns views of which no two look alike: half of their pixels differ by 25 levels."""
        some = [self.view()]
        for _ in range(200):
            new = self.view()
            if all(np.mean(cv2.absdiff(new, old).max(2) > 25) > 0.5 for old in some):
                some.append(new)
            if len(some) == count:
                return some
        raise SystemExit("kinds: too few stills that differ")

    def thing(self, ground: Image, x: int, y: int, wide: int, tall: int) -> Cutout:
        """Returns something that can be told from the ground at a place, not by its texture alone:
        its parts differ by 30 levels on average."""
        alpha = np.zeros((tall, wide), np.float32)
        if self.rng.integers(2):
            cv2.ellipse(alpha, (wide // 2, tall // 2), (wide // 2, tall // 2), 0, 0, 360, 1.0, -1)
        else:
            alpha[:] = 1
        part = _parts(ground[max(y, 0) : y + tall, max(x, 0) : x + wide])
        best, most = Cutout(np.zeros((tall, wide, 3), np.uint8), alpha), 0.0
        for _ in range(12):
            other = self.view()
            at_x = int(self.rng.integers(0, max(1, self.width - wide)))
            at_y = int(self.rng.integers(0, max(1, self.height - tall)))
            cut = other[at_y : at_y + tall, at_x : at_x + wide]
            apart = float(np.abs(_parts(cut) - part).max(2).mean())
            if apart > most:
                best, most = Cutout(cut.copy(), alpha), apart
            if most > 30:
                break
        if most < 30:  # nothing real stands out from this ground: a plain thing does
            level = 25 if part.mean() > 128 else 230
            best = Cutout(np.full((tall, wide, 3), level, np.uint8), alpha)
        return best

    def place(self, wide: int, tall: int) -> tuple[int, int]:
        """Returns left and top of something that lies wholly in the picture."""
        return (
            int(self.rng.integers(2, self.width - wide - 2)),
            int(self.rng.integers(2, self.height - tall - 2)),
        )

    def times(self, seconds: float, rate: float | None = None) -> list[float]:
        """Returns even times; without a rate at most `LONGEST` frames, and 5 a second."""
        if rate is None:
            rate = next((r for r in (5.0, 2.0, 1.0) if seconds * r <= LONGEST), 0.5)
        return [n / rate for n in range(round(seconds * rate))]

    def made(
        self,
        draw: Draw,
        seconds: float,
        states: list[Timed],
        most: int,
        nothing: list[Timed] | None = None,
        rate: float | None = None,
    ) -> Instance:
        times = self.times(seconds, rate)
        return Instance(draw, times, states, most, nothing or [], self.noise, self.crf)


def _parts(picture: Image) -> NDArray[np.float32]:
    """Returns the (4, 4, 3) mean colours of the parts of a picture."""
    small = cv2.resize(picture, (4, 4), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32)


def mixed(a: Image, b: Image, share: float) -> Image:
    return np.asarray(cv2.addWeighted(a, 1 - share, b, share, 0), np.uint8)


def progress(t: float, began: float, takes: float) -> float:
    return float(np.clip((t - began) / takes, 0, 1))


def lit(image: Image, light: NDArray[Any] | float) -> Image:
    return np.asarray(np.clip(image * light, 0, 255), np.uint8)


def glow(stage: Stage, x: float, y: float, radius: float) -> NDArray[Any]:
    down, across = np.mgrid[0 : stage.height, 0 : stage.width].astype(np.float32)
    spread = np.exp(-((across - x) ** 2 + (down - y) ** 2) / np.float32(radius**2))
    return np.asarray(spread[..., None], np.float32)
