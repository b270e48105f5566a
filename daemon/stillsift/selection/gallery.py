"""Keeps the last kept frames of a source and tells how far a picture is from each."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

import numpy as np

from ..arrays import Arrays, Floats, Image, floats, optional_floats, packed, unpacked
from ..embedding import Embedding
from .cells import Cells, relative_distances, squared
from .shown_objects import ShownObject, objects_apart, objects_arrays, restored_objects
from .small_picture import changed


@dataclass(frozen=True, slots=True, eq=False)
class GalleryFrame:
    """Describes one kept frame that later frames are compared with."""

    id: str
    embedding: Embedding
    thumbnail: Image
    cells: Cells
    by: str | None = None
    """Source of the group that has kept the frame; None: this source."""
    small: Image | None = None
    """The frame as a `small_picture`; None: it was kept where none is needed."""
    soft: float | None = None
    """Its sharpness if it may be blurred: it was kept as the sharpest of blurred ones, or before it
    was known how sharp its view is. None: it is sharp, or lies on no time line."""
    objects: tuple[ShownObject, ...] = ()
    """The objects in it that later ones are compared with; empty where nobody compares any."""
    page: Image | None = None
    """`pages.page_of` a photograph of a document or a drawing; None: it is none."""

    def to_bytes(self) -> bytes:
        """Returns all but the id, bit for bit. Half precision holds the grid's values exactly."""
        arrays: Arrays = {
            "vector": self.embedding.vector,
            "thumbnail": self.thumbnail,
        }
        if self.embedding.grid is not None:
            arrays["grid"] = self.embedding.grid.astype(np.float16)
        if self.cells.chroma is not None:
            arrays["chroma"] = self.cells.chroma.astype(np.float16)
        if self.by is not None:
            arrays["by"] = np.array(self.by)
        if self.small is not None:
            arrays["small"] = self.small
        if self.soft is not None:
            arrays["soft"] = np.array(self.soft)
        if self.page is not None:
            arrays["page"] = self.page
        arrays.update(objects_arrays(self.objects))
        return packed(arrays)

    def embedded_again(
        self, embedding: Embedding, tint: Image | None, objects: tuple[ShownObject, ...] = ()
    ) -> GalleryFrame:
        """Returns the same frame as another model sees it, with its objects.

        `tint`: `thumbnail.colours` of it; None: its colours do not count.
        """
        cells = Cells.of(embedding)
        cells = cells if tint is None else cells.coloured(tint)
        return replace(self, embedding=embedding, cells=cells, objects=objects)

    @classmethod
    def from_bytes(cls, id_: str, data: bytes) -> GalleryFrame:
        """Reads a frame from what `to_bytes` returned."""
        arrays = unpacked(data)
        grid = floats(arrays["grid"]) if "grid" in arrays else None
        embedding = Embedding(floats(arrays["vector"]), grid)
        by = str(arrays["by"]) if "by" in arrays else None
        thumbnail = np.asarray(arrays["thumbnail"], np.uint8)
        cells = replace(Cells.of(embedding), chroma=optional_floats(arrays, "chroma"))
        small = np.asarray(arrays["small"], np.uint8) if "small" in arrays else None
        soft = float(arrays["soft"]) if "soft" in arrays else None
        page = np.asarray(arrays["page"], np.uint8) if "page" in arrays else None
        objects = restored_objects(arrays)
        return cls(id_, embedding, thumbnail, cells, by, small, soft, objects, page)


class Gallery:
    """Keeps the last `size` kept frames of one source; with 1, only the previous kept frame."""

    def __init__(self, size: int, kept: Iterable[GalleryFrame] = ()) -> None:
        """Starts with `kept`, oldest first. Raises ValueError if `size` is below 1."""
        if size < 1:
            raise ValueError(f"a gallery holds at least one frame, not {size}")
        self._kept: deque[GalleryFrame] = deque(kept, maxlen=size)
        self._stack: tuple[tuple[int, int, int], Floats, Floats, Floats] | None = None
        self._contrasts: list[float] | None = None
        self._small: Image | None = None
        self._scaled: dict[tuple[str, tuple[int, int, int]], Cells] = {}
        """Kept frames on grids of other sizes, for folders of upright and flat pictures."""

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def size(self) -> int:
        assert self._kept.maxlen is not None
        return self._kept.maxlen

    @property
    def kept(self) -> tuple[GalleryFrame, ...]:
        """Returns the frames, oldest first."""
        return tuple(self._kept)

    @property
    def name(self) -> str:
        """Gives a text that is another one as soon as the gallery holds other frames."""
        return f"{len(self)} {self._kept[-1].id if self._kept else ''}"

    @property
    def contrasts(self) -> list[float]:
        """Returns the standard deviation of each kept frame's thumbnail, grey levels."""
        if self._contrasts is None:
            self._contrasts = [float(kept.thumbnail.std()) for kept in self._kept]
        return self._contrasts

    def add(self, kept: GalleryFrame) -> None:
        """Adds a kept frame, and removes the oldest if the gallery is full."""
        self._kept.append(kept)
        self._stack = self._contrasts = self._small = None

    def remove(self, id_: str) -> None:
        """Removes a frame: it could not be written, or it is about to be added as the newest."""
        self._kept = deque((kept for kept in self._kept if kept.id != id_), maxlen=self.size)
        self._stack = self._contrasts = self._small = None

    def renew(self, place: int) -> None:
        """Makes the frame at this place the newest, so that others are removed before it."""
        if place < len(self._kept) - 1:
            kept = self._kept[place]
            del self._kept[place]
            self.add(kept)

    def clear(self) -> None:
        """Removes all frames."""
        self._kept.clear()
        self._stack, self._contrasts, self._small, self._scaled = None, None, None, {}

    def changed(self, small: Image) -> Floats:
        """Returns the (len(self),) share of the pixels in which each kept frame, oldest first,
        differs from a small picture; infinite where a kept frame has none."""
        if self._small is None:
            none = np.zeros_like(small)
            pictures = [none if kept.small is None else kept.small for kept in self._kept]
            self._small = np.stack(pictures) if pictures else none[None][:0]
        shares = changed(self._small, small)
        shares[[kept.small is None for kept in self._kept]] = np.inf
        return shares

    def distances(self, cells: Cells) -> Floats:
        """Returns (len(self), cells) distances of all kept frames, oldest first, to these cells."""
        if self._stack is None or self._stack[0] != cells.shape:
            scaled = self._on(cells.shape)
            features = np.stack([each.features for each in scaled]).transpose(1, 0, 2)
            energy = np.stack([each.energy for each in scaled])
            unknown = np.full((len(cells.energy), 2), np.nan, np.float32)
            colours = [unknown if each.chroma is None else each.chroma for each in scaled]
            self._stack = cells.shape, np.ascontiguousarray(features), energy, np.stack(colours)
        _, features, energy, _ = self._stack
        dot = np.matmul(features, cells.features[:, :, None])[..., 0].T
        return relative_distances(energy + cells.energy[None], dot)

    def colour_distances(self, cells: Cells) -> Floats:
        """Returns (len(self), cells) distances in colour alone. Call `distances` before."""
        assert self._stack is not None
        if cells.chroma is None:
            return np.zeros((len(self), len(cells.energy)), np.float32)
        return squared(self._stack[3] - cells.chroma)

    def nearest_object(
        self, one: ShownObject, cell_limit: float, without: Collection[str] = ()
    ) -> tuple[GalleryFrame, float] | None:
        """Returns the kept frame with the object that is nearest to this one, and how far it is.

        0: the same, 1: at the limit of an embedder with this `cell_limit`. Frames with the ids
        `without` are left out. None: no other one has an object.
        """
        found = [
            (kept, objects_apart(one.cells, other.cells, cell_limit))
            for kept in self._kept
            if kept.id not in without
            for other in kept.objects
        ]
        return min(found, key=lambda each: each[1], default=None)

    def _on(self, shape: tuple[int, int, int]) -> list[Cells]:
        """Returns every kept frame on a grid of this shape."""
        ids = {kept.id for kept in self._kept}
        self._scaled = {key: cells for key, cells in self._scaled.items() if key[0] in ids}
        for kept in self._kept:
            if (kept.id, shape) not in self._scaled:
                self._scaled[kept.id, shape] = kept.cells.scaled(shape)
        return [self._scaled[kept.id, shape] for kept in self._kept]
