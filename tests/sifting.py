"""Makes worlds to sift, made up and real, and sifters for them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from hypothesis import strategies as st

from clips import real_clip
from stillsift.arrays import Image
from stillsift.config.settings import ModelSettings
from stillsift.decisions import Reason
from stillsift.embedding import Embedder, Embedding
from stillsift.frames import ArrayPicture, Frame, Picture, TimeOrigin
from stillsift.pipeline.model_choice import open_model
from stillsift.selection import Gallery, GalleryFrame, Limits, Sifter, Verdict
from stillsift.selection.cells import Cells
from stillsift.selection.thumbnail import thumbnail
from stillsift.sources.files import ClipReader

LIMIT = 0.40


LIMITS = Limits(novelty=LIMIT)


def blocks(picture: Picture) -> Embedding:
    """A small honest embedder: colour and structure of 16 x 9 blocks."""
    colours = picture.rgb(64, 36).astype(np.float32) / 255
    cells = colours.reshape(9, 4, 16, 4, 3)
    mean = cells.mean((1, 3))
    spread = cells.std((1, 3))
    grid = np.concatenate([mean - 0.5, spread, np.full((9, 16, 1), 0.05, np.float32)], -1)
    vector = grid.mean((0, 1))
    return Embedding(vector / np.linalg.norm(vector), np.ascontiguousarray(grid, np.float32))


def scene(seed: int) -> Image:
    """(144, 256, 3): a view with structure at every scale, sharp."""
    random = np.random.default_rng(seed)
    picture = np.zeros((144, 256, 3), np.float32)
    for size in (4, 9, 18, 36):
        part = random.uniform(0, 255, (144 // size + 1, 256 // size + 1, 3)).astype(np.float32)
        picture += cv2.resize(part, (256, 144), interpolation=cv2.INTER_NEAREST) / 4
    return np.asarray(picture, np.uint8)


def with_object(picture: Image, x: int, colour: int) -> Image:
    """The same with a textured object at a place."""
    made = picture.copy()
    tint = np.random.default_rng(colour).integers(0, 255, 3)
    made[48:88, x : x + 32] = tint
    made[56:80:6, x + 4 : x + 28] = 255 - tint
    return made


def noisy(picture: Image, seed: int) -> Image:
    noise = np.random.default_rng(seed).normal(0, 2, picture.shape)
    return np.asarray(np.clip(picture + noise, 0, 255), np.uint8)


def frame(picture: Image, index: int, at_s: float | None = None) -> Frame:
    at_s = index / 5 if at_s is None else at_s
    return Frame(
        "door",
        "clip",
        index,
        round(1e18 + at_s * 1e9),
        TimeOrigin.PTS,
        ArrayPicture(picture),
        pts_s=at_s,
    )


def photo(picture: Image, index: int) -> Frame:
    made = replace(
        frame(picture, index, 0.0), content_hash=f"{index:064x}", file=Path(f"/p/{index}.jpg")
    )
    return replace(made, captured_at_origin=TimeOrigin.MTIME, pts_s=None)


@cache
def lite0() -> Embedder:
    return Embedder(open_model(ModelSettings()))


def thumbnail_of(picture: Image) -> Image:
    return thumbnail(ArrayPicture(picture).luma())


def fresh(limits: Limits = LIMITS, gallery: int = 32) -> Sifter:
    return Sifter(limits, blocks, Gallery(gallery), model="blocks")


def real(limits: Limits = LIMITS, gallery: int = 32) -> Sifter:
    """With the embedder that comes with stillsift."""
    return Sifter(limits, lite0(), Gallery(gallery), model="lite0")


def sift(sifter: Sifter, frames: list[Frame]) -> list[Verdict]:
    return [verdict for each in frames for verdict in sifter.offer(each)] + sifter.flush()


def reasons(verdicts: list[Verdict]) -> list[Reason]:
    return [verdict.decision.reason for verdict in verdicts]


# A step of a world: which view, an object or none, where it is, blurred or not, seconds since.
STEP = st.tuples(
    st.integers(0, 2),
    st.one_of(st.none(), st.integers(0, 3)),
    st.integers(0, 220),
    st.booleans(),
    st.sampled_from([0.04, 0.2, 0.2, 0.2, 1.0, 7.0, -3.0]),
)


def world(steps: list[tuple[int, int | None, int, bool, float]]) -> list[Frame]:
    frames, at_s = [], 0.0
    for index, (view, thing, x, blurred, step_s) in enumerate(steps):
        picture = scene(view)
        if thing is not None:
            picture = with_object(picture, x, thing)
        if blurred:
            picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), 4), np.uint8)
        at_s += step_s
        frames.append(frame(noisy(picture, index), index, at_s))
    return frames


WORLD = st.lists(STEP, min_size=1, max_size=40).map(world)


def elsewhere() -> tuple[GalleryFrame, ...]:
    """What another source of the group has kept: two of the views, and one with an object."""
    pictures = (scene(0), scene(1), with_object(scene(0), 80, 1))
    kept = []
    for number, picture in enumerate(pictures):
        view = blocks(ArrayPicture(picture)).in_half_precision()
        kept.append(
            GalleryFrame(f"yard{number}", view, thumbnail_of(picture), Cells.of(view), "yard")
        )
    return tuple(kept)


def footage(name: str) -> list[Frame]:
    items = ClipReader(real_clip(name), name, rate=5).items()
    return [replace(item, origin=name) for item in items if isinstance(item, Frame)]


def describe(verdicts: list[Verdict]) -> str:
    """Decisions as a person reads them: position, reason, and the kept frame they repeat."""
    indexes = {verdict.decision.id: verdict.decision.frame_index for verdict in verdicts}
    lines = []
    for verdict in verdicts:
        decision = verdict.decision
        nearest = None if decision.nearest_kept is None else indexes[decision.nearest_kept]
        repeats = "" if nearest is None else f" beside {nearest}"
        mark = "*" if verdict.is_kept else " "
        lines.append(f"{decision.frame_index:5} {mark} {decision.reason}{repeats}")
    return "\n".join(lines) + "\n"
