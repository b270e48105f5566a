"""Good views on a busy road: how large each object is shown by the frames that are kept.

Vehicles cut out of two real clips, tinted and mirrored, drive over an empty carriageway in five
lanes, up to five at once, growing as they come closer or shrinking as they go. How many pixels of
each are visible is known for every frame. An object has a good view if a kept frame shows at least
half of the pixels that it has at its largest in any frame looked at.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import cv2
import methods
import numpy as np
import plots
from bench import Bench
from days import HEIGHT, RATE, WIDTH, Image, Weather, fitted, made
from people import Cutout, cutouts, paste

from labels import Labelled, Span

OBJECTS = 20
"""In each of the two clips."""
LANES = 5
VERSION = 1
Sizes = dict[str, dict[int, int]]
"""Visible pixels of each object by frame."""


def vehicles(media: Path) -> tuple[Image, list[Cutout]]:
    """An empty road, and vehicles as seen from above, all heading up or down."""
    found: list[Cutout] = []
    road = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    for name, height, shape, turned in (
        ("a/bgs_overhead_road.avi", (40, 90), (1.0, 2.2), True),
        ("a/intel_car-detection.mp4", (120, 260), (0.35, 0.7), False),
    ):
        with av.open(str(media / name)) as container:
            pictures = [
                fitted(frame.to_ndarray(format="bgr24"))
                for number, frame in enumerate(container.decode(video=0))
                if number % 5 == 0
            ]
        road = pictures[0]
        for thing in cutouts(pictures, road, height, shape):
            if turned:
                picture = np.asarray(np.rot90(thing.picture), np.uint8)
                thing = Cutout(picture, np.rot90(thing.alpha).copy())
            found.append(thing)
    return road, found


def tinted(thing: Cutout, rng: np.random.Generator) -> Cutout:
    hsv = cv2.cvtColor(np.ascontiguousarray(thing.picture), cv2.COLOR_BGR2HSV).astype(np.int16)
    hsv[..., 0] = (hsv[..., 0] + rng.integers(0, 180)) % 180
    hsv[..., 1] = np.clip(hsv[..., 1] + rng.integers(0, 90), 0, 255)
    hsv[..., 2] = np.clip(hsv[..., 2] * rng.uniform(0.6, 1.15), 0, 255)
    picture = np.asarray(cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2BGR), np.uint8)
    other = Cutout(picture, thing.alpha)
    return other.flipped() if rng.integers(2) else other


def driven(thing: Cutout, lane: int, near: float) -> tuple[Cutout, int, int]:
    """Returns a vehicle in its size, and its left and top, `near` of the way to the camera."""
    sized = thing.sized(26 * (150 / 26) ** near)
    tall, wide = sized.alpha.shape
    middle = WIDTH / 2 + (lane - 2) * (30 + 95 * near)
    return sized, round(middle - wide / 2), round(10 - tall + (HEIGHT + tall) * near**1.3)


def clip(media: Path, folder: Path, seed: int) -> tuple[Labelled, Sizes]:
    def compose(write: Callable[[Image], None], weather: Weather) -> list[Span]:
        road, some = vehicles(media)
        rng, free_at, drives = np.random.default_rng(seed), [6.0] * LANES, []
        for number in range(OBJECTS):
            lane = int(np.argmin(free_at)) if number % 2 else int(rng.integers(LANES))
            began, takes = free_at[lane] + rng.uniform(0.2, 5), rng.uniform(5, 9)
            free_at[lane] = began + takes
            thing = tinted(some[int(rng.integers(len(some)))], rng)
            drives.append((began, takes, lane, thing, bool(rng.integers(2))))
        sizes: Sizes = {str(number): {} for number in range(OBJECTS)}
        for number in range(int((max(free_at) + 6) * RATE)):
            image, t = road.copy(), number / RATE
            owner = np.full((HEIGHT, WIDTH), -1, np.int16)
            for which, (began, takes, lane, thing, closer) in enumerate(drives):
                share = (t - began) / takes
                if not 0 <= share <= 1:
                    continue
                near = share if closer else 1 - share
                sized, x, y = driven(thing, lane, near)
                rows, columns, alpha = paste(image, sized, x, y)
                owner[rows, columns][alpha > 0.5] = which
            for which, count in zip(*np.unique(owner, return_counts=True), strict=True):
                if which >= 0:
                    sizes[str(which)][number] = int(count)
            write(weather.noise(image, 2.5))
        told = folder / f"sizes.v{VERSION}.{seed}.json"
        told.write_text(json.dumps(sizes), "utf-8")
        return [
            Span(min(shown), max(shown), f"vehicle {name}")
            for name, shown in sizes.items()
            if shown
        ]

    labelled = made(folder, f"busy_road_{seed}", seed, compose, version=VERSION)
    told = json.loads((folder / f"sizes.v{VERSION}.{seed}.json").read_text("utf-8"))
    labelled = replace(labelled, kind="road")
    return labelled, {name: {int(f): n for f, n in each.items()} for name, each in told.items()}


def shares(sizes: Sizes, kept: list[int]) -> list[float]:
    """Of each object: its largest visible size in a kept frame over its largest in any."""
    return [
        max((shown.get(frame, 0) for frame in kept), default=0) / max(shown.values())
        for shown in sizes.values()
        if shown
    ]


def measure(bench: Bench) -> None:
    ours: list[float] = []
    evenly: list[float] = []
    kept_all = frames = 0
    print("\ngood views on a busy road")
    print(f"{'':36} {'kept':>6} {'of':>6} {'seen':>8} {'good':>8}")

    def told(name: str, kept: int, of: int, some: list[float]) -> None:
        seen, good = (f"{sum(share >= s for share in some)}/{len(some)}" for s in (0.02, 0.5))
        print(f"{name:36} {kept:6} {of:6} {seen:>8} {good:>8}", flush=True)

    for seed in (1, 2):
        labelled, sizes = clip(bench.media, bench.cache / "views", seed)
        looks = methods.look(labelled.path, closely=False)
        kept = [k.frame for k in methods.engine(labelled.path, bench.engine)]
        here = shares(sizes, kept)
        told(labelled.name, len(kept), len(looks.frames), here)
        ours += here
        evenly += shares(sizes, methods.uniform(looks, len(kept)))
        kept_all, frames = kept_all + len(kept), frames + len(looks.frames)
    told("stillsift", kept_all, frames, ours)
    told("uniform, as many", kept_all, frames, evenly)
    at = np.linspace(0, 1, 21).tolist()
    plots.lines(
        bench.out / "views.png",
        {
            name: [(x, float(np.mean([share >= x for share in some]))) for x in at]
            for name, some in (("stillsift", ours), ("uniform, as many", evenly))
        },
        "share of its largest size",
        "objects of which a kept frame shows that much or more",
    )
