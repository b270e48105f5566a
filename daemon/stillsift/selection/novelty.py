"""Measures how far pictures are apart, on the scale of one embedder.

Measured by bench/quality on the clips with labels, 33 events and shots, one setting for all: each
event was kept, at 1.4 frames per event. The same number of frames at even distances misses six
events. The cosine to the previous kept frame needs 3.4 frames per event to keep 32.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ..arrays import Floats, Mask
from .background import LIGHT
from .cells import (
    Cells,
    cell_distances,
    coherent,
    colour_distances,
    median,
    shifted_distances,
)
from .gallery import Gallery
from .numbers import Numbers
from .regions import EVERYTHING, Regions
from .scene import Scene
from .sensitivity import FACTORS, Sensitivity
from .tracking import connected

_REACH = 3
"""Most cells that a picture moves on from one frame to the next: a sixth of its width."""
_EVERYWHERE = 5.0
"""Robust standard deviations by which a cell exceeds all others if more happens there."""


class Novelty:
    """Measures distances by the numbers of the rule, which `tune` changes."""

    def __init__(
        self,
        cell_limit: float,
        sensitivity: Sensitivity = Sensitivity.NORMAL,
        regions: Regions = EVERYTHING,
        asked: float = 1.0,
    ) -> None:
        """Scales all distances by `cell_limit`: the distance of a cell that is no noise.

        The limit belongs to the embedder. `sensitivity` and the factor `asked` say how much must be
        new; they do not change what counts as noise. Cells that `regions` excludes never differ, so
        medians leave them out.
        """
        self._sensitivity = sensitivity
        self._asked = asked
        self.regions = regions
        self._cell_limit = cell_limit
        self.scale = cell_limit / Numbers().cell
        """Factor on distances that were found with our own embedder."""
        self.tune(1.0)

    def tune(self, factor: float) -> None:
        """Sets how much must be new, by a factor on the weights. What counts as changed stays."""
        self.factor = self._asked * factor
        self.numbers = Numbers.of(self._cell_limit, self._sensitivity, self.factor)
        share = FACTORS[self._sensitivity].picture_share
        self._picture_factor = share * self._asked * picture_share(factor)
        """Factor on the limits of single distances. These have a highest value, so `factor` raises
        such a limit to its double at most."""

    def in_force(self, *, timed: bool) -> float:
        """Returns what a decision shows as `novelty_limit`: 1, unless something else was asked.

        `timed`: for frames of a time line, else for photographs.
        """
        if timed:
            return FACTORS[self._sensitivity].weight * self.factor
        return self.picture_factor

    # -- pictures that follow each other -----------------------------------------------------------

    def before(self, cells: Cells, scene: Scene) -> tuple[Floats | None, bool]:
        """Returns the (cells,) distances to the frame before, and whether it showed another view.

        None: there was no frame before, or it had another shape, and so showed another view.
        """
        previous = scene.previous
        if previous is None or previous.shape != cells.shape:
            return None, True
        apart, colours = cell_distances(cells, previous), colour_distances(cells, previous)
        return apart + self.scale * colours, self._is_cut(cells, previous, apart)

    def cut_between(self, a: Cells, b: Cells) -> bool:
        """Tells whether `b` begins another picture, instead of showing `a` moved on.

        On labelled footage the median distance to cells at most three away was .92 and more across
        a cut, and .74 and less (once .93) while a camera panned or a large thing came closer.
        """
        if a is b:
            return False
        if a.shape != b.shape:
            return True
        return self._is_cut(a, b, cell_distances(a, b))

    def _is_cut(self, a: Cells, b: Cells, apart: Floats) -> bool:
        """Tells the same of two pictures of one shape; `apart` are their `cell_distances`."""
        if float(median(self.counting(apart, a))) <= self.numbers.view:
            return False
        return float(median(self.counting(shifted_distances(a, b, _REACH), a))) > self.numbers.view

    # -- a picture and kept ones -------------------------------------------------------------------

    def limit(self, scene: Scene) -> float:
        """Returns the weight that news must exceed: more where noise weighs something by chance."""
        return float(self.numbers.news + self.numbers.chances * scene.noise.chance())

    def direct(self, cells: Cells, kept: Cells, scene: Scene) -> float:
        """Returns the distance to one kept frame: 0 the same, 1 at the limit."""
        kept = kept.scaled(cells.shape)
        distances = cell_distances(cells, kept) + self.scale * colour_distances(cells, kept)
        if len(distances) == 1:
            return float(distances[0] / 2 / self.pooled_limit)
        return self.apart_by(cells, distances, self.limit(scene), scene)

    def changed(self, cells: Cells, other: Cells, scene: Scene) -> Mask | None:
        """Returns the (rows, columns) cells that differ from those of another frame.

        None: too many do, so that it is another view, or there is no grid.
        """
        other = other.scaled(cells.shape)
        distances = cell_distances(cells, other) + self.scale * colour_distances(cells, other)
        if len(distances) == 1:
            return None
        whole = distances[None]
        if float(median(self.counting(whole, cells))[0]) > self.numbers.view:
            return None
        _, _, over = self.nearest(cells, whole - self.light(whole, cells), scene)
        return np.asarray(over > 0)

    def apart_by(self, cells: Cells, distances: Floats, limit: float, scene: Scene) -> float:
        """Returns the same from the (cells,) distances to the kept frame."""
        whole = distances[None]
        _, _, over = self.nearest(cells, whole - self.light(whole, cells), scene)
        return self.on_scale(over, float(median(self.counting(whole, cells))[0]), limit)

    def on_scale(self, over: Floats, middle: float, limit: float) -> float:
        """Returns the same from the (rows, columns) excesses and the median of the distances."""
        return float(max(largest_group(over) / limit, middle / self.numbers.view))

    @property
    def pooled_limit(self) -> float:
        """Gives the cosine distance up to which pictures without a grid of cells are the same."""
        return float(self.numbers.cell * self._picture_factor)

    def distances(self, cells: Cells, gallery: Gallery) -> Floats:
        """Returns the (len(gallery), cells) distances to all kept frames, with their colours."""
        return gallery.distances(cells) + self.scale * gallery.colour_distances(cells)

    def kept_by(self, gallery: Gallery, scene: Scene) -> Callable[[Cells], Mask]:
        """Returns what tells the (cells,) places where a kept frame shows the same as a picture."""

        def look(cells: Cells) -> Mask:
            distances = self.distances(cells, gallery)
            apart = (distances - self.light(distances, cells)).min(0)
            limits = scene.noise.limits(cells.rows, cells.columns).reshape(-1)
            return np.asarray(apart <= np.minimum(limits, self.numbers.background), np.bool_)

        return look

    def nearest(
        self, cells: Cells, apart: Floats, scene: Scene, rests: Mask | None = None
    ) -> tuple[NDArray[np.intp], Floats, Floats]:
        """Returns the order of (K, cells) distances, nearest first, and how the picture differs.

        That is the (rows, columns) distances to the nearest, and by how much they exceed their
        limits.
        """
        rows, columns = cells.rows, cells.columns
        own = coherent(np.asarray(apart, np.float32).reshape(-1, rows, columns))
        limits = np.maximum(scene.noise.limits(rows, columns), self._everywhere(own, scene, rests))
        over = np.maximum(own - limits, 0)
        order = np.argsort(over.sum((1, 2)) + own.max((1, 2)) * 1e-3, kind="stable")
        return order, own[order[0]], over[order[0]]

    def counting(self, distances: Floats, cells: Cells) -> Floats:
        """Returns the (..., cells that count) of (..., cells) distances."""
        counting = self.regions.counting(cells.rows, cells.columns)
        return distances if counting is None else distances[..., counting.reshape(-1)]

    def light(self, distances: Floats, cells: Cells) -> Floats:
        """Returns the (K, 1) distances that a change of light adds to every cell.

        Infinite distances are not known and are left out.
        """
        distances = self.counting(distances, cells)
        known = np.isfinite(distances[0])
        if not known.any():
            return np.zeros((len(distances), 1), np.float32)
        if not known.all():
            distances = distances[:, known]
        return self.light_in(median(distances))[:, None]

    def light_in(self, medians: Floats) -> Floats:
        """Returns the (K,) distances of which light makes up these medians."""
        # A large median means another view. Subtracting it as light would explain anything.
        return np.asarray(np.where(medians <= self.numbers.view, LIGHT * medians, 0), np.float32)

    def _everywhere(self, own: Floats, scene: Scene, rests: Mask | None) -> Floats:
        """Returns limits that broadcast to (K, rows, columns), higher where everything moves a
        little: rain, gain noise. In a source without noise, what rests is no noise: other text on a
        slide."""
        flat = own.reshape(len(own), -1)
        if (counting := self.regions.counting(*own.shape[1:])) is not None:
            flat = flat[:, counting.reshape(-1)]
        middle = median(flat)[:, None]
        spread = median(np.abs(flat - middle))[:, None] * 1.4826
        raised = np.minimum(middle + _EVERYWHERE * spread, scene.noise.highest)
        limits = raised[:, :, None]
        if rests is None or scene.noise.quiet(*own.shape[1:]) == 1:
            return np.asarray(limits, np.float32)
        return np.asarray(np.where(rests.reshape(own.shape[1:]), 0, limits), np.float32)

    # -- pictures in no order ----------------------------------------------------------------------

    def picture_limit(self, cells: Cells) -> float:
        """Returns the distance up to which two pictures without a time repeat each other.

        It is compared with what `between` returns. On 112 photographs of 26 potatoes no potato was
        taken for another, and each was kept.
        """
        limit = self.numbers.cell if len(cells.energy) == 1 else 0.60 * self.scale
        return float(limit * self._picture_factor)

    @property
    def picture_factor(self) -> float:
        """Gives the factor on all distances up to which two photographs repeat each other."""
        return float(self._picture_factor)

    def view_apart(self, a: Cells, b: Cells) -> float:
        """Returns the median distance of the cells of two pictures; above 1 the view is another.

        Measured on 40 pictures, at most: copies of another size, quality or light .37, noise .49,
        blur by 3 pixels .71, crops of 4 % .54, crops of 10 % .96 in nine of ten.
        """
        return float(self._view_apart(cell_distances(a, b.scaled(a.shape)), a))

    def apart(self, cells: Cells, gallery: Gallery) -> Floats:
        """Returns the (len(gallery),) distances, as in `between`, of a frame of a time line to each
        kept one, with its colours."""
        return self._largest(self.distances(cells, gallery), cells)

    def between(self, a: Cells, b: Cells) -> float:
        """Returns the largest cell distance, averaged with neighbours and corrected for light."""
        return float(self._largest(cell_distances(a, b.scaled(a.shape))[None], a)[0])

    def both_apart(self, a: Cells, others: Sequence[Cells]) -> tuple[Floats, Floats]:
        """Returns the (len(others),) `between` and `view_apart` of a picture and each of others, of
        which there is at least one."""
        distances = np.stack([cell_distances(a, each.scaled(a.shape)) for each in others])
        return self._largest(distances, a), self._view_apart(distances, a)

    def _view_apart(self, distances: Floats, cells: Cells) -> Floats:
        return median(self.counting(distances, cells)) / np.float32(self.numbers.view)

    def _largest(self, distances: Floats, cells: Cells) -> Floats:
        if len(cells.energy) == 1:
            return np.asarray(distances[:, 0] / 2, np.float32)  # cosine distance, as in _pooled
        own = (distances - self.light(distances, cells)).reshape(-1, cells.rows, cells.columns)
        largest = np.maximum(coherent(own).max((1, 2)), 0)
        # For another view the whole distance counts, without light or neighbours.
        other = median(self.counting(distances, cells)) > self.numbers.view
        return np.asarray(np.where(other, distances.max(1), largest), np.float32)


def picture_share(factor: float) -> float:
    """Returns the factor on the distances of photographs for one on the weights of a time line."""
    return float(min(factor, 16.0) ** 0.25)


def largest_group(over: Floats) -> float:
    """Returns the largest sum of a group of touching cells of (rows, columns) excesses."""
    return max((float(over[group].sum()) for group in connected(over > 0)), default=0.0)
