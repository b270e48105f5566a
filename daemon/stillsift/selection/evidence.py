"""Measures what a picture shows beside what was kept: all that the rows of the rule look at.

A cell has changed when it differs from the nearest kept frame, and from the background as far as a
kept frame shows it, by more than the noise limit that this source has taught for the cell. Changed
cells that descend from something kept, or look like it, are known: the same thing a little further
on. The scene and the gallery learn nothing from all this.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ..arrays import Floats, Image, Labels, Mask
from ..frames import lapse_s
from .background import LIGHT
from .cells import (
    Cells,
    across,
    cell_distances,
    coherent,
    in_a_row,
    median,
    shifted_distances,
    steps_apart,
)
from .gallery import Gallery
from .measured import Measured
from .moved_view import Move, moved
from .novelty import Novelty, largest_group
from .numbers import Numbers
from .scene import Scene
from .thumbnail import same_but_blurred
from .tracking import carried, connected

_FEW = 4
"""Kept frames beside which the background is held: those that are nearest without it."""
_AT_BORDER = 0.25
"""What a cell at the border of the picture counts, where a thing is cut off."""
_SAME_VIEW = 0.2
"""Median distance beyond the nearest up to which a kept frame may be of its view, too."""
_MOVED, _STOOD, _STAYED, _AT_MOST = 0.4, 0.1, 0.6, 0.8
"""Median distances: up to which a picture clearly shows a kept one that has moved (between cells,
by half of one, it is .3), and below which it has not moved at all (a quarter of a cell makes more);
and the share of what it was that is left then, and at most, once the move is taken off. In a view
full of detail a shift by a quarter of a cell leaves .6 to .8; where no view has moved, but
something in it has, 61 of 62 looks (three real cameras, and one that sways) had more than .9, and
one more than .8."""


@dataclass(kw_only=True, eq=False)
class Evidence:
    """Holds one picture beside the kept frames and the scene of its source.

    What explains the changed cells is measured at its first use.
    """

    novelty: Novelty
    gallery: Gallery
    scene: Scene
    cells: Cells
    thumbnail: Image
    sharpness: float | None
    """None: not measured."""
    at_s: float
    before: Floats | None
    """(cells,) distances to `Scene.previous`. None: there was none of this shape."""
    cut: bool
    """Whether `Scene.previous` showed another view, or there was none of this shape."""
    still_s: Floats
    """(rows, columns) seconds for which each cell has stayed as it is."""
    limit: float
    """Weight that news must exceed: `Numbers.news` and what noise puts together by chance."""
    nearest: int
    """Place of the nearest kept frame in the gallery."""
    distance: float
    """Distance to it, compared directly: 0 the same, 1 at the limit."""
    distances: Floats
    """(rows, columns) distances to it or to the background, corrected for light and neighbours."""
    over: Floats
    """(rows, columns) by how much they exceed the limits of the cells."""
    middle: float
    """Median distance to the kept frame that has the least."""
    background: bool
    """Whether the background is known."""
    recoloured: Mask | None = None
    """(rows, columns) cells at rest that have another colour than in the nearest."""
    tinged: bool = False
    """Whether cells that do not rest have another colour."""
    move: Move | None = None
    """By how much the view has moved since the nearest. None: the whole picture is compared."""
    has_moved: bool = False
    """Whether it clearly has. If not, the move may explain what differs, but brings no news."""

    @property
    def numbers(self) -> Numbers:
        return self.novelty.numbers

    @cached_property
    def changed(self) -> Mask:
        """Gives the (rows, columns) cells that differ from all that kept frames show there."""
        return np.asarray(self.over > 0, np.bool_)

    @cached_property
    def groups(self) -> list[Mask]:
        """Gives a mask for each group of changed cells that touch."""
        return list(connected(self.changed))

    @cached_property
    def shown(self) -> float:
        """Gives how much of the change this frame shows."""
        return float(shown_by_cell(self.distances * self.changed).sum())

    @cached_property
    def lit(self) -> float:
        """Gives the contrast over that of each kept frame of this view; 0: none is of it, or it is
        not much more than that of any kept frame."""
        contrast, contrasts = float(self.thumbnail.std()), self.gallery.contrasts
        if contrast <= self.numbers.lit * max(min(contrasts), 1.0):
            return 0.0  # as good as always; what follows costs a comparison with each
        alike = [
            each
            for each, kept in zip(contrasts, self.gallery.kept, strict=True)
            if self.novelty.view_apart(self.cells, kept.cells) <= 1
        ]
        return contrast / max(1.0, *alike) if alike else 0.0

    @cached_property
    def sharper(self) -> float:
        """Gives the sharpness over that of the sharpest kept frame of this scene; 0: one is sharp,
        or it is not known."""
        soft = self.gallery.kept[self.nearest].soft
        if soft is None or self.sharpness is None or self.sharpness <= soft * self.numbers.sharper:
            return 0.0
        same = [
            kept.soft
            for kept in self.gallery.kept
            if same_but_blurred(self.thumbnail, kept.thumbnail)
        ]
        known = [each for each in same if each is not None]
        if len(known) < len(same) or not any(known):
            return 0.0
        return self.sharpness / max(known)

    @property
    def moves(self) -> bool:
        """Tells whether something that was seen before moves through the view."""
        return self.scene.tracking.is_active(self.at_s) and not self.cut

    @property
    def chance(self) -> float:
        """Gives the weight that noise puts together by chance; every limit of a weight has it."""
        return self.limit - self.numbers.news

    # -- what is known -----------------------------------------------------------------------------

    @cached_property
    def _carried(self) -> tuple[Mask, Labels]:
        """Gives the changed cells that carry on those of the frame before, and the numbers of the
        kept things that they descend from."""
        tracking = self.scene.tracking
        if not self.moves or tracking.followed is None:
            return np.zeros_like(self.changed), np.zeros(self.changed.shape, np.int32)
        return carried(self.cells, self.changed, self.groups, tracking.followed, self.numbers)

    @cached_property
    def _matched(self) -> Labels:
        """Gives the numbers of the kept things that changed cells look like, not too far away."""
        matched = np.zeros(self.changed.shape, np.int32)
        shape, recent = self.changed.shape, self.scene.tracking.recent(self.at_s)
        memory = [each for each in recent if each.mask.shape == shape]
        if self.cut or not memory or not self.groups:
            return matched
        flat = np.flatnonzero(self.changed)
        kept = in_a_row([each.cells for each in memory])
        if kept.columns:
            apart = across(self.cells, flat, kept)
            # A thing is where it was kept, or no further off than it can have gone since.
            there = np.concatenate([np.flatnonzero(each.mask) for each in memory])
            ages_s = [abs(lapse_s(each.at_s, self.at_s)) for each in memory]
            ago_s = np.repeat(ages_s, [each.cells.columns for each in memory])
            steps = steps_apart(*self.changed.shape)[flat].take(there, 1)
            apart[steps > 1 + self.numbers.pace * ago_s] = np.inf
            things = self.scene.tracking.latest(np.concatenate([each.things for each in memory]))
            # A thing that can be followed to another place, and not to here, is not here.
            followed = set(self._carried[1][self.changed].tolist()) - {0}
            for group in self.groups if followed else ():
                if elsewhere := followed - set(self._carried[1][group].tolist()):
                    gone = np.zeros(int(things.max()) + 1, np.bool_)
                    gone[[number for number in elsewhere if number < len(gone)]] = True
                    apart[np.ix_(group[self.changed], gone[things])] = np.inf
            things = things[apart.argmin(1)]
            matched.flat[flat] = np.where(apart.min(1) <= self.numbers.thing, things, 0)
        return matched

    @cached_property
    def matched(self) -> Mask:
        """Gives the changed cells that look like something kept, in its colour."""
        return self._in_its_colour(self._matched > 0)

    @cached_property
    def known(self) -> Mask:
        """Gives the changed cells that descend from something kept, in its colour."""
        return self._in_its_colour(self._carried[1] > 0)

    def _in_its_colour(self, cells: Mask) -> Mask:
        # Whose thing it is, nothing kept shows it in this colour.
        return cells if self.recoloured is None else cells & ~self.recoloured

    @cached_property
    def things(self) -> Labels:
        """Gives the (rows, columns) numbers of the kept things that changed cells belong to."""
        carried_on = np.where(self.known, self._carried[1], 0)
        return np.where(carried_on > 0, carried_on, np.where(self.matched, self._matched, 0))

    @cached_property
    def new(self) -> Mask:
        """Gives the (rows, columns) changed cells that nothing explains."""
        return self.changed & ~self.known & ~self.matched

    @cached_property
    def stray(self) -> float:
        """Gives the weight of the largest change that is neither explained nor carries on from the
        frame before, as noise does not."""
        followed, known = self._carried
        known_too = followed | (known > 0) | (self._matched > 0)
        return largest_group(self.over * (self.changed & ~known_too))

    # -- what it weighs ----------------------------------------------------------------------------

    @cached_property
    def _new_groups(self) -> list[tuple[Mask, float]]:
        return [(group, float(self.over[group].sum())) for group in connected(self.new)]

    @cached_property
    def largest(self) -> float:
        """Gives the weight of the largest group of new cells."""
        return max((weight for _, weight in self._new_groups), default=0.0)

    @cached_property
    def fresh(self) -> float:
        """Gives the same of what has moved lately, and carries on nothing from the frame before.

        What carries on, though no kept frame shows it, has crept in below every limit.
        """
        came, followed = self.still_s < self.numbers.crept_s, self._carried[0]
        apart = [group for group, _ in self._new_groups if not (group & followed).any()]
        return max((float(self.over[group & came].sum()) for group in apart), default=0.0)

    @cached_property
    def moving(self) -> Mask:
        """Gives the changed cells of known things that look like nothing kept, or are far off."""
        return self.changed & self.known & ~self.matched

    @cached_property
    def rested(self) -> Mask:
        """Gives those of them that have come to rest."""
        return self.moving & (self.still_s >= self.numbers.still_s)

    @cached_property
    def grown(self) -> tuple[float, float]:
        """Gives the weight of the known things that show most beside what was kept of them, and how
        many times as much that is; of those that weigh more than `Numbers.weak`.

        What passes for one thing in two places shows too much for one, too.
        """
        best, changes = (0.0, 0.0), shown_by_cell(self.distances * self.changed)
        limit = self.numbers.weak + self.chance
        for cells in self._together():
            weight = float(self.over[cells & ~self.new].sum())
            kept = self.scene.tracking.kept_size(self.things[cells])
            if kept and weight > limit:
                times = float(changes[cells].sum()) / kept
                best = max(best, (weight, times), key=lambda each: each[1])
        return best

    def _together(self) -> list[Mask]:
        """Returns the groups of changed cells, those that share a thing as one."""
        found: list[tuple[Mask, set[int]]] = []
        for group in self.groups:
            things = set(self.things[group].tolist()) - {0}
            apart = [each for each in found if not each[1] & things]
            for other, its in found:
                if its & things:
                    group, things = group | other, things | its
            found = [*apart, (group, things)]
        return [group for group, _ in found]


def beside_kept(novelty: Novelty, gallery: Gallery, scene: Scene, measured: Measured) -> Evidence:
    """Compares a picture with the gallery, and with the background. Expects a grid of cells."""
    numbers, cells, at_s = novelty.numbers, measured.embedded.cells, measured.at_s
    before, cut = novelty.before(cells, scene)
    still_s = stillness(before, novelty, scene, cells, at_s)
    rests = still_s.reshape(-1) >= numbers.still_s
    lone = gallery.size == 1  # then no view is another, and nothing is explained
    limit = numbers.news if lone else novelty.limit(scene)
    plain, colours = gallery.distances(cells), novelty.scale * gallery.colour_distances(cells)
    # What moves has cells of which it covers a part, in all shades between its colour and that of
    # what is behind. So colour is news only where it rests.
    distances = plain + colours * rests
    medians = median(novelty.counting(distances, cells))
    # Only frames of the same view can be the nearest. The others would only cost time.
    alike = np.flatnonzero(medians <= medians.min() + _SAME_VIEW * novelty.scale)
    apart = distances[alike] - novelty.light_in(medians[alike])[:, None]
    order, own, over = novelty.nearest(cells, apart, scene, rests)
    nearest = int(alike[order[0]])
    distance = novelty.on_scale(over, 0.0 if lone else float(medians[nearest]), limit)
    far = colours[nearest] > numbers.cell
    tinged = bool((far & ~rests).any())
    if tinged and not lone:
        whole = distances[nearest] + colours[nearest] * ~rests
        distance = max(distance, novelty.apart_by(cells, whole, limit, scene))
    middle, stays = float(medians.min()), None
    if not lone and (over.any() or distance > 1):
        stays = scene.background.distances(cells, rests)
    if stays is not None:
        there = scene.background.shown(gallery.name, novelty.kept_by(gallery, scene))
        stays = np.where(there, stays, np.inf)
        # Light is subtracted from each by itself. If the background explained most cells first, the
        # median would show no light to subtract from the others.
        stays_apart = (stays - novelty.light(stays[None], cells))[0]
        both = np.minimum(apart[order[:_FEW]], stays_apart)
        _, own, over = novelty.nearest(cells, both, scene, rests)
        if middle > numbers.view and not cut:
            # In rain every picture is far from every other, but nearer to the mean of them all.
            least = np.minimum(distances[nearest], stays)
            middle = float(median(novelty.counting(least, cells)))
    if middle > numbers.view and not cut:
        middle -= _noise(cells, scene, novelty)
    return Evidence(
        novelty=novelty,
        gallery=gallery,
        scene=scene,
        cells=cells,
        thumbnail=measured.embedded.thumbnail,
        sharpness=None if measured.sharpness is None else measured.sharpness.value,
        at_s=at_s,
        before=before,
        cut=cut,
        still_s=still_s,
        limit=limit,
        nearest=nearest,
        distance=distance,
        distances=own,
        over=over,
        middle=middle,
        background=stays is not None,
        recoloured=(far & rests).reshape(own.shape),
        tinged=tinged,
    )


def _noise(cells: Cells, scene: Scene, novelty: Novelty) -> float:
    """Returns the median distance that noise makes between a picture and a clean one.

    It is half of that to the frame before, where that has moved on by a cell at most: what moves
    differs from the frame before as well.
    """
    assert scene.previous is not None
    return float(median(novelty.counting(shifted_distances(cells, scene.previous, 1), cells))) / 2


def beside_moved(found: Evidence, place: int, move: Move) -> Evidence | None:
    """Compares the picture with a kept frame since which the view has moved.

    `place`: where the gallery has that frame. None: the two do not show one view.
    """
    novelty, scene, cells = found.novelty, found.scene, found.cells
    kept = found.gallery.kept[place].cells
    if kept.shape != cells.shape:
        return None
    unmoved = float(median(novelty.counting(cell_distances(cells, kept), cells)))
    if unmoved < _STOOD * novelty.scale:
        return None
    counting = novelty.regions.counting(cells.rows, cells.columns)
    there, seen = moved(kept, move, counting)
    apart = cell_distances(cells, there)
    middle = float(median(novelty.counting(apart, cells)))
    if middle > min(novelty.numbers.view, _AT_MOST * unmoved):
        return None
    own = coherent((apart - LIGHT * middle).reshape(1, cells.rows, cells.columns))[0]
    limits = np.maximum(scene.noise.limits(cells.rows, cells.columns), found.numbers.background)
    over = np.where(seen, np.maximum(own - limits, 0), 0).astype(np.float32)
    return replace(
        found,
        nearest=place,
        distance=novelty.direct(cells, kept, scene),
        distances=own,
        over=over,
        middle=middle,
        recoloured=None,
        tinged=False,
        move=move,
        has_moved=middle <= min(_MOVED * novelty.scale, _STAYED * unmoved),
    )


def stillness(
    before: Floats | None, novelty: Novelty, scene: Scene, cells: Cells, at_s: float
) -> Floats:
    """Returns the (rows, columns) seconds for which each cell has stayed as it is.

    `before`: the (cells,) distances to `Scene.previous`; None: there was none of this shape.
    """
    shape = (cells.rows, cells.columns)
    if before is None:
        return np.zeros(shape, np.float32)
    still = before.reshape(shape) < np.minimum(novelty.numbers.still, scene.noise.limits(*shape))
    so_far = scene.still_s
    if so_far is None or so_far.shape != shape:
        so_far = np.zeros(shape, np.float32)
    step_s = np.float32(min(max(lapse_s(scene.previous_s, at_s), 0.0), 1.0))
    return np.where(still, so_far + step_s, 0).astype(np.float32)


def shown_by_cell(changes: Floats) -> Floats:
    """Returns how much of (rows, columns) changes each cell shows.

    Cells at the border count a quarter, since the picture cuts off what they show.
    """
    counts = np.full_like(changes, _AT_BORDER)
    counts[1:-1, 1:-1] = 1
    return changes * counts
