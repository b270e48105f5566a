"""Clips written as numbered stills, and folders of photographs: which are taken for a sequence?

Every labelled clip is written as ffmpeg would, in000001.jpg and on, with all of its frames, with
five and with two a second. For each of these folders the bench tells whether stillsift recognises
the frames of a clip, and what it keeps; for photographs, whether it leaves them what they are.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import methods
import plots
from bench import Bench

import labels
from labels import Labelled

RATES: dict[str, float | None] = {"own rate": None, "5/s": 5.0, "2/s": 2.0}
WIDEST = 640
FEWEST = 16
"""Stills: fewer are never taken for a sequence."""


@dataclass(frozen=True, slots=True)
class Stills:
    """A clip as a folder."""

    folder: Path
    frames: list[int]
    """Index in the clip of each still."""


def written(clip: Labelled, rate: float | None, folder: Path) -> Stills:
    frames: list[int] = []
    folder.mkdir()
    with av.open(str(clip.path)) as container:
        own = float(container.streams.video[0].average_rate or 25)
        step, due = own / min(rate or own, own), 0.0
        for number, frame in enumerate(container.decode(video=0)):
            if number < round(due):
                continue
            due += step
            factor = min(1.0, WIDEST / frame.width)
            size = round(frame.width * factor), round(frame.height * factor)
            picture = frame.reformat(*size, "bgr24").to_ndarray()
            frames.append(number)
            path = folder / f"in{len(frames):06d}.jpg"
            cv2.imwrite(str(path), picture, [cv2.IMWRITE_JPEG_QUALITY, 88])
    return Stills(folder, frames)


def recognised(summary: methods.Row) -> bool:
    """Tells whether the numbers in the names were taken for those of a clip."""
    told = [numbered for source in summary["sources"] for numbered in source.get("numbered", ())]
    return any(numbered["rate"] is not None for numbered in told)


def measure(bench: Bench) -> None:
    found: dict[str, list[bool]] = defaultdict(list)
    inside: dict[str, int] = defaultdict(int)
    hits: dict[str, int] = defaultdict(int)
    events: dict[str, int] = defaultdict(int)
    print(f"\nclips as numbered stills\n{'':30} {'rate':>9} {'stills':>6} {'as':>9} {'kept':>6}")
    with tempfile.TemporaryDirectory(prefix="stillsift-bench-") as made:
        for clip in labels.labelled(bench.media):
            for name, rate in RATES.items():
                stills = written(clip, rate, Path(made) / "in")
                if len(stills.frames) >= FEWEST:
                    rows, summary = methods.sifted([stills.folder], bench.engine)
                    kept = [
                        stills.frames[int(Path(row["file"]).stem[2:]) - 1]
                        for row in rows
                        if row["outcome"] == "kept"
                    ]
                    is_clip = recognised(summary)
                    word = "sequence" if is_clip else "photos"
                    some = f"{len(kept):6}"
                    if clip.events:
                        hit = sum(any(e.holds(f) for f in kept) for e in clip.events)
                        some += f"   {hit}/{len(clip.events)} events"
                        hits[name] += hit
                        events[name] += len(clip.events)
                        inside[name] += sum(any(e.holds(f) for e in clip.events) for f in kept)
                    found[name].append(is_clip)
                    print(f"{clip.name:30} {name:>9} {len(stills.frames):6} {word:>9} {some}")
                shutil.rmtree(stills.folder)
    print(f"\n{'':30} {'recognised':>12} {'events':>9} {'each':>6}")
    for name in RATES:
        each = inside[name] / max(events[name], 1)
        known = f"{sum(found[name])} of {len(found[name])}"
        print(f"{name:30} {known:>12} {hits[name]:>4}/{events[name]:<4} {each:6.2f}")
    folders = [f for f in sorted((bench.media / "f").iterdir()) if f.is_dir()]
    wrongly = []
    for folder in folders:
        rows, summary = methods.sifted([folder], bench.engine)
        wrongly.append(recognised(summary))
        kept = sum(row["outcome"] == "kept" for row in rows)
        word = "sequence" if wrongly[-1] else "photos"
        print(f"{folder.name:30} {'photos':>9} {len(rows):6} {word:>9} {kept:6}")
    shares = [sum(found[name]) / max(len(found[name]), 1) for name in RATES]
    plots.bars(
        bench.out / "sequences.png",
        [*RATES, "photographs"],
        {"taken for a sequence": [*shares, sum(wrongly) / max(len(wrongly), 1)]},
        "share of folders",
    )
