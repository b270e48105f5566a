"""Compares objects that a detector has found: is this one that was seen before, elsewhere?

Each is cut out with a margin, embedded by itself, and put on cells of one number, so that neither
its place nor its size counts. bench/quality/objects.py measures how well that tells objects apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..arrays import Arrays, Floats, Image, Mask, floats, optional_floats
from ..decisions import Box
from ..embedding import Embedding
from ..frames import ArrayPicture, Picture
from .cells import Cells, squared, steps_apart
from .numbers import Numbers
from .thumbnail import colours

_SIDE: Final = 8
"""Rows and columns of an object's cells. With 4 or 6, more of other objects pass for the same."""
_MARGIN: Final = 0.1
"""Share of a box's sides that is looked at around it. With .3 the ground counts too much: of
vehicles cut out and put before other views an AUC of .925 instead of .987."""
_REACH: Final = 2
"""Most cells by which parts of an object lie elsewhere in its box: a quarter of it, as boxes do not
fit and who walks moves. With none, the AUC of tracked vehicles fell from .996 to .981."""
_COLOUR: Final = 0.4
"""Weight of a distance in colour beside that of a cell. Of vehicles that differ in their colour
alone, it raises the AUC from .858 to .913; with more, a change of light counts too much."""
_LIMIT: Final = 0.77
"""Distance up to which two objects are the same, with our own embedder: the largest at which about
a twentieth, at most, of the vehicles or people that differ pass for the same."""


@dataclass(frozen=True, slots=True, eq=False)
class ShownObject:
    """Describes an object that a frame shows."""

    box: Box
    """Left, top, right, bottom in shares of the picture's width and height."""
    cells: Cells
    """What it looks like, `_SIDE` x `_SIDE` cells with their colours; one cell of an embedder
    without a grid."""


def shown_objects(
    picture: Image, boxes: Sequence[Box], embed: Callable[[Picture], Embedding]
) -> tuple[ShownObject, ...]:
    """Returns what is in these boxes, in shares of a (height, width, 3) BGR picture.

    Raises what the embedder raises.
    """
    made = []
    for box in boxes:
        across, down = _MARGIN * (box[2] - box[0]), _MARGIN * (box[3] - box[1])
        wide = box[0] - across, box[1] - down, box[2] + across, box[3] + down
        made.append(ShownObject(box, _cells(part_of(picture, wide), embed)))
    return tuple(made)


def objects_apart(a: Cells, b: Cells, cell_limit: float) -> float:
    """Returns the distance of two objects: 0 the same, 1 at the limit.

    Each cell is compared with those of the other object at most `_REACH` away, the middle counts
    most, and the mean of both directions is taken. `cell_limit` belongs to the embedder.
    """
    if len(a.energy) == 1:  # the cosine distance of pictures without cells
        return float(1 - a.features[0] @ b.features[0]) / cell_limit
    near, weights = _near(), _weights()
    mean = (float(a.energy.mean()) + float(b.energy.mean())) / 2
    energies = a.energy[:, None] + b.energy[None]
    cells = (energies - 2 * a.features @ b.features.T) / ((energies / 2 + mean) / 2)
    apart = _best(np.maximum(cells, 0), near, weights)
    if a.chroma is not None and b.chroma is not None:
        colour = squared(a.chroma[:, None] - b.chroma[None])
        apart += _COLOUR * _best(np.minimum(colour, 1), near, weights)
    return apart / (_LIMIT * cell_limit / Numbers().cell)


def objects_arrays(objects: Sequence[ShownObject]) -> Arrays:
    """Returns objects for the ledger; empty if there are none."""
    if not objects:
        return {}
    arrays: Arrays = {
        "object_boxes": np.array([each.box for each in objects]),
        "object_grids": np.stack([each.cells.grid() for each in objects]).astype(np.float16),
    }
    chroma = [each.cells.chroma for each in objects if each.cells.chroma is not None]
    if chroma:
        arrays["object_chroma"] = np.stack(chroma).astype(np.float16)
    return arrays


def restored_objects(arrays: Mapping[str, NDArray[np.generic]]) -> tuple[ShownObject, ...]:
    """Returns the objects that `objects_arrays` gave."""
    if "object_boxes" not in arrays:
        return ()
    chroma = optional_floats(arrays, "object_chroma")
    objects = []
    for row, (box, grid) in enumerate(
        zip(arrays["object_boxes"], arrays["object_grids"], strict=True)
    ):
        cells = Cells.from_grid(floats(grid))
        cells = cells if chroma is None else replace(cells, chroma=chroma[row])
        left, top, right, bottom = map(float, box)
        objects.append(ShownObject((left, top, right, bottom), cells))
    return tuple(objects)


def covered(box: Box, shape: tuple[int, int]) -> Mask:
    """Returns the cells of a grid of (rows, columns) that a box covers, in part at least."""
    mask = np.zeros(shape, np.bool_)
    rows, columns = shape
    down = slice(int(box[1] * rows), max(1, int(np.ceil(box[3] * rows))))
    across = slice(int(box[0] * columns), max(1, int(np.ceil(box[2] * columns))))
    mask[down, across] = True
    return mask


def _best(apart: Floats, near: Mask, weights: Floats) -> float:
    """Returns the weighted mean of the least distances of the cells of each to near ones."""
    apart = np.where(near, apart, np.inf)
    return float(weights @ (apart.min(1) + apart.min(0))) / 2


def part_of(picture: Image, box: Box) -> Image:
    """Returns what of a (height, width, 3) picture is in a box in shares of its sides, at least one
    pixel."""
    height, width = picture.shape[:2]
    left, right = round(box[0] * width), round(box[2] * width)
    top, bottom = round(box[1] * height), round(box[3] * height)
    left, top = min(max(left, 0), width - 1), min(max(top, 0), height - 1)
    return np.ascontiguousarray(picture[top : max(bottom, top + 1), left : max(right, left + 1)])


def _cells(picture: Image, embed: Callable[[Picture], Embedding]) -> Cells:
    """Returns the cells of an object, in values that half precision holds."""
    seen = ArrayPicture(picture)
    cells = Cells.of(embed(seen))
    if len(cells.energy) == 1:
        return Cells.from_grid(cells.grid().astype(np.float16))
    cells = cells.scaled((_SIDE, _SIDE, cells.shape[2]))
    return Cells.from_grid(cells.grid().astype(np.float16)).coloured(colours(seen))


@cache
def _near() -> Mask:
    return np.asarray(steps_apart(_SIDE, _SIDE) <= _REACH, np.bool_)


@cache
def _weights() -> Floats:
    """Returns the weight of each cell: the middle shows the object, the others its ground, too."""
    window: NDArray[np.float64] = np.hanning(_SIDE + 2)[1:-1]
    weights = np.outer(window, window).reshape(-1)
    return np.asarray(weights / weights.sum(), np.float32)
