"""Whether the kept frame that a near duplicate names does show the same, compared afresh.

Each frame dropped as near_duplicate and the kept frame that it names are decoded again and
compared in three ways: `Novelty.direct` with a scene that has learned nothing (1 is the limit; on
noisy footage the sifter itself allows more, by what it learned); the median distance of their
cells against the limit for another view, plus what a frame that looks like the last may differ
without being embedded anew; and, independent of the embedder, the share of pixels of 80 x 45 grey
that differ by more than 20 levels after the mean of each was subtracted.

Beside the labelled clips stand four that change slowly, where a rule that learns what is usual goes
astray most easily: a dissolve of two minutes, a pan of a minute, a thing that fades in, and a
picture that slides over another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import methods
import numpy as np
import plots
from bench import Bench
from days import HEIGHT, RATE, WIDTH, Image, Weather, fitted, made, read_pictures, read_still

import labels
from labels import Labelled, Span
from stillsift.config.settings import ModelSettings
from stillsift.embedding import Embedder
from stillsift.frames import Frame
from stillsift.pipeline.model_choice import open_model
from stillsift.selection.cells import Cells, cell_distances
from stillsift.selection.novelty import Novelty
from stillsift.selection.scene import Scene
from stillsift.sources.files import ClipReader

VIEW = 0.65 + 0.1
"""Median cell distance of another view, with the margin of a frame that was not embedded."""
LEVELS = 20
PIXELS = 0.02
"""Share of changed pixels from which a person sees that something is there."""
VERSION = 1
Changed = Callable[[Image, Image, float], Image]
"""What lies between two pictures; the share is 0 to 1."""


def _dissolved(one: Image, other: Image, share: float) -> Image:
    return np.asarray(cv2.addWeighted(one, 1 - share, other, share, 0), np.uint8)


def _slid(one: Image, other: Image, share: float) -> Image:
    image, rows = one.copy(), round(HEIGHT * share)
    image[:rows] = other[:rows]
    return image


def _thing(one: Image, other: Image, share: float) -> Image:
    image, part = one.copy(), (slice(180, 280), slice(280, 420))
    image[part] = _dissolved(one[part], other[part], share)
    return image


def _panned(one: Image, other: Image, share: float) -> Image:
    wide = np.concatenate([one, other], 1)
    left = round(WIDTH * share)
    return wide[:, left : left + WIDTH]


SLOW: dict[str, tuple[Changed, float]] = {
    "slow dissolve": (_dissolved, 120.0),
    "slow slide": (_slid, 60.0),
    "slow thing": (_thing, 60.0),
    "slow pan": (_panned, 60.0),
}
"""What changes, and for how many seconds."""


def slow(media: Path, folder: Path) -> list[Labelled]:
    still = sorted((media / "f/ena24").glob("*.jpg"))[:1]
    road = media / "a/bgs_overhead_road.avi"
    if not still or not road.is_file():
        return []
    one, other = fitted(read_still(still[0])), read_pictures(road)[0]

    def clip(name: str, change: Changed, seconds: float) -> Labelled:
        def compose(write: Callable[[Image], None], weather: Weather) -> list[Span]:
            count = round(seconds * RATE)
            for number in range(-20 * RATE, count + 20 * RATE):
                share = float(np.clip(number / count, 0, 1))
                write(weather.noise(change(one, other, share), 2.5))
            first = 20 * RATE + count
            return [Span(first - RATE, first + 20 * RATE - 1, "its end")]

        return made(folder, name.replace(" ", "_"), 1, compose, version=VERSION)

    return [clip(name, *each) for name, each in SLOW.items()]


@dataclass(frozen=True, slots=True, eq=False)
class Apart:
    """How far each near duplicate of a clip is from the kept frame that it names."""

    direct: list[float]
    """1 is the limit."""
    median: list[float]
    """Median distance of cells."""
    pixels: list[float]
    """Share of them that changed."""
    nameless: int
    """Near duplicates that name no kept frame of the clip."""


def apart(bench: Bench, clip: Labelled, embedder: Embedder) -> Apart:
    rows, _ = methods.sifted([clip.path], bench.engine)
    kept = {row["id"]: row["frame_index"] for row in rows if row["outcome"] == "kept"}
    repeats = [row for row in rows if row["reason"] == "near_duplicate"]
    cells: dict[int, Cells] = {}
    grey: dict[int, np.ndarray] = {}
    wanted = {row["frame_index"] for row in repeats} | set(kept.values())
    for item in ClipReader(clip.path, clip.name, rate=methods.RATE).items():
        if isinstance(item, Frame) and item.frame_index in wanted:
            cells[item.frame_index] = Cells.of(embedder(item.picture))
            small = cv2.resize(item.picture.luma(), (80, 45), interpolation=cv2.INTER_AREA)
            grey[item.frame_index] = small.astype(np.float32) - float(small.mean())
    limit = embedder.model.spec.cell_limit
    novelty, scene = Novelty(limit), Scene(limit)
    found = Apart([], [], [], sum(row["nearest_kept"] not in kept for row in repeats))
    for row in repeats:
        if row["nearest_kept"] in kept:
            here, there = row["frame_index"], kept[row["nearest_kept"]]
            found.direct.append(novelty.direct(cells[here], cells[there], scene))
            scaled = cells[there].scaled(cells[here].shape)
            found.median.append(float(np.median(cell_distances(cells[here], scaled))))
            found.pixels.append(float((np.abs(grey[here] - grey[there]) > LEVELS).mean()))
    return found


def measure(bench: Bench) -> None:
    embedder = Embedder(open_model(ModelSettings()))
    clips = [*labels.labelled(bench.media), *slow(bench.media, bench.cache / "slow")]
    print("\nthe frame that a near duplicate names: share beyond the limit, worst")
    print(
        f"{'':30} {'near':>6} {'nameless':>8} {'direct > 1':>16} {f'median > {VIEW}':>16}"
        f" {f'pixels > {PIXELS:.0%}':>16}"
    )
    every = Apart([], [], [], 0)
    nameless = 0

    def told(name: str, found: Apart, without: int) -> None:
        cells = [
            f"{np.mean([v > limit for v in values]):8.1%} {max(values):7.2f}" if values else "-"
            for values, limit in ((found.direct, 1), (found.median, VIEW), (found.pixels, PIXELS))
        ]
        print(f"{name:30} {len(found.direct):6} {without:8} " + " ".join(f"{c:>16}" for c in cells))

    for clip in clips:
        found = apart(bench, clip, embedder)
        told(clip.name, found, found.nameless)
        nameless += found.nameless
        every.direct.extend(found.direct)
        every.median.extend(found.median)
        every.pixels.extend(found.pixels)
    told("all", every, nameless)
    at = np.linspace(0, 1, 101)
    measures = {
        "direct distance, limit 1": np.array(every.direct),
        f"median of cells / {VIEW}": np.array(every.median) / VIEW,
        f"changed pixels / {PIXELS}": np.array(every.pixels) / PIXELS,
    }
    plots.lines(
        bench.out / "truth.png",
        {
            name: [(float(np.quantile(values, 1 - share)), float(share)) for share in at]
            for name, values in measures.items()
        },
        "distance to the named frame, over its limit",
        "share of near duplicates that are at least so far",
    )
