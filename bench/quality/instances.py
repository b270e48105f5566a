"""Draws instances of the kinds of change that a time line can hold, each from a seed.

What is drawn lies over real stills and under sensor noise. Sizes, speeds, colours, contrast, noise,
coding, rate and place come from the seed. A state lasts while it is wholly visible; it is stated
by what draws it, never by what a rule makes of it. `most` is what somebody who chooses frames by
hand would still accept: one of each state, one or two on the way between far states.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from days import Image, Weather, read_still
from numpy.typing import NDArray
from people import Cutout, cutouts, empty_of, paste, pedestrians
from unseen import WORDS

Timed = tuple[float, float, str]
"""From, to in seconds, what."""
Draw = Callable[[float], Image]
"""The picture at a time in seconds."""

SIZES = ((640, 360), (640, 360), (640, 360), (480, 270), (960, 540), (640, 480))
"""Width and height; most cameras are watched in a stream of about this size."""
LONGEST = 240
"""Most frames of a change that takes minutes: it is written with fewer frames per second."""
_NEARLY = 1 / 8
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
        picture = some[int(self.rng.integers(len(some)))]
        high, wide = picture.shape[:2]
        scale = max(width / wide, height / high)
        size = (max(width, round(wide * scale)), max(height, round(high * scale)))
        mode = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        whole = np.asarray(cv2.resize(picture, size, interpolation=mode), np.uint8)
        top, left = (size[1] - height) // 2, (size[0] - width) // 2
        return whole[top : top + height, left : left + width].copy()

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


def _mixed(a: Image, b: Image, share: float) -> Image:
    return np.asarray(cv2.addWeighted(a, 1 - share, b, share, 0), np.uint8)


def _share(t: float, began: float, takes: float) -> float:
    return float(np.clip((t - began) / takes, 0, 1))


def _lit(image: Image, light: NDArray[Any] | float) -> Image:
    return np.asarray(np.clip(image * light, 0, 255), np.uint8)


def _glow(stage: Stage, x: float, y: float, radius: float) -> NDArray[Any]:
    down, across = np.mgrid[0 : stage.height, 0 : stage.width].astype(np.float32)
    spread = np.exp(-((across - x) ** 2 + (down - y) ** 2) / np.float32(radius**2))
    return np.asarray(spread[..., None], np.float32)


# -- slow change -----------------------------------------------------------------------------------


def dissolve(stage: Stage) -> Instance:
    """One view fades into another within 2 s to 10 min."""
    (a, b), takes = stage.views(2), stage.over(2, 600)
    end = 25 + takes
    states = [(0, 25, "before"), (end - 0.1 * takes, end + 25, "after")]
    return stage.made(
        lambda t: _mixed(a, b, _share(t, 25, takes)),
        end + 25,
        states,
        3 if takes < 10 else 5,
        [(5, 24.5, "before"), (end + 6, end + 25, "after")],
    )


def fog(stage: Stage) -> Instance:
    """Fog comes, stays for 20 s and goes."""
    view, takes, thick = stage.view(), stage.over(20, 300), stage.between(0.7, 0.92)
    grey = np.full_like(view, round(stage.between(150, 215)))

    def draw(t: float) -> Image:
        share = _share(t, 20, takes) - _share(t, 40 + takes, takes)
        soft = cv2.GaussianBlur(view, (0, 0), 0.1 + 2 * share)
        return _mixed(np.asarray(soft, np.uint8), grey, thick * share)

    gone = 40 + 2 * takes
    states = [(0, 20, "clear"), (20 + 0.9 * takes, 40 + 1.1 * takes, "fog")]
    nothing = [(5, 20, "clear"), (gone, gone + 20, "clear again")]
    return stage.made(draw, gone + 20, states, 6, nothing)


def dusk(stage: Stage) -> Instance:
    """It gets dark or light within minutes; lamps go on as it gets dark."""
    view, takes, dark = stage.view(), stage.over(60, 600), stage.between(0.08, 0.25)
    dawn = bool(stage.rng.integers(2))
    lamps = sum(
        _glow(stage, *stage.place(2, 2), stage.height * stage.between(0.06, 0.15))
        for _ in range(stage.any(2, 3, 4))
    ) * np.array((90, 170, 220), np.float32)
    on_at = stage.between(0.6, 0.8)
    blue = np.array((1.0, 0.85, 0.75), np.float32)

    def draw(t: float) -> Image:
        share = _share(t, 20, takes)
        share = 1 - share if dawn else share
        tint = 1 + (blue - 1) * np.float32(share)
        image = view * tint * np.float32(1 - (1 - dark) * share)
        return np.asarray(np.clip(image + lamps * (share >= on_at), 0, 255), np.uint8)

    names = ("night", "day") if dawn else ("day", "night")
    end = 20 + takes
    states = [(0, 20 + 0.1 * takes, names[0]), (end - 0.1 * takes, end + 20, names[1])]
    return stage.made(draw, end + 20, states, 6, [(5, 20, names[0]), (end + 8, end + 20, names[1])])


def growth(stage: Stage) -> Instance:
    """A tower, a plant or a heap grows in many small steps to a good part of the picture."""
    view, takes, steps = stage.view(), stage.over(60, 600), stage.any(8, 14, 24, 40)
    tall = round(stage.height * stage.between(0.45, 0.75))
    wide = round(stage.width * stage.between(0.08, 0.2))
    x, foot = stage.place(wide, 4)[0], stage.height - stage.any(4, 20, 40)
    what = ("tower", "plant", "heap")[stage.any(0, 1, 2)]
    skin = stage.thing(view, x, foot - tall, wide, tall).picture
    alpha = np.zeros((tall, wide), np.float32)
    if what == "tower":
        alpha[:] = 1
        for row in range(6, tall - 8, 16):
            for column in range(5, wide - 8, 14):
                cv2.rectangle(skin, (column, row), (column + 7, row + 9), (60, 50, 40), -1)
    elif what == "plant":
        cv2.line(alpha, (wide // 2, tall), (wide // 2, 4), 1.0, max(3, wide // 12))
        for n, y in enumerate(range(tall - 8, 8, -max(6, tall // 14))):
            side = wide // 4 if n % 2 else -(wide // 4)
            cv2.ellipse(alpha, (wide // 2 + side, y), (wide // 4, 7), 0, 0, 360, 1.0, -1)
        skin[:] = _lit(skin, np.array((0.5, 1.0, 0.5), np.float32))
    else:
        slope = np.array([(0, tall), (wide // 2, 0), (wide, tall)], np.int32)
        cv2.fillPoly(alpha, [slope], 1.0)

    def draw(t: float) -> Image:
        image = view.copy()
        now = round(tall * np.floor(_share(t, 20, takes) * steps) / steps)
        if now > 2 and what == "heap":
            share = now / tall
            paste(
                image, Cutout(skin, alpha).sized(now), round(x + wide * (1 - share) / 2), foot - now
            )
        elif now > 2:
            paste(image, Cutout(skin[tall - now :], alpha[tall - now :]), x, foot - now)
        return image

    end = 20 + takes
    states = [(0, 20, "nothing yet"), (20 + 0.42 * takes, 20 + 0.65 * takes, f"half of the {what}")]
    states.append((20 + 0.9 * takes, end + 25, f"the {what}"))
    return stage.made(
        draw, end + 25, states, 9, [(5, 20, "nothing yet"), (end + 8, end + 25, what)]
    )


def _moving(stage: Stage, axis: int, share: float) -> Instance:
    large, takes = stage.view(2.0), stage.over(20, 600)
    way = share * (stage.width, stage.height)[axis]
    back = bool(stage.rng.integers(2))
    low = stage.between(0, 0.99 * (large.shape[1 - axis] - (stage.width, stage.height)[axis] - way))
    other = stage.between(0, (stage.height, stage.width)[axis] * 0.9)

    def draw(t: float) -> Image:
        done = _share(t, 15, takes)
        at = low + way * (1 - done if back else done)
        left, top = (at, other) if axis == 0 else (other, at)
        turn = np.array([[1, 0, -left], [0, 1, -top]], np.float32)
        return np.asarray(cv2.warpAffine(large, turn, (stage.width, stage.height)), np.uint8)

    end, near = 15 + takes, _NEARLY * takes / share
    states = [(0, 15 + near, "start"), (15 + 0.4 * takes, 15 + 0.6 * takes, "middle")]
    states.append((end - near, end + 15, "end"))
    nothing = [(5, 15, "start"), (end + 11, end + 15, "end")]
    return stage.made(draw, end + 15, states, round(3 + 8 * share), nothing)


def pan(stage: Stage) -> Instance:
    """The camera turns by the width of the picture within 20 s to 10 min."""
    return _moving(stage, 0, 0.98)


def tilt(stage: Stage) -> Instance:
    """The camera tilts by a good half to the whole height of the picture."""
    return _moving(stage, 1, stage.between(0.6, 0.95))


def zoom(stage: Stage) -> Instance:
    """The camera zooms in or out by a factor of 2 to 4 within 20 s to 5 min."""
    large, takes, factor = stage.view(2.0), stage.over(20, 300), stage.between(2, 4)
    out = bool(stage.rng.integers(2))
    centre = (stage.width * stage.between(0.7, 1.3), stage.height * stage.between(0.7, 1.3))

    def draw(t: float) -> Image:
        share = _share(t, 15, takes)
        scale = 2.0 * factor ** -(1 - share if out else share)
        wide, high = stage.width * scale, stage.height * scale
        left = float(np.clip(centre[0] - wide / 2, 0, 2 * stage.width - wide))
        top = float(np.clip(centre[1] - high / 2, 0, 2 * stage.height - high))
        turn = np.array([[1 / scale, 0, -left / scale], [0, 1 / scale, -top / scale]], np.float32)
        size = (stage.width, stage.height)
        soft = cv2.GaussianBlur(large, (0, 0), max(0.01, 0.4 * (scale - 0.9)))
        return np.asarray(cv2.warpAffine(soft, turn, size), np.uint8)

    end = 15 + takes
    states = [(0, 15, "start"), (15 + 0.35 * takes, 15 + 0.65 * takes, "middle")]
    states.append((end - 0.1 * takes, end + 15, "end"))
    return stage.made(draw, end + 15, states, 9, [(5, 15, "start"), (end + 8, end + 15, "end")])


def tide(stage: Stage) -> Instance:
    """Water, or what fills a bin, rises in front of the view."""
    view, takes = stage.view(), stage.over(30, 600)
    low, high = stage.between(0.04, 0.15), stage.between(0.4, 0.6)
    water = _lit(stage.view(), np.array((0.9, 0.7, 0.5), np.float32))
    water = np.asarray(cv2.GaussianBlur(water, (0, 0), stage.between(0.5, 4)), np.uint8)
    if np.abs(water.mean(2) - view.mean(2)).mean() < 30:
        water = _lit(water, 0.4 if view.mean() > 110 else 2.2)

    def draw(t: float) -> Image:
        image = view.copy()
        level = low + (high - low) * _share(t, 20, takes)
        top = round(stage.height * (1 - level) + 1.5 * np.sin(2 * t))
        image[top:] = water[top:]
        return image

    end = 20 + takes
    states = [(0, 20 + 0.1 * takes, "low"), (end - 0.1 * takes, end + 20, "high")]
    return stage.made(draw, end + 20, states, 8, [(5, 20, "low"), (end + 8, end + 20, "high")])


def fade(stage: Stage) -> Instance:
    """Things fade in, one after the other, each within 1 s to 5 min, and stay."""
    view, at, shown = stage.view(), 15.0, []
    states = [(0.0, 15.0, "without")]
    count = stage.any(1, 2, 3)
    for number in range(count):
        takes = stage.over(1, 300 / count)
        wide = round(stage.width * stage.between(0.05, 0.2))
        tall = round(stage.height * stage.between(0.1, 0.3))
        x, y = stage.place(wide, tall)
        shown.append((at, takes, stage.thing(view, x, y, wide, tall), x, y))
        states.append((at + 0.9 * takes, at + takes + 15, f"thing {number + 1}"))
        at += takes + 15

    def draw(t: float) -> Image:
        image = view.copy()
        for began, takes, thing, x, y in shown:
            if t > began:
                paste(image, replace(thing, alpha=thing.alpha * _share(t, began, takes)), x, y)
        return image

    nothing = [(5.0, 15.0, "without"), *((b - 9, b, "it stays") for _, b, _ in states[1:])]
    return stage.made(draw, at, states, 1 + 2 * count, nothing)


def shadow(stage: Stage) -> Instance:
    """A shadow with a soft edge wanders over the view."""
    view, takes, dark = stage.view(), stage.over(60, 600), stage.between(0.25, 0.5)
    wide, slope = stage.width * stage.between(0.15, 0.4), stage.between(-0.6, 0.6)
    soft = stage.between(4, 20)
    down, across = np.mgrid[0 : stage.height, 0 : stage.width].astype(np.float32)

    def draw(t: float) -> Image:
        x = -wide + (stage.width + 2 * wide) * _share(t, 10, takes) + slope * (down - down.mean())
        edge = np.clip((np.abs(across - x) - wide / 2) / soft, -50, 50)
        inside = np.asarray(1 / (1 + np.exp(edge)), np.float32)
        return _lit(view, 1 - np.float32(dark) * inside[..., None])

    return stage.made(draw, takes + 20, [(0, 10, "the view")], 4)


# -- things of one moment --------------------------------------------------------------------------


def moment(stage: Stage) -> Instance:
    """Two or three things within a second, near or far; one leaves before the next is whole."""
    view, rate, at = stage.view(), float(stage.any(5, 10, 25)), 10.0
    shown: list[tuple[float, float, float, Cutout, int, int]] = []
    states, nothing, most = [(0.0, 10.0, "empty")], [(5.0, 10.0, "empty")], 1
    for _ in range(3):
        near, count = bool(stage.rng.integers(2)), stage.any(2, 2, 3)
        wide = round(stage.width * stage.between(0.07, 0.16))
        tall = round(stage.height * stage.between(0.14, 0.3))
        span = 0.14 if near else 0.28
        step = max(round(stage.width * span), wide + 4) if near else round(stage.width * span)
        left = int(stage.rng.integers(2, stage.width - step * (count - 1) - wide - 2))
        y = stage.place(wide, tall)[1]
        for number in range(count):
            apart = stage.between(0.45, 0.8)
            comes = 0.3 if number else 0.0
            x = left + number * step
            stays = apart + 0.05 if number < count - 1 else stage.between(1.0, 4.0)
            began = at if number == 0 else at - 0.25
            leaves = at + comes + stays
            thing = stage.thing(view, x, y, wide, tall)
            shown.append((began, at + comes, leaves, thing, x, y))
            states.append((at + comes, leaves - 0.02, f"{count} {'near' if near else 'far'}"))
            at = leaves
        most += count + 1
        nothing.append((at + 2, at + 9, "empty again"))
        at += 9

    def draw(t: float) -> Image:
        image = view.copy()
        for began, whole, leaves, thing, x, y in shown:
            if began <= t < leaves:
                part = 1.0 if whole <= began else _share(t, began - 0.05, whole - began + 0.05)
                seen = max(2, round(thing.alpha.shape[1] * part))
                paste(image, Cutout(thing.picture[:, :seen], thing.alpha[:, :seen]), x, y)
        return image

    return stage.made(draw, at, states, most, nothing, rate)


# -- one after another -----------------------------------------------------------------------------


def _follow(stage: Stage, ground: Image, some: list[Cutout], tall: float, wide: bool) -> Instance:
    same = some[int(stage.rng.integers(len(some)))]
    if stage.rng.integers(2):
        same = same.flipped()
    ground = np.asarray(cv2.resize(ground, (stage.width, stage.height)), np.uint8)
    at, walks, states, count = 12.0, [], [(0.0, 11.5, "empty")], stage.any(4, 5, 6)
    takes, path = stage.between(3, 7), stage.between(0.35, 0.7) * stage.height
    right = bool(stage.rng.integers(2))
    for number in range(count):
        each = same.sized(tall * stage.between(0.95, 1.05))
        walks.append((at, each, path + stage.between(-4, 4)))
        size = each.alpha.shape[1]
        whole = takes * size / (stage.width + size)
        states.append((at + whole, at + takes - whole, f"number {number + 1}"))
        at += stage.between(2, 12)
    end = walks[-1][0] + takes

    def draw(t: float) -> Image:
        image = ground.copy()
        for began, each, y in walks:
            share = (t - began) / takes
            if 0 <= share <= 1:
                size = each.alpha.shape
                x = -size[1] + (stage.width + size[1]) * (share if right else 1 - share)
                if wide:
                    paste(image, each, round(x), round(y - size[0] / 2))
                else:
                    paste(image, each, round(x), round(y - size[0] / 2 + 1.5 * np.sin(8 * t)))
        return image

    nothing = [(5.0, 11.5, "empty"), (end + 3, end + 12, "empty again")]
    return stage.made(draw, end + 12, states, 1 + 2 * count, nothing, 5.0)


def people(stage: Stage) -> Instance:
    """People who look alike follow each other the same way within 2 to 12 s."""
    tall = stage.height * stage.between(0.18, 0.4)
    return _follow(stage, stage.places.street, stage.places.people, tall, False)


def cars(stage: Stage) -> Instance:
    """Cars that look alike follow each other the same way within 2 to 12 s."""
    tall = stage.height * stage.between(0.15, 0.3)
    return _follow(stage, stage.places.road, stage.places.cars, tall, True)


# -- slides ----------------------------------------------------------------------------------------

_FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_COMPLEX)


class Slides:
    """Pages of one template, and what they are shown through: clean, noisy, badly coded, webcam."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        dark = stage.rng.integers(3) == 0
        self.ground = (40, 34, 30) if dark else (250, 248, 245)
        self.ink = (225, 225, 225) if dark else (35, 30, 30)
        self.mark = (90, 80, 20) if dark else (120, 240, 250)
        self.face = _FONTS[stage.any(0, 1, 2)]
        self.webcam = stage.rng.integers(4) == 0
        clean, noisy, poor = (0.0, 20), (stage.between(2, 4), 26), (0.0, stage.any(34, 37))
        stage.noise, stage.crf = (clean, noisy, poor)[stage.any(0, 1, 2)]
        self.size = stage.height / 360 * (0.75 if stage.crf >= 34 else stage.between(0.5, 0.75))
        self.row = round(46 * self.size + 4)

    def sentence(self, words: int) -> str:
        return " ".join(str(word) for word in self.stage.rng.choice(WORDS, words))

    def blank(self, height: int = 0) -> Image:
        tall = max(height, self.stage.height)
        return np.full((tall, self.stage.width, 3), self.ground, np.uint8)

    def write(self, page: Image, text: str, x: int, y: int, size: float = 1.0) -> None:
        thick = 2 if size * self.size > 0.9 else 1
        cv2.putText(page, text, (x, y), self.face, size * self.size, self.ink, thick, cv2.LINE_AA)

    def line(self, page: Image, number: int, text: str) -> None:
        self.write(page, f"- {text}", self.stage.width // 14, self.top(number))

    def top(self, number: int) -> int:
        return round(self.stage.height * 0.28) + number * self.row

    @property
    def lines(self) -> int:
        return min(6, (self.stage.height - self.top(0) - 10) // self.row)

    def page(self, lines: int, title: str = "") -> Image:
        page = self.blank()
        self.write(page, title or self.sentence(2), self.stage.width // 16, self.top(-1) - 8, 1.6)
        for number in range(lines):
            self.line(page, number, self.sentence(3))
        return page

    def shown(
        self, pages: list[Image], stays: list[float], states: list[Timed], most: int
    ) -> Instance:
        """Shows pages one after the other, each for its time in seconds."""
        ends = np.cumsum(stays)

        def draw(t: float) -> Image:
            return pages[min(int(np.searchsorted(ends, t, side="right")), len(pages) - 1)]

        return self.through(draw, float(ends[-1]), states, most)

    def through(
        self,
        draw: Draw,
        seconds: float,
        states: list[Timed],
        most: int,
        nothing: list[Timed] | None = None,
    ) -> Instance:
        stage = self.stage
        wide, tall = stage.width // 5, stage.height // 5

        def with_webcam(t: float) -> Image:
            image = draw(t).copy()
            some = stage.places.webcam
            step = int(t * 5) % (2 * len(some) - 2)
            face = some[step if step < len(some) else 2 * len(some) - 2 - step]
            image[-tall:, -wide:] = cv2.resize(face, (wide, tall), interpolation=cv2.INTER_AREA)
            return image

        most += 2 if self.webcam else 0
        seen = with_webcam if self.webcam else draw
        return stage.made(seen, seconds, states, most, nothing, 5.0)


def _in_turn(stays: list[float], names: list[str]) -> list[Timed]:
    ends = np.cumsum(stays).tolist()
    return [
        (end - stay, end - 0.01, name) for end, stay, name in zip(ends, stays, names, strict=True)
    ]


def text(stage: Stage) -> Instance:
    """Slides of one layout, other text on each."""
    slides, count = Slides(stage), stage.any(5, 6, 8)
    pages = [slides.page(slides.lines) for _ in range(count)]
    stays = [stage.between(3, 6) for _ in pages]
    names = [f"slide {n + 1}" for n in range(count)]
    return slides.shown(pages, stays, _in_turn(stays, names), count + 1)


def build(stage: Stage) -> Instance:
    """Slides whose lines come one by one; a slide is a state when it is full."""
    slides = Slides(stage)
    pages: list[Image] = []
    stays: list[float] = []
    states: list[Timed] = []
    for number in range(3):
        page = slides.page(0)
        for line in range(slides.lines):
            slides.line(page, line, slides.sentence(3))
            pages.append(page.copy())
            stays.append(stage.between(1.5, 3))
        stays[-1] += 2
        full = sum(stays)
        states.append((full - stays[-1], full - 0.01, f"slide {number + 1}, full"))
    return slides.shown(pages, stays, states, len(pages) + 1)


def word(stage: Stage) -> Instance:
    """One digit or one word of a page changes."""
    slides, count, line = Slides(stage), stage.any(4, 5, 6), stage.any(0, 1, 2)
    base = slides.page(0)
    for number in range(slides.lines):
        if number != line:
            slides.line(base, number, slides.sentence(3))
    digit, first = bool(stage.rng.integers(2)), int(stage.rng.integers(1000, 8000))
    words = [str(w) for w in stage.rng.permutation(WORDS)[:count]]
    pages = []
    for number in range(count):
        page = base.copy()
        told = f"{10 * first + number}" if digit else words[number]
        slides.line(page, line, f"total {told}" if digit else f"the {told} is open")
        pages.append(page)
    stays = [stage.between(3, 6) for _ in pages]
    names = [f"{'digit' if digit else 'word'} {n + 1}" for n in range(count)]
    return slides.shown(pages, stays, _in_turn(stays, names), count + 1)


def highlight(stage: Stage) -> Instance:
    """A bar of colour goes from line to line."""
    slides = Slides(stage)
    page, pages = slides.page(slides.lines), []
    for number in range(min(slides.lines, 5)):
        marked = page.copy()
        low, high = slides.top(number) - slides.row + 12, slides.top(number) + 8
        rows = slice(low, high)
        lit = np.abs(page[rows].astype(np.int16) - slides.ground).max(2) > 60
        marked[rows, stage.width // 16 : -stage.width // 16] = slides.mark
        marked[rows][lit] = page[rows][lit]
        pages.append(marked)
    stays = [stage.between(3, 5) for _ in pages]
    names = [f"line {n + 1}" for n in range(len(pages))]
    return slides.shown(pages, stays, _in_turn(stays, names), len(pages) + 1)


def cursor(stage: Stage) -> Instance:
    """The arrow of a mouse wanders over a page, and rests: no news."""
    slides = Slides(stage)
    page = slides.page(slides.lines)
    stops = stage.rng.uniform(0.15, 0.85, (8, 2)) * (stage.width, stage.height)
    arrow = np.array([(0, 0), (0, 14), (4, 11), (7, 17), (9, 16), (6, 10), (10, 10)])

    def draw(t: float) -> Image:
        image, leg = page.copy(), min(int(t / 4), 6)
        share = _share(t, 4 * leg + 1.5, 1.5)
        tip = stops[leg] * (1 - share) + stops[leg + 1] * share
        shape = np.asarray(arrow * stage.height / 360 + tip, np.int32)
        cv2.fillPoly(image, [shape], (255, 255, 255), cv2.LINE_AA)
        cv2.polylines(image, [shape], True, (0, 0, 0), 1, cv2.LINE_AA)
        return image

    return slides.through(draw, 30, [(0, 30, "the page")], 2, [(2, 30, "a cursor")])


def scroll(stage: Stage) -> Instance:
    """A long page scrolls by most of its height, and rests."""
    slides, count, by = Slides(stage), stage.any(4, 5), stage.between(0.6, 1.0)
    long = slides.blank(round(stage.height * (1 + by * count)))
    for y in range(slides.row, len(long), slides.row):
        slides.write(long, slides.sentence(stage.any(2, 3, 4)), stage.width // 20, y)
    takes = stage.between(0.3, 3)
    each = takes + stage.between(3, 5)

    def draw(t: float) -> Image:
        page, since = divmod(t, each)
        top = by * stage.height * (page + _share(since, each - takes, takes))
        return long[round(top) : round(top) + stage.height]

    near = _NEARLY * takes / by
    states = [
        (max(0.0, n * each - near), (n + 1) * each - takes + near, f"page {n + 1}")
        for n in range(count)
    ]
    return slides.through(draw, count * each - takes, states, 2 * count)


# -- colour ----------------------------------------------------------------------------------------


def _hues(stage: Stage, count: int) -> list[tuple[int, int, int]]:
    """Returns BGR colours of one luma, 50 levels of chroma or more apart from the one before."""
    luma, chroma = stage.between(105, 140), stage.between(45, 75)
    turn = stage.between(0, 6.28)
    found = []
    for number in range(count):
        angle = turn + 2.4 * number
        ycc = np.array([[[luma, 128 + chroma * np.cos(angle), 128 + chroma * np.sin(angle)]]])
        bgr = cv2.cvtColor(np.asarray(ycc.round(), np.uint8), cv2.COLOR_YCrCb2BGR)[0, 0]
        found.append((int(bgr[0]), int(bgr[1]), int(bgr[2])))
    return found


def lamp(stage: Stage) -> Instance:
    """A lamp, from an LED to a large screen, changes its colour at equal luma."""
    view, count = stage.view(), stage.any(3, 4, 5)
    radius = round(stage.height * stage.over(0.02, 0.15))
    x, y = stage.place(2 * radius, 2 * radius)
    hues, stays = _hues(stage, count), [stage.between(3, 6) for _ in range(count)]
    ends = np.cumsum(stays)

    def draw(t: float) -> Image:
        image = view.copy()
        cv2.circle(image, (x + radius, y + radius), radius + 2, (30, 30, 30), -1, cv2.LINE_AA)
        hue = hues[min(int(np.searchsorted(ends, t, side="right")), count - 1)]
        cv2.circle(image, (x + radius, y + radius), radius, hue, -1, cv2.LINE_AA)
        return image

    states = _in_turn(stays, [f"colour {n + 1}" for n in range(count)])
    return stage.made(draw, float(ends[-1]), states, count + 1, None, 5.0)


def traffic(stage: Stage) -> Instance:
    """A traffic light: red, green, amber, and the same again."""
    view, radius = stage.view(), round(stage.height * stage.over(0.02, 0.08))
    x, y = stage.place(4 * radius, 9 * radius)
    colours = [(40, 40, 230), (60, 200, 60), (40, 170, 240)] * 2
    places = [0, 2, 1] * 2
    stays = [stage.between(4, 7), stage.between(4, 7), 3.0] * 2
    ends = np.cumsum(stays)

    def draw(t: float) -> Image:
        image = view.copy()
        cv2.rectangle(image, (x, y), (x + 4 * radius, y + 9 * radius), (25, 25, 25), -1)
        now = min(int(np.searchsorted(ends, t, side="right")), 5)
        for place in range(3):
            centre = (x + 2 * radius, y + round((1.6 + 2.9 * place) * radius))
            colour = colours[now] if places[now] == place else (60, 60, 60)
            cv2.circle(image, centre, round(1.2 * radius), colour, -1, cv2.LINE_AA)
        return image

    states = _in_turn(stays[:3], ["red", "green", "amber"])
    again = [(float(ends[2]) + 0.5, float(ends[-1]), "the same again")]
    return stage.made(draw, float(ends[-1]), states, 4, again, 5.0)


def swap(stage: Stage) -> Instance:
    """A thing is replaced by the same thing of another colour, at once or after a pause."""
    view, count = stage.view(), stage.any(3, 4)
    wide = round(stage.width * stage.over(0.05, 0.3))
    tall = round(min(stage.height * 0.8, wide * stage.between(0.7, 1.3)))
    x, y = stage.place(wide, tall)
    pause = 0.0 if stage.rng.integers(2) else stage.between(1, 3)
    thing = stage.thing(view, x, y, wide, tall)
    luma = cv2.cvtColor(thing.picture, cv2.COLOR_BGR2YCrCb)
    luma[..., 0] = 70 + luma[..., 0] // 3
    skins = []
    for hue in _hues(stage, count):
        tint = cv2.cvtColor(np.full((1, 1, 3), hue, np.uint8), cv2.COLOR_BGR2YCrCb)[0, 0]
        luma[..., 1:] = tint[1:]
        skins.append(np.asarray(cv2.cvtColor(luma, cv2.COLOR_YCrCb2BGR), np.uint8))
    each = stage.between(4, 7) + pause

    def draw(t: float) -> Image:
        image, (number, since) = view.copy(), divmod(t - 5, each)
        if t >= 5 and since < each - pause:
            paste(image, Cutout(skins[min(int(number), count - 1)], thing.alpha), x, y)
        return image

    states = [(0.0, 4.9, "without")]
    for n in range(count):
        states.append((5 + n * each, 5 + (n + 1) * each - pause - 0.01, f"colour {n + 1}"))
    return stage.made(draw, 5 + count * each - pause - 0.05, states, count + 2, None, 5.0)


# -- light -----------------------------------------------------------------------------------------


def switch(stage: Stage) -> Instance:
    """The light of a room goes off, on, off and on."""
    view, dark = stage.view(), stage.between(0.12, 0.3)
    tint = np.array((1.1, 0.95, 0.85), np.float32) * np.float32(dark)
    dim = np.asarray(_lit(view, tint), np.uint8)
    states = [(0.0, 11.9, "lit"), (12, 23.9, "dark")]
    nothing = [(5.0, 11.9, "lit"), (16, 23.9, "dark"), (24.1, 48, "both again")]
    return stage.made(lambda t: dim if int(t / 12) % 2 else view, 48, states, 4, nothing)


def infrared(stage: Stage) -> Instance:
    """A camera switches to infrared: grey, other light, more noise. Somebody passes in it."""
    view = stage.view()
    grey = cv2.cvtColor(view, cv2.COLOR_BGR2GRAY)
    lit = 0.35 + 0.75 * _glow(stage, stage.width / 2, stage.height / 2, stage.width * 0.4)
    night = _lit(np.repeat(grey[..., None], 3, 2), lit)
    somebody = stage.places.people[int(stage.rng.integers(len(stage.places.people)))]
    somebody = somebody.sized(stage.height * stage.between(0.4, 0.6))
    bright = Cutout(_lit(somebody.picture, 0.5) // 2 + 120, somebody.alpha)
    rng = np.random.default_rng(stage.seed)

    def draw(t: float) -> Image:
        if not 15 <= t < 45:
            return view
        image = night.copy()
        if 30 <= t < 36:
            x = -40 + (stage.width + 80) * (t - 30) / 6
            paste(image, bright, round(x), round(stage.height * 0.35))
        field = rng.normal(0, 6, image.shape[:2])[..., None]
        return np.asarray(np.clip(image + field, 0, 255), np.uint8)

    states = [(0.0, 14.9, "by day"), (15, 29.9, "infrared"), (30.4, 34.8, "somebody")]
    nothing = [(5.0, 14.9, "by day"), (21, 29.5, "infrared"), (38, 44, "infrared")]
    return stage.made(draw, 58, states, 6, [*nothing, (45.1, 58, "by day again")], 5.0)


def flash(stage: Stage) -> Instance:
    """Lightning or a camera's flash, of one to three frames, now and then: no news."""
    view, level = stage.view(), stage.between(40, 140)
    struck = [10 + 7 * n + stage.between(0, 3) for n in range(5)]
    lasts = stage.between(0.08, 0.35)

    def draw(t: float) -> Image:
        if any(at <= t < at + lasts for at in struck):
            return np.asarray(np.clip(view * 1.25 + level, 0, 255), np.uint8)
        return view

    return stage.made(draw, 48, [(0, 10, "the view")], 2, [(2, 48, "flashes")], 5.0)


def cloud(stage: Stage) -> Instance:
    """The sun goes behind clouds and comes out again: no news."""
    view, dark, takes = stage.view(), stage.between(0.55, 0.8), stage.between(1.5, 8)
    cool = np.array((1.06, 1.0, 0.95), np.float32) * np.float32(dark)

    def draw(t: float) -> Image:
        share = sum(_share(t, b, takes) - _share(t, b + 12, takes) for b in (12, 42))
        return _lit(view, 1 + (cool - 1) * np.float32(share))

    return stage.made(draw, 72, [(0, 12, "sun")], 2, [(5, 72, "clouds")], 2.0)


def headlights(stage: Stage) -> Instance:
    """The light of cars that pass outside sweeps over a dark view: no news."""
    view = _lit(stage.view(), stage.between(0.2, 0.4))
    radius, rise = stage.width * stage.between(0.1, 0.2), stage.between(0.3, 0.7)
    passes = [10 + 9 * n for n in range(4)]
    takes = stage.between(1, 3)

    def draw(t: float) -> Image:
        light: NDArray[Any] | float = 1.0
        for began in passes:
            share = (t - began) / takes
            if 0 <= share <= 1:
                x = stage.width * (1.4 * share - 0.2)
                light = 1 + 2.5 * _glow(stage, x, stage.height * rise, radius)
        return _lit(view, light)

    nothing = [(began - 4.0, began - 0.1, "dark again") for began in [*passes, 48]]
    return stage.made(draw, 48, [(0, 10, "the view")], 3, nothing, 5.0)


def refocus(stage: Stage) -> Instance:
    """After a change of view the picture is blurred for a while, until the camera has focused."""
    views, soft = stage.views(3), [stage.between(0.6, 3) for _ in range(3)]
    depth = stage.between(3, 7) * stage.height / 360

    def draw(t: float) -> Image:
        number = min(int(t / 12), 2)
        left = 1 - _share(t - 12 * number, 0, soft[number]) if number else 0.0
        sigma = 0.01 + depth * left
        return np.asarray(cv2.GaussianBlur(views[number], (0, 0), sigma), np.uint8)

    states = [(0.0, 11.9, "view 1")]
    states += [(12 * n + 0.9 * soft[n], 12 * n + 11.9, f"view {n + 1}") for n in (1, 2)]
    nothing = [(5.0, 11.9, "view 1")]
    nothing += [(12 * n + 0.1, 12 * n + 0.7 * soft[n], "blurred") for n in (1, 2)]
    return stage.made(draw, 36, states, 4, nothing, 5.0)


# -- what moves all the time -----------------------------------------------------------------------


def _with_thing(stage: Stage, view: Image) -> tuple[Draw, list[Timed], list[Timed], int]:
    """The view for 60 s; from 30 s on, in every other instance, with something left in it."""
    left = stage.rng.integers(2)
    wide, tall = round(stage.width * 0.09), round(stage.height * 0.15)
    x, y = stage.place(wide, tall)
    whole = view.copy()
    paste(whole, stage.thing(view, x, y, wide, tall), x, y)
    if not left:
        return lambda _: view, [(0.0, 60.0, "the view")], [(5.0, 60.0, "nothing")], 2
    states = [(0.0, 29.9, "the view"), (30.0, 60.0, "something left")]
    nothing = [(5.0, 29.9, "nothing"), (40.0, 60.0, "it lies there")]
    return lambda t: whole if t >= 30 else view, states, nothing, 3


def shake(stage: Stage) -> Instance:
    """The camera trembles by a pixel or two; something is left behind, or nothing is."""
    draw, states, nothing, most = _with_thing(stage, stage.view())
    rng, by = np.random.default_rng(stage.seed), stage.between(0.6, 1.2)
    sways = bool(stage.rng.integers(2))

    def shaken(t: float) -> Image:
        dx, dy = np.clip(rng.normal(0, by, 2), -2, 2)
        if sways:
            dx, dy = 2 * np.sin(2.9 * t) * np.sin(t / 9), 0.5 * np.sin(2.1 * t)
        turn = np.array([[1, 0, dx], [0, 1, dy]], np.float32)
        size = (stage.width, stage.height)
        moved = cv2.warpAffine(draw(t), turn, size, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(moved, np.uint8)

    return stage.made(shaken, 60, states, most, nothing, 5.0)


def _weathered(stage: Stage, dress: Callable[[Weather, Image, float], Image]) -> Instance:
    stage.width, stage.height = SIZES[0]
    weather = Weather(stage.seed)
    draw, states, nothing, most = _with_thing(stage, stage.view())
    return stage.made(lambda t: dress(weather, draw(t), t), 60, states, most, nothing, 5.0)


def wind(stage: Stage) -> Instance:
    """Leaves sway in a part of the view."""
    return _weathered(stage, lambda weather, image, t: weather.sway(image, t))


def rain(stage: Stage) -> Instance:
    """It rains, or snows."""
    return _weathered(stage, lambda weather, image, _: weather.rain(image))


def flicker(stage: Stage) -> Instance:
    """A lamp flickers, fast or slowly: no news."""
    draw, states, nothing, most = _with_thing(stage, _lit(stage.view(), 0.7))
    x, y = stage.place(2, 2)
    glow = 1 + stage.between(0.5, 1.5) * _glow(stage, x, y, stage.height * stage.between(0.1, 0.3))
    beat = stage.over(0.3, 6)

    def flickering(t: float) -> Image:
        return _lit(draw(t), glow) if np.sin(6.28 * beat * t) + 0.4 * np.sin(9 * t) > 0 else draw(t)

    return stage.made(flickering, 60, states, most, nothing, 5.0)


# -- variable rate ---------------------------------------------------------------------------------


def standing(stage: Stage) -> Instance:
    """Pictures of a screen recorder: one frame each time something changes. Some stand for half a
    second, some for a minute; before some a short one has used up the slot."""
    pictures = stage.views(6) if stage.rng.integers(2) else []
    if not pictures:
        slides = Slides(stage)
        pictures = [slides.page(slides.lines) for _ in range(6)]
    times: list[float] = []
    shown: list[Image] = []
    states: list[Timed] = []
    at = 0.0
    for number, picture in enumerate(pictures):
        if number and stage.rng.integers(2):  # something passes, too short to be looked at
            times.append(at)
            shown.append(_mixed(pictures[number - 1], picture, 0.5))
            at += stage.between(0.02, 0.1)
        stays = stage.over(0.45, 60)
        times.append(at)
        shown.append(picture)
        states.append((at, at + stays - 1e-3, f"picture {number + 1}, {stays:.1f} s"))
        at += stays
    times.append(at)
    shown.append(pictures[-1])
    states[-1] = (states[-1][0], at + 0.1, states[-1][2])

    def draw(t: float) -> Image:
        return shown[int(np.searchsorted(times, t + 1e-6, side="right")) - 1]

    return Instance(draw, times, states, len(pictures) + 1, [], stage.noise, stage.crf)


def brief(stage: Stage) -> Instance:
    """Other stills show for 0.3 to 3 s in a clip of one view."""
    view, *stills = stage.views(4)
    rate = float(stage.any(10, 15, 25))
    began, states, nothing = 6.0, [(0.0, 5.9, "the view")], []
    shown: list[tuple[float, float, Image]] = []
    for number, still in enumerate(stills):
        stays = stage.over(0.45, 3)
        at = began + stage.between(0, 1)
        shown.append((at, at + stays, still))
        states.append((at, at + stays - 0.01, f"still {number + 1}, {stays:.1f} s"))
        began = at + stays + 5
        nothing.append((at + stays + 0.5, began, "the view again"))

    def draw(t: float) -> Image:
        return next((still for a, b, still in shown if a <= t < b), view)

    return stage.made(draw, began, states, 6, nothing, rate)


KINDS: dict[str, tuple[Callable[[Stage], Instance], ...]] = {
    "slow change": (dissolve, fog, dusk, growth, pan, tilt, zoom, tide, fade, shadow),
    "things of one moment": (moment,),
    "one after another": (people, cars),
    "slides": (text, build, word, highlight, cursor, scroll),
    "colour": (lamp, traffic, swap),
    "light": (switch, infrared, flash, cloud, headlights, refocus),
    "moves all the time": (shake, wind, rain, flicker),
    "variable rate": (standing, brief),
}
