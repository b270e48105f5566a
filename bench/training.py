"""Whether a detector trained on what stillsift keeps is better than one trained on other frames.

    pip install torch                                     # the CPU build is enough
    .venv/bin/python bench/training.py [--only quiet,busy] [--days 2] [--seeds 3] [--steps 300]

Days of three cameras are composed, with a box for everything in every frame (crossings.py). Of each
day some frames are chosen, as if somebody had to label them: by `stillsift sift`, at even
distances, or by chance. A small detector (detector.py) is trained from nothing on them, and judged
on every tenth frame of another day of these cameras, with other people: average precision
(overlap .5), the mean of people and vehicles. All get as many steps; half of what is shown is about
a thing wherever there is one, so that frames of nothing cost nobody steps. `all frames` get twice
as many steps.

quiet    something comes every 25 s on average: most frames show nothing
busy     something comes every 3 s: most frames show something

Each seed has its own first weights, squares, draw and first frame of the even distances; each day
its own footage. The spread is that of all of these together.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

sys.path.append(str(Path(__file__).resolve().parent / "quality"))

import methods
import plots
from days import read_pictures

import crossings
from crossings import Filmed

try:
    import torch

    import detector
except ImportError as error:
    raise SystemExit(f"training: {error}; it needs `pip install torch`") from error

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / ".cache" / "bench" / "training"
MEDIA = ROOT.parent / "shared" / "media"
FOOTAGE = {"quiet": (25.0, 4.0), "busy": (3.0, 1.0)}
"""Seconds from one thing to the next on average, and minutes of each camera."""
TEST_DAY = 100
SIFT = {"--keep 20": "--keep 20", "normal": ""}
"""Budgets by name, and what `sift` is asked for."""
MORE = 4
"""Uniform sampling is also given so many times the frames that stillsift keeps by default."""
Place = tuple[int, int]
"""Clip and frame."""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one choice of frames of one day."""

    day: int
    seed: int
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
    ours: dict[str, list[Place]], every: list[Place], rng: np.random.Generator
) -> Iterable[tuple[str, str, list[Place]]]:
    """Name, budget and frames of each way to choose."""

    def evenly(count: int) -> list[Place]:
        at = (np.arange(count) + rng.random()) * len(every) / count
        return [every[int(place)] for place in at]

    for budget, kept in ours.items():
        yield "stillsift", budget, kept
        yield "uniform", budget, evenly(len(kept))
        yield "random", budget, [every[i] for i in rng.choice(len(every), len(kept), False)]
    more = min(MORE * len(ours["normal"]), len(every))
    yield "uniform", f"{MORE} times normal", evenly(more)
    yield "all frames", "all", every


def one_day(media: Path, footage: str, steps: int, seeds: int, number: int) -> list[Result]:
    torch.set_num_threads(1)
    made = partial(crossings.day, media, OUT / "footage")
    clips, test = made(number, *FOOTAGE[footage]), made(TEST_DAY, *FOOTAGE[footage], test=True)
    ours = {budget: sifted(clips, options) for budget, options in SIFT.items()}
    labelled, judge = pictures(clips), list(pictures(test, every=10).values())
    results = []
    for seed in range(seeds):
        rng = np.random.default_rng(100 * number + seed)
        for method, budget, chosen in choices(ours, list(labelled), rng):
            some = [labelled[place] for place in chosen]
            longer = 2 if method == "all frames" else 1
            net = detector.trained(some, longer * steps, 100 * number + seed)
            told = detector.found(net, [picture for picture, _ in judge])
            results.append(
                Result(
                    day=number,
                    seed=seed,
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
            print(json.dumps(asdict(results[-1])), file=sys.stderr, flush=True)
    return results


Groups = dict[tuple[str, str], list[Result]]
"""The results of all days by method and budget."""


def grouped(results: Iterable[Result]) -> Groups:
    groups: Groups = {}
    for each in results:
        groups.setdefault((each.method, each.budget), []).append(each)
    return groups


def report(footage: str, groups: Groups) -> None:
    print(f"\n{footage}: mean of {len(groups['all frames', 'all'])} trainings")
    print(
        f"{'':10} {'':16} {'frames':>7} {'show':>5} {'boxes':>6} {'things':>6}"
        f" {'precision':>9} {'sd':>5} {'from':>5} {'to':>5} {'people':>6} {'vehicles':>8}"
        "  stillsift better by"
    )
    for (method, budget), some in groups.items():
        means = np.array([r.mean for r in some])
        share = sum(r.showing for r in some) / sum(r.frames for r in some)
        people, vehicles = np.mean([r.precision for r in some], 0)
        shown = sum(r.shown for r in some) / sum(r.things for r in some)
        ours = groups.get(("stillsift", budget), [])
        by = np.array([r.mean for r in ours]) - means if method != "stillsift" and ours else []
        print(
            f"{method:10} {budget:16} {np.mean([r.frames for r in some]):7.1f} {share:5.0%}"
            f" {np.mean([r.boxes for r in some]):6.1f} {shown:6.0%} {means.mean():9.3f}"
            f" {means.std(ddof=1):5.3f} {means.min():5.3f} {means.max():5.3f}"
            f" {people:6.3f} {vehicles:8.3f}"
            + (f"  {np.mean(by):+.3f}, {np.sum(np.array(by) > 0)} times" if len(by) else "")
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
        axes.set_xlabel(f"{x}, mean of the days")
        axes.set_ylabel("average precision on another day, mean and deviation")
        axes.set_title(f"{footage} cameras")
        axes.legend()

    plots.drawn(OUT / f"{footage}_{x.split()[0]}.png", draw)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", default=",".join(FOOTAGE), help="which of quiet, busy")
    parser.add_argument("--days", type=int, default=2, help="days to train on (2)")
    parser.add_argument("--seeds", type=int, default=3, help="trainings on each day (3)")
    parser.add_argument("--steps", type=int, default=300, help="steps of training (300)")
    parser.add_argument("--media", type=Path, default=MEDIA, help="labelled media")
    asked = parser.parse_args()
    if not asked.media.is_dir():
        raise SystemExit(f"{asked.media}: no labelled media there; name them with --media")
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        for footage in asked.only.split(","):
            began = time.monotonic()
            test = partial(crossings.day, asked.media, OUT / "footage", TEST_DAY)
            test(*FOOTAGE[footage], test=True)  # once, before all need it
            work = partial(one_day, asked.media, footage, asked.steps, asked.seeds)
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
