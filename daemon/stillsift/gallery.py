"""The gallery: the last kept frames of a source, and how far a new frame is from each of them.

The novelty of one picture against another is a maximum over the cells of the embedder's grid, not
one number for the whole picture: a small object moves one cell a lot and the mean hardly at all.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .embedding import Embedding

_MEDIAN_SHARE = 0.75
"""How much of the median cell distance is subtracted: a change of light or of noise moves every
cell, an object moves a few. Measured on 1,076 pairs: AUC .999 easy, .983 hard."""


@dataclass(frozen=True, slots=True)
class Match:
    """The kept frame that is closest to a picture."""

    id: str
    novelty: float
    """0 and up, higher is newer; see `novelty`."""
    similarity: float
    """Cosine of the pooled embeddings, -1 to 1, higher is closer."""


def cell_distances(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """(..., cells) relative squared distance of grids (..., cells, channels), cell by cell.

    d_i = |a_i - b_i|^2 / ((E_i + mean E) / 2) with E_i = (|a_i|^2 + |b_i|^2) / 2. The mean in the
    divisor keeps cells without content from amplifying noise.
    """
    energy_a, energy_b = _energy(a), _energy(b)
    energy = (energy_a + energy_b) / 2
    cross = np.matmul(a[..., None, :], b[..., :, None])[..., 0, 0]
    squared = np.maximum(energy_a + energy_b - 2 * cross, 0)
    divisor = (energy + energy.mean(axis=-1, keepdims=True)) / 2
    return np.asarray(squared / np.maximum(divisor, 1e-12), np.float32)


def _energy(grid: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(np.einsum("...c,...c->...", grid, grid), np.float32)


def novelty(a: Embedding, b: Embedding) -> float:
    """How new one picture is beside another: 0 for the same, about 0.4 for a small object more.

    Without a grid (an embedder with only a pooled output) it is the cosine distance, which does
    not see small objects.
    """
    if a.grid is None or b.grid is None:
        return max(0.0, 1.0 - float(np.dot(a.vector, b.vector)))
    ours, theirs = _same_shape(a.grid, b.grid)
    channels = ours.shape[-1]
    distances = cell_distances(ours.reshape(-1, channels), theirs.reshape(-1, channels))
    return float(max(0.0, distances.max() - _MEDIAN_SHARE * np.median(distances)))


def _same_shape(
    a: NDArray[np.float32], b: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Two grids of the smaller of both shapes: pictures of different aspect can be compared."""
    if a.shape == b.shape:
        return a, b
    rows, columns = min(a.shape[0], b.shape[0]), min(a.shape[1], b.shape[1])
    return _resized(a, rows, columns), _resized(b, rows, columns)


def _resized(grid: NDArray[np.float32], rows: int, columns: int) -> NDArray[np.float32]:
    return np.asarray(cv2.resize(grid, (columns, rows), interpolation=cv2.INTER_AREA), np.float32)


class Gallery:
    """The last `size` kept frames of one source; with a size of 1, the previous kept frame."""

    def __init__(self, size: int, entries: Iterable[tuple[str, Embedding]] = ()) -> None:
        if size < 1:
            raise ValueError(f"a gallery holds at least one frame, not {size}")
        self.size = size
        self._entries = list(entries)[-size:]

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def entries(self) -> tuple[tuple[str, Embedding], ...]:
        """Ids and embeddings, oldest first."""
        return tuple(self._entries)

    def nearest(self, embedding: Embedding) -> Match | None:
        """The kept frame with the least novelty; None while nothing is kept."""
        matches = (self.match(id_, kept, embedding) for id_, kept in self._entries)
        return min(matches, key=lambda match: match.novelty, default=None)

    @staticmethod
    def match(id_: str, kept: Embedding, embedding: Embedding) -> Match:
        """How far `embedding` is from one kept frame."""
        similarity = float(np.clip(np.dot(kept.vector, embedding.vector), -1, 1))
        return Match(id_, novelty(kept, embedding), similarity)

    def add(self, id_: str, embedding: Embedding) -> None:
        """Take in a kept frame; the oldest makes room."""
        self._entries.append((id_, embedding))
        del self._entries[: -self.size]

    def remove(self, id_: str) -> None:
        """Forget a frame that could not be persisted after all."""
        self._entries = [entry for entry in self._entries if entry[0] != id_]
