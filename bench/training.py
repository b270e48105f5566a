"""Whether a detector trained on what stillsift keeps is better than one trained on other frames.

    pip install torch                                     # the CPU build is enough
    .venv/bin/python bench/training.py [--only quiet,busy] [--days 5] [--steps 500] [--media DIR]

Days of three cameras are composed, with a box for everything in every frame (crossings.py). Of each
day some frames are chosen, as if somebody had to label them: by `stillsift sift`, at even
distances, or by chance. A small detector (detector.py) is trained from nothing on them, and judged
on another day of these cameras, on every fifth frame: average precision (overlap .5), the mean of
people and vehicles. All get as many steps, and half of each batch shows something where that can
be, so frames of nothing cost the others no steps; `all frames` get twice as many.

quiet    something comes every 25 s on average; most frames show nothing
busy     something comes every 3 s: nearly all frames show something, so little can be gained

Every day has its own footage, first weights, draw and first frame of the even distances, so the
spread is that of all of these together.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

sys.path.append(str(Path(__file__).resolve().parent / "quality"))

import methods
import plots
import torch
from days import read_pictures

import crossings
import detector
from crossings import Filmed

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / ".cache" / "bench" / "training"
MEDIA = ROOT.parent / "shared" / "media"
FOOTAGE = {"quiet": (25.0, 4.0), "busy": (3.0, 1.0)}
"""Seconds from one thing to the next on average, and minutes of each camera."""
TEST_DAY = 100
SIFT = {
    "quiet": {
        "--keep 15": "--keep 15",
        "normal": "",
        "highest": "--set sensitivity=highest",
    },
    "busy": {"normal": ""},
}
MORE = (2, 4)
"""Uniform sampling is also given so many times the frames that stillsift keeps by default."""
Place = tuple[int, int]
"""Clip and frame."""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one choice of frames of one day."""

    day: int
    method: str
    budget: str
    frames: int
    showing: int
    """Frames of these that show something."""
    boxes: int
    """To be drawn by whoever labels these frames."""
    shown: int
    """Things that are in any of these frames."""
    things: int
    precision: list[float]
    """Average precision of people and of vehicles."""

    @property
    def mean(self) -> float:
        return float(np.mean(self.precision))


@cache
def material(media: Path) -> crossings.Material:
    return crossings.Material(media)


def sifted(clips: list[Filmed], options: str) -> list[Place]:
    names = {clip.path.name: number for number, clip in enumerate(clips)}
    rows, _ = methods.sifted([clip.path for clip in clips], f"{methods.ENGINE} --jobs 1 {options}")
    return [
        (names[Path(row["file"]).name], row["frame_index"])
        for row in rows
        if row["outcome"] == "kept"
    ]


def pictures(clips: list[Filmed], every: int = 1) -> dict[Place, detector.Labelled]:
    return {
        (number, frame): (detector.small(picture), clip.boxes[frame])
        for number, clip in enumerate(clips)
        for frame, picture in enumerate(read_pictures(clip.path))
        if frame % every == 0
    }


def choices(
    clips: list[Filmed], footage: str, every: list[Place], rng: np.random.Generator
) -> Iterable[tuple[str, str, list[Place]]]:
    """Name, budget and frames of each way to choose."""

    def evenly(count: int) -> list[Place]:
        at = (np.arange(count) + rng.random()) * len(every) / count
        return [every[int(place)] for place in at]

    for budget, options in SIFT[footage].items():
        kept = sifted(clips, options)
        yield "stillsift", budget, kept
        yield "uniform", budget, evenly(len(kept))
        yield "random", budget, [every[i] for i in rng.choice(len(every), len(kept), False)]
        if budget == "normal" and footage == "quiet":
            for factor in MORE:
                count = min(factor * len(kept), len(every))
                yield "uniform", f"{factor} times {budget}", evenly(count)
    yield "all frames", "all", every


def one_day(media: Path, footage: str, steps: int, number: int) -> list[Result]:
    torch.set_num_threads(1)
    made = partial(crossings.day, material(media), OUT / "footage")
    clips, test = made(number, *FOOTAGE[footage]), made(TEST_DAY, *FOOTAGE[footage], test=True)
    labelled, judge = pictures(clips), list(pictures(test, every=5).values())
    rng, results = np.random.default_rng(number), []
    for method, budget, chosen in choices(clips, footage, list(labelled), rng):
        some = [labelled[place] for place in chosen]
        net = detector.trained(some, steps * (2 if method == "all frames" else 1), number)
        told = detector.found(net, [picture for picture, _ in judge])
        results.append(
            Result(
                day=number,
                method=method,
                budget=budget,
                frames=len(chosen),
                showing=sum(bool(boxes) for _, boxes in some),
                boxes=sum(len(boxes) for _, boxes in some),
                shown=len({(p[0], box.thing) for p in chosen for box in labelled[p][1]}),
                things=sum(clip.things for clip in clips),
                precision=detector.average_precision(told, [boxes for _, boxes in judge]),
            )
        )
        print(
            f"  {footage}, day {number}: {method:10} {budget:16} {len(chosen):5} frames"
            f" {results[-1].mean:6.3f}",
            file=sys.stderr,
            flush=True,
        )
    return results


Groups = dict[tuple[str, str], list[Result]]
"""The results of all days by method and budget."""


def grouped(results: Iterable[Result]) -> Groups:
    groups: Groups = {}
    for each in results:
        groups.setdefault((each.method, each.budget), []).append(each)
    return groups


def report(footage: str, groups: Groups) -> None:
    print(f"\n{footage}: {len(groups['all frames', 'all'])} days, of each on average")
    print(
        f"{'':10} {'':16} {'frames':>7} {'show':>5} {'boxes':>6} {'things':>6}"
        f" {'precision':>9} {'sd':>5} {'from':>5} {'to':>5}  stillsift better by"
    )
    for (method, budget), some in groups.items():
        means = np.array([r.mean for r in some])
        share = sum(r.showing for r in some) / sum(r.frames for r in some)
        shown = sum(r.shown for r in some) / sum(r.things for r in some)
        ours = groups.get(("stillsift", budget), [])
        by = np.array([r.mean for r in ours]) - means if method != "stillsift" and ours else []
        print(
            f"{method:10} {budget:16} {np.mean([r.frames for r in some]):7.1f} {share:5.0%}"
            f" {np.mean([r.boxes for r in some]):6.1f} {shown:6.0%} {means.mean():9.3f}"
            f" {means.std(ddof=1):5.3f} {means.min():5.3f} {means.max():5.3f}"
            + (f"  {np.mean(by):+.3f}, on {np.sum(np.array(by) > 0)} days" if len(by) else "")
        )


def plot(footage: str, groups: Groups, x: str, count: Callable[[Result], int]) -> None:
    def draw(axes: Any) -> None:
        for method in dict.fromkeys(name for name, _ in groups):
            some = [each for (name, _), each in groups.items() if name == method]
            some.sort(key=lambda each: np.mean([count(r) for r in each]))
            across = [np.mean([count(r) for r in each]) for each in some]
            up = [np.mean([r.mean for r in each]) for each in some]
            spread = [np.std([r.mean for r in each], ddof=1) for each in some]
            axes.errorbar(across, up, spread, fmt="o-", capsize=3, markersize=4, label=method)
        axes.set_xscale("log")
        axes.set_xlabel(f"{x} of a day (mean)")
        axes.set_ylabel("average precision on another day (mean and deviation)")
        axes.set_title(f"{footage} cameras")
        axes.legend()

    plots.drawn(OUT / f"{footage}_{x.split()[0]}.png", draw)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", default=",".join(FOOTAGE), help="which of quiet, busy")
    parser.add_argument("--days", type=int, default=5, help="days to train on (5); at least 2")
    parser.add_argument("--steps", type=int, default=500, help="steps of training (500)")
    parser.add_argument("--media", type=Path, default=MEDIA, help="labelled media")
    asked = parser.parse_args()
    if not asked.media.is_dir():
        raise SystemExit(f"{asked.media}: no labelled media there; name them with --media")
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        for footage in asked.only.split(","):
            began = time.monotonic()
            test = partial(crossings.day, material(asked.media), OUT / "footage", TEST_DAY)
            test(*FOOTAGE[footage], test=True)  # once, before all need it
            work = partial(one_day, asked.media, footage, asked.steps)
            results: list[Result] = []
            for each in pool.map(work, range(1, asked.days + 1)):
                results += each
                told = json.dumps([asdict(r) for r in results], indent=1)
                (OUT / f"{footage}.json").write_text(told, "utf-8")
            groups = grouped(results)
            report(footage, groups)
            plot(footage, groups, "frames to label", lambda r: r.frames)
            plot(footage, groups, "boxes to draw", lambda r: r.boxes)
            print(f"({footage}: {time.monotonic() - began:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
