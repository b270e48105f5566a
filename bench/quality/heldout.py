"""Leave one clip out: every clip at the `novelty_limit` that does best on all the others.

On the labelled clips the part `clips` does the same. Here the others are the labelled clips with
people one after another and the busy road, so that no figure is fitted to its own clip; footage
that nobody tuned on is run at the limit that does best on all of these and chooses nothing. Pairs
of photographs, sequences and the truth of named frames have no such limit to choose; the hours
of shake would take seven times as long, and all that counts in them is what is kept of nothing.
"""

from __future__ import annotations

import methods
import people
import plots
import unseen
import views
from bench import Bench
from scores import HEAD, Tried, curve, held_out, line, total, tried

import labels
from clips import LIMITS
from labels import Labelled


def measure(bench: Bench) -> None:
    clips = [c for c in labels.labelled(bench.media) if c.events or c.nothing]
    walkers = people.clips(bench.media, bench.cache / "people")
    roads = [views.clip(bench.media, bench.cache / "views", seed)[0] for seed in (1, 2)]
    others = {"labelled clips": clips, "people": walkers, "busy road": roads}
    known = [clip for some in others.values() for clip in some]
    new = _unseen(bench)
    looked = {c.name: methods.look(c.path, closely=False) for c in [*known, *new]}

    def at(clips: list[Labelled], limits: tuple[float, ...]) -> Tried:
        return tried(
            clips,
            looked,
            limits,
            lambda c, limit: methods.engine(c.path, f"{bench.engine} --set novelty_limit={limit}"),
        )

    table = at(known, LIMITS)
    chosen = held_out(known, table)
    print(f"\neach clip at the limit that does best on the others\n{HEAD}")
    for name, some in others.items():
        print(line(name, total(chosen[clip.name] for clip in some)), flush=True)
    curves = {
        name: [
            (float(kept), recall)
            for kept, recall in curve(
                {key: value for key, value in table.items() if key[0] in {c.name for c in some}}
            )
        ]
        for name, some in others.items()
    }

    def merit(limit: float) -> tuple[int, int]:
        scores = [table[clip.name, limit] for clip in known]
        return sum(s.hit for s in scores), -sum(s.kept for s in scores)

    if new:
        limit = max(LIMITS, key=merit)
        scores = at(new, (limit,))
        print(line(f"nobody tuned on, limit {limit}", total(scores.values())))
        curves["nobody tuned on"] = [(float(kept), recall) for kept, recall in curve(scores)]
    plots.lines(
        bench.out / "heldout.png", curves, "frames kept", "events with a kept frame", log=True
    )


def _unseen(bench: Bench) -> list[Labelled]:
    try:
        return unseen.clips(bench.cache / "unseen")
    except SystemExit:
        return []
