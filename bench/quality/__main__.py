"""How good the selection is, on labelled clips and on composed capture days.

    python bench/quality [--media DIR] [--out DIR] [--hours 1.0] [--engine COMMAND]

prints what stillsift keeps of every clip, what other methods keep beside it, and writes a plot
(recall against kept), the contact sheets of what was kept and results.json to --out.

stillsift runs from the outside, `stillsift sift --dry-run`, with nothing but its defaults. Methods
that have a limit get the one that does best on all the *other* clips (highest recall, then the
fewest kept), so no figure of theirs is fitted to its own clip; stillsift is shown in that way too.
Uniform sampling is given as many frames as stillsift kept.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import days
import labels
import methods
import numpy as np
from labels import Labelled
from methods import Kept, Looks

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "bench"
MEDIA = ROOT.parent / "shared" / "media"
LIMITS = (0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6)
"""Values of novelty_limit; 0.4 is what the small model comes with."""
DECIMATE = "hi=64*200:lo=64*50:frac=0.1"


@dataclass(frozen=True, slots=True)
class Score:
    """What one method did on one clip."""

    kept: int
    frames: int
    """Looked at."""
    events: int
    hit: int
    """Events with at least one kept frame."""
    inside: int
    """Kept frames inside of any event."""
    most: int
    """Kept frames inside of one event, at most."""
    false: int
    """Kept frames where nothing happens; the first of a clip is never one."""
    most_false: int
    """In one stretch of nothing."""
    nothing_s: float
    blurred: int
    """Kept inside a blurred interval without saying so."""
    best: float | None
    """Sharpness of the sharpest kept frame of an event over that of the event's sharpest, mean."""


def score(clip: Labelled, kept: list[Kept], looks: Looks) -> Score:
    frames = sorted(k.frame for k in kept)
    counts = [sum(event.holds(f) for f in frames) for event in clip.events]
    in_event = {f for f in frames if any(event.holds(f) for event in clip.events)}
    if clip.kind == "day":  # all that is no event is nothing
        outside = [f for f in frames[1:] if f not in in_event]
        false, most_false = len(outside), 0
        happening = sum(event.last - event.first + 1 for event in clip.events)
        nothing_s = (looks.frames[-1] + 1 - happening) / days.RATE
    else:
        per = [sum(s.holds(f) and f not in in_event for f in frames[1:]) for s in clip.nothing]
        false, most_false, nothing_s = sum(per), max(per, default=0), 0.0
    blurred = sum(any(span.holds(k.frame) for span in clip.blurred) and not k.marked for k in kept)
    sharp = dict(zip(looks.frames, looks.sharpness.tolist(), strict=True))
    shares = []
    for event in clip.events:
        there = [s for f, s in sharp.items() if event.holds(f)]
        ours = [sharp[f] for f in frames if event.holds(f) and f in sharp]
        if there and ours:
            shares.append(max(ours) / max(max(there), 1e-9))
    return Score(
        kept=len(frames),
        frames=len(looks.frames),
        events=len(clip.events),
        hit=sum(count > 0 for count in counts),
        inside=len(in_event),
        most=max(counts, default=0),
        false=false,
        most_false=most_false,
        nothing_s=nothing_s,
        blurred=blurred,
        best=float(np.mean(shares)) if shares else None,
    )


def total(scores: Iterable[Score]) -> Score:
    some = list(scores)
    best = [s.best for s in some if s.best is not None]
    return Score(
        kept=sum(s.kept for s in some),
        frames=sum(s.frames for s in some),
        events=sum(s.events for s in some),
        hit=sum(s.hit for s in some),
        inside=sum(s.inside for s in some),
        most=max((s.most for s in some), default=0),
        false=sum(s.false for s in some),
        most_false=max((s.most_false for s in some), default=0),
        nothing_s=sum(s.nothing_s for s in some),
        blurred=sum(s.blurred for s in some),
        best=float(np.mean(best)) if best else None,
    )


HEAD = f"{'':36} {'kept':>6} {'of':>6} {'events':>8} {'each':>5} {'most':>4} {'false':>5}"
HEAD += f" {'/h':>5} {'blurred':>7} {'sharp':>5}"


def line(name: str, s: Score) -> str:
    events = f"{s.hit}/{s.events}" if s.events else "-"
    each = f"{s.inside / s.events:.2f}" if s.events else "-"
    hourly = f"{s.false / s.nothing_s * 3600:.1f}" if s.nothing_s else "-"
    best = "-" if s.best is None else f"{s.best:.2f}"
    return (
        f"{name:36} {s.kept:6} {s.frames:6} {events:>8} {each:>5} {s.most:4} {s.false:5}"
        f" {hourly:>5} {s.blurred:7} {best:>5}"
    )


Tried = dict[tuple[str, float], Score]
"""By clip and limit."""


def tried(
    clips: list[Labelled],
    looked: dict[str, Looks],
    limits: Iterable[float],
    choose: Callable[[Labelled, float], list[Kept]],
) -> Tried:
    """A method on every clip at every limit."""
    return {
        (clip.name, limit): score(clip, choose(clip, limit), looked[clip.name])
        for limit in limits
        for clip in clips
    }


def held_out(clips: list[Labelled], table: Tried) -> dict[str, Score]:
    """Every clip at the limit that does best on all others."""
    limits = sorted({limit for _, limit in table})
    chosen = {}
    for clip in clips:

        def merit(limit: float, left_out: str = clip.name) -> tuple[int, int]:
            others = [table[c.name, limit] for c in clips if c.name != left_out]
            return sum(s.hit for s in others), -sum(s.kept for s in others)

        chosen[clip.name] = table[clip.name, max(limits, key=merit)]
    return chosen


def curve(table: Tried) -> list[tuple[int, float]]:
    """(kept, recall) over all clips at each limit."""
    points = []
    for limit in {limit for _, limit in table}:
        scores = total(score for (_, its), score in table.items() if its == limit)
        points.append((scores.kept, scores.hit / max(scores.events, 1)))
    return sorted(points)


def every(looks: Looks, step: float) -> list[Kept]:
    return methods.spread(looks.frames[:: int(step)])


def plot(path: Path, curves: dict[str, list[tuple[int, float]]]) -> bool:
    """False: matplotlib is not installed."""
    try:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot
    except ImportError:
        return False
    figure, axes = pyplot.subplots(figsize=(8, 5))
    for name, points in curves.items():
        kept, recall = zip(*points, strict=True)
        star = len(points) == 1
        axes.plot(kept, recall, "*" if star else "o-", markersize=14 if star else 4, label=name)
    axes.set_xscale("log")
    axes.set_xlabel("frames kept of the labelled clips")
    axes.set_ylabel("events and shots with a kept frame")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
    return True


def sheet(path: Path, clip: Labelled, kept: list[Kept], looks: Looks) -> None:
    """What was kept, with frame numbers; green inside an event, red where nothing happens."""
    place = {frame: i for i, frame in enumerate(looks.frames)}
    tiles = []
    for k in kept[:120]:
        tile = looks.pictures[place[k.frame]].copy()
        good = any(event.holds(k.frame) for event in clip.events)
        bad = any(span.holds(k.frame) for span in clip.nothing) and not good
        colour = (0, 220, 0) if good else (0, 0, 255) if bad else (255, 255, 255)
        cv2.rectangle(tile, (0, 0), (tile.shape[1] - 1, tile.shape[0] - 1), colour, 2)
        text = f"{k.frame}{' blurred' if k.marked else ''}"
        cv2.putText(tile, text, (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 3)
        cv2.putText(tile, text, (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 255), 1)
        tiles.append(tile)
    if not tiles:
        return
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % 8)
    rows = [np.concatenate(tiles[i : i + 8], 1) for i in range(0, len(tiles), 8)]
    cv2.imwrite(str(path), np.concatenate(rows, 0))


def composed(clips: list[Labelled], media: Path, hours: float) -> list[Labelled]:
    """The capture days; an empty list where there is nothing to compose them of."""
    by_name = {clip.name: clip for clip in clips}
    stills = sorted((media / "f/ena24").glob("*.jpg"))
    made = []
    if hours > 0:
        for name in ("intel_car-detection", "bgs_overhead_road"):
            if name in by_name:
                made.append(days.day(by_name[name], CACHE / "days", hours))
    if len(stills) >= 5:
        made += [days.tour(stills[1:5], CACHE / "days"), days.pan(stills[5], CACHE / "days")]
    if "pets09s2l1" in by_name:
        made.append(days.door(by_name["pets09s2l1"], CACHE / "days"))
    return made


def judged(name: str, clips: list[Labelled], scores: dict[str, Score]) -> None:
    print(f"\n{name}\n{HEAD}")
    for clip in clips:
        if clip.name in scores:
            print(line(clip.name, scores[clip.name]))
    print(line("all with labels", total(scores[c.name] for c in clips if c.events or c.nothing)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--media", type=Path, default=MEDIA, help="labelled media")
    parser.add_argument("--out", type=Path, default=CACHE / "quality")
    parser.add_argument("--hours", type=float, default=1.0, help="per capture day; 0: none")
    parser.add_argument(
        "--engine", default=methods.ENGINE, help="a command that takes CLIP --decisions FILE"
    )
    arguments = parser.parse_args()
    if not arguments.media.is_dir():
        raise SystemExit(f"{arguments.media}: no labelled media there; name them with --media")
    arguments.out.mkdir(parents=True, exist_ok=True)

    clips = labels.labelled(arguments.media)
    long = composed(clips, arguments.media, arguments.hours)
    looked = {clip.name: methods.look(clip.path) for clip in clips}
    looked |= {clip.name: methods.look(clip.path, closely=False) for clip in long}
    kept = {c.name: methods.engine(c.path, arguments.engine) for c in [*clips, *long]}
    ours = {c.name: score(c, kept[c.name], looked[c.name]) for c in [*clips, *long]}
    for clip in [*clips, *long]:
        sheet(arguments.out / f"{clip.name}.png", clip, kept[clip.name], looked[clip.name])

    judged("stillsift, labelled clips", clips, ours)
    judged("stillsift, capture days", long, ours)

    with_labels = [clip for clip in clips if clip.events or clip.nothing]
    beside: dict[str, dict[str, Score]] = {}
    others: dict[str, Callable[[Labelled], list[int] | None]] = {
        "uniform, as many": lambda c: methods.uniform(looked[c.name], len(kept[c.name])),
        "cosine to the previous frame .999": lambda c: methods.previous_cosine(
            looked[c.name], 0.999
        ),
        "ffmpeg mpdecimate, every frame": lambda c: methods.mpdecimate(c.path, DECIMATE),
        "PySceneDetect adaptive": lambda c: methods.pyscenedetect(c.path),
    }
    for name, choose in others.items():
        chosen = {clip.name: choose(clip) for clip in with_labels}
        beside[name] = {
            clip.name: score(clip, methods.spread(some), looked[clip.name])
            for clip in with_labels
            if (some := chosen[clip.name]) is not None
        }
    tables = {
        name: tried(
            with_labels, looked, limits, lambda c, at, r=rule: methods.spread(r(looked[c.name], at))
        )
        for name, (rule, limits) in methods.LIMITED.items()
    }
    tables["stillsift, limit of the other clips"] = tried(
        with_labels,
        looked,
        LIMITS,
        lambda c, limit: methods.engine(c.path, f"{arguments.engine} --set novelty_limit={limit}"),
    )
    beside |= {name: held_out(with_labels, table) for name, table in tables.items()}
    print(f"\nbeside others, labelled clips\n{HEAD}")
    print(line("stillsift", total(ours[clip.name] for clip in with_labels)))
    for name, scores in beside.items():
        print(line(name, total(scores.values())) if scores else f"{name:36} not installed")

    curves = {name: curve(table) for name, table in tables.items()}
    steps = (1.0, 2.0, 3.0, 5.0, 8.0, 12.0, 20.0, 40.0)
    curves["uniform"] = curve(
        tried(with_labels, looked, steps, lambda c, at: every(looked[c.name], at))
    )
    all_of_it = total(ours[clip.name] for clip in with_labels)
    curves["stillsift"] = [(all_of_it.kept, all_of_it.hit / max(all_of_it.events, 1))]
    if not plot(arguments.out / "recall.png", curves):
        print("\nno plot: matplotlib is not installed (pip install 'stillsift[bench]')")
    results = {
        "kept": {name: [[k.frame, k.marked] for k in some] for name, some in kept.items()},
        "hit": {name: [s.hit, s.events, s.kept, s.false] for name, s in ours.items()},
    }
    (arguments.out / "results.json").write_text(json.dumps(results, indent=1), "utf-8")
    print(f"\nplot, contact sheets and results.json: {arguments.out}")


main()
