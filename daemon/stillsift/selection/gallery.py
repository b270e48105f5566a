"""The gallery: the last kept frames of a source, and how far a picture is from each of them.

Pictures are compared cell by cell on the embedder's grid, not by one number for the whole: a small
object changes one cell a lot and the mean hardly at all. Measured on 1,076 pairs, the largest cell
distance told an object from a nuisance with an AUC of .999 (easy) and .983 (low contrast), the
cosine of the pooled vectors with .861 and .697.
"""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..arrays import Arrays, Floats, Image, packed
from ..embedding import Embedding


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """A grid as rows of cells, with the energy of each. Never changed in place."""

    rows: int
    columns: int
    features: Floats
    """(rows * columns, C)"""
    energy: Floats
    """(rows * columns,) squared length of each cell."""

    @classmethod
    def of(cls, embedding: Embedding) -> Cells:
        """Without a grid the vector is the one cell."""
        if embedding.grid is None:
            return cls.from_grid(embedding.vector.reshape(1, 1, -1))
        return cls.from_grid(embedding.grid)

    @classmethod
    def from_grid(cls, grid: NDArray[np.floating]) -> Cells:
        """From (rows, columns, C) of any float type."""
        features = grid.reshape(-1, grid.shape[-1]).astype(np.float32)
        return cls(grid.shape[0], grid.shape[1], features, energy_of(features))

    @property
    def shape(self) -> tuple[int, int, int]:
        """(rows, columns, C)"""
        return self.rows, self.columns, int(self.features.shape[1])

    def grid(self) -> Floats:
        """(rows, columns, C)"""
        return self.features.reshape(self.shape)

    def scaled(self, shape: tuple[int, int, int]) -> Cells:
        """The same picture on a grid of another size."""
        if shape == self.shape:
            return self
        # cv2's resize takes four channels at most in some of its filters.
        planes = (np.ascontiguousarray(plane) for plane in np.moveaxis(self.grid(), -1, 0))
        size = (shape[1], shape[0])
        return Cells.from_grid(np.stack([cv2.resize(plane, size) for plane in planes], -1))


def energy_of(features: Floats) -> Floats:
    """(n,) squared length of each row of (n, C)."""
    return np.asarray(np.einsum("nc,nc->n", features, features), np.float32)


def median(values: Floats) -> Floats:
    """Along the last axis; bit for bit np.median, whose checks cost ten times the work here."""
    half, odd = divmod(values.shape[-1], 2)
    if odd:
        return np.asarray(np.partition(values, half, -1)[..., half])
    parted = np.partition(values, (half - 1, half), -1)
    return np.asarray((parted[..., half - 1] + parted[..., half]) / 2, values.dtype)


def cell_distances(a: Cells, b: Cells) -> Floats:
    """(cells,) how different two pictures of one shape are in each place, 0 to about 4.

    d_i = |a_i - b_i|^2 / ((E_i + mean E) / 2) with E_i = (|a_i|^2 + |b_i|^2) / 2. The mean in the
    divisor keeps cells without content from amplifying noise.
    """
    dot = np.einsum("nc,nc->n", a.features, b.features)
    return _relative(a.energy + b.energy, np.asarray(dot, np.float32))


def shifted_distances(a: Cells, b: Cells, reach: int) -> Floats:
    """(cells,) distance of each cell of `a` to the most alike of `b` at most `reach` cells away.

    Small where the camera or the thing before it has moved on, large where another picture began.
    """
    rows, columns, _ = a.shape
    ours, theirs = a.grid(), b.grid()
    our_energy, their_energy = (each.energy.reshape(rows, columns) for each in (a, b))
    mean = (float(a.energy.mean()) + float(b.energy.mean())) / 2
    best = np.full((rows, columns), np.inf, np.float32)
    for down in range(-min(reach, rows - 1), min(reach, rows - 1) + 1):
        for right in range(-min(reach, columns - 1), min(reach, columns - 1) + 1):
            here = _overlap(down, rows), _overlap(right, columns)
            there = _overlap(-down, rows), _overlap(-right, columns)
            energies = our_energy[here] + their_energy[there]
            dot = np.einsum("yxc,yxc->yx", ours[here], theirs[there])
            apart = (energies - 2 * dot) / ((energies / 2 + mean) / 2)
            best[here] = np.minimum(best[here], apart)
    return best.reshape(-1)


def across(cells: Cells, chosen: NDArray[np.intp], features: Floats, energy: Floats) -> Floats:
    """(len(chosen), len(features)) distances of cells in any two places."""
    mean = float(cells.energy.mean())
    energies = cells.energy[chosen][:, None] + energy[None]
    dot = cells.features[chosen] @ features.T
    return np.asarray((energies - 2 * dot) / ((energies / 2 + mean) / 2), np.float32)


def _overlap(shift: int, length: int) -> slice:
    return slice(max(0, shift), length + min(0, shift))


def _relative(energies: Floats, dot: Floats) -> Floats:
    mean = energies / 2
    scale = (mean + mean.mean(axis=-1, keepdims=True)) / 2
    return np.asarray(np.maximum(energies - 2 * dot, 0) / np.maximum(scale, 1e-6), np.float32)


def coherent(distances: Floats) -> Floats:
    """(..., rows, columns): each cell averaged with the strongest of its neighbours.

    Sensor noise changes single cells, an object changes neighbours: receptive fields overlap.
    """
    rows, columns = distances.shape[-2:]
    wide = np.full((*distances.shape[:-2], rows + 2, columns + 2), -9, np.float32)
    wide[..., 1:-1, 1:-1] = distances
    best = np.full_like(distances, -9)
    for y in range(3):
        for x in range(3):
            if (y, x) != (1, 1):
                np.maximum(best, wide[..., y : y + rows, x : x + columns], out=best)
    return np.asarray((distances + np.maximum(np.minimum(best, distances), 0)) / 2, np.float32)


def similarity(a: Embedding, b: Embedding) -> float:
    """Cosine of two pooled vectors of one model, -1 to 1, higher is closer."""
    return max(-1.0, min(1.0, float(np.dot(a.vector, b.vector))))


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
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
    def from_bytes(cls, id_: str, data: bytes) -> Kept:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            grid = arrays["grid"].astype(np.float32) if "grid" in arrays else None
            embedding = Embedding(arrays["vector"], grid)
            by = str(arrays["by"]) if "by" in arrays else None
            return cls(id_, embedding, arrays["thumbnail"], Cells.of(embedding), by)


class Gallery:
    """The last `size` kept frames of one source; with a size of 1, the previous kept frame."""

    def __init__(self, size: int, kept: Iterable[Kept] = ()) -> None:
        if size < 1:
            raise ValueError(f"a gallery holds at least one frame, not {size}")
        self._kept: deque[Kept] = deque(kept, maxlen=size)
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
    def kept(self) -> tuple[Kept, ...]:
        """Oldest first."""
        return tuple(self._kept)

    def add(self, kept: Kept) -> None:
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
        return _relative(energy + cells.energy[None], dot)

    def _on(self, shape: tuple[int, int, int]) -> list[Cells]:
        """Every kept frame on a grid of this shape."""
        ids = {kept.id for kept in self._kept}
        self._scaled = {key: cells for key, cells in self._scaled.items() if key[0] in ids}
        for kept in self._kept:
            if (kept.id, shape) not in self._scaled:
                self._scaled[kept.id, shape] = kept.cells.scaled(shape)
        return [self._scaled[kept.id, shape] for kept in self._kept]
