"""Computes the embedding of a picture: one vector for all of it, and one for each cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ..frames import ArrayPicture, Picture
from ..problems import Problem
from .manifest import InputSpec
from .onnx_file import InferenceError
from .onnx_model import Model

Number = TypeVar("Number", np.uint8, np.float32)

_LONGEST_SHAPE = 8.0
"""Largest ratio of the longer to the shorter side; longer pictures are squeezed to it. Otherwise a
picture of 1 x 4000 pixels would need 16 x 2880 to have one cell of 16 pixels across."""


class EmbedError(Problem):
    """Says that one picture could not be embedded; the next one may succeed."""


@dataclass(frozen=True, slots=True)
class Embedding:
    """Holds what the model computed from one picture."""

    vector: NDArray[np.float32]
    """(D,) float32 of length 1."""
    grid: NDArray[np.float32] | None
    """(rows, columns, C) float32, rows from the top; each cell's vector has any length. None: the
    model gives only the vector, and small objects will be missed."""
    length: float | None = None
    """Length that the vector had in the model, by which tags are told; None: it does not tell."""

    def in_half_precision(self) -> Embedding:
        """Returns the same embedding in values that two bytes hold exactly.

        What is stored and what is compared are then the same. This rounds the grid, or without one
        the vector.
        """
        if self.grid is None:
            vector = self.vector.astype(np.float16).astype(np.float32)
            return Embedding(vector, None, self.length)
        grid = self.grid.astype(np.float16).astype(np.float32)
        return Embedding(self.vector, grid, self.length)


def similarity(a: Embedding, b: Embedding) -> float:
    """Returns the cosine of two pooled vectors of one model, -1 to 1, higher is closer."""
    return max(-1.0, min(1.0, float(np.dot(a.vector, b.vector))))


def input_size(width: int, height: int, given: InputSpec) -> tuple[int, int]:
    """Returns the (width, height) that a picture of `width` x `height` is scaled to for the model.

    Unless the model has a fixed size, the picture gets its own shape at about `given.pixels`
    pixels. So every frame costs the same, and one scene at two resolutions has the same cells.
    """
    if given.size is not None:
        return given.size
    shape = min(max(width / height, 1 / _LONGEST_SHAPE), _LONGEST_SHAPE)
    sides = ((given.pixels * shape) ** 0.5, (given.pixels / shape) ** 0.5)
    across, down = (max(1, round(side / given.multiple)) * given.multiple for side in sides)
    return across, down


class Embedder:
    """Turns pictures into embeddings. May be used by several threads at once."""

    def __init__(self, model: Model) -> None:
        self.model = model
        given = model.spec.input
        std = np.asarray(given.std, np.float32)
        self._factor = np.asarray(given.scale / std, np.float32)
        self._offset = np.asarray(given.mean, np.float32) / std

    def __call__(self, picture: Picture) -> Embedding:
        """Returns the embedding of a picture. Raises EmbedError."""
        given = self.model.spec.input
        pixels = picture.rgb(*input_size(picture.width, picture.height, given))
        try:
            found = self.model.run(self._image(pixels))
        except InferenceError as error:
            raise EmbedError(str(error)) from error
        return Embedding(
            self._vector(found.embedding),
            None if found.grid is None else self._grid(found.grid),
            None if found.length is None else float(found.length[0, 0]),
        )

    def warm_up(self) -> None:
        """Embeds a blank picture: the first run takes memory and, on a GPU, seconds."""
        self(ArrayPicture(np.zeros((1080, 1920, 3), np.uint8)))

    def _image(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8] | NDArray[np.float32]:
        """Returns a batch of one, as the model takes it, from (height, width, 3) uint8 RGB."""
        given = self.model.spec.input
        if given.channels == "bgr":
            pixels = pixels[..., ::-1]
        if given.dtype == "float32":
            return _batch(np.asarray(pixels * self._factor - self._offset, np.float32), given)
        return _batch(pixels, given)

    def _vector(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        vector = vectors.reshape(-1)
        length = float(np.linalg.norm(vector))
        if not 0 < length < np.inf:
            raise EmbedError(f"{self.model.spec.name}: the embedding has length {length}")
        return np.asarray(vector / np.float32(length), np.float32)

    def _grid(self, grids: NDArray[np.float32]) -> NDArray[np.float32]:
        grid = grids[0] if self.model.spec.input.layout == "nhwc" else grids[0].transpose(1, 2, 0)
        if not np.isfinite(grid).all():
            raise EmbedError(f"{self.model.spec.name}: the grid holds values that are no numbers")
        return np.ascontiguousarray(grid)


def _batch(image: NDArray[Number], given: InputSpec) -> NDArray[Number]:
    """Returns a batch of one (height, width, 3) image in the layout of the model."""
    if given.layout == "nchw":
        image = image.transpose(2, 0, 1)
    return np.ascontiguousarray(image).reshape(1, *image.shape)
