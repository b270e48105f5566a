"""Whether the int8 trunk and the fp32 network keep the same frames of the labelled clips.

    python bench/quality/precision.py [--media DIR]

`alike` are the analysed frames that both keep or both drop. `same moment` leaves out those that
differ only in which neighbour is kept: the other network keeps one within a second. `itself` is
the measure to hold that against: how many are decided otherwise by the same fp32 network when every
value it is given is off by one grey level at most.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np

import labels
from labels import Labelled
from stillsift.arrays import Image
from stillsift.config.settings import ModelSettings
from stillsift.embedding import Embedder, Embedding
from stillsift.frames import Frame, Picture
from stillsift.pipeline.model_choice import open_model
from stillsift.selection import Gallery, Limits, Sifter
from stillsift.selection.regions import Painted
from stillsift.sources.files import ClipReader

MEDIA = Path(__file__).resolve().parents[3] / "shared" / "media"
MODELS = ("efficientnet-lite0-trunk-int8", "efficientnet-lite0-fp32")
RATE = 5.0
NEAR_S = 1.0


def shaking(embedder: Embedder) -> Callable[[Picture], Embedding]:
    """The embedder, shown pictures whose colours are off by at most one."""
    random = np.random.default_rng(0)

    def shaken(pixels: Image) -> Image:
        moved = pixels.astype(np.int16) + random.integers(-1, 2, pixels.shape)
        return np.clip(moved, 0, 255).astype(np.uint8)

    return lambda picture: embedder(Painted(picture, shaken))


def decided(
    clip: Labelled, limit: float, embed: Callable[[Picture], Embedding]
) -> dict[int, tuple[float, bool]]:
    """Time in seconds and whether it is kept, by frame."""
    sifter = Sifter(Limits(limit), embed, Gallery(32))
    verdicts = []
    for item in ClipReader(clip.path, clip.name, rate=RATE).items():
        if isinstance(item, Frame):
            verdicts += sifter.offer(item)
    return {
        each.decision.frame_index: (each.decision.captured_at_ns / 1e9, each.is_kept)
        for each in (*verdicts, *sifter.flush())
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--media", type=Path, default=MEDIA, help="labelled media")
    clips = labels.labelled(parser.parse_args().media)
    embedders = [Embedder(open_model(ModelSettings(name=name))) for name in MODELS]
    limits = [embedder.model.spec.cell_limit for embedder in embedders]
    frames = differ = lone = shaken = 0
    kept, hit = [0, 0], [0, 0]
    print(
        f"{'clip':26} {'frames':>6} {'int8':>5} {'fp32':>5} {'differ':>6} {'lone':>5} {'itself':>6}"
    )
    for clip in clips:
        both = [decided(clip, *each) for each in zip(limits, embedders, strict=True)]
        again = decided(clip, limits[1], shaking(embedders[1]))
        itself = sum(keeps != again[n][1] for n, (_, keeps) in both[1].items())
        times = [[at_s for at_s, keeps in each.values() if keeps] for each in both]
        apart = [n for n, (_, keeps) in both[0].items() if keeps != both[1][n][1]]
        alone = 0
        for number in apart:
            at_s, by_first = both[0][number]
            alone += all(abs(at_s - other) > NEAR_S for other in times[1 if by_first else 0])
        for which, each in enumerate(both):
            kept[which] += len(times[which])
            hit[which] += sum(
                any(keeps and event.holds(n) for n, (_, keeps) in each.items())
                for event in clip.events
            )
        frames, differ, lone = frames + len(both[0]), differ + len(apart), lone + alone
        shaken += itself
        counts = f"{len(times[0]):5} {len(times[1]):5} {len(apart):6} {alone:5} {itself:6}"
        print(f"{clip.name:26} {len(both[0]):6} {counts}", flush=True)
    events = sum(len(clip.events) for clip in clips)
    print(
        f"\n{frames} frames: alike {1 - differ / frames:.1%}, same moment {1 - lone / frames:.1%},"
        f" fp32 like itself with one grey level of noise {1 - shaken / frames:.1%};"
        f" kept {kept[0]} and {kept[1]}, events {hit[0]} and {hit[1]} of {events}"
    )


if __name__ == "__main__":
    main()
