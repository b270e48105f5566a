"""What a run of the bench was asked, and how a set of composed clips is judged."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import methods
from scores import HEAD, Score, line, score, total

from labels import Labelled


@dataclass(frozen=True, slots=True)
class Bench:
    """Where the media are, where things go, and what is measured."""

    media: Path
    cache: Path
    """What is composed stays here."""
    out: Path
    """Plots and tables."""
    engine: str
    """Command that takes paths, --decisions FILE and --json."""
    hours: float
    """Length of each capture day."""
    fast: bool
    """A quarter of the hours of shake."""
    even: bool
    """The half of kinds that the rule is tuned on, clip by clip, instead of the one to report."""


def judged(
    bench: Bench, name: str, clips: list[Labelled]
) -> tuple[dict[str, Score], dict[str, Score]]:
    """Prints and returns what stillsift does on each clip, and uniform sampling with as many."""
    looked = {clip.name: methods.look(clip.path, closely=False) for clip in clips}
    ours, evenly = {}, {}
    print(f"\n{name}\n{HEAD}")
    for clip in clips:
        looks = looked[clip.name]
        kept = methods.engine(clip.path, bench.engine)
        ours[clip.name] = score(clip, kept, looks)
        chosen = methods.spread(methods.uniform(looks, len(kept)))
        evenly[clip.name] = score(clip, chosen, looks)
        print(line(clip.name, ours[clip.name]), flush=True)
    print(line("stillsift", total(ours.values())))
    print(line("uniform, as many", total(evenly.values())))
    return ours, evenly
