"""Every kind of change on a time line, in instances that are drawn from seeds.

Even seeds are to tune on (`--even`: each clip is printed); odd seeds are the half to report, of
which only totals by kind are printed and the table by clip goes to a file, to be opened when the
rule is fixed. A state is hit when a kept frame lies in the time in which it is wholly visible.
`over` counts clips of which more was kept than somebody who chooses by hand would accept, `false`
frames that were kept while nothing new was there. The first frame of a clip is never false, nor is
the first in a state.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import cv2
import incidents
import methods
import numpy as np
import plots
import slides
import slow_change
from bench import Bench
from days import Image
from stage import Instance, Places, Stage, Timed

KINDS: dict[str, tuple[Callable[[Stage], Instance], ...]] = {
    "slow change": (
        slow_change.dissolve,
        slow_change.fog,
        slow_change.dusk,
        slow_change.growth,
        slow_change.pan,
        slow_change.tilt,
        slow_change.zoom,
        slow_change.tide,
        slow_change.fade,
        slow_change.shadow,
    ),
    "things of one moment": (incidents.moment,),
    "one after another": (incidents.people, incidents.cars),
    "slides": (
        slides.text,
        slides.build,
        slides.word,
        slides.highlight,
        slides.cursor,
        slides.scroll,
    ),
    "colour": (incidents.lamp, incidents.traffic, incidents.swap),
    "light": (
        incidents.switch,
        incidents.infrared,
        incidents.flash,
        incidents.cloud,
        incidents.headlights,
        incidents.refocus,
    ),
    "moves all the time": (incidents.shake, incidents.wind, incidents.rain, incidents.flicker),
    "variable rate": (incidents.standing, incidents.brief),
}
VERSION = 1
"""To be raised when an instance would be drawn differently."""
SEEDS = 3
"""Instances of each function that draws, in each half."""
MOMENTS = 3
"""Times as many for the only function of a kind."""


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip with what is right by construction. Spans are frames, first and last included."""

    kind: str
    name: str
    path: Path
    states: tuple[tuple[int, int, str], ...]
    most: int
    nothing: tuple[tuple[int, int, str], ...]


@dataclass(frozen=True, slots=True)
class Tally:
    """What was kept of some clips."""

    clips: int
    hit: int
    states: int
    kept: int
    most: int
    over: int
    false: int
    missed: tuple[str, ...] = ()


def clips(bench: Bench) -> list[Clip]:
    """The clips of one half, composed where they are not there yet."""
    places: list[Places] = []
    found = []
    drawn = [(kind, draw) for kind, functions in KINDS.items() for draw in functions]
    for number, (kind, draw) in enumerate(drawn, 1):
        count = SEEDS * (MOMENTS if len(KINDS[kind]) == 1 else 1)
        for seed in range(2 if bench.even else 1, 2 * count + 1, 2):
            path = bench.cache / "kinds" / f"{draw.__name__}.v{VERSION}.{seed}.mp4"
            if not path.is_file():
                places = places or [Places(bench.media)]
                rng = np.random.default_rng((number, seed))
                _compose(draw(Stage(places[0], rng, seed)), path, rng)
            found.append(_labelled(kind, f"{draw.__name__}_{seed}", path))
    return found


def _labelled(kind: str, name: str, path: Path) -> Clip:
    told = json.loads(path.with_suffix(".json").read_text("utf-8"))
    states, nothing = (
        tuple((first, last, what) for first, last, what in told[key])
        for key in ("states", "nothing")
    )
    return Clip(kind, name, path, states, told["most"], nothing)


def _compose(instance: Instance, path: Path, rng: np.random.Generator) -> None:
    """Writes an H.264 clip, each frame at its own time, and its labels beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part.mp4")
    steps = [b - a for a, b in pairwise(instance.times)]
    fields: list[Image] = []
    with av.open(str(part), "w") as container:
        stream = container.add_stream("libx264", rate=max(1, round(1 / float(np.median(steps)))))
        stream.options = {"preset": "veryfast", "crf": str(instance.crf), "threads": "1"}
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        stream.pix_fmt = "yuv420p"
        stream.height, stream.width = instance.draw(0.0).shape[:2]
        for at_s in instance.times:
            image = instance.draw(at_s)
            if instance.noise:
                fields = fields or _fields(image.shape, instance.noise, rng)
                image = _noisy(image, fields, rng)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="bgr24")
            frame.pts, frame.time_base = round(1000 * at_s), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    labels = {
        "states": _spans(instance.states, instance.times),
        "nothing": _spans(instance.nothing, instance.times),
        "most": instance.most,
    }
    path.with_suffix(".json").write_text(json.dumps(labels), "utf-8")
    part.rename(path)


def _fields(shape: tuple[int, ...], sigma: float, rng: np.random.Generator) -> list[Image]:
    """Sensor noise: more of it in the luma than in each colour."""
    grey = rng.normal(0, 0.8 * sigma, (4, *shape[:2], 1)).astype(np.float32)
    colour = rng.normal(0, 0.6 * sigma, (4, *shape)).astype(np.float32)
    return [np.asarray(field) for field in grey + colour]


def _noisy(image: Image, fields: list[Image], rng: np.random.Generator) -> Image:
    field = fields[int(rng.integers(len(fields)))]
    shift = tuple(int(by) for by in rng.integers(0, min(image.shape[:2]), 2))
    noisy = image + np.roll(field, shift, (0, 1))
    return np.asarray(np.clip(np.rint(noisy), 0, 255), np.uint8)


def _spans(some: list[Timed], times: list[float]) -> list[tuple[int, int, str]]:
    """Frames that begin within each time. A state without a frame is a mistake of the drawing."""
    found = []
    for first_s, last_s, what in some:
        inside = [n for n, at_s in enumerate(times) if first_s - 1e-6 <= at_s <= last_s + 1e-6]
        if not inside:
            raise SystemExit(f"kinds: no frame shows {what}, {first_s:.2f} to {last_s:.2f} s")
        found.append((inside[0], inside[-1], what))
    return found


def judged(clip: Clip, kept: Iterable[int]) -> Tally:
    """What the kept frames of a clip show of it."""
    frames = sorted(kept)
    firsts, missed = set(frames[:1]), []
    for first, last, what in clip.states:
        inside = [frame for frame in frames if first <= frame <= last]
        firsts.update(inside[:1])
        if not inside:
            missed.append(what)
    idle = [f for f in frames if any(first <= f <= last for first, last, _ in clip.nothing)]
    return Tally(
        clips=1,
        hit=len(clip.states) - len(missed),
        states=len(clip.states),
        kept=len(frames),
        most=clip.most,
        over=int(len(frames) > clip.most),
        false=sum(frame not in firsts for frame in idle),
        missed=tuple(missed),
    )


def total(some: Iterable[Tally]) -> Tally:
    each = list(some)
    return Tally(*(sum(getattr(t, name) for t in each) for name in Tally.__slots__[:-1]))


HEAD = f"{'':26} {'clips':>5} {'states':>9} {'kept':>5} {'most':>5} {'over':>5} {'false':>5}"


def line(name: str, t: Tally) -> str:
    states = f"{t.hit}/{t.states}"
    told = f"{name:26} {t.clips:5} {states:>9} {t.kept:5} {t.most:5} {t.over:5} {t.false:5}"
    return f"{told}  {', '.join(t.missed)}".rstrip()


def measure(bench: Bench) -> None:
    """Prints what was kept by kind; of the even half also by clip."""
    cv2.setNumThreads(1)
    some = clips(bench)
    rows, _ = methods.sifted([clip.path for clip in some], bench.engine)
    kept: dict[str, list[int]] = {str(clip.path.resolve()): [] for clip in some}
    for row in rows:
        if row["outcome"] == "kept":
            kept[str(Path(row["file"]).resolve())].append(row["frame_index"])
    tallies = {clip: judged(clip, kept[str(clip.path.resolve())]) for clip in some}
    by_kind = {kind: total(t for c, t in tallies.items() if c.kind == kind) for kind in KINDS}
    half = "even" if bench.even else "odd"
    table = [HEAD, *(line(clip.name, tally) for clip, tally in tallies.items())]
    totals = [HEAD, *(line(kind, tally) for kind, tally in by_kind.items())]
    totals.append(line("all", total(tallies.values())))
    (bench.out / f"kinds_{half}.txt").write_text("\n".join([*table, "", *totals, ""]), "utf-8")
    print(f"\nevery kind of change, {half} seeds")
    print("\n".join([*table, "", *totals] if bench.even else totals))
    shares = [t.hit / max(t.states, 1) for t in by_kind.values()]
    within = [1 - t.over / max(t.clips, 1) for t in by_kind.values()]
    heights: dict[str, Sequence[float]] = {
        "states with a kept frame": shares,
        "clips within the most": within,
    }
    plots.bars(bench.out / f"kinds_{half}.png", list(by_kind), heights, "share")
