"""Finds what a frame shows that no kept frame shows.

A cell counts as changed when it differs from the nearest kept frame, and from the background, by
more than the noise limit that this source has taught for the cell. Changed cells that follow an
object already kept, or look like one kept some seconds ago, are no news: they are the same object a
little further on. The weight of the other cells is how far they exceed their limits.

Measured by bench/quality on the clips with labels, 33 events and shots, one setting for all: each
event was kept, at 1.5 frames per event. The same number of frames at even distances misses five
events. The cosine to the previous kept frame needs 3.4 frames per event to keep 32.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..arrays import Floats, Mask
from ..decisions import Reason
from ..frames import SPACING_S, lapse_s
from .background import LIGHT
from .cells import (
    Cells,
    across,
    cell_distances,
    coherent,
    colour_distances,
    in_a_row,
    median,
    shifted_distances,
)
from .comparison import Comparison, News
from .gallery import Gallery
from .moved_view import Move, moved
from .regions import EVERYTHING, Regions
from .scene import Scene
from .sensitivity import FACTORS, Sensitivity
from .sharpness import Sharpness
from .tracking import Foreground, connected

_LOWEST = 0.40
"""Cell limit of our own embedder. The distances below were found with it; the limit of another
embedder scales them."""
_COLOUR = 20.0
"""Levels by which the colour of a cell has to differ to be as far as 1."""
_REACH = 3
"""Most cells that a picture moves on from one frame to the next: a sixth of its width."""
_STAYED = 0.6
"""Share of the median distance that at most is left once the move of a view is taken off."""
_GROWN = 1.6
"""Factor by which an object must show more than was kept of it to be news again."""
_SHOWN_AGAIN = 0.25
"""Seconds taken off `Scene.unshown_s` for each in which a kept frame shows all of the picture. Of
people at desks, kept frames fail to show a third to two thirds; of noise, some hundredths."""
_FEW = 4
"""Kept frames beside which the background is held: those that are nearest without it."""
_LIGHT = "all of it differs a little, and no part of it more than the rest"
_TINGE = "a colour that has not stayed for half a second"
_UNCOVERED = "what is behind the objects that left is shown by other kept frames"


class Novelty:
    """Applies the rule for what is new, with distances on the scale of one embedder."""

    def __init__(
        self,
        cell_limit: float,
        sensitivity: Sensitivity = Sensitivity.NORMAL,
        regions: Regions = EVERYTHING,
    ) -> None:
        """Scales all distances by `cell_limit`: the distance of a cell that is no noise.

        The limit belongs to the embedder. `sensitivity` says how much must be new; it does not
        change what counts as noise. Cells that `regions` excludes never differ, so medians leave
        them out.
        """
        scale = cell_limit / _LOWEST
        self.cell_limit = cell_limit
        self._regions = regions
        self._factors = factors = FACTORS[sensitivity]
        self.gap_s = factors.gap_s
        """Least time between two kept news in one view, unless they are urgent, seconds."""
        self._refresh_s = factors.refresh_s
        self.tune(1.0)
        self._chances = 5.0
        """Factor on `NoiseFloor.chance`; their product is added to what news must exceed."""
        self._most_chance = 0.5 * scale
        """Largest weight that the noise floor learns from one frame."""
        self.colour = _COLOUR / float(np.sqrt(scale))
        """Levels of Cr and Cb that are a distance of 1."""
        self.view = 0.65 * scale
        """Median cell distance above which a picture shows another view."""
        self._moving_view = 1.3 * scale
        """The same while something moves: a large object with auto exposure is no other view."""
        self._jump = 0.65 * scale
        self._same_view = 0.2 * scale
        self._moved = 0.4 * scale
        """Median distance up to which a picture shows a kept one that has moved; between cells, by
        half of one, it is .3."""
        self._stood = 0.1 * scale
        """Median distance below which the view stands still: a quarter of a cell makes more."""
        self._background = 0.6 * scale
        """Distance up to which a kept frame shows what stays in a cell."""
        self._spatial_deviations = 5.0
        self._follow = 1.0 * scale
        self._follow_cells = 4
        self._follow_share = 0.4
        """Largest distance, and most cells away, at which a changed cell follows an object's cell
        of the frame before; and the share of a group that must follow for all of it to follow."""
        self._match = 0.9 * scale
        self._pace_cells = 2.0
        """Most cells per second that a kept thing has gone where nobody followed it: somebody who
        walks through the view in nine seconds."""
        self._edge_share = 0.25
        self._still = 0.3 * scale
        self._still_s = 0.5
        self._crept_s = 2.0
        """Seconds; what has not moved for longer and is new all the same has crept in. What came in
        while news had to wait for `gap_s` has not."""

    def tune(self, factor: float) -> None:
        """Sets how much must be new, by a factor on the weights. What counts as changed stays."""
        scale = factor * self._factors.weight * self.cell_limit / _LOWEST
        self.factor = factor
        self.weight = 0.5 * scale
        """Weight that news must exceed. The weight of a group of changed cells is the sum of their
        distances beyond their limits."""
        self.lone_weight = 1.5 * scale
        """The same for news that at most half of the frames of its moment show, as noise does."""
        self.urgent_weight = 5.0 * scale
        """Weight above which news does not wait until `gap_s` after the last has passed."""
        self.large_weight = 15.0 * scale
        """Weight above which something fills a good part of the picture. One look is enough to
        tell it from noise."""
        self._settled_weight = 1.5 * scale
        self._refresh_weight = 1.0 * scale
        self._picture_factor = self._factors.picture_share * min(factor, 16.0) ** 0.25
        """Factor on the limits of single distances. These have a highest value, so `factor` raises
        such a limit to its double at most."""

    def stays(self, found: Comparison, after: Sequence[Comparison]) -> bool:
        """Tells whether the largest new thing in a frame can be followed through all those after.

        It needs changed cells in each that carry on those of the one before.
        """
        assert found.unexplained is not None
        assert found.distances is not None
        weights = found.distances * found.unexplained
        mask = max(connected(found.unexplained), key=lambda group: float(weights[group].sum()))
        front = Foreground.of(mask, found.cells, 0.0)
        for there in after:
            if there.cells is found.cells:
                continue
            if there.changed is None or there.changed.shape != mask.shape:
                return False
            mask, _ = self._carried(there, front, mask)
            if not mask.any():
                return False
            front = Foreground.of(mask, there.cells, 0.0)
        return True

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
        if float(median(self._counting(apart, a))) <= self.view:
            return False
        return float(median(self._counting(shifted_distances(a, b, _REACH), a))) > self._jump

    def compare(self, cells: Cells, gallery: Gallery, scene: Scene, at_s: float) -> Comparison:
        """Returns what is new in a picture. The scene and the gallery learn nothing from it."""
        chance = self._chances * scene.noise.chance() if gallery.size > 1 else 0.0
        found = Comparison(cells, limit=self.weight + chance)
        if scene.previous is not None and scene.previous.shape == cells.shape:
            before = cell_distances(cells, scene.previous)
            cut = self._is_cut(cells, scene.previous, before)
            before = before + colour_distances(cells, scene.previous)
            found = replace(found, from_previous=before, cut=cut)
        if not len(gallery):
            return replace(found, news=News.VIEW, why="nothing was kept before")
        distances = gallery.distances(cells)
        if distances.shape[1] == 1:
            return self._pooled(found, distances[:, 0])
        colours = gallery.colour_distances(cells)
        # What moves has cells of which it covers a part, in all shades between its colour and that
        # of what is behind. So colour is news only where it rests.
        still = self.stillness(found, scene, at_s).reshape(-1) >= self._still_s
        distances = distances + colours * still
        found = replace(found, unsettled=not still.all())
        medians = median(self._counting(distances, cells))
        # Only frames of the same view can be the nearest. The others would only cost time.
        alike = np.flatnonzero(medians <= medians.min() + self._same_view)
        apart = distances[alike] - self._light(distances[alike], cells)
        order, own, over = self._nearest(cells, apart, scene, still)
        nearest = int(order[0])
        found = replace(found, nearest=int(alike[nearest]), distances=own, changed=over > 0)
        # With a gallery of one, only what is in the view counts, and no view is another.
        middle = float(medians[alike[nearest]]) if gallery.size > 1 else 0.0
        direct = self._direct(over, middle, found.limit)
        tinged = colours[found.nearest] > self.cell_limit
        if gallery.size > 1 and (tinged & ~still).any():
            whole = distances[found.nearest] + colours[found.nearest] * ~still
            direct = max(direct, self._apart(cells, whole, found.limit, scene))
        found = replace(found, distance=direct, tinged=(tinged & still).reshape(own.shape))
        differs = bool(over.any()) or direct > 1
        stays = scene.background.distances(cells, still) if gallery.size > 1 and differs else None
        if stays is not None:
            there = scene.background.shown(_named(gallery), self._kept_by(gallery, scene))
            stays = np.where(there, stays, np.inf)
            # Light is subtracted from each by itself. If the background explained most cells first,
            # the median would show no light to subtract from the others.
            stays_apart = (stays - self._light(stays[None], cells))[0]
            both = np.minimum(apart[order[:_FEW]], stays_apart)
            _, own, over = self._nearest(cells, both, scene, still)
        total, changed = float(over.sum()), over > 0
        shown = self._shown(own * changed)
        found = replace(found, distances=own, changed=changed, shown=shown)
        if gallery.size == 1:
            return self._plain(found, total)
        moving = scene.tracking.is_active(at_s) and not found.cut
        view, middle = self._moving_view if moving else self.view, float(medians.min())
        if middle > view and stays is not None and not found.cut:
            # In rain every picture is far from every other, but nearer to the mean of them all.
            least = np.minimum(distances[found.nearest], stays)
            middle = float(median(self._counting(least, cells)))
        if middle > view and (self.factor <= 1 or total > self.weight):
            why = f"another view: median {middle:.2f} > {view:.2f}"
            weight = max(total, float(np.nextafter(found.limit, np.inf)))
            return replace(found, news=News.VIEW, weight=weight, why=why)
        limit = found.limit
        found = self._explained(found, over, scene, at_s) if changed.any() else found
        if direct <= 1:  # whatever it is, one kept frame shows all of it
            return replace(found, news=None, weight=direct * limit, limit=limit, why="")
        if found.news is None and found.explained_by is None:
            if not changed.any() and (tinged & ~still).any():
                return replace(found, explained_by=Reason.FLEETING, why=_TINGE)
            why = found.why or (_LIGHT if stays is None else _UNCOVERED)
            found = replace(found, explained_by=Reason.SAME_BACKGROUND, why=why)
        if found.news is None and scene.unshown_s >= self._refresh_s:
            # Each part is shown by some kept frame, but none shows what has become of the whole.
            why = f"for {scene.unshown_s:.0f} s no kept frame has shown all of it"
            weight = direct * found.limit
            return replace(found, news=News.REFRESH, weight=weight, explained_by=None, why=why)
        return found

    def moved(
        self,
        found: Comparison,
        gallery: Gallery,
        place: int,
        move: Move,
        scene: Scene,
        at_s: float,
    ) -> Comparison | None:
        """Returns what is new beside a kept frame since which the view has moved.

        `place`: where the gallery has that frame. None: the frames do not show one view.
        """
        cells, kept = found.cells, gallery.kept[place].cells
        if kept.shape != cells.shape:
            return None
        unmoved = float(median(self._counting(cell_distances(cells, kept), cells)))
        if unmoved < self._stood:
            return None
        there, shown = moved(kept, move)
        apart = cell_distances(cells, there)
        middle = float(median(self._counting(apart, cells)))
        if middle > min(self._moved, _STAYED * unmoved):
            return None
        own = coherent((apart - LIGHT * middle).reshape(1, cells.rows, cells.columns))[0]
        limits = np.maximum(scene.noise.limits(cells.rows, cells.columns), self._background)
        over = np.where(shown, np.maximum(own - limits, 0), 0).astype(np.float32)
        changed = over > 0
        seen = replace(
            found,
            news=None,
            weight=0.0,
            limit=self.weight + self._chances * scene.noise.chance(),
            nearest=place,
            distance=self.direct(cells, kept, scene),
            distances=own,
            changed=changed,
            unexplained=None,
            tinged=None,
            shown=self._shown(own * changed),
            move=move,
            explained_by=None,
            why="",
        )
        if changed.any():
            seen = self._explained(seen, over, scene, at_s)
        if seen.news is not None or (seen.distance or 0) <= 1:
            return seen
        why = f"the view has moved on; {move.unseen:.0%} of it is not in the kept frame"
        return replace(seen, explained_by=Reason.SAME_BACKGROUND, why=why)

    def _direct(self, over: Floats, middle: float, limit: float) -> float:
        """Returns the distance of two pictures, on the scale of `Comparison.distance`."""
        weight = _largest_group(over) / limit
        return float(max(weight, middle / self.view))

    def direct(self, cells: Cells, kept: Cells, scene: Scene) -> float:
        """Returns the distance to one kept frame, on the scale of `Comparison.distance`."""
        kept = kept.scaled(cells.shape)
        distances = cell_distances(cells, kept) + colour_distances(cells, kept)
        if len(distances) == 1:
            return float(distances[0] / 2 / (self.cell_limit * self._picture_factor))
        limit = self.weight + self._chances * scene.noise.chance()
        return self._apart(cells, distances, limit, scene)

    def _apart(self, cells: Cells, distances: Floats, limit: float, scene: Scene) -> float:
        """Returns the distance to a kept frame, from the (cells,) distances to it."""
        whole = distances[None]
        _, _, over = self._nearest(cells, whole - self._light(whole, cells), scene)
        middle = float(median(self._counting(whole, cells))[0])
        return self._direct(over, middle, limit)

    def _kept_by(self, gallery: Gallery, scene: Scene) -> Callable[[Cells], Mask]:
        """Returns what tells the (cells,) places where a kept frame shows the same as a picture."""

        def look(cells: Cells) -> Mask:
            distances = gallery.distances(cells) + gallery.colour_distances(cells)
            apart = (distances - self._light(distances, cells)).min(0)
            limits = scene.noise.limits(cells.rows, cells.columns).reshape(-1)
            return np.asarray(apart <= np.minimum(limits, self._background), np.bool_)

        return look

    def _shown(self, changes: Floats) -> float:
        """Returns how much of the change a frame shows.

        Cells at the border count less, since the picture cuts off what they show.
        """
        inner = float(changes[1:-1, 1:-1].sum())
        return inner + self._edge_share * (float(changes.sum()) - inner)

    def _pooled(self, found: Comparison, distances: Floats) -> Comparison:
        """Compares by cosine distance, for embeddings without a grid.

        It tells views apart and misses small objects.
        """
        nearest = int(np.argmin(distances))
        apart = float(distances[nearest]) / 2  # |a - b|^2 of unit vectors is 2 - 2 cos
        limit = self.cell_limit * self._picture_factor
        news = News.VIEW if apart > limit else None
        found = replace(found, nearest=nearest, distance=apart / limit)
        return replace(found, news=news, weight=apart, limit=limit)

    def _plain(self, found: Comparison, total: float) -> Comparison:
        """Compares with the previous kept frame only, for a gallery of size 1."""
        if total <= self.weight:
            return replace(found, weight=total)
        assert found.changed is not None
        why = f"{int(found.changed.sum())} cells changed"
        return replace(found, news=News.ARRIVAL, weight=total, why=why)

    def _nearest(
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

    def _counting(self, distances: Floats, cells: Cells) -> Floats:
        """Returns the (..., cells that count) of (..., cells) distances."""
        counting = self._regions.counting(cells.rows, cells.columns)
        return distances if counting is None else distances[..., counting.reshape(-1)]

    def _light(self, distances: Floats, cells: Cells) -> Floats:
        """Returns the (K, 1) distances that a change of light adds to every cell.

        Infinite distances are not known and are left out.
        """
        distances = self._counting(distances, cells)
        known = np.isfinite(distances[0])
        if not known.any():
            return np.zeros((len(distances), 1), np.float32)
        middle = median(distances[:, known])[:, None]
        # A large median means another view. Subtracting it as light would explain anything.
        return np.asarray(np.where(middle <= self.view, LIGHT * middle, 0), np.float32)

    def _everywhere(self, own: Floats, scene: Scene, rests: Mask | None) -> Floats:
        """Returns (K, rows, columns) limits, higher where everything moves a little: rain, gain
        noise. In a source without noise, what rests is no noise: other text on a slide."""
        flat = own.reshape(len(own), -1)
        if (counting := self._regions.counting(*own.shape[1:])) is not None:
            flat = flat[:, counting.reshape(-1)]
        middle = median(flat)[:, None]
        spread = median(np.abs(flat - middle))[:, None] * 1.4826
        raised = np.minimum(middle + self._spatial_deviations * spread, scene.noise.highest)
        limits = np.broadcast_to(raised[:, :, None], own.shape)
        if rests is None or scene.noise.quiet(*own.shape[1:]) == 1:
            return np.asarray(limits, np.float32)
        return np.asarray(np.where(rests.reshape(own.shape[1:]), 0, limits), np.float32)

    # -- movement ----------------------------------------------------------------------------------

    def _explained(self, found: Comparison, over: Floats, scene: Scene, at_s: float) -> Comparison:
        """Finds which changed cells follow or resemble something kept, and what is news.

        News is an arrival among the other cells; else something followed that settled, grew or
        moved on for long.
        """
        changed = over > 0
        tracking = scene.tracking
        active = tracking.is_active(at_s) and not found.cut
        followed = known = np.zeros_like(changed)
        if active and tracking.followed is not None:
            followed, known = self._carried(found, tracking.followed, tracking.known)
        matched = self._matched(found, changed, scene, at_s)
        stray = _largest_group(over * (changed & ~followed & ~matched & ~known))
        if found.tinged is not None:  # whose thing it is, nothing kept shows it in this colour
            known, matched = known & ~found.tinged, matched & ~found.tinged
        new = changed & ~known & ~matched
        found = replace(found, unexplained=new, stray=stray)
        chance = found.limit - self.weight
        settled = self._settled_weight + chance
        # What carries on, though no kept frame shows it, has crept in below every limit. It must
        # weigh as much as what has settled.
        groups = [(group, float(over[group].sum())) for group in connected(new)]
        largest = max((weight for _, weight in groups), default=0.0)
        came = self.stillness(found, scene, at_s) < self._crept_s
        apart = [group for group, _ in groups if not (group & followed).any()]
        fresh = max((float(over[group & came].sum()) for group in apart), default=0.0)
        if fresh > found.limit or largest > settled:
            limit = found.limit if fresh > found.limit else settled
            why = f"{int(new.sum())} cells show something new"
            return replace(found, news=News.ARRIVAL, weight=largest, limit=limit, why=why)
        moving = changed & known & ~matched
        resting = moving & (self.stillness(found, scene, at_s) >= self._still_s)
        # If nothing was kept in this event, something came in slowly below every limit. It must
        # weigh more.
        refresh = (self._refresh_weight if tracking.shown else self.urgent_weight) + chance
        rest, moved = float(over[resting].sum()), float(over[moving].sum())
        if rest > settled:
            why = f"came to rest: {int(resting.sum())} cells"
            return replace(found, news=News.SETTLED, weight=rest, limit=settled, why=why)
        grown = found.shown / tracking.shown if tracking.shown else 0.0
        if moved > refresh and grown > _GROWN:
            why = f"shows {grown:.1f} times what was kept of it"
            return replace(found, news=News.GROWN, weight=moved, limit=refresh, why=why)
        if moved > refresh and lapse_s(scene.kept_s, at_s) >= self._refresh_s:
            why = f"moved on for {self._refresh_s:.0f} s: {int(moving.sum())} cells"
            return replace(found, news=News.REFRESH, weight=moved, limit=refresh, why=why)
        limit = max(found.limit, settled) if largest > found.limit else found.limit
        found = replace(found, weight=largest, limit=limit)
        if not (known | matched).any() or (found.distance or 0) <= 1:
            return found
        why = f"{int((known | matched).sum())} changed cells belong to what was kept"
        return replace(found, explained_by=Reason.SAME_OBJECT, why=why)

    def _carried(self, found: Comparison, before: Foreground, known: Mask) -> tuple[Mask, Mask]:
        """Returns the changed cells of objects `before` that moved on a little since then.

        Those that carry on all of them, and those that carry on its `known` cells.
        """
        changed = found.changed
        assert changed is not None
        none = np.zeros_like(changed)
        if before.mask.shape != changed.shape or not before.mask.any() or not changed.any():
            return none, none
        flat = np.flatnonzero(changed)
        apart = across(found.cells, flat, before.cells)
        here, there = np.argwhere(changed), np.argwhere(before.mask)
        far = np.abs(here[:, None, :] - there[None]).max(2) > self._follow_cells
        near = (apart <= self._follow) & ~far
        groups = list(connected(changed))

        def grown(hits: Mask) -> Mask:
            hit, carried = np.zeros_like(changed), np.zeros_like(changed)
            hit.flat[flat] = hits
            for group in groups:
                mine = hit & group
                carried |= group if mine.sum() >= self._follow_share * group.sum() else mine
            return carried

        of_known = near[:, known[before.mask]]
        return grown(near.any(1)), grown(of_known.any(1)) if of_known.size else none

    def _matched(self, found: Comparison, changed: Mask, scene: Scene, at_s: float) -> Mask:
        """Returns the changed cells that look like one kept in this event, in any place."""
        matched = np.zeros_like(changed)
        memory = scene.tracking.recent(at_s)
        if found.cut or not memory:
            return matched
        flat = np.flatnonzero(changed)
        kept = in_a_row([each.cells for each in memory])
        if kept.columns:
            apart = across(found.cells, flat, kept)
            # A thing is where it was kept, or no further off than it can have gone since.
            here = np.argwhere(changed)
            there = np.concatenate([np.argwhere(each.mask) for each in memory])
            ago_s = np.concatenate(
                [np.full(each.cells.columns, abs(lapse_s(each.at_s, at_s))) for each in memory]
            )
            far = np.abs(here[:, None, :] - there[None]).max(2) > 1 + self._pace_cells * ago_s
            apart[far] = np.inf
            matched.flat[flat] = apart.min(1) <= self._match
        return matched

    def stillness(self, found: Comparison, scene: Scene, at_s: float) -> Floats:
        """Returns the (rows, columns) seconds for which each cell has stayed as it is."""
        shape = (found.cells.rows, found.cells.columns)
        if found.from_previous is None:
            return np.zeros(shape, np.float32)
        still = found.from_previous.reshape(shape) < np.minimum(
            self._still, scene.noise.limits(*shape)
        )
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
        sharp: Sharpness,
        at_s: float,
        *,
        view: bool,
    ) -> None:
        """Teaches the scene that this frame was kept, as another `view` or for something in it.

        The gallery must hold the frame already.
        """
        if view:
            scene.restart()
        scene.kept_s = at_s
        scene.learn_move(None, at_s)
        if not view and found.changed is not None and gallery.size > 1:
            scene.local_s = at_s
            scene.tracking.shown = max(scene.tracking.shown, found.shown)
            scene.tracking.follow(found.changed, found.changed, found.cells, at_s)
            scene.tracking.keep(found.changed, found.cells, at_s)
        self._learn(found, gallery, scene, sharp, at_s, view=view)
        scene.unshown_s = 0.0

    def learn_passed(
        self,
        found: Comparison,
        gallery: Gallery,
        scene: Scene,
        sharp: Sharpness | None,
        at_s: float,
        *,
        refused: bool = False,
    ) -> None:
        """Teaches the scene, from a frame that was not kept, what is usual and where objects are.

        `refused`: the frame shows news that may not be kept now. Its changed cells must not become
        usual, so that they stay news as long as they are there.
        """
        if found.cut and scene.previous is not None:
            scene.restart()
        scene.learn_move(found.move, at_s)
        new = found.changed if refused else None
        self._learn(found, gallery, scene, sharp, at_s, view=found.news is News.VIEW, new=new)
        if found.changed is None or found.news is News.VIEW:
            return
        if found.changed.any():
            mask, new = found.changed, found.unexplained
            known = np.zeros_like(mask) if new is None else mask & ~new
            # News that was not kept yet must not be followed. Otherwise something that arrives
            # before `gap_s` has passed would be lost.
            scene.tracking.follow(mask if found.news is None else known, known, found.cells, at_s)
        else:
            scene.tracking.rest(at_s)
        scene.tracking.forget(at_s)

    def _learn(
        self,
        found: Comparison,
        gallery: Gallery,
        scene: Scene,
        sharp: Sharpness | None,
        at_s: float,
        *,
        view: bool,
        new: Mask | None = None,
    ) -> None:
        """Teaches the scene, except with the (rows, columns) `new` cells, which must not be usual.

        None: there are no such cells.
        """
        if sharp is not None:
            scene.level.add(sharp, at_s)
        apart_s = at_s - scene.previous_s
        late = not 0 <= apart_s < SPACING_S
        if late:
            step_s = float(np.clip(apart_s, 0, 1))
            step_s *= -_SHOWN_AGAIN if found.explained_by is None else 1
            scene.unshown_s = max(0.0, scene.unshown_s + step_s)
        if late and found.distances is not None:
            scene.still_s = self.stillness(found, scene, at_s)
        if late or found.cut or scene.previous is None:
            scene.previous, scene.previous_s = found.cells, at_s
        if view or found.distances is None:
            return
        # The weights of an event would count as noise, and nothing in a busy place would be news.
        calm = new is None and not scene.tracking.recent(at_s)
        weight = min(found.stray, self._most_chance) if calm else None
        if found.move is None:
            scene.noise.learn(self._flicker(found, scene, new), weight, at_s)
        if late and gallery.size > 1:
            quiet = scene.noise.quiet(found.cells.rows, found.cells.columns)
            scene.background.learn(found.cells, at_s, new, quiet=quiet)
            if len(gallery):
                look = self._kept_by(gallery, scene)
                scene.background.learn_shown(_named(gallery), at_s, look)

    def _flicker(self, found: Comparison, scene: Scene, new: Mask | None) -> Floats:
        """Returns the (rows, columns) distances that the noise floor learns from.

        They are those to what stays there, so that something that changes slowly is not learned as
        noise. For `new` cells they are the distances to the frame before, if they are smaller. A
        parked car stays near to that frame, a swaying branch does not.
        """
        distances = found.distances
        assert distances is not None
        rests = np.zeros(distances.size, np.bool_)
        if scene.still_s is not None and scene.still_s.shape == distances.shape:
            rests = scene.still_s.reshape(-1) >= self._still_s
        stays = scene.background.distances(found.cells, rests)
        if stays is not None:
            apart = (stays - self._light(stays[None], found.cells)).reshape(1, *distances.shape)
            distances = np.minimum(distances, coherent(np.asarray(apart, np.float32))[0])
        if new is None or found.from_previous is None:
            return distances
        before = found.from_previous.reshape(new.shape)
        return np.where(new, np.minimum(distances, before), distances)

    # -- pictures in no order ----------------------------------------------------------------------

    def picture_limit(self, cells: Cells) -> float:
        """Returns the distance up to which two pictures without a time repeat each other.

        It is compared with what `between` returns. On 112 photographs of 26 potatoes no potato was
        taken for another, and each was kept.
        """
        limit = self.cell_limit if len(cells.energy) == 1 else 0.60 * self.cell_limit / _LOWEST
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
        return self._view_apart(cell_distances(a, b.scaled(a.shape)), a)

    def apart(self, cells: Cells, gallery: Gallery) -> Floats:
        """Returns the (len(gallery),) distances, as in `between`, of a picture to each kept one."""
        return self._largest(gallery.distances(cells), cells)

    def between(self, a: Cells, b: Cells) -> float:
        """Returns the largest cell distance, averaged with neighbours and corrected for light."""
        return float(self._largest(cell_distances(a, b.scaled(a.shape))[None], a)[0])

    def both_apart(self, a: Cells, b: Cells) -> tuple[float, float]:
        """Returns `between` and `view_apart` of two pictures, for little more than one of them."""
        distances = cell_distances(a, b.scaled(a.shape))
        return float(self._largest(distances[None], a)[0]), self._view_apart(distances, a)

    def _view_apart(self, distances: Floats, cells: Cells) -> float:
        return float(median(self._counting(distances, cells))) / self.view

    def _largest(self, distances: Floats, cells: Cells) -> Floats:
        if len(cells.energy) == 1:
            return np.asarray(distances[:, 0] / 2, np.float32)  # cosine distance, as in _pooled
        own = (distances - self._light(distances, cells)).reshape(-1, cells.rows, cells.columns)
        largest = np.maximum(coherent(own).max((1, 2)), 0)
        # For another view the whole distance counts, without light or neighbours.
        other = median(self._counting(distances, cells)) > self.view
        return np.asarray(np.where(other, distances.max(1), largest), np.float32)


def _named(gallery: Gallery) -> str:
    """Returns a text that is another one as soon as the gallery holds other frames."""
    return f"{len(gallery)} {gallery.kept[-1].id}"


def _largest_group(over: Floats) -> float:
    """Returns the largest sum of a group of touching cells of (rows, columns) excesses."""
    return max((float(over[group].sum()) for group in connected(over > 0)), default=0.0)
