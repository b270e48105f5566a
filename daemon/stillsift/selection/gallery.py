"""Keeps the last kept frames of a source and tells how far a picture is from each."""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ..arrays import Arrays, Floats, Image, packed
from ..embedding import Embedding
from .cells import Cells, relative_distances


@dataclass(frozen=True, slots=True, eq=False)
class GalleryFrame:
    """One kept frame, as later ones are compared with it."""

    id: str
    embedding: Embedding
    thumbnail: Image
    cells: Cells
    by: str | None = None
    """The source of the group that keeps it; None: this one."""

    def to_bytes(self) -> bytes:
        """All but the id, bit for bit; the grid's values are such as half precision holds."""
        arrays: Arrays = {
            "vector": self.embedding.vector,
            "thumbnail": self.thumbnail,
        }
        if self.embedding.grid is not None:
            arrays["grid"] = self.embedding.grid.astype(np.float16)
        if self.by is not None:
            arrays["by"] = np.array(self.by)
        return packed(arrays)

    @classmethod
    def from_bytes(cls, id_: str, data: bytes) -> GalleryFrame:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            grid = arrays["grid"].astype(np.float32) if "grid" in arrays else None
            embedding = Embedding(arrays["vector"], grid)
            by = str(arrays["by"]) if "by" in arrays else None
            return cls(id_, embedding, arrays["thumbnail"], Cells.of(embedding), by)


class Gallery:
    """The last `size` kept frames of one source; with a size of 1, the previous kept frame."""

    def __init__(self, size: int, kept: Iterable[GalleryFrame] = ()) -> None:
        if size < 1:
            raise ValueError(f"a gallery holds at least one frame, not {size}")
        self._kept: deque[GalleryFrame] = deque(kept, maxlen=size)
        self._stack: tuple[tuple[int, int, int], Floats, Floats] | None = None
        self._scaled: dict[tuple[str, tuple[int, int, int]], Cells] = {}
        """Kept frames on grids of other sizes, as a folder of upright and flat pictures needs."""

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def size(self) -> int:
        assert self._kept.maxlen is not None
        return self._kept.maxlen

    @property
    def kept(self) -> tuple[GalleryFrame, ...]:
        """Oldest first."""
        return tuple(self._kept)

    def add(self, kept: GalleryFrame) -> None:
        """Take in a kept frame; the oldest makes room."""
        self._kept.append(kept)
        self._stack = None

    def remove(self, id_: str) -> None:
        """Forget a frame that could not be persisted after all."""
        self._kept = deque((kept for kept in self._kept if kept.id != id_), maxlen=self.size)
        self._stack = None

    def clear(self) -> None:
        """Forget all of them."""
        self._kept.clear()
        self._stack, self._scaled = None, {}

    def distances(self, cells: Cells) -> Floats:
        """(len(self), cells) distances of every kept frame, oldest first, to these cells."""
        if self._stack is None or self._stack[0] != cells.shape:
            scaled = self._on(cells.shape)
            features = np.stack([each.features for each in scaled]).transpose(1, 0, 2)
            energy = np.stack([each.energy for each in scaled])
            self._stack = cells.shape, np.ascontiguousarray(features), energy
        _, features, energy = self._stack
        dot = np.matmul(features, cells.features[:, :, None])[..., 0].T
        return relative_distances(energy + cells.energy[None], dot)

    def _on(self, shape: tuple[int, int, int]) -> list[Cells]:
        """Every kept frame on a grid of this shape."""
        ids = {kept.id for kept in self._kept}
        self._scaled = {key: cells for key, cells in self._scaled.items() if key[0] in ids}
        for kept in self._kept:
            if (kept.id, shape) not in self._scaled:
                self._scaled[kept.id, shape] = kept.cells.scaled(shape)
        return [self._scaled[kept.id, shape] for kept in self._kept]
