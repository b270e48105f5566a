"""What each part of the rule buys: the labelled clips with one part left out at a time.

    python bench/quality/ablation.py [--media DIR] [--numbers]

`--numbers`: instead, each number of the rule a quarter higher and a fifth lower.

Every clip is decoded and embedded once; the sifter is then run over the results as often as there
are parts. A part is left out by replacing a method or a limit here, so the product knows nothing
of it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from looked import said, seen

import labels
from labels import Labelled
from stillsift.config.settings import ModelSettings
from stillsift.decisions import Reason
from stillsift.embedding import Embedder
from stillsift.frames import Frame
from stillsift.pipeline.model_choice import open_model
from stillsift.selection import Gallery, Limits, Sifter, background, evidence, noise, novelty
from stillsift.selection.numbers import Numbers

MEDIA = Path(__file__).resolve().parents[3] / "shared" / "media"
RATE = 5.0


@contextmanager
def without(owner: Any, name: str, instead: Any) -> Iterator[None]:
    before = getattr(owner, name)
    setattr(owner, name, instead)
    try:
        yield
    finally:
        setattr(owner, name, before)


def _nothing(e: Any) -> Any:
    return np.zeros(e.changed.shape, np.int32)


def _nothing_carried(e: Any) -> Any:
    return np.zeros_like(e.changed), _nothing(e)


def _one_limit(self: noise.NoiseFloor, rows: int, columns: int) -> Any:
    return np.full((rows, columns), self.lowest, np.float32)


def _dark(_self: Any, medians: Any) -> Any:
    return np.zeros_like(medians)


PARTS: dict[str, tuple[Any, str, Any]] = {
    "the background that stays": (background.Background, "distances", lambda *_: None),
    "the noise of each cell": (noise.NoiseFloor, "limits", _one_limit),
    "what noise adds up to": (noise.NoiseFloor, "chance", lambda *_: 0.0),
    "light subtracted": (novelty.Novelty, "light_in", _dark),
    "neighbours that agree": (novelty, "coherent", lambda distances: distances),
    "things followed": (evidence.Evidence, "_carried", property(_nothing_carried)),
    "memory of the event": (evidence.Evidence, "_matched", property(_nothing)),
    "a larger view of what grows": (evidence.Evidence, "grown", (0.0, 0.0)),
}
LIMITS = {
    "moments (max_wait 0)": {"max_wait_s": 0.0},
    "the blur gate": {"min_sharpness": 0.0},
}


def judged(
    name: str, clips: list[Labelled], frames: dict[str, list[Frame]], limits: Limits, size: int = 32
) -> None:
    kept = hit = events = inside = false = blurred = 0
    for clip in clips:
        sifter = Sifter(limits, said, Gallery(size), model="ablation")
        verdicts = [v for f in frames[clip.name] for v in sifter.offer(f)] + sifter.flush()
        keeps = [v.decision for v in verdicts if v.is_kept]
        numbers = [d.frame_index for d in keeps]
        in_events = [n for n in numbers if any(e.holds(n) for e in clip.events)]
        kept += len(numbers)
        events += len(clip.events)
        inside += len(in_events)
        hit += sum(any(e.holds(n) for n in numbers) for e in clip.events)
        false += sum(
            any(s.holds(n) for s in clip.nothing) for n in numbers[1:] if n not in in_events
        )
        novel = [d.frame_index for d in keeps if d.reason is not Reason.SHARPEST]
        blurred += sum(any(s.holds(n) for s in clip.blurred) for n in novel)
    print(
        f"| {name} | {kept} | {hit} of {events} | {inside / events:.2f} | {false} | {blurred} |",
        flush=True,
    )


@contextmanager
def numbered(name: str, factor: float) -> Iterator[None]:
    """The rule with one of its numbers changed."""

    def of(*asked: Any) -> Numbers:
        numbers = before(*asked)
        value = getattr(numbers, name) * factor
        return replace(numbers, **{name: round(value) if name == "reach" else value})

    before = Numbers.of
    with without(Numbers, "of", staticmethod(of)):
        yield


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--media", type=Path, default=MEDIA)
    parser.add_argument("--numbers", action="store_true", help="change each number of the rule")
    asked = parser.parse_args()
    media = asked.media
    if not media.is_dir():
        raise SystemExit(f"{media}: no labelled media there; name them with --media")
    model = open_model(ModelSettings())
    embedder = Embedder(model)
    clips = labels.labelled(media)
    frames = {clip.name: seen(clip.path, clip.name, embedder) for clip in clips}
    limits = Limits(novelty=model.spec.cell_limit)
    print(
        "| without | kept | events | each | false | blurred unmarked |\n|---|---|---|---|---|---|"
    )
    judged("nothing changed" if asked.numbers else "nothing left out", clips, frames, limits)
    if asked.numbers:
        for number in fields(Numbers):
            for factor in (1.25, 0.8):
                with numbered(number.name, factor):
                    judged(f"{number.name} x {factor}", clips, frames, limits)
        return
    for name, (owner, attribute, instead) in PARTS.items():
        with without(owner, attribute, instead):
            judged(name, clips, frames, limits)
    for name, change in LIMITS.items():
        judged(name, clips, frames, replace(limits, **change))
    judged("the gallery (only the last kept)", clips, frames, limits, size=1)


main()
