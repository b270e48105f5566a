"""Decides which frames of one source are kept, and says why.

Uses no disk, no clock and no thread. Time is the frame's own, so the same frames give the same
decisions live, from clips and from archives, with or without a restart in between.

A frame that shows something new waits for a better picture of the same: `moments` (or `changes`)
decides about frames on a time line, `bursts` about all others. So decisions come out later than the
frames went in, always in the frames' order. Nothing is learned while frames wait: the state after
the last decision, and the frames that still wait, are enough to go on after a restart.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ..arrays import Arrays, Image, optional_floats, optional_mask, packed, unpacked
from ..decisions import Box, Detection, Reason, about
from ..embedding import Embedding
from ..frames import ArrayPicture, Frame, Picture
from ..health import Alarm, CameraHealth, Sighting
from .album import Album
from .budgets import Budgets
from .bursts import Bursts, may_be_blurred
from .cells import Cells
from .changes import Changes
from .comparison import Comparison
from .context import Context
from .gallery import Gallery, GalleryFrame
from .gates import Exposure
from .keep_ratio import KeepRatio
from .learning import Learning
from .likeness import Shown
from .limits import Limits
from .measured import Ahead, EmbeddedPicture, Measured, on_time_line
from .moments import Moments
from .moved_view import Move
from .novelty import Novelty
from .overview import Overviews, overview_of, within
from .photographs import Photographs, Search, none_elsewhere
from .replacement import Earlier, Replacements
from .scene import Scene
from .sharpness import Sharpness, sharpest_part, sharpness
from .small_picture import small_picture
from .target_check import TargetCheck
from .targets import LOOKED_AT, Detect, Targets
from .thumbnail import GLANCE_S, changed, colours, difference, recoloured, thumbnail
from .verdict import Step, Verdict

_FORMAT = 3
"""Format of the state. A state of another format is ignored; a scene is learned in a minute."""
_STILL = 2.5
"""Grey levels. If no block of two thumbnails is further apart, they count as the same picture and
the embedder is not asked again. On an empty road, noise alone drifts by 2.1."""
_TINGED = 6.0
"""Levels. The same for the colours of two pictures."""
_AT_ONCE = 0.2
"""Share of a picture that has to change, as at a cut, before it is embedded within `GLANCE_S` of
the last embedded one. Anything smaller that came in is still there a moment later, and has moved no
further than the rule follows. At 25 frames/s every third frame of a moving scene is embedded."""


def _no_picture(_id: str) -> ArrayPicture | None:
    """Finds no picture, where kept frames cannot be read."""
    return None


def _nothing_found(
    _picture: Image, _parts: Sequence[Box], _targets: Targets
) -> Sequence[Detection]:
    """Finds no object, where nobody asks for one."""
    return ()


class Sifter:
    """Decides about the frames of one source, one after the other."""

    def __init__(
        self,
        limits: Limits,
        embed: Callable[[Picture], Embedding],
        gallery: Gallery,
        state: bytes | None = None,
        *,
        model: str = "",
        alarms: bool = True,
        elsewhere: Callable[[], Sequence[GalleryFrame]] = tuple,
        album: Album | None = None,
        search_elsewhere: Search = none_elsewhere,
        picture: Callable[[str], ArrayPicture | None] = _no_picture,
        detect: Detect = _nothing_found,
        earlier: Earlier | None = None,
    ) -> None:
        """Starts with a gallery, and goes on from a `state` if there is one.

        `state`: what the method `state` gave before a restart. The part that depends on the model
        is ignored if another `model` made it, since its numbers mean nothing to this one, and also
        if it was made with other `limits.regions`. With other regions the gallery is emptied too:
        painted differently, every frame would look new for ever.
        `alarms`: whether alarms about the source are raised; they change no decision.
        `elsewhere`: gives the frames that the other sources of the group have kept; it is asked
        before a frame is kept. `search_elsewhere`: finds among all the photographs that they have
        kept. `album`: all photographs kept so far; None: none was. `picture`: returns the picture
        of a kept frame by its id, as it was offered; None: it cannot be had. `detect`: finds the
        objects that `limits.targets` asks for. `earlier`: lets better
        photographs replace those that were kept earlier; None: what is kept stays.
        """
        self.limits = limits
        self.gallery = gallery
        self._model = model
        self._made_by = f"{_FORMAT}/{model}"
        self._embed = embed
        self.album = Album() if album is None else album
        self._picture = picture
        self._detect = detect
        self._earlier = earlier
        novelty = Novelty(limits.novelty, limits.sensitivity, limits.regions, limits.asked)
        scene = Scene(limits.novelty)
        overviews = Overviews(picture, limits.regions.paint)
        photographs = Photographs(self.album, gallery, novelty, overviews)
        self._context = Context(
            gallery,
            novelty,
            scene,
            Learning(novelty, gallery, scene),
            Budgets(limits.amounts),
            KeepRatio(limits.amounts.keep_ratio),
            photographs,
            Replacements(photographs, earlier, self._look_again, limits.min_sharpness),
            TargetCheck(
                limits.targets,
                detect,
                limits.regions,
                lambda new, old: novelty.direct(new.embedded.cells, old.cells, scene),
                lambda new, old: novelty.changed(new.embedded.cells, old.cells, scene),
                gallery,
                embed,
                limits.novelty,
            ),
            elsewhere,
            search_elsewhere,
            limits.examples,
        )
        self._moments = (Changes if limits.every_change else Moments)(limits, self._context)
        self._bursts = Bursts(limits, self._context)
        self._seen: EmbeddedPicture | None = None
        """The last embedded picture; None: none was."""
        self._rests = False
        """Whether the last frame looked like that, so that it was not embedded itself."""
        self.regions_changed = False
        """Whether `state` was made with other regions, so that the gallery was emptied."""
        self._health = CameraHealth()
        self._alarms_on = alarms
        self._unchecked: deque[Image | Sighting | None] = deque()
        """Thumbnail of every waiting frame (None: it lies on no time line), and a `Sighting` of
        each still after it that was not read; in the order in which they came."""
        self._alarms: list[Alarm] = []
        if state is not None:
            self._restore(state)

    @property
    def waiting(self) -> int:
        """Returns the number of offered frames that are not decided yet."""
        return len(self._moments.waiting) + len(self._bursts.waiting)

    def offer(self, frame: Frame) -> list[Verdict]:
        """Takes a frame; returns the decisions that are due, in the order of their frames.

        Raises what the embedder raises; the frame then has no effect.
        """
        ahead = _ahead(frame)
        luma = frame.picture.luma() if ahead is None else ahead.luma
        thumb = thumbnail(luma) if ahead is None else ahead.thumbnail
        exposure = Exposure.of(thumb, frame.picture.levels)
        shut = self.limits.gates.dropped(exposure)
        if shut is None:
            measured = self._measure(frame, luma, thumb)
            measured.exposure = exposure
            self._context.settle()
            self._unchecked.append(thumb if measured.timed else None)
            verdicts = self._judge([measured])
            measured.luma = None
            return self._checked(verdicts)
        # A frame that a gate drops is compared with nothing and teaches nothing: the next frame is
        # taken as if this one had not come. Frames that wait are older, so they are decided first.
        reason, why = shut
        self._context.settle()
        flushed = self.flush()
        self._unchecked.append(thumb if on_time_line(frame) else None)
        record = about(frame, reason, detail=why, **exposure.told())
        verdict = Verdict(record, _lightened(frame))
        self._context.decide([verdict])
        return [*flushed, *self._checked([verdict])]

    def flush(self) -> list[Verdict]:
        """Decides all waiting frames, because no frame will come for a while."""
        verdicts: list[Verdict] = []
        while self.waiting:
            done, again = (self._moments if self._moments.waiting else self._bursts).close()
            self._context.decide(done)
            verdicts += done + self._judge(again)
        return self._checked(verdicts)

    def repeated(self, at_ns: int, origin: str, content_hash: str) -> list[Verdict]:
        """Takes note of a still on the time line that was not read, as its content was seen before.

        The still itself is decided already, and it changes no other decision. But it shows that
        the source goes on and time has passed: returns the decisions that are due by then, as
        `offer` does.
        """
        self._unchecked.append(Sighting(at_ns, origin, None, None, content=content_hash))
        verdicts: list[Verdict] = []
        while self._moments.over(at_ns / 1e9):
            done, again = self._moments.close()
            self._context.decide(done)
            verdicts += done + self._judge(again)
        return self._checked(verdicts)

    @property
    def holds_stills(self) -> bool:
        """Tells whether a still waits; it has released its pixels and cannot be offered again."""
        waiting = [*self._moments.waiting, *self._bursts.waiting]
        return any(each.measured.frame.content_hash is not None for each in waiting)

    def successor(
        self,
        limits: Limits,
        size: int,
        *,
        alarms: bool,
        elsewhere: Callable[[], Sequence[GalleryFrame]] = tuple,
        search_elsewhere: Search = none_elsewhere,
    ) -> tuple[Sifter, list[Verdict]]:
        """Returns a sifter with other limits and a gallery of `size` that goes on from here.

        It goes on as after a restart: the waiting frames are offered to it again, and the decisions
        that are due then are returned as well. This sifter stays as it is. Must not be called while
        it `holds_stills`. Raises what the embedder raises.
        """
        gallery = Gallery(size, self.gallery.kept)
        heir = Sifter(
            limits,
            self._embed,
            gallery,
            self.state(),
            model=self._model,
            alarms=alarms,
            elsewhere=elsewhere,
            album=self.album.copy(),
            search_elsewhere=search_elsewhere,
            picture=self._picture,
            detect=self._detect,
            earlier=self._earlier,
        )
        waiting = iter([*self._moments.waiting, *self._bursts.waiting])
        due: list[Verdict] = []
        for seen in self._unchecked:
            if isinstance(seen, Sighting):
                assert seen.content is not None
                due += heir.repeated(seen.at_ns, seen.origin, seen.content)
            else:
                due += heir.offer(next(waiting).measured.frame)
        return heir, due

    def take_alarms(self) -> list[Alarm]:
        """Returns the alarms that began or ended with the decisions given since the last call."""
        taken, self._alarms = self._alarms, []
        return taken

    @property
    def alarms(self) -> list[Alarm]:
        """Gives the alarms that have begun and are not over."""
        return self._health.now

    def forget(self, id_: str) -> None:
        """Takes back that a frame was kept, as it could not be written.

        Call it before the next `offer`.
        """
        self._context.give_back(id_)
        self.miss(id_)

    def miss(self, id_: str) -> None:
        """Removes a kept frame that is not there, so that no frame is a repeat of it.

        Waiting frames are compared again. What the scene has learned from the frame stays, since
        the camera did see it.
        """
        self._context.release(id_)
        self._moments.compare_anew()
        self._bursts.compare_anew()

    def _judge(self, frames: list[Measured]) -> list[Verdict]:
        """Takes frames, and those to be looked at again, until each is decided or waits."""
        verdicts: list[Verdict] = []
        queue = deque(frames)
        while queue:
            done, again = self._step(queue.popleft())
            self._context.decide(done)
            verdicts += done
            queue.extendleft(reversed(again))
        return verdicts

    def _step(self, measured: Measured) -> Step:
        """Takes one frame; returns the decisions due and the frames to be looked at again."""
        path: Moments | Changes | Bursts = self._moments
        other: Moments | Changes | Bursts = self._bursts
        if not measured.timed:
            path, other = other, path
        if other.waiting:
            done, again = other.close()
            return done, [*again, measured]
        return path.step(measured)

    def _checked(self, verdicts: list[Verdict]) -> list[Verdict]:
        """Checks the decided frames for what is wrong with the source; returns the same verdicts.

        A frame is checked when it is decided, so that the memory of the alarms belongs to the last
        decision, as all of the state does.
        """
        self._check_unread()
        for verdict in verdicts:
            thumb = self._unchecked.popleft()
            if not self._alarms_on:
                self._alarms += self._health.silence(verdict.frame.captured_at_ns)
            elif thumb is not None:
                assert not isinstance(thumb, Sighting)
                self._alarms += self._health.step(_sighting(verdict, thumb))
            self._check_unread()
        return verdicts

    def _check_unread(self) -> None:
        """Checks the stills that were not read, as soon as all frames before them are decided."""
        while self._unchecked and isinstance(seen := self._unchecked[0], Sighting):
            self._unchecked.popleft()
            health = self._health
            self._alarms += health.step(seen) if self._alarms_on else health.silence(seen.at_ns)

    # -- measures ----------------------------------------------------------------------------------

    def _measure(self, frame: Frame, luma: Image, thumb: Image) -> Measured:
        """Measures a frame; `luma` and `thumb` are those of the whole picture.

        Sharpness is measured on the whole picture too: the edge of a painted area is always sharp.
        """
        regions = self.limits.regions
        thumb = thumbnail(luma, regions.paint) if regions else thumb
        at_s = frame.captured_at_ns / 1e9
        timed = on_time_line(frame)
        still = frame.page or frame.content_hash is not None
        ahead = _ahead(frame)
        embedded = self._look(frame, thumb, at_s, glance=not still, timed=timed)
        self._rests, self._seen = embedded is self._seen, embedded
        sharp = None
        if still:
            sharp = sharpness(luma) if ahead is None else ahead.sharpness
        measured = Measured(_lightened(frame), timed, at_s, thumb, sharp, embedded, luma=luma)
        if timed and self.limits.every_change:
            measured.small = small_picture(luma, frame.picture.levels, regions.paint)
        if not timed and ahead is not None and ahead.overview is not None:
            measured.overview, measured.sharpest_part = ahead.overview, ahead.sharpest_part
        elif not timed:
            measured.overview = overview_of(frame.picture, frame.quality, luma, regions.paint)
            measured.sharpest_part = self._sharpest_part(luma, measured.sharp)
        if frame.content_hash is not None and self.limits.targets:
            measured.shown = within(frame.picture.bgr(), LOOKED_AT)
        return measured

    def ahead(self, picture: ArrayPicture, photograph: bool) -> Ahead:
        """Measures what the pixels of a still say by themselves, before it is offered.

        It changes nothing and may run in another thread. `photograph`: it is thought to be one; on
        a time line, less is measured, and while the view rests it is not embedded. Raises what the
        embedder raises.
        """
        regions, luma = self.limits.regions, picture.luma()
        sharp = sharpness(luma)
        part, overview, embedding = None, None, None
        if photograph:
            part = self._sharpest_part(luma, sharp)
            overview = overview_of(picture, picture.quality, luma, regions.paint)
        if photograph or not self._rests:
            embedding = self._embed(regions.painted(picture)).in_half_precision()
        return Ahead(luma, thumbnail(luma), sharp, part, overview, embedding)

    def _sharpest_part(self, luma: Image, sharp: Sharpness) -> float | None:
        """Returns `sharpest_part` of a photograph; None: it has none, or is sharp in any case."""
        may_be = may_be_blurred(sharp, self.limits.min_sharpness)
        return sharpest_part(luma) if may_be else None

    def _look(
        self, frame: Frame, thumb: Image, at_s: float, *, glance: bool, timed: bool
    ) -> EmbeddedPicture:
        """Embeds a picture, or returns the last embedded one if this one looks the same.

        It is compared with the last picture *embedded*, so that a slow drift adds up.
        `glance`: the frame comes out of a stream, where the next one follows a moment later.
        """
        seen = self._seen
        glance = glance and seen is not None and 0 <= at_s - seen.at_s < GLANCE_S
        if seen is not None and glance and changed(seen.thumbnail, thumb) < _AT_ONCE:
            return seen
        rests = seen is not None and difference(seen.thumbnail, thumb) <= _STILL
        if seen is not None and rests and not self.waiting and not self._context.scene.due(at_s):
            return seen
        painted, ahead = self.limits.regions.painted(frame.picture), _ahead(frame)
        tint = colours(painted) if timed else None
        if seen is not None and rests:
            was = seen.colours
            if tint is None or was is None or recoloured(was, tint) <= _TINGED:
                return seen
        embedding = None if ahead is None else ahead.embedding
        if embedding is None:
            embedding = self._embed(painted).in_half_precision()
        cells = Cells.of(embedding)
        if tint is not None:
            cells = cells.coloured(tint)
        return EmbeddedPicture(thumb, embedding, cells, at_s, tint)

    def _look_again(self, id_: str, picture: ArrayPicture) -> Shown:
        """Returns what is compared of a photograph that was offered before."""
        regions = self.limits.regions
        embedding = self._embed(regions.painted(picture)).in_half_precision()
        overview = overview_of(picture, picture.quality, paint=regions.paint)
        return Shown(id_, embedding, Cells.of(embedding), overview)

    # -- state -------------------------------------------------------------------------------------

    def state(self) -> bytes:
        """Returns all that is remembered beside the gallery, as of the last decision given."""
        arrays: Arrays = {
            "made_by": np.array(self._made_by),
            "regions": np.array(self.limits.regions.key),
            **self._context.scene.arrays(),
            **self._health.arrays(),
            **self._context.budgets.arrays(),
            **self._context.keep_ratio.arrays(),
            **self._bursts.arrays(),
            **self._context.target_check.arrays(),
        }
        if self._context.decided is not None:
            arrays["seen_thumbnail"] = self._context.decided.thumbnail
            arrays["seen_at_s"] = np.array(self._context.decided.at_s)
            arrays["seen_vector"] = self._context.decided.embedding.vector
            if (length := self._context.decided.embedding.length) is not None:
                arrays["seen_length"] = np.array(length)
            if self._context.decided.colours is not None:
                arrays["seen_colours"] = self._context.decided.colours
            grid = self._context.decided.embedding.grid
            if grid is not None and self._context.decided.cells is not self._context.scene.previous:
                arrays["seen_grid"] = grid.astype(np.float16)
        last = self._context.last
        if last is not None and last.distances is not None and last.changed is not None:
            arrays["last_distances"], arrays["last_changed"] = last.distances, last.changed
            assert last.nearest is not None
            assert last.distance is not None
            numbers = (last.weight, last.limit, last.shown, last.distance, last.stray)
            arrays["last_unsettled"] = np.array(last.unsettled)
            arrays["last_numbers"] = np.array(numbers)
            arrays["last_explained_by"] = np.array(last.explained_by or "")
            if last.move is not None:
                arrays.update(last.move.arrays("last_move"))
            if last.unexplained is not None:
                arrays["last_unexplained"] = last.unexplained
            assert last.things is not None
            arrays["last_things"] = last.things
            arrays["last_nearest_id"] = np.array(self.gallery.kept[last.nearest].id)
            arrays["last_rule"], arrays["last_why"] = np.array(self._rule), np.array(last.why)
        return packed(arrays)

    def _restore(self, state: bytes) -> None:
        arrays = unpacked(state)
        # These three depend on no model and no region.
        self._health.restore(arrays)
        self._context.budgets.restore(arrays)
        self._bursts.restore(arrays)
        # A state from before regions existed was made of whole pictures.
        painted = str(arrays["regions"]) if "regions" in arrays else ""
        if painted != self.limits.regions.key:
            self.regions_changed = True
            self.gallery.clear()
            self.album.clear()
            return
        if "made_by" not in arrays or str(arrays["made_by"]) != self._made_by:
            return
        self._context.scene.restore(arrays)
        self._context.keep_ratio.restore(arrays)
        self._context.target_check.restore(arrays)
        self._context.novelty.tune(self._context.keep_ratio.factor)
        if "seen_thumbnail" not in arrays:
            return
        self._seen = self._context.decided = self._restored_view(arrays)
        self._context.last = self._restored_last(arrays, self._seen.cells)

    @property
    def _rule(self) -> str:
        """Returns a text of all settings that decide what is found in a frame."""
        limits = self.limits
        asked = limits.asked, limits.sensitivity.value, limits.amounts.keep_ratio
        return repr((limits.novelty, *asked, limits.every_change, self.gallery.size))

    def _restored_last(
        self, arrays: Mapping[str, NDArray[np.generic]], cells: Cells
    ) -> Comparison | None:
        """Restores what was found in the last frame; with None the next frame is compared anew.

        None: it was news, or another rule found it, or the frame it was compared with is no longer
        in the gallery.
        """
        # A state from before these two keys existed names the nearest by its index alone.
        if "last_nearest_id" not in arrays or str(arrays["last_rule"]) != self._rule:
            return None
        ids = [kept.id for kept in self.gallery.kept]
        if (nearest := str(arrays["last_nearest_id"])) not in ids:
            return None
        weight, limit, shown, distance, stray = map(float, arrays["last_numbers"])
        explained_by = str(arrays["last_explained_by"])
        return Comparison(
            cells,
            weight=weight,
            limit=limit,
            shown=shown,
            nearest=ids.index(nearest),
            distance=distance,
            stray=stray,
            explained_by=Reason(explained_by) if explained_by else None,
            changed=np.asarray(arrays["last_changed"], np.bool_),
            unexplained=optional_mask(arrays, "last_unexplained"),
            things=np.asarray(arrays["last_things"], np.int32),
            move=Move.restored(arrays, "last_move"),
            unsettled=bool(arrays.get("last_unsettled", False)),
            distances=np.asarray(arrays["last_distances"], np.float32),
            why=str(arrays["last_why"]),
        ).at_rest()

    def _restored_view(self, arrays: Mapping[str, NDArray[np.generic]]) -> EmbeddedPicture:
        thumb = np.asarray(arrays["seen_thumbnail"], np.uint8)
        vector = np.asarray(arrays["seen_vector"], np.float32)
        length = float(arrays["seen_length"]) if "seen_length" in arrays else None
        at_s = float(arrays["seen_at_s"]) if "seen_at_s" in arrays else -np.inf
        tint = np.asarray(arrays["seen_colours"], np.uint8) if "seen_colours" in arrays else None
        previous = self._context.scene.previous
        if "seen_grid" not in arrays and previous is not None and len(previous.energy) > 1:
            embedding = Embedding(vector, previous.grid(), length)
            return EmbeddedPicture(thumb, embedding, previous, at_s, tint)
        embedding = Embedding(vector, optional_floats(arrays, "seen_grid"), length)
        cells = Cells.of(embedding)
        if tint is not None:
            cells = cells.coloured(tint)
        return EmbeddedPicture(thumb, embedding, cells, at_s, tint)


def _sighting(verdict: Verdict, thumb: Image) -> Sighting:
    """Returns what the alarms need to know of a decided frame."""
    frame = verdict.frame
    return Sighting(
        frame.captured_at_ns,
        frame.origin,
        frame.pts_s,
        thumb,
        sharpness=verdict.decision.sharpness,
        other_view=verdict.other_view,
        content=frame.content_hash,
    )


def _ahead(frame: Frame) -> Ahead | None:
    """Returns what was measured of a frame before its turn; None: nothing was."""
    return frame.ahead if isinstance(frame.ahead, Ahead) else None


def _lightened(frame: Frame) -> Frame:
    """Returns a still without its pixels, as they may be many and its file is stored instead."""
    return frame if frame.content_hash is None else frame.without_pixels()
