"""Clips whose frames are decoded and embedded once, so that a sifter can run over them often."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from stillsift.arrays import Image
from stillsift.embedding import Embedder, Embedding
from stillsift.frames import Frame, NoPixels, Picture
from stillsift.selection.sharpness import reduced
from stillsift.selection.thumbnail import THUMBNAIL
from stillsift.sources.files import ClipReader

RATE = 5.0


@dataclass(frozen=True, slots=True)
class Seen:
    """A picture that was looked at: its luma at the width where sharpness is measured, and what the
    embedder said."""

    width: int
    height: int
    levels: tuple[int, int]
    small: Image
    tint: Image
    """Its Cr and Cb at the size that is asked for."""
    embedding: Embedding

    def luma(self) -> Image:
        return self.small

    def chroma(self, width: int, height: int) -> Image:
        assert self.tint.shape[:2] == (height, width)
        return self.tint

    def rgb(self, width: int, height: int) -> Image:
        return NoPixels(self.width, self.height).rgb(width, height)

    def bgr(self) -> Image:
        return NoPixels(self.width, self.height).bgr()


def seen(path: Path, name: str, embedder: Embedder) -> list[Frame]:
    frames = (i for i in ClipReader(path, name, rate=RATE).items() if isinstance(i, Frame))
    return [replace(frame, picture=_look(frame.picture, embedder)) for frame in frames]


def _look(picture: Picture, embedder: Embedder) -> Seen:
    small = reduced(picture.luma()).copy()
    tint = picture.chroma(*(4 * side for side in THUMBNAIL)).copy()
    return Seen(picture.width, picture.height, picture.levels, small, tint, embedder(picture))


def said(picture: Picture) -> Embedding:
    assert isinstance(picture, Seen)
    return picture.embedding
