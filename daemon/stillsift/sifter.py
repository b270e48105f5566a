"""The heart: decides which frames of one source are kept, and says why.

No disk, no clock, no thread. Time is the frame's own, so the same frames give the same decisions
live, from clips and from archives, with or without a restart in between.

A frame that shows something new opens a *moment*. For up to `Limits.max_wait_s` the moment collects
frames; then its best one is kept, those before it are dropped as its repeats, and those after it
are looked at again. Decisions therefore come out later than the frames went in, always in the
frames' order. Nothing is learned while a moment is open: the state after the last decision and the
frames that still wait are all that is needed to go on as if nothing had happened.
"""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from .decisions import Decision, Reason, about
from .embedding import Embedding
from .frames import Frame, Image, Picture, TimeOrigin
from .gallery import Cells, Gallery, Kept, similarity
from .novelty import Finding, News, Novelty
from .scene import Arrays, Scene
from .sharpness import SPACING_S, Sharpness, difference, same_but_blurred, sharpness, thumbnail

_STILL = 2.0
"""Grey levels. Two thumbnails with no block further apart are the same picture to the embedder,
which is then not asked again."""
_IN_TRANSIT = 0.4
"""Share of the scene's sharpness; a lone frame between two views that is less sharp was taken while
the camera swung."""
_SWING_S = 0.3
_MOST_WAITING = 32
"""Frames that one moment holds: 1 s at 30 frames/s. Each holds its picture in memory."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the decision depends on, beside the frames."""

    novelty: float
    """Distance of a cell that is no noise; it belongs to the embedder."""
    min_sharpness: float = 0.6
    """Share of the scene's own level below which a frame is blurry; 0 switches the gate off."""
    max_wait_s: float = 1.0
    """How long a moment waits for a better frame, in the frames' own time; 0: not at all."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A decision, with what is needed to act on it."""

    decision: Decision
    frame: Frame | None = None
    """The frame, where it is kept; None otherwise, so that its picture can be let go."""


@dataclass(frozen=True, slots=True, eq=False)
class _View:
    """A picture as the embedder saw it; shared by all that look the same."""

    thumbnail: Image
    embedding: Embedding
    cells: Cells


@dataclass(frozen=True, slots=True, eq=False)
class _Measured:
    """A frame with its measures."""

    frame: Frame
    timed: bool
    """Whether the frame lies on a time line; a photograph among others does not."""
    at_s: float
    thumbnail: Image
    sharpness: Sharpness | None
    """None: it was not measured, because the frame shows what the last one showed."""
    view: _View

    @property
    def sharp(self) -> Sharpness:
        """Of a frame that may be kept."""
        assert self.sharpness is not None
        return self.sharpness


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    """A frame of the moment that is open."""

    measured: _Measured
    found: Finding


class Sifter:
    """Decides frame by frame for one source."""

    def __init__(
        self,
        limits: Limits,
        embed: Callable[[Picture], Embedding],
        gallery: Gallery,
        state: bytes | None = None,
        *,
        model: str = "",
    ) -> None:
        """`state` as `state` gave it in an earlier life; what another `model` had left is ignored,
        since its numbers mean nothing to this one."""
        self.limits = limits
        self.gallery = gallery
        self._model = model
        self._embed = embed
        self._novelty = Novelty(limits.novelty)
        self._scene = Scene(limits.novelty)
        self._waiting: list[_Waiting] = []
        self._favourite: _Waiting
        """Of photographs that wait, the one to be kept."""
        self._seen: _View | None = None
        """The last picture embedded."""
        self._last: Finding | None = None
        """About the last frame decided, if it was no news; the next may show the same."""
        self._decided: _View | None = None
        """The same as of the last decision."""
        if state is not None:
            self._restore(state)

    @property
    def waiting(self) -> int:
        """Frames offered whose decision is not out yet."""
        return len(self._waiting)

    def offer(self, frame: Frame) -> list[Verdict]:
        """Take a frame; return the decisions that are due, in the order of their frames.

        Raises what the embedder raises; the frame then counts for nothing.
        """
        return self._judge([self._measure(frame)])

    def flush(self) -> list[Verdict]:
        """Decide what is still waiting: nothing more will come for a while."""
        verdicts: list[Verdict] = []
        while self._waiting:
            done, again = self._close()
            verdicts += done + self._judge(again)
        return verdicts

    def forget(self, id_: str) -> None:
        """A frame that was kept could not be written: nothing can repeat it any more.

        Call it before the next `offer`. What waits is compared anew; what the scene has learned
        from the frame stays, since that was there to be seen.
        """
        self.gallery.remove(id_)
        self._last = None
        for place, each in enumerate(self._waiting):
            measured = each.measured
            found = (
                self._novelty.find(measured.view.cells, self.gallery, self._scene, measured.at_s)
                if measured.timed
                else self._find_picture(measured)
            )
            again = _Waiting(measured, replace(found, news=found.news or each.found.news))
            if not measured.timed and each is self._favourite:
                self._favourite = again
            self._waiting[place] = again

    def _judge(self, frames: list[_Measured]) -> list[Verdict]:
        verdicts: list[Verdict] = []
        queue = deque(frames)
        while queue:
            done, again = self._step(queue.popleft())
            verdicts += done
            queue.extendleft(reversed(again))
        return verdicts

    # -- measures ----------------------------------------------------------------------------------

    def _measure(self, frame: Frame) -> _Measured:
        luma = frame.picture.luma()
        thumb = thumbnail(luma)
        view = self._look(frame.picture, thumb)
        self._seen = view
        at_s = frame.captured_at_ns / 1e9
        still = frame.content_hash is not None
        timed = not still or frame.captured_at_origin is TimeOrigin.FILENAME
        # At 5 frames/s every frame is measured; faster, one that shows what the last one showed
        # would teach nothing about the scene.
        due = not 0 <= at_s - self._scene.level.last_s < SPACING_S
        rests = timed and self._rests(view, at_s) and not due
        # A still is kept as the file it is; its pixels, which may be many, are needed no more.
        frame = frame.without_pixels() if still else frame
        return _Measured(frame, timed, at_s, thumb, None if rests else sharpness(luma), view)

    def _rests(self, view: _View, at_s: float) -> bool:
        """Whether this is what the last frame showed, and no time has passed to make it news."""
        if view is not self._decided or self._last is None or self._waiting:
            return False
        return not self._last.stirs or 0 <= at_s - self._scene.previous_s < SPACING_S

    def _look(self, picture: Picture, thumb: Image) -> _View:
        """What the embedder says, or what it said of the last picture if this one looks the same.

        The last picture *embedded* is compared, not the last one offered: a slow drift adds up.
        """
        if self._seen is not None and difference(self._seen.thumbnail, thumb) <= _STILL:
            return self._seen
        embedding = self._embed(picture).in_half_precision()
        return _View(thumb, embedding, Cells.of(embedding))

    # -- one frame ---------------------------------------------------------------------------------

    def _step(self, measured: _Measured) -> tuple[list[Verdict], list[_Measured]]:
        """Decisions that are due, and frames to be looked at again."""
        if self._waiting and self._waiting[0].measured.timed is not measured.timed:
            done, again = self._close()
            return done, [*again, measured]
        if not measured.timed:
            return self._step_picture(measured)
        if self._rests(measured.view, measured.at_s):
            assert self._last is not None
            return [self._passed(measured, self._last, Reason.NEAR_DUPLICATE)], []
        found = self._novelty.find(measured.view.cells, self.gallery, self._scene, measured.at_s)
        if self._waiting:
            return self._step_waiting(_Waiting(measured, found))
        if self._opens_moment(found, measured.at_s):
            self._waiting = [_Waiting(measured, found)]
            return self._close() if self.limits.max_wait_s <= 0 else ([], [])
        if found.news is None:
            return [self._passed(measured, found, Reason.NEAR_DUPLICATE)], []
        found = replace(
            found, why=f"{found.why}, but within {self._novelty.gap_s:.0f} s of the last"
        )
        return [self._passed(measured, found, Reason.RATE_LIMITED)], []

    def _opens_moment(self, found: Finding, at_s: float) -> bool:
        """News in one view, and views of one pan, are a second apart unless they are urgent."""
        if found.news is None or self.gallery.size == 1:
            return found.news is not None
        if found.news is News.VIEW:
            last_s, urgent = self._scene.kept_s, found.cut
        else:
            urgent = found.weight > self._novelty.urgent_weight
            last_s = self._scene.local_s
        return urgent or not 0 <= at_s - last_s < self._novelty.gap_s

    def _step_waiting(self, new: _Waiting) -> tuple[list[Verdict], list[_Measured]]:
        first, last = self._waiting[0], self._waiting[-1]
        waited_s = new.measured.at_s - first.measured.at_s
        in_time = 0 <= waited_s <= self.limits.max_wait_s
        cut = self._cut_between(last.measured, new.measured)
        if cut and in_time and first.found.news is News.VIEW and self._swinging():
            swung, self._waiting = self._waiting, []
            return self._none_kept(swung, Reason.BLURRY, "the camera was swinging")[0], [
                new.measured
            ]
        if cut or not in_time or len(self._waiting) >= _MOST_WAITING:
            done, again = self._close()
            return done, [*again, new.measured]
        self._waiting.append(new)
        return [], []

    def _cut_between(self, a: _Measured, b: _Measured) -> bool:
        if not self._novelty.cut_between(a.view.cells, b.view.cells):
            return False
        soft = self._in_transit(a) or self._in_transit(b)
        return not (soft and same_but_blurred(a.thumbnail, b.thumbnail))

    # -- blur --------------------------------------------------------------------------------------

    @property
    def _sharpness_limit(self) -> float | None:
        """None: too little is known of the scene to call anything blurred."""
        level = self._scene.level.value()
        return None if level is None else self.limits.min_sharpness * level

    def _blurred(self, measured: _Measured) -> bool:
        limit = self._sharpness_limit
        return limit is not None and measured.sharp.value < limit

    def _in_transit(self, measured: _Measured) -> bool:
        level = self._scene.level.value() or self._scene.level.before
        share = min(_IN_TRANSIT, self.limits.min_sharpness)
        return level is not None and measured.sharp.value < share * level

    def _swinging(self) -> bool:
        """Whether all that waits was taken while the camera swung. A shot is no swing: it lasts."""
        lasted_s = self._waiting[-1].measured.at_s - self._waiting[0].measured.at_s
        return lasted_s <= _SWING_S and all(
            self._in_transit(each.measured) for each in self._waiting
        )

    # -- the end of a moment -----------------------------------------------------------------------

    def _close(self) -> tuple[list[Verdict], list[_Measured]]:
        """Keep the best of the moment; what came after it is to be looked at again."""
        if not self._waiting[0].measured.timed:
            return self._close_pictures(), []
        waiting, best = self._waiting, self._best()
        local = waiting[0].found.local
        self._waiting = []
        blurred = self._blurred(best.measured)
        if not local:
            # A new view has no level yet; beside the last one, gross blur is blur all the same.
            blurred = blurred or self._in_transit(best.measured)
        if blurred and (known := self._sharp_already(best.measured)) is not None:
            return self._none_kept(
                waiting, Reason.BLURRY, "blurred, of a scene that was kept", known
            )
        lone = len(waiting) >= 4 and sum(each.found.news is not None for each in waiting) == 1
        if local and lone and best.found.weight <= self._novelty.lone_weight:
            why = "seen in a single frame only"
            return self._none_kept(waiting, Reason.NEAR_DUPLICATE, why)
        place = waiting.index(best)
        reason = Reason.SHARPEST if blurred else Reason.NOVEL
        kept = self._kept(best, reason, view=not local)
        verdicts = self._before(waiting[:place], best, view=not local)
        return [*verdicts, kept], [each.measured for each in waiting[place + 1 :]]

    def _before(self, earlier: list[_Waiting], best: _Waiting, *, view: bool) -> list[Verdict]:
        """Drop what came before the best frame of a moment.

        In a new view the best is the one with most detail, and somebody may have left the picture
        before: the frame that shows such a large thing is kept beside it.
        """
        most = max((each.found.weight for each in earlier), default=0.0)
        most = max(most, best.found.weight)
        also = self._missing(earlier) if view and self.gallery.size > 1 else None
        return [
            self._kept_beside(also)
            if also is not None and each.measured is also.measured
            else self._lesser(each, best, most)
            for each in earlier
        ]

    def _missing(self, earlier: list[_Waiting]) -> _Waiting | None:
        """The sharp frame with the largest thing that the kept ones do not show; None: no such."""
        able = []
        for each in earlier:
            cells, at_s = each.found.cells, each.measured.at_s
            found = self._novelty.find(cells, self.gallery, self._scene, at_s)
            large = found.local and found.weight > self._novelty.large_weight
            if large and not self._blurred(each.measured):
                able.append(_Waiting(each.measured, found))
        return max(able, key=lambda each: each.found.weight, default=None)

    def _best(self) -> _Waiting:
        """The waiting frame that shows the moment best; a blurred one only if all of them are."""
        local = self._waiting[0].found.local
        # What begins as a few changed cells may end as another view (a dissolve): both compete.
        able = [each for each in self._waiting if each.found.news is not None]
        if not local:
            able = [each for each in able if not each.found.local]
        sharp = [each for each in able if not self._blurred(each.measured)]
        if not sharp:
            return max(able, key=lambda each: each.measured.sharp.value)
        if local:
            return max(sharp, key=lambda each: each.found.shown)
        return max(sharp, key=lambda each: each.measured.sharp.detail * each.measured.sharp.value)

    def _sharp_already(self, measured: _Measured) -> str | None:
        """The kept frame that differs from this one by blur alone; None: there is none."""
        for kept in reversed(self.gallery.kept):
            if same_but_blurred(measured.thumbnail, kept.thumbnail):
                return kept.id
        return None

    def _none_kept(
        self, waiting: list[_Waiting], reason: Reason, why: str, known: str | None = None
    ) -> tuple[list[Verdict], list[_Measured]]:
        limit = self._novelty.lone_weight
        verdicts = []
        for each in waiting:
            found = replace(each.found, why=why, limit=max(limit, each.found.weight))
            verdicts.append(self._passed(each.measured, found, reason, known))
        return verdicts, []

    # -- photographs: no time line, no scene, only what they look like -----------------------------

    def _step_picture(self, measured: _Measured) -> tuple[list[Verdict], list[_Measured]]:
        """A burst of pictures that repeat each other competes for one place; the sharpest is kept.

        No chains: what is dropped is within the limit of the very picture that is named.
        """
        found = self._find_picture(measured)
        new = _Waiting(measured, found)
        if self._waiting:
            if self._repeats(new, self._favourite) and len(self._waiting) < _MOST_WAITING:
                if self._favours(new):
                    self._favourite = new
                self._waiting.append(new)
                return [], []
            return self._close_pictures(), [measured]
        if found.news is None:
            self._decided, self._last = measured.view, None
            return [Verdict(self._record(measured, found, Reason.NEAR_DUPLICATE))], []
        self._waiting, self._favourite = [new], new
        return (self._close_pictures(), []) if self.limits.max_wait_s <= 0 else ([], [])

    def _find_picture(self, measured: _Measured) -> Finding:
        cells = measured.view.cells
        limit = self._novelty.picture_limit(cells)
        if not len(self.gallery):
            return Finding(cells, News.VIEW, limit=limit, why="nothing was kept before")
        apart = self._novelty.apart(cells, self.gallery)
        nearest = int(np.argmin(apart))
        weight = float(apart[nearest])
        news = News.VIEW if weight > limit else None
        return Finding(cells, news, weight, limit, nearest=nearest)

    def _favours(self, new: _Waiting) -> bool:
        """Whether it is sharper than the favourite, new, and repeated by all the others."""
        sharper = new.measured.sharp.value > self._favourite.measured.sharp.value
        return (
            sharper
            and new.found.news is not None
            and all(self._repeats(each, new) for each in self._waiting)
        )

    def _repeats(self, a: _Waiting, b: _Waiting) -> bool:
        apart = self._novelty.between(a.found.cells, b.found.cells)
        return apart <= self._novelty.picture_limit(a.found.cells)

    def _close_pictures(self) -> list[Verdict]:
        waiting, best = self._waiting, self._favourite
        self._waiting = []
        verdicts = []
        for each in waiting:
            if each is best:
                verdicts.append(self._verdict_kept(best, Reason.NOVEL))
                continue
            apart = self._novelty.between(each.found.cells, best.found.cells)
            found = replace(each.found, weight=apart, why="a sharper picture of the same was kept")
            record = self._record(each.measured, found, Reason.NEAR_DUPLICATE, best.measured)
            verdicts.append(Verdict(record))
        self._decided, self._last = waiting[-1].measured.view, None
        return verdicts

    # -- decisions ---------------------------------------------------------------------------------

    def _kept(self, best: _Waiting, reason: Reason, *, view: bool) -> Verdict:
        """Keep a frame, and learn from it."""
        verdict = self._verdict_kept(best, reason)
        measured = best.measured
        sharp, at_s = measured.sharp.value, measured.at_s
        self._novelty.kept(best.found, self.gallery, self._scene, sharp, at_s, view=view)
        self._decided = measured.view
        return verdict

    def _kept_beside(self, each: _Waiting) -> Verdict:
        """Keep an earlier frame of a moment as well. What moves is followed from the best one."""
        verdict = self._verdict_kept(each, Reason.NOVEL)
        if each.found.changed is not None:
            self._scene.remember(each.found.changed, each.found.cells, each.measured.at_s)
        return verdict

    def _verdict_kept(self, best: _Waiting, reason: Reason) -> Verdict:
        measured = best.measured
        record = self._record(measured, best.found, reason)
        view = measured.view
        self.gallery.add(Kept(record.id, view.embedding, measured.thumbnail, view.cells))
        self._last = None
        return Verdict(record, measured.frame)

    def _passed(
        self, measured: _Measured, found: Finding, reason: Reason, nearest: str | None = None
    ) -> Verdict:
        """Drop a frame, and learn from it."""
        record = self._record(measured, found, reason)
        if nearest is not None:
            record = replace(record, nearest_kept=nearest)
        sharp = None if measured.sharpness is None else measured.sharpness.value
        self._novelty.passed(found, self.gallery, self._scene, sharp, measured.at_s)
        self._decided = measured.view
        self._last = found.at_rest()
        return Verdict(record)

    def _lesser(self, each: _Waiting, best: _Waiting, most: float) -> Verdict:
        """A frame of the moment before its best one. It would have had to weigh more than any."""
        found = replace(each.found, limit=most, why="another frame of the moment shows more")
        reason = Reason.BLURRY if self._blurred(each.measured) else Reason.NEAR_DUPLICATE
        return Verdict(self._record(each.measured, found, reason, best.measured))

    def _record(
        self,
        measured: _Measured,
        found: Finding,
        reason: Reason,
        instead: _Measured | None = None,
    ) -> Decision:
        """What is written down. `instead`: the frame kept in its place; None: the nearest kept."""
        nearest, embedding = None, None
        if instead is not None:
            nearest, embedding = instead.frame.id, instead.view.embedding
        elif found.nearest is not None:
            kept = self.gallery.kept[found.nearest]
            nearest, embedding = kept.id, kept.embedding
        sharpness_limit = self._sharpness_limit
        if sharpness_limit is None and reason is Reason.BLURRY:
            sharpness_limit = _IN_TRANSIT * (self._scene.level.before or 0.0)
        close = None if embedding is None else similarity(measured.view.embedding, embedding)
        return about(
            measured.frame,
            reason,
            sharpness=None if measured.sharpness is None else measured.sharpness.value,
            sharpness_limit=None if measured.sharpness is None else sharpness_limit,
            similarity=close,
            novelty=None if nearest is None else found.weight,
            novelty_limit=found.limit,
            nearest_kept=nearest,
            detail=found.why or None,
        )

    # -- state -------------------------------------------------------------------------------------

    def state(self) -> bytes:
        """All that is remembered beside the gallery, as of the last decision given out."""
        arrays: Arrays = {"model": np.array(self._model), **self._scene.arrays()}
        if self._decided is not None:
            arrays["seen_thumbnail"] = self._decided.thumbnail
            arrays["seen_vector"] = self._decided.embedding.vector
            grid = self._decided.embedding.grid
            if grid is not None and self._decided.cells is not self._scene.previous:
                arrays["seen_grid"] = grid.astype(np.float16)
        last = self._last
        if last is not None and last.distances is not None and last.changed is not None:
            arrays["last_distances"], arrays["last_changed"] = last.distances, last.changed
            arrays["last_numbers"] = np.array([last.weight, last.limit, last.shown])
            arrays["last_nearest"], arrays["last_why"] = np.array(last.nearest), np.array(last.why)
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)  # type: ignore[arg-type]  # numpy's stub takes allow_pickle too
        return buffer.getvalue()

    def _restore(self, state: bytes) -> None:
        with np.load(io.BytesIO(state), allow_pickle=False) as arrays:
            if str(arrays["model"]) != self._model:
                return
            self._scene.restore(arrays)
            if "seen_thumbnail" not in arrays:
                return
            cells, grid = self._scene.previous, None
            if "seen_grid" in arrays:
                grid = np.asarray(arrays["seen_grid"], np.float32)
            elif cells is not None and cells.rows * cells.columns > 1:
                grid = cells.grid()
            embedding = Embedding(arrays["seen_vector"], grid)
            if grid is not None and "seen_grid" in arrays:
                cells = Cells.of(embedding)
            self._decided = _View(arrays["seen_thumbnail"], embedding, cells or Cells.of(embedding))
            self._seen = self._decided
            if "last_distances" in arrays:
                weight, limit, shown = (float(number) for number in arrays["last_numbers"])
                self._last = Finding(
                    self._decided.cells,
                    weight=weight,
                    limit=limit,
                    shown=shown,
                    nearest=int(arrays["last_nearest"]),
                    changed=np.asarray(arrays["last_changed"], np.bool_),
                    distances=np.asarray(arrays["last_distances"], np.float32),
                    why=str(arrays["last_why"]),
                ).at_rest()
