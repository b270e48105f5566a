"""Counts what a method did on labelled clips, and holds every clip out when a limit is chosen."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import days
import numpy as np
from methods import Kept, Looks

from labels import Labelled


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
