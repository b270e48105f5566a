"""Continuous shake of a pixel or two: poles that sway in wind, a sensor that trembles, and both.

Each clip is one view, shaken in every frame, with sensor noise and coded as H.264. Somebody walks
by about every two minutes, and every other one leaves a box that stays; all else is nothing. Sway:
three slow oscillations of .2 to 1.1 Hz that grow and fade with the gusts, up to two pixels across,
half a pixel down, a twentieth of a degree. Jitter: normally distributed with a deviation of .8
pixels in both directions, two at most.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
import plots
from bench import Bench, judged
from days import HEIGHT, RATE, WIDTH, Image, Weather, made, read_still
from people import Cutout, paste, pedestrians
from scores import total

from labels import Labelled, Span

KINDS = ("sway", "jitter", "sway and jitter")
MINUTES = 20
FAST_MINUTES = 5
VERSION = 2
_SETTLES_S = 3.0
"""After somebody left: the last look of a moment at what stayed."""
_MARGIN = 8
"""Pixels of the view around the picture, so that shake brings in what is really there."""


def clips(media: Path, folder: Path, minutes: int) -> list[Labelled]:
    empty, somebody = pedestrians(media)
    if not somebody:
        return []
    still = sorted((media / "f/ena24").glob("*.jpg"))[2]
    views = {
        "pedestrians": empty,
        "car park": _first(media / "a/intel_car-detection.mp4"),
        "overhead road": _first(media / "a/bgs_overhead_road.avi"),
        "wood": read_still(still),
    }
    return [
        _clip(view, somebody, f"{name}, {kind}", kind, folder, minutes, seed)
        for seed, (name, view, kind) in enumerate(
            ((name, view, kind) for name, view in views.items() for kind in KINDS), 1
        )
    ]


def _first(path: Path) -> Image:
    with av.open(str(path)) as container:
        return np.asarray(next(container.decode(video=0)).to_ndarray(format="bgr24"), np.uint8)


def _clip(
    view: Image,
    people: list[Cutout],
    name: str,
    kind: str,
    folder: Path,
    minutes: int,
    seed: int,
) -> Labelled:
    size = (WIDTH + 2 * _MARGIN, HEIGHT + 2 * _MARGIN)
    wide = np.asarray(cv2.resize(view, size, interpolation=cv2.INTER_AREA), np.uint8)

    def compose(write: Callable[[Image], None], weather: Weather) -> list[Span]:
        rng, events, at_s, walks = np.random.default_rng(seed), [], 0.0, []
        while (at_s := at_s + rng.uniform(80, 160)) < minutes * 60 - 30:
            somebody = people[int(rng.integers(len(people)))]
            takes, tall = rng.uniform(6, 12), len(somebody.alpha) * rng.uniform(1.0, 1.5)
            y = rng.uniform(100, HEIGHT - tall)
            walks.append((at_s, takes, somebody.sized(tall), y))
            leaves = len(walks) % 2 == 0
            first, last = int(at_s * RATE), int((at_s + takes + _SETTLES_S) * RATE)
            events.append(Span(first, last, "somebody leaves a box" if leaves else "somebody"))
        rates, phases = rng.uniform(0.2, 1.1, 3), rng.uniform(0, 6.28, 4)
        for number in range(minutes * 60 * RATE):
            image, t = wide.copy(), number / RATE
            for which, (began, takes, somebody, y) in enumerate(walks, 1):
                share = (t - began) / takes
                if which % 2 == 0 and share > 0.5:
                    foot = round(y) + len(somebody.alpha)
                    image[foot - 30 : foot, size[0] // 2 : size[0] // 2 + 36] = (60, 110, 160)
                if 0 <= share <= 1:
                    paste(image, somebody, round(-40 + (WIDTH + 80) * share), round(y))
            dx = dy = roll = 0.0
            if "sway" in kind:
                gust = 0.6 + 0.4 * np.sin(t / 23 + phases[3])
                swing = gust * float(np.sin(6.28 * rates * t + phases[:3]).sum()) / 3
                dx, dy, roll = 2 * swing, 0.5 * swing, 0.05 * swing
            if "jitter" in kind:
                dx, dy = (np.array((dx, dy)) + rng.normal(0, 0.8, 2)).tolist()
            dx, dy = (float(np.clip(d, -2, 2)) for d in (dx, dy))
            turn = cv2.getRotationMatrix2D((size[0] / 2, size[1] / 2), roll, 1.0)
            turn[:, 2] += (dx - _MARGIN, dy - _MARGIN)
            moved = np.asarray(cv2.warpAffine(image, turn, (WIDTH, HEIGHT)), np.uint8)
            write(weather.noise(moved, 3))
        return events

    made_name = name.replace(", ", "_").replace(" ", "_")
    return made(folder, f"shake_{made_name}_{minutes}min", seed, compose, version=VERSION)


def measure(bench: Bench) -> None:
    minutes = FAST_MINUTES if bench.fast else MINUTES
    some = clips(bench.media, bench.cache / "shake", minutes)
    ours, _ = judged(bench, "continuous shake of one or two pixels", some)
    if not ours:
        return
    hourly = [s.false / s.nothing_s * 3600 for s in (*ours.values(), total(ours.values()))]
    heights = {"stillsift": hourly}
    plots.bars(bench.out / "shake.png", [*ours, "all"], heights, "kept frames of nothing per hour")
