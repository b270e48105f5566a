"""Capture days: long stretches of nothing with a rare event, composed from real footage.

The empty pictures and the events are real frames of a static camera; what the hours do to them is
synthetic: sensor noise, flicker, drifting and stepping exposure, dusk, sway, jitter, rain, infrared
at night, and a clock in the corner all the time. The result is an H.264 clip of 5 frames/s, made
once and kept outside of git.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from labels import Labelled, Span

Image = NDArray[np.uint8]
WIDTH, HEIGHT, RATE = 640, 360, 5
VERSION = 2
"""To be raised when a day would be composed differently: days made earlier are made again."""


class Weather:
    """Everything that changes a picture although nothing happens; the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        fields = self.rng.normal(0, 1, (24, HEIGHT, WIDTH, 3)).astype(np.float32)
        grey = self.rng.normal(0, 1, (24, HEIGHT, WIDTH, 1)).astype(np.float32)
        self._fields = 0.6 * fields + 0.8 * grey
        down, across = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
        bush = np.zeros((HEIGHT, WIDTH), np.float32)
        bush[: HEIGHT * 2 // 5, WIDTH * 3 // 5 :] = 1
        self._down, self._across, self._bush = down, across, cv2.GaussianBlur(bush, (0, 0), 12)

    def noise(self, image: Image, sigma: float, gain: float = 1.0) -> Image:
        field = self._fields[self.rng.integers(len(self._fields))]
        field = np.roll(field, tuple(self.rng.integers(0, HEIGHT, 2)), (0, 1))
        noisy = image * np.float32(gain) + field * np.float32(sigma)
        return np.asarray(np.clip(noisy, 0, 255), np.uint8)

    def sway(self, image: Image, t: float) -> Image:
        across = 6 * np.sin(2.3 * t) + 3 * np.sin(5.7 * t + 1) + 2 * np.sin(self._across / 17 + t)
        x = (self._across + self._bush * across).astype(np.float32)
        y = (self._down + self._bush * (2 * np.sin(3.1 * t))).astype(np.float32)
        moved = cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        return np.asarray(moved, np.uint8)

    def jitter(self, image: Image) -> Image:
        dx, dy = self.rng.normal(0, 1.2, 2)
        shift = np.array([[1, 0, dx], [0, 1, dy]], np.float32)
        moved = cv2.warpAffine(image, shift, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT)
        return np.asarray(moved, np.uint8)

    def rain(self, image: Image) -> Image:
        layer = np.zeros((HEIGHT, WIDTH), np.float32)
        for x, y, length in self.rng.integers((0, 0, 8), (WIDTH, HEIGHT, 22), (120, 3)).tolist():
            cv2.line(layer, (x, y), (x + length // 5, y + length), 1.0, 1)
        streaks = cv2.GaussianBlur(layer, (0, 0), 0.7)[..., None]
        return np.asarray(np.clip(image * 0.97 + streaks * 60, 0, 255), np.uint8)

    def infrared(self, image: Image) -> Image:
        grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        return self.noise(np.repeat(grey[..., None], 3, 2), 10, 0.45)

    def dress(self, regime: str, image: Image, t: float) -> Image:
        """`t`: seconds since the regime began."""
        match regime:
            case "noise":
                return self.noise(image, 6)
            case "strong noise":
                return self.noise(image, 12)
            case "flicker":
                return self.noise(image, 4, 1 + 0.08 * float(np.sin(8.2 * t)))
            case "drift":
                return self.noise(image, 4, 0.82 + 0.18 * float(np.cos(t / 20)))
            case "dusk":
                return self.noise(image, 5, 1 - 0.6 * min(1.0, t / 240))
            case "exposure steps":
                return self.noise(image, 3, (1, 0.8, 1.2, 0.9, 1.1, 0.75)[int(t / 20) % 6])
            case "sway":
                return self.noise(self.sway(image, t), 3)
            case "jitter":
                return self.noise(self.jitter(image), 3)
            case "rain":
                return self.noise(self.rain(image), 3)
            case "infrared":
                return self.infrared(image)
        return self.noise(image, 2)


REGIMES: tuple[str, ...] = (
    "quiet",
    "noise",
    "infrared",
    "flicker",
    "sway",
    "jitter",
    "rain",
    "exposure steps",
)
REGIMES += ("drift", "dusk", "strong noise")


@contextmanager
def encoder(
    path: Path, size: tuple[int, int] = (WIDTH, HEIGHT), rate: int = RATE
) -> Iterator[Callable[[Image], None]]:
    """An H.264 clip, as a camera of 1 Mbit/s sends it, that appears at `path` when it is whole."""
    part = path.with_suffix(".part.mp4")
    asked = ["ffmpeg", "-v", "error", "-threads", "1", "-y", "-f", "rawvideo", "-pix_fmt", "bgr24"]
    asked += ["-s", f"{size[0]}x{size[1]}", "-r", str(rate), "-i", "-", "-c:v", "libx264"]
    asked += ["-preset", "veryfast", "-crf", "28", "-maxrate", "1M", "-bufsize", "2M"]
    asked += ["-pix_fmt", "yuv420p", str(part)]
    coder = subprocess.Popen(asked, stdin=subprocess.PIPE)
    assert coder.stdin is not None
    pipe = coder.stdin

    def write(image: Image) -> None:
        pipe.write(np.ascontiguousarray(image).tobytes())

    yield write
    pipe.close()
    if coder.wait() != 0:
        raise SystemExit(f"ffmpeg could not write {path}")
    part.rename(path)


def read_still(path: Path) -> Image:
    picture = cv2.imread(str(path))
    if picture is None:
        raise SystemExit(f"{path} cannot be read")
    return np.asarray(picture, np.uint8)


def fitted(image: NDArray[Any]) -> Image:
    return np.asarray(cv2.resize(image, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA), np.uint8)


def filled(picture: NDArray[Any], width: int, height: int) -> Image:
    """Returns a picture resized to fill (height, width), what is too much cut off at both sides."""
    high, wide = picture.shape[:2]
    scale = max(width / wide, height / high)
    size = (max(width, round(wide * scale)), max(height, round(high * scale)))
    mode = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    whole = np.asarray(cv2.resize(picture, size, interpolation=mode), np.uint8)
    top, left = (size[1] - height) // 2, (size[0] - width) // 2
    return whole[top : top + height, left : left + width].copy()


def read_pictures(path: Path) -> list[Image]:
    with av.open(str(path)) as container:
        return [fitted(f.to_ndarray(format="bgr24")) for f in container.decode(video=0)]


def _clock(image: Image, second: float) -> Image:
    whole = int(second)
    told = f"2026-08-01 {whole // 3600 % 24:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"
    cv2.rectangle(image, (6, 6), (216, 28), (0, 0, 0), -1)
    cv2.putText(image, told, (10, 22), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1)
    return image


def made(
    folder: Path,
    name: str,
    seed: int,
    compose: Callable[..., list[Span]],
    size: tuple[int, int] = (WIDTH, HEIGHT),
    rate: int = RATE,
    version: int = VERSION,
) -> Labelled:
    """`compose(write, weather)` writes the frames and answers with the events among them."""
    path = folder / f"{name}.v{version}.{seed}.mp4"
    labels = path.with_suffix(".json")
    if not (path.is_file() and labels.is_file()):
        folder.mkdir(parents=True, exist_ok=True)
        with encoder(path, size, rate) as write:
            events = compose(write, Weather(seed))
        labels.write_text(json.dumps([asdict(event) for event in events]), "utf-8")
    events = [Span(**event) for event in json.loads(labels.read_text("utf-8"))]
    return Labelled(name, path, "day", tuple(events))


def day(clip: Labelled, folder: Path, hours: float, seed: int = 1) -> Labelled:
    """Hours of one static camera: regimes of some minutes each, an event about every ten."""

    def compose(write: Callable[[Image], None], weather: Weather) -> list[Span]:
        pictures = read_pictures(clip.path)
        margin = 6  # labels are good to a few frames
        empty = [
            i
            for span in clip.nothing
            if "empty" in span.what
            for i in range(span.first + margin, span.last - margin)
        ]
        with av.open(str(clip.path)) as container:
            step = float(container.streams.video[0].average_rate or RATE) / RATE
        rng, events, at = np.random.default_rng(seed), [], 0
        regimes = [str(r) for r in rng.permutation(REGIMES)]
        number = 0
        while at < hours * 3600 * RATE:
            regime, began = regimes[number % len(regimes)], at
            number += 1
            end = at + int(rng.integers(3, 9)) * 60 * RATE
            while at < end:
                quiet = at + int(rng.integers(240, 900)) * RATE
                place = int(rng.integers(len(empty)))
                while at < min(quiet, end):
                    image = pictures[empty[(place + at) % len(empty)]].copy()
                    image = weather.dress(regime, image, (at - began) / RATE)
                    write(_clock(image, at / RATE))
                    at += 1
                if at >= end:
                    break
                event = clip.events[int(rng.integers(len(clip.events)))]
                first = at
                for place_f in np.arange(event.first, event.last + 1, step):
                    image = weather.dress(
                        regime, pictures[int(place_f)].copy(), (at - began) / RATE
                    )
                    write(_clock(image, at / RATE))
                    at += 1
                events.append(Span(first, at - 1, f"{event.what} ({regime})"))
        return events

    return made(folder, f"day_{clip.name}_{hours:g}h", seed, compose)


def tour(stills: list[Path], folder: Path) -> Labelled:
    """A PTZ camera: four presets of 5 s, a swing of 0.6 s between them, six laps."""

    def compose(write: Callable[[Image], None], weather: Weather) -> list[Span]:
        views = [fitted(read_still(s)) for s in stills[:4]]
        events, at = [], 0
        for lap in range(6):
            for preset, view in enumerate(views):
                if lap == 0:
                    events.append(Span(at, at + 24, f"preset {preset}"))
                for _ in range(25):
                    write(weather.noise(view, 3))
                after = np.concatenate([view, views[(preset + 1) % 4]], 1)
                for third in (1, 2, 3):
                    seen = after[:, WIDTH * third // 4 : WIDTH * third // 4 + WIDTH]
                    write(weather.noise(np.asarray(cv2.blur(seen, (31, 1)), np.uint8), 3))
                at += 28
        return events

    return made(folder, "ptz_tour", 1, compose)


def door(clip: Labelled, folder: Path) -> Labelled:
    """A-B-A-B: a door opens and closes eight times; then a box comes, stays and goes."""

    def compose(write: Callable[[Image], None], weather: Weather) -> list[Span]:
        closed = read_pictures(clip.path)[0]
        opened = closed.copy()
        opened[150:290, 300:380] = (38, 30, 46)
        opened[150:290, 300:304] = 200
        with_box = closed.copy()
        texture = weather.rng.normal(0, 10, (40, 60, 3))
        with_box[260:300, 120:180] = np.clip(closed[260:300, 120:180].mean() + 25 + texture, 0, 255)
        order = [closed, opened] * 8 + [closed, with_box, with_box, with_box, closed]
        for number, view in enumerate(order):
            for k in range(75):
                write(_clock(weather.noise(view, 4), number * 15 + k / RATE))
        return [
            Span(0, 74, "closed"),
            Span(75, 149, "open, the first time"),
            Span(17 * 75, 20 * 75 - 1, "a box that stays 45 s"),
        ]

    return made(folder, "door_and_box", 1, compose)


def pan(still: Path, folder: Path) -> Labelled:
    """A slow pan of a minute over a wide picture: every new third of it is an event."""

    def compose(write: Callable[[Image], None], weather: Weather) -> list[Span]:
        picture = read_still(still)
        scale = 720 / picture.shape[0]
        size = (round(picture.shape[1] * scale), 720)
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
        wide = np.concatenate([picture, picture[:, ::-1]], 1)
        way = wide.shape[1] - WIDTH
        for k in range(300):
            write(weather.noise(wide[200:560, way * k // 300 :][:, :WIDTH], 3))
        every = WIDTH * 300 // way
        return [Span(i, i + every - 1, "a new width") for i in range(0, 300 - every + 1, every)]

    return made(folder, "slow_pan", 1, compose)
