"""Novelty: what a frame shows that was not kept before.

A cell counts as changed when it differs from the nearest kept frame, and from what stays in the
picture anyway, by more than this source taught for this cell. Changed cells that follow an object
already kept, or look like one that was kept a moment ago, are no news: the same object a little
further on. What remains is weighed by how far it goes beyond its limits.

Measured by bench/quality on the clips with labels, 33 events and shots, one setting for all: each
event was kept, at 1.4 frames per event. As many frames taken at even distances miss seven, and the
cosine to the previous kept frame needs 3.4 per event for 32.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..arrays import Floats, Mask
from ..frames import SPACING_S, lapse_s
from .background import LIGHT
from .cells import Cells, across, cell_distances, coherent, median, shifted_distances
from .comparison import Comparison, News
from .gallery import Gallery
from .regions import EVERYTHING, Regions
from .scene import Scene
from .sensitivity import FACTORS, Sensitivity
from .tracking import connected

_LOWEST = 0.40
"""The cell limit of our own embedder, that the distances below were found with. Another embedder's
limit scales them."""
_REACH = 3
"""Cells that a picture moves on from one frame to the next, at most: a sixth of its width."""
_GROWN = 1.6


class Novelty:
    """The rule, with its distances in the scale of one embedder."""

    def __init__(
        self,
        cell_limit: float,
        sensitivity: Sensitivity = Sensitivity.NORMAL,
        regions: Regions = EVERYTHING,
    ) -> None:
        """`cell_limit`: distance of a cell that is no noise, which belongs to the embedder.
        `sensitivity` says how much must be new, and leaves alone what counts as noise. Cells that
        do not count by `regions` never differ, so they have no say in any median."""
        scale = cell_limit / _LOWEST
        self.cell_limit = cell_limit
        self._regions = regions
        self._factors = factors = FACTORS[sensitivity]
        self.gap_s = factors.gap_s
        """News in one view are this far apart, unless they are urgent."""
        self._refresh_s = factors.refresh_s
        self.tune(1.0)
        self._chances = 5.0
        """News must exceed by this many times what noise puts together in one of ten frames."""
        self._most_chance = 0.5 * scale
        """The most that a frame can teach of it, whatever it shows."""
        self.view = 0.65 * scale
        """Median cell distance from which a picture shows another view."""
        self._moving_view = 1.3 * scale
        """The same while something moves: a large object with auto exposure is no new view."""
        self._jump = 0.65 * scale
        self._same_view = 0.2 * scale
        self._spatial_deviations = 5.0
        self._follow = 1.0 * scale
        self._follow_cells = 4
        self._follow_share = 0.4
        """A changed cell follows an object's cell of the frame before when it is at most this
        different and this far away; a group follows when this share of it does."""
        self._match = 0.9 * scale
        self._edge_share = 0.25
        self._still = 0.3 * scale
        self._still_s = 0.5

    def tune(self, factor: float) -> None:
        """How much must be new, as a factor on the weights; what counts as changed stays."""
        scale = factor * self._factors.weight * self.cell_limit / _LOWEST
        self.factor = factor
        self.weight = 0.5 * scale
        """News: the distances of one group of changed cells beyond their limits, summed."""
        self.lone_weight = 1.5 * scale
        """The same for news that no more than half of its moment's frames show, as noise does."""
        self.urgent_weight = 5.0 * scale
        """News that does not wait for the second after the last to pass."""
        self.large_weight = 15.0 * scale
        """Something that fills a good part of the picture."""
        self._settled_weight = 1.5 * scale
        self._refresh_weight = 1.0 * scale
        self._picture_factor = self._factors.picture_share * min(factor, 16.0) ** 0.25
        """On limits that one distance is held to, which has a highest value: 2 and no more."""

    def cut_between(self, a: Cells, b: Cells) -> bool:
        """Whether one picture ended and another began: the second is not the first moved on.

        On labelled footage the median distance to cells at most three away was .92 and more across
        a cut, and .74 and less (once .93) while a camera panned or a large thing came closer.
        """
        if a is b:
            return False
        if a.shape != b.shape:
            return True
        return self._is_cut(a, b, cell_distances(a, b))

    def _is_cut(self, a: Cells, b: Cells, apart: Floats) -> bool:
        """`apart`: their `cell_distances`."""
        if float(median(self._counting(apart, a))) <= self.view:
            return False
        return float(median(self._counting(shifted_distances(a, b, _REACH), a))) > self._jump

    def compare(self, cells: Cells, gallery: Gallery, scene: Scene, at_s: float) -> Comparison:
        """What is new in a picture. Changes nothing."""
        chance = self._chances * scene.noise.chance() if gallery.size > 1 else 0.0
        found = Comparison(cells, limit=self.weight + chance)
        if scene.previous is not None and scene.previous.shape == cells.shape:
            before = cell_distances(cells, scene.previous)
            cut = self._is_cut(cells, scene.previous, before)
            found = replace(found, from_previous=before, cut=cut)
        if not len(gallery):
            return replace(found, news=News.VIEW, why="nothing was kept before")
        distances = gallery.distances(cells)
        if distances.shape[1] == 1:
            return self._pooled(found, distances[:, 0])
        medians = median(self._counting(distances, cells))
        stays = scene.background.distances(cells) if gallery.size > 1 else None
        nearest, total, own, over = self._nearest(cells, distances, medians, stays, scene)
        changed = over > 0
        shown = self._shown(own * changed)
        found = replace(found, nearest=nearest, distances=own, changed=changed, shown=shown)
        if gallery.size == 1:
            return self._plain(found, total)
        moving = scene.tracking.is_active(at_s) and not found.cut
        view, apart = self._moving_view if moving else self.view, float(medians.min())
        if apart > view and stays is not None and not found.cut:
            # In rain every picture is far from every other, and less so from the mean of them all.
            least = np.minimum(distances[nearest], stays)
            apart = float(median(self._counting(least, cells)))
        if apart > view and (self.factor <= 1 or total > self.weight):
            why = f"another view: median {apart:.2f} > {view:.2f}"
            weight = max(total, float(np.nextafter(found.limit, np.inf)))
            return replace(found, news=News.VIEW, weight=weight, why=why)
        return self._explained(found, over, scene, at_s) if changed.any() else found

    def _shown(self, changes: Floats) -> float:
        """How much of the change a frame shows; at the border of the picture it is cut off."""
        inner = float(changes[1:-1, 1:-1].sum())
        return inner + self._edge_share * (float(changes.sum()) - inner)

    def _pooled(self, found: Comparison, distances: Floats) -> Comparison:
        """Without a grid: the cosine distance, which tells views apart and sees no small object."""
        nearest = int(np.argmin(distances))
        apart = float(distances[nearest]) / 2  # |a - b|^2 of unit vectors is 2 - 2 cos
        limit = self.cell_limit * self._picture_factor
        news = News.VIEW if apart > limit else None
        return replace(found, news=news, weight=apart, limit=limit, nearest=nearest)

    def _plain(self, found: Comparison, total: float) -> Comparison:
        """Against the previous kept frame and nothing else."""
        if total <= self.weight:
            return replace(found, weight=total)
        assert found.changed is not None
        why = f"{int(found.changed.sum())} cells changed"
        return replace(found, news=News.ARRIVAL, weight=total, why=why)

    def _nearest(
        self,
        cells: Cells,
        distances: Floats,
        medians: Floats,
        stays: Floats | None,
        scene: Scene,
    ) -> tuple[int, float, Floats, Floats]:
        """Index of the nearest kept frame, the weight of all that changed, (rows, columns)
        distances to it, and by how much they exceed their limits."""
        rows, columns = cells.rows, cells.columns
        # Only frames of the same view can be the nearest; the others cost time.
        alike = np.flatnonzero(medians <= medians.min() + self._same_view)
        own = distances[alike] - self._light(distances[alike], cells)
        if stays is not None:
            # Each with its own light: a background that explains most cells would else leave none
            # to take off the others.
            own = np.minimum(own, stays - self._light(stays[None], cells)[0])
        own = coherent(np.asarray(own, np.float32).reshape(-1, rows, columns))
        limits = np.maximum(scene.noise.limits(rows, columns), self._everywhere(own, scene))
        over = np.maximum(own - limits, 0)
        weights = over.sum((1, 2))
        best = int(np.argmin(weights + own.max((1, 2)) * 1e-3))
        return int(alike[best]), float(weights[best]), own[best], over[best]

    def _counting(self, distances: Floats, cells: Cells) -> Floats:
        """(..., cells that count) of (..., cells)."""
        counting = self._regions.counting(cells.rows, cells.columns)
        return distances if counting is None else distances[..., counting.reshape(-1)]

    def _light(self, distances: Floats, cells: Cells) -> Floats:
        """(K, 1) what a change of light put on every cell; infinite ones are not known."""
        distances = self._counting(distances, cells)
        known = np.isfinite(distances[0])
        if not known.any():
            return np.zeros((len(distances), 1), np.float32)
        middle = median(distances[:, known])[:, None]
        # A large median is another view and no light: taking it off would explain anything.
        return np.asarray(np.where(middle <= self.view, LIGHT * middle, 0), np.float32)

    def _everywhere(self, own: Floats, scene: Scene) -> Floats:
        """(K, 1, 1) limits where everything moves a little, as rain and gain noise do."""
        flat = own.reshape(len(own), -1)
        if (counting := self._regions.counting(*own.shape[1:])) is not None:
            flat = flat[:, counting.reshape(-1)]
        middle = median(flat)[:, None]
        spread = median(np.abs(flat - middle))[:, None] * 1.4826
        raised = np.minimum(middle + self._spatial_deviations * spread, scene.noise.highest)
        return np.asarray(raised[:, :, None], np.float32)

    # -- movement ----------------------------------------------------------------------------------

    def _explained(self, found: Comparison, over: Floats, scene: Scene, at_s: float) -> Comparison:
        """Which changed cells follow or resemble something kept, and is the rest news?"""
        changed = over > 0
        followed = self._followed(found, changed, scene, at_s)
        matched = self._matched(found, changed, scene, at_s)
        new = changed & ~followed & ~matched
        found = replace(found, unexplained=new)
        largest = max((float(over[group].sum()) for group in connected(new)), default=0.0)
        if largest > found.limit:
            why = f"{int(new.sum())} cells show something new"
            return replace(found, news=News.ARRIVAL, weight=largest, why=why)
        moving = changed & followed & ~matched
        resting = moving & (self.stillness(found, scene, at_s) >= self._still_s)
        chance = found.limit - self.weight
        settled = self._settled_weight + chance
        # Nothing was kept in this event: what crept in below every limit must weigh more.
        refresh = (self._refresh_weight if scene.tracking.shown else self.urgent_weight) + chance
        rest, moved = float(over[resting].sum()), float(over[moving].sum())
        if rest > settled:
            why = f"came to rest: {int(resting.sum())} cells"
            return replace(found, news=News.SETTLED, weight=rest, limit=settled, why=why)
        grown = found.shown / scene.tracking.shown if scene.tracking.shown else 0.0
        if moved > refresh and grown > _GROWN:
            why = f"shows {grown:.1f} times what was kept of it"
            return replace(found, news=News.GROWN, weight=moved, limit=refresh, why=why)
        if moved > refresh and lapse_s(scene.kept_s, at_s) >= self._refresh_s:
            why = f"moved on for {self._refresh_s:.0f} s: {int(moving.sum())} cells"
            return replace(found, news=News.REFRESH, weight=moved, limit=refresh, why=why)
        why = f"{int((followed | matched).sum())} changed cells belong to what was kept"
        return replace(found, weight=largest, why=why)

    def _followed(self, found: Comparison, changed: Mask, scene: Scene, at_s: float) -> Mask:
        """Cells of objects that were in the frame before and are a little further on."""
        followed = np.zeros_like(changed)
        before = scene.tracking.followed
        if found.cut or before is None or not scene.tracking.is_active(at_s):
            return followed
        if before.mask.shape != changed.shape or not before.mask.any():
            return followed
        flat = np.flatnonzero(changed)
        apart = across(found.cells, flat, before.features, before.energy)
        here, there = np.argwhere(changed), np.argwhere(before.mask)
        far = np.abs(here[:, None, :] - there[None]).max(2) > self._follow_cells
        apart[far] = np.inf
        hit = np.zeros_like(changed)
        hit.flat[flat] = apart.min(1) <= self._follow
        for group in connected(changed):
            mine = hit & group
            followed |= group if mine.sum() >= self._follow_share * group.sum() else mine
        return followed

    def _matched(self, found: Comparison, changed: Mask, scene: Scene, at_s: float) -> Mask:
        """Cells that look like one kept in this event, anywhere in the picture."""
        matched = np.zeros_like(changed)
        memory = scene.tracking.recent(at_s)
        if found.cut or not memory:
            return matched
        flat = np.flatnonzero(changed)
        features = np.concatenate([each.features for each in memory])
        energy = np.concatenate([each.energy for each in memory])
        if len(features):
            apart = across(found.cells, flat, features, energy)
            matched.flat[flat] = apart.min(1) <= self._match
        return matched

    def stillness(self, found: Comparison, scene: Scene, at_s: float) -> Floats:
        """(rows, columns) seconds for which each cell has stayed as it is."""
        shape = (found.cells.rows, found.cells.columns)
        if found.from_previous is None:
            return np.zeros(shape, np.float32)
        still = found.from_previous.reshape(shape) < self._still
        before = scene.still_s
        if before is None or before.shape != shape:
            before = np.zeros(shape, np.float32)
        step_s = np.float32(np.clip(lapse_s(scene.previous_s, at_s), 0, 1))
        return np.where(still, before + step_s, 0).astype(np.float32)

    # -- learning ----------------------------------------------------------------------------------

    def learn_kept(
        self,
        found: Comparison,
        gallery: Gallery,
        scene: Scene,
        sharp: float,
        at_s: float,
        *,
        view: bool,
    ) -> None:
        """The scene learns that this frame was kept, as another view or for something in it. The
        gallery has it already."""
        if view:
            scene.restart()
        scene.kept_s = at_s
        if not view and found.changed is not None and gallery.size > 1:
            scene.local_s = at_s
            scene.tracking.shown = max(scene.tracking.shown, found.shown)
            scene.tracking.follow(found.changed, found.cells, at_s)
            scene.tracking.keep(found.changed, found.cells, at_s)
        self._learn(found, gallery, scene, sharp, at_s, view=view)

    def learn_passed(
        self,
        found: Comparison,
        gallery: Gallery,
        scene: Scene,
        sharp: float | None,
        at_s: float,
        *,
        refused: bool = False,
    ) -> None:
        """The scene learns from a frame that was not kept what is usual and where objects are.

        `refused`: it shows news that may not be kept now. What stays must not become usual, so that
        it is news as long as it is there.
        """
        if found.cut and scene.previous is not None:
            scene.restart()
        new = found.changed if refused else None
        self._learn(found, gallery, scene, sharp, at_s, view=found.news is News.VIEW, new=new)
        if found.changed is None or found.news is News.VIEW:
            return
        if found.changed.any():
            mask = found.changed
            if found.news is not None and found.unexplained is not None:
                # Not kept yet, so not known yet: else what arrives in a gap would be lost.
                mask = mask & ~found.unexplained
            scene.tracking.follow(mask, found.cells, at_s)
        else:
            scene.tracking.rest(at_s)
        scene.tracking.forget(at_s)

    def _learn(
        self,
        found: Comparison,
        gallery: Gallery,
        scene: Scene,
        sharp: float | None,
        at_s: float,
        *,
        view: bool,
        new: Mask | None = None,
    ) -> None:
        """`new`: (rows, columns) cells that must not become usual; None: there are none."""
        if sharp is not None:
            scene.level.add(sharp, at_s)
        apart_s = at_s - scene.previous_s
        late = not 0 <= apart_s < SPACING_S
        if late and found.distances is not None:
            scene.still_s = self.stillness(found, scene, at_s)
        if late or found.cut or scene.previous is None:
            scene.previous, scene.previous_s = found.cells, at_s
        if view or found.distances is None:
            return
        # While an event lasts its parts would count as noise, and silence a busy place.
        calm = new is None and not scene.tracking.recent(at_s)
        weight = min(found.weight, self._most_chance) if calm else None
        scene.noise.learn(_flicker(found, new), weight, at_s)
        if late and gallery.size > 1:
            scene.background.learn(found.cells, at_s, new)

    # -- pictures in no order ----------------------------------------------------------------------

    def picture_limit(self, cells: Cells) -> float:
        """Up to which distance `between` two pictures without a time repeat each other.

        On 112 photographs of 26 potatoes this names no other potato as the same, and keeps each.
        """
        limit = self.cell_limit if len(cells.energy) == 1 else 0.60 * self.cell_limit / _LOWEST
        return float(limit * self._picture_factor)

    def apart(self, cells: Cells, gallery: Gallery) -> Floats:
        """(len(gallery),) `between` this picture and each kept one."""
        return self._largest(gallery.distances(cells), cells)

    def between(self, a: Cells, b: Cells) -> float:
        """Largest distance of a cell, with its neighbours and with the light taken off."""
        return float(self._largest(cell_distances(a, b.scaled(a.shape))[None], a)[0])

    def _largest(self, distances: Floats, cells: Cells) -> Floats:
        if len(cells.energy) == 1:
            return np.asarray(distances[:, 0] / 2, np.float32)  # see _pooled
        own = (distances - self._light(distances, cells)).reshape(-1, cells.rows, cells.columns)
        largest = np.maximum(coherent(own).max((1, 2)), 0)
        # Of another view the whole distance counts, and not what its neighbours say.
        other = median(self._counting(distances, cells)) > self.view
        return np.asarray(np.where(other, distances.max(1), largest), np.float32)


def _flicker(found: Comparison, new: Mask | None) -> Floats:
    """(rows, columns) distances that the noise floor learns from; of what is `new` those to the
    frame before: a parked car stays near to that, a swaying branch does not."""
    assert found.distances is not None
    if new is None or found.from_previous is None:
        return found.distances
    before = found.from_previous.reshape(new.shape)
    return np.where(new, np.minimum(found.distances, before), found.distances)
