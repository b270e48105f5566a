"""Teaches a scene from decided frames what is usual there, and what was kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..arrays import Floats, Mask
from ..decisions import Box
from .cells import coherent
from .comparison import Comparison, News
from .evidence import shown_by_cell, stillness
from .gallery import Gallery
from .novelty import Novelty
from .scene import Scene
from .sharpness import Sharpness
from .shown_objects import covered

_MOST_CHANCE = 0.5
"""Largest weight that the noise floor learns from one frame."""
_SHOWN_AGAIN = 0.25
"""Seconds taken off `Scene.unshown_s` for each in which a kept frame shows all of the picture. Of
people at desks, kept frames fail to show a third to two thirds; of noise, some hundredths."""


class Learning:
    """Teaches the scene of one source."""

    def __init__(self, novelty: Novelty, gallery: Gallery, scene: Scene) -> None:
        self._novelty = novelty
        self._gallery = gallery
        self._scene = scene

    def kept(
        self,
        found: Comparison,
        sharp: Sharpness,
        at_s: float,
        *,
        view: bool,
        shown_by: str,
    ) -> None:
        """Teaches the scene that this frame was kept, as another `view` or for something in it.

        The gallery must hold the frame already. `shown_by`: the id of the kept frame that shows it,
        which is the frame itself unless another source has kept the same.
        """
        if view:
            self._scene.restart()
        self._scene.kept_s = at_s
        self._scene.learn_move(None, at_s)
        if not view and found.changed is not None and self._gallery.size > 1:
            self._scene.local_s = at_s
            self.remember(found, at_s, shown_by=shown_by)
            front = self._scene.tracking.kept[-1]
            self._scene.tracking.followed, self._scene.tracking.active_s = front, at_s
        self._learn(found, sharp, at_s, view=view)
        self._scene.unshown_s = 0.0

    def known(self, found: Comparison, boxes: Sequence[Box], at_s: float, *, shown_by: str) -> None:
        """Teaches the scene that kept frames show the objects in these boxes of a dropped frame.

        They are followed from here on; what has changed elsewhere stays new. Boxes are in shares of
        the picture. `shown_by`: the id of the kept frame that is named for them.
        """
        if found.changed is None or found.things is None or self._gallery.size == 1:
            return
        there = found.things > 0
        for box in boxes:
            there |= covered(box, found.changed.shape)
        there &= found.changed
        if there.any():
            self._scene.local_s = at_s
            self.remember(replace(found, changed=there), at_s, shown_by=shown_by)
            front = self._scene.tracking.kept[-1]
            self._scene.tracking.followed, self._scene.tracking.active_s = front, at_s

    def passed(
        self,
        found: Comparison,
        sharp: Sharpness | None,
        at_s: float,
        *,
        refused: bool = False,
    ) -> None:
        """Teaches the scene, from a frame that was not kept, what is usual and where objects are.

        `refused`: the frame shows news that may not be kept now. Its changed cells must not become
        usual, so that they stay news as long as they are there.
        """
        if found.cut and self._scene.previous is not None:
            self._scene.restart()
        self._scene.learn_move(found.move, at_s)
        new = found.changed if refused else None
        self._learn(found, sharp, at_s, view=found.news is News.VIEW, new=new)
        if found.changed is None or found.news is News.VIEW:
            return
        if found.changed.any():
            mask = found.changed
            assert found.things is not None
            # News that was not kept yet must not be followed. Otherwise something that arrives
            # before `gap_s` has passed would be lost.
            mask = mask if found.news is None else found.things > 0
            self._scene.tracking.follow(mask, found.things, found.cells, at_s)
        else:
            self._scene.tracking.rest(at_s)
        self._scene.tracking.forget(at_s)

    def remember(self, found: Comparison, at_s: float, *, shown_by: str) -> None:
        """Remembers that a kept frame shows what has changed in it."""
        assert found.changed is not None
        assert found.distances is not None
        assert found.things is not None
        shown = shown_by_cell(found.distances * found.changed)
        self._scene.tracking.keep(shown_by, found.changed, shown, found.things, found.cells, at_s)

    def _learn(
        self,
        found: Comparison,
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
            self._scene.level.add(sharp, at_s)
        late = self._scene.due(at_s)
        if late:
            step_s = float(np.clip(at_s - self._scene.previous_s, 0, 1))
            step_s *= -_SHOWN_AGAIN if found.explained_by is None else 1
            self._scene.unshown_s = max(0.0, self._scene.unshown_s + step_s)
        if late and found.distances is not None:
            self._scene.still_s = stillness(
                found.from_previous, self._novelty, self._scene, found.cells, at_s
            )
        if late or found.cut or self._scene.previous is None:
            self._scene.previous, self._scene.previous_s = found.cells, at_s
        if view or found.distances is None:
            return
        # The weights of an event would count as noise, and nothing in a busy place would be news.
        calm = new is None and not self._scene.tracking.recent(at_s)
        weight = min(found.stray, _MOST_CHANCE * self._novelty.scale) if calm else None
        if found.move is None and self._scene.noise.due(at_s):
            self._scene.noise.learn(self._flicker(found, new), weight, at_s)
        if late and self._gallery.size > 1:
            quiet = self._scene.noise.quiet(found.cells.rows, found.cells.columns)
            self._scene.background.learn(found.cells, at_s, new, quiet=quiet)
            if len(self._gallery):
                look = self._novelty.kept_by(self._gallery, self._scene)
                self._scene.background.learn_shown(self._gallery.name, at_s, look)

    def _flicker(self, found: Comparison, new: Mask | None) -> Floats:
        """Returns the (rows, columns) distances that the noise floor learns from.

        They are those to what stays there, so that something that changes slowly is not learned as
        noise. For `new` cells they are the distances to the frame before, if they are smaller. A
        parked car stays near to that frame, a swaying branch does not.
        """
        distances = found.distances
        assert distances is not None
        rests = np.zeros(distances.size, np.bool_)
        if self._scene.still_s is not None and self._scene.still_s.shape == distances.shape:
            rests = self._scene.still_s.reshape(-1) >= self._novelty.numbers.still_s
        stays = self._scene.background.distances(found.cells, rests)
        if stays is not None:
            apart = (stays - self._novelty.light(stays[None], found.cells)).reshape(
                1, *distances.shape
            )
            distances = np.minimum(distances, coherent(np.asarray(apart, np.float32))[0])
        if new is None or found.from_previous is None:
            return distances
        before = found.from_previous.reshape(new.shape)
        return np.where(new, np.minimum(distances, before), distances)
