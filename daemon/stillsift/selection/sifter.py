"""The heart: decides which frames of one source are kept, and says why.

No disk, no clock, no thread. Time is the frame's own, so the same frames give the same decisions
live, from clips and from archives, with or without a restart in between.

A frame that shows something new waits for a better picture of the same: `moments` decides about
what lies on a time line, `photographs` about what does not. Decisions therefore come out later than
the frames went in, always in the frames' order. Nothing is learned while frames wait: the state
after the last decision, and the frames that still wait, are all that is needed to go on as if
nothing had happened.
"""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ..arrays import Arrays, Image, packed
from ..decisions import about
from ..embedding import Embedding
from ..frames import Frame, Picture
from ..health import Alarm, CameraHealth, Sighting
from .budgets import Budgets
from .bursts import Bursts
from .cells import Cells
from .comparison import Comparison
from .context import Context
from .gallery import Gallery, GalleryFrame
from .keep_ratio import KeepRatio
from .limits import Limits
from .measured import EmbeddedPicture, Measured, on_time_line
from .moments import Moments
from .novelty import Novelty
from .scene import Scene
from .sharpness import sharpness
from .thumbnail import GLANCE_S, changed, difference, thumbnail
from .verdict import Step, Verdict

_FORMAT = 1
"""Of the state. A state of another format is forgotten: the scene is learned anew in a minute."""
_STILL = 2.5
"""Grey levels. Two thumbnails with no block further apart are the same picture to the embedder,
which is then not asked again. Of an empty road the noise alone drifts by 2.1."""
_AT_ONCE = 0.2
"""Within `GLANCE_S` of the last picture embedded, one is embedded only where this share of it has
changed, as at a cut: whatever else came in is still there at the next look, and moved no further
than the rule follows. At 25 frames/s every third frame of a scene that moves is embedded."""


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
        alarms: bool = True,
        elsewhere: Callable[[], Sequence[GalleryFrame]] = tuple,
    ) -> None:
        """`state` as `state` gave it in an earlier life; what another `model` had left is ignored,
        since its numbers mean nothing to this one. The same goes for other `limits.regions`, and
        there the gallery is emptied too: painted otherwise, all of it would look new for ever.
        `alarms`: whether the source is watched for troubles of its own, which changes no decision.
        `elsewhere` is asked before a frame is kept for what the other sources of the group have
        kept."""
        self.limits = limits
        self.gallery = gallery
        self._model = model
        self._made_by = f"{_FORMAT}/{model}"
        self._embed = embed
        self._context = Context(
            gallery,
            Novelty(limits.novelty, limits.sensitivity, limits.regions),
            Scene(limits.novelty),
            Budgets(limits.amounts),
            KeepRatio(limits.amounts.keep_ratio),
            elsewhere,
        )
        self._moments = Moments(limits, self._context)
        self._bursts = Bursts(limits, self._context)
        self._seen: EmbeddedPicture | None = None
        """The last picture embedded."""
        self.regions_changed = False
        """Whether `state` was made with other regions, and the gallery emptied for that."""
        self._health = CameraHealth()
        self._alarms_on = alarms
        self._unchecked: deque[Image | Sighting | None] = deque()
        """Of every frame that waits its thumbnail (None: it lies on no time line), and what was not
        read after it, in their order."""
        self._alarms: list[Alarm] = []
        if state is not None:
            self._restore(state)

    @property
    def waiting(self) -> int:
        """Frames offered whose decision is not out yet."""
        return len(self._moments.waiting) + len(self._bursts.waiting)

    def offer(self, frame: Frame) -> list[Verdict]:
        """Take a frame; return the decisions that are due, in the order of their frames.

        Raises what the embedder raises; the frame then counts for nothing.
        """
        luma = frame.picture.luma()
        thumb = thumbnail(luma)
        shut = self.limits.gates.dropped(thumb, frame.picture)
        if shut is None:
            measured = self._measure(frame, luma, thumb)
            self._context.budgets.settle()
            self._unchecked.append(thumb if measured.timed else None)
            verdicts = self._judge([measured])
            measured.luma = None
            return self._checked(verdicts)
        # It teaches nothing and is compared with nothing, so what the sifter remembers holds as
        # it is: the next frame is taken as if this one had not been. What waits is older.
        reason, why = shut
        self._context.budgets.settle()
        flushed = self.flush()
        self._unchecked.append(thumb if on_time_line(frame) else None)
        verdict = Verdict(about(frame, reason, detail=why), _lightened(frame))
        self._context.decide([verdict])
        return [*flushed, *self._checked([verdict])]

    def flush(self) -> list[Verdict]:
        """Decide what is still waiting: nothing more will come for a while."""
        verdicts: list[Verdict] = []
        while self.waiting:
            done, again = (self._moments if self._moments.waiting else self._bursts).close()
            self._context.decide(done)
            verdicts += done + self._judge(again)
        return self._checked(verdicts)

    def repeated(self, at_ns: int, origin: str, content_hash: str) -> list[Verdict]:
        """A still on the time line that was not read, since an earlier one had the same content.

        It is decided, and changes no decision about others; but the source goes on to show a
        picture, and time passes: return the decisions that are due for that, as `offer` does.
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
        """Whether a still waits; it has let its pixels go, and cannot be offered anew."""
        waiting = [*self._moments.waiting, *self._bursts.waiting]
        return any(each.measured.frame.content_hash is not None for each in waiting)

    def successor(
        self,
        limits: Limits,
        size: int,
        *,
        alarms: bool,
        elsewhere: Callable[[], Sequence[GalleryFrame]] = tuple,
    ) -> tuple[Sifter, list[Verdict]]:
        """A sifter with other limits and a gallery of another `size` that goes on from here, as
        after a restart, and the decisions that are due then. What waits is offered to it anew.

        This one stays as it is. Not while it `holds_stills`. Raises what the embedder raises.
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
        """The alarms that began or ended with the decisions given out since the last call."""
        taken, self._alarms = self._alarms, []
        return taken

    @property
    def alarms(self) -> list[Alarm]:
        """Those that have begun and are not over."""
        return self._health.now

    def forget(self, id_: str) -> None:
        """A frame that was kept could not be written: nothing can repeat it any more.

        Call it before the next `offer`. What waits is compared anew; what the scene has learned
        from the frame stays, since that was there to be seen.
        """
        self.gallery.remove(id_)
        self._context.give_back(id_)
        self._context.last = None
        self._moments.compare_anew()
        self._bursts.compare_anew()

    def _judge(self, frames: list[Measured]) -> list[Verdict]:
        verdicts: list[Verdict] = []
        queue = deque(frames)
        while queue:
            done, again = self._step(queue.popleft())
            self._context.decide(done)
            verdicts += done
            queue.extendleft(reversed(again))
        return verdicts

    def _step(self, measured: Measured) -> Step:
        """Decisions that are due, and frames to be looked at again."""
        path: Moments | Bursts = self._moments
        other: Moments | Bursts = self._bursts
        if not measured.timed:
            path, other = other, path
        if other.waiting:
            done, again = other.close()
            return done, [*again, measured]
        return path.step(measured)

    def _checked(self, verdicts: list[Verdict]) -> list[Verdict]:
        """The same verdicts, their frames watched for what is wrong with the source.

        A frame is watched when it is decided, and not when it is offered: what is remembered then
        goes with the last decision, as all of the state does.
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
        """What was not read has its turn as soon as all before it is decided."""
        while self._unchecked and isinstance(seen := self._unchecked[0], Sighting):
            self._unchecked.popleft()
            health = self._health
            self._alarms += health.step(seen) if self._alarms_on else health.silence(seen.at_ns)

    # -- measures ----------------------------------------------------------------------------------

    def _measure(self, frame: Frame, luma: Image, thumb: Image) -> Measured:
        """`thumb` is that of the whole picture, as `luma` is. Sharpness is measured on the whole as
        well: the edge of what is painted would always be sharp."""
        regions = self.limits.regions
        thumb = thumbnail(luma, regions.paint) if regions else thumb
        at_s = frame.captured_at_ns / 1e9
        still, timed = frame.content_hash is not None, on_time_line(frame)
        embedded = self._look(frame.picture, thumb, at_s, glance=not still)
        self._seen = embedded
        sharp = sharpness(luma) if still else None
        return Measured(_lightened(frame), timed, at_s, thumb, sharp, embedded, luma)

    def _look(
        self, picture: Picture, thumb: Image, at_s: float, *, glance: bool
    ) -> EmbeddedPicture:
        """What the embedder says, or what it said of the last picture if this one looks the same.

        The last picture *embedded* is compared, not the last one offered: a slow drift adds up.
        `glance`: the frame comes out of a stream, where the next one is a moment later.
        """
        seen = self._seen
        if seen is not None:
            if difference(seen.thumbnail, thumb) <= _STILL:
                return seen
            glance = glance and 0 <= at_s - seen.at_s < GLANCE_S
            if glance and changed(seen.thumbnail, thumb) < _AT_ONCE:
                return seen
        embedding = self._embed(self.limits.regions.painted(picture)).in_half_precision()
        return EmbeddedPicture(thumb, embedding, Cells.of(embedding), at_s)

    # -- state -------------------------------------------------------------------------------------

    def state(self) -> bytes:
        """All that is remembered beside the gallery, as of the last decision given out."""
        arrays: Arrays = {
            "made_by": np.array(self._made_by),
            "regions": np.array(self.limits.regions.key),
            **self._context.scene.arrays(),
            **self._health.arrays(),
            **self._context.budgets.arrays(),
            **self._context.keep_ratio.arrays(),
        }
        if self._context.decided is not None:
            arrays["seen_thumbnail"] = self._context.decided.thumbnail
            arrays["seen_at_s"] = np.array(self._context.decided.at_s)
            arrays["seen_vector"] = self._context.decided.embedding.vector
            grid = self._context.decided.embedding.grid
            if grid is not None and self._context.decided.cells is not self._context.scene.previous:
                arrays["seen_grid"] = grid.astype(np.float16)
        last = self._context.last
        if last is not None and last.distances is not None and last.changed is not None:
            arrays["last_distances"], arrays["last_changed"] = last.distances, last.changed
            assert last.nearest is not None
            arrays["last_numbers"] = np.array([last.weight, last.limit, last.shown])
            arrays["last_nearest_id"] = np.array(self.gallery.kept[last.nearest].id)
            arrays["last_rule"], arrays["last_why"] = np.array(self._rule), np.array(last.why)
        return packed(arrays)

    def _restore(self, state: bytes) -> None:
        with np.load(io.BytesIO(state), allow_pickle=False) as arrays:
            self._health.restore(arrays)  # which asks no model, and sees the whole picture
            self._context.budgets.restore(arrays)  # how much was kept depends on no model
            # A state from before there were regions was painted nowhere.
            painted = str(arrays["regions"]) if "regions" in arrays else ""
            if painted != self.limits.regions.key:
                self.regions_changed = True
                self.gallery.clear()
                return
            if "made_by" not in arrays or str(arrays["made_by"]) != self._made_by:
                return
            self._context.scene.restore(arrays)
            self._context.keep_ratio.restore(arrays)
            self._context.novelty.tune(self._context.keep_ratio.factor)
            if "seen_thumbnail" not in arrays:
                return
            self._seen = self._context.decided = self._restored_view(arrays)
            self._context.last = self._restored_last(arrays, self._seen.cells)

    @property
    def _rule(self) -> str:
        """All that decides what is found in a frame, beside the frames."""
        asked = self.limits.sensitivity.value, self.limits.amounts.keep_ratio
        return repr((self.limits.novelty, *asked, self.gallery.size))

    def _restored_last(
        self, arrays: Mapping[str, NDArray[np.generic]], cells: Cells
    ) -> Comparison | None:
        """What was found in the last frame. None: it was news, or another rule found it, or the
        frame it was compared with is gone from the gallery; then the next one is looked at anew."""
        # A state from before there were these two names the nearest by its place alone.
        if "last_nearest_id" not in arrays or str(arrays["last_rule"]) != self._rule:
            return None
        ids = [kept.id for kept in self.gallery.kept]
        if (nearest := str(arrays["last_nearest_id"])) not in ids:
            return None
        weight, limit, shown = (float(number) for number in arrays["last_numbers"])
        return Comparison(
            cells,
            weight=weight,
            limit=limit,
            shown=shown,
            nearest=ids.index(nearest),
            changed=np.asarray(arrays["last_changed"], np.bool_),
            distances=np.asarray(arrays["last_distances"], np.float32),
            why=str(arrays["last_why"]),
        ).at_rest()

    def _restored_view(self, arrays: Mapping[str, NDArray[np.generic]]) -> EmbeddedPicture:
        thumb = np.asarray(arrays["seen_thumbnail"], np.uint8)
        vector = np.asarray(arrays["seen_vector"], np.float32)
        at_s = float(arrays["seen_at_s"]) if "seen_at_s" in arrays else -np.inf
        previous = self._context.scene.previous
        if "seen_grid" in arrays:
            embedding = Embedding(vector, np.asarray(arrays["seen_grid"], np.float32))
            return EmbeddedPicture(thumb, embedding, Cells.of(embedding), at_s)
        if previous is not None and len(previous.energy) > 1:
            return EmbeddedPicture(thumb, Embedding(vector, previous.grid()), previous, at_s)
        embedding = Embedding(vector, None)
        return EmbeddedPicture(thumb, embedding, Cells.of(embedding), at_s)


def _sighting(verdict: Verdict, thumb: Image) -> Sighting:
    """What the camera's health is told of a decided frame."""
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


def _lightened(frame: Frame) -> Frame:
    """A still is kept as the file it is; its pixels, which may be many, are needed no more."""
    return frame if frame.content_hash is None else frame.without_pixels()
