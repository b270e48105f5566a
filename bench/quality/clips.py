"""What stillsift keeps of the labelled clips and of capture days, beside other methods.

Methods that have a limit get the one that does best on all the *other* clips (highest recall, then
the fewest kept), so no figure of theirs is fitted to its own clip; stillsift is shown in that way
too. Uniform sampling is given as many frames as stillsift kept.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import days
import methods
import plots
from bench import Bench
from methods import Kept, Looks
from scores import HEAD, Score, curve, held_out, line, score, total, tried

import labels
from labels import Labelled

LIMITS = (0.25, 0.5, 0.7, 1.0, 1.4, 2.0, 4.0)
"""Values of novelty_limit; 1 is the default."""
DECIMATE = "hi=64*200:lo=64*50:frac=0.1"


def every(looks: Looks, step: float) -> list[Kept]:
    return methods.spread(looks.frames[:: int(step)])


def composed(clips: list[Labelled], media: Path, cache: Path, hours: float) -> list[Labelled]:
    """The capture days; an empty list where there is nothing to compose them of."""
    by_name = {clip.name: clip for clip in clips}
    stills = sorted((media / "f/ena24").glob("*.jpg"))
    made = []
    if hours > 0:
        for name in ("intel_car-detection", "bgs_overhead_road"):
            if name in by_name:
                made.append(days.day(by_name[name], cache / "days", hours))
    if len(stills) >= 5:
        made += [days.tour(stills[1:5], cache / "days"), days.pan(stills[5], cache / "days")]
    if "pets09s2l1" in by_name:
        made.append(days.door(by_name["pets09s2l1"], cache / "days"))
    return made


def judged(name: str, clips: list[Labelled], scores: dict[str, Score]) -> None:
    print(f"\n{name}\n{HEAD}")
    for clip in clips:
        if clip.name in scores:
            print(line(clip.name, scores[clip.name]))
    print(line("all with labels", total(scores[c.name] for c in clips if c.events or c.nothing)))


def measure(bench: Bench) -> None:
    clips = labels.labelled(bench.media)
    long = composed(clips, bench.media, bench.cache, bench.hours)
    looked = {clip.name: methods.look(clip.path) for clip in clips}
    looked |= {clip.name: methods.look(clip.path, closely=False) for clip in long}
    kept = {c.name: methods.engine(c.path, bench.engine) for c in [*clips, *long]}
    ours = {c.name: score(c, kept[c.name], looked[c.name]) for c in [*clips, *long]}
    for clip in [*clips, *long]:
        plots.sheet(bench.out / f"{clip.name}.png", clip, kept[clip.name], looked[clip.name])

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
        lambda c, limit: methods.engine(c.path, f"{bench.engine} --set novelty_limit={limit}"),
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
    plots.lines(
        bench.out / "recall.png",
        curves,
        "frames kept of the labelled clips",
        "events and shots with a kept frame",
        log=True,
    )
    results = {
        "kept": {name: [[k.frame, k.marked] for k in some] for name, some in kept.items()},
        "hit": {name: [s.hit, s.events, s.kept, s.false] for name, s in ours.items()},
    }
    (bench.out / "results.json").write_text(json.dumps(results, indent=1), "utf-8")
