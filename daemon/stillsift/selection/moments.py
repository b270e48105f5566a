"""Moments: frames on a time line that show one new thing wait for the best of them.

A frame that shows something new opens a moment. It collects frames for up to `Limits.max_wait_s`;
then its best one is kept, those before it are dropped as its repeats, and those after it are looked
at again. Nothing is learned while a moment is open.
"""

from __future__ import annotations

from dataclasses import replace

from ..decisions import Decision, Reason
from ..frames import SPACING_S, lapse_s
from .budgets import Refusal
from .comparison import Comparison, News
from .context import Context, SiblingMatch
from .gallery import GalleryFrame
from .limits import Limits
from .measured import Candidate, EmbeddedPicture, Measured
from .thumbnail import GLANCE_S, same_but_blurred
from .verdict import Step, Verdict

_IN_TRANSIT = 0.4
"""Share of the scene's sharpness; frames between two views that are less sharp were taken while the
camera swung."""
_SWING_S = 0.3
_NEARLY_ALL = 0.8
"""Share of the most that any frame of a moment shows of its news: the first to show that much is
the best. Which of many nearly equal frames shows most is chance, and would differ from one
embedder's precision to another's."""
_MOST_WAITING = 32
"""Frames that one moment holds: 1 s at 30 frames/s."""
_MOST_PIXELS = 100_000_000
"""Pixels that one moment holds, at 1.5 bytes: 12 frames of 2160p; all 32 of 1080p."""


class Moments:
    """Decides about frames that lie on a time line."""

    def __init__(self, limits: Limits, context: Context) -> None:
        self._limits = limits
        self._context = context
        self.waiting: list[Candidate] = []
        """The moment that is open; empty: none is."""

    def step(self, measured: Measured) -> Step:
        """Take one frame."""
        if self.waiting:
            return self._step_waiting(measured)
        # At 5 frames/s every frame is measured; faster, most would teach nothing about the scene.
        if not 0 <= measured.at_s - self._context.scene.level.last_s < SPACING_S:
            measured.measure()
        if self.rests(measured.embedded, measured.at_s):
            return [self._passed(measured, self._at_rest(), Reason.NEAR_DUPLICATE)], []
        found = self._context.compare(measured.embedded.cells, measured.at_s)
        if self._opens_moment(found, measured.at_s):
            if (refusal := self._context.refusal(measured)) is not None:
                return [self._refused(measured, found, refusal)], []
            measured.measure()
            self.waiting = [Candidate(measured, found)]
            return self.close() if self._limits.max_wait_s <= 0 else ([], [])
        if found.news is None:
            return [self._passed(measured, found, Reason.NEAR_DUPLICATE)], []
        found = replace(
            found, why=f"{found.why}, but within {self._context.novelty.gap_s:g} s of the last"
        )
        return [self._passed(measured, found, Reason.RATE_LIMITED)], []

    def over(self, at_s: float) -> bool:
        """Whether a moment is open to which no frame of this time or later belongs."""
        return bool(self.waiting) and (
            lapse_s(self.waiting[0].measured.at_s, at_s) > self._limits.max_wait_s
        )

    def rests(self, embedded: EmbeddedPicture, at_s: float) -> bool:
        """Whether this is what the last frame showed, and no time has passed to make it news."""
        last = self._context.last
        if embedded is not self._context.decided or last is None or self.waiting:
            return False
        return not last.stirs or 0 <= at_s - self._context.scene.previous_s < SPACING_S

    def _at_rest(self) -> Comparison:
        """What the last frame showed, held to the limit that is in force by now."""
        last = self._context.last
        assert last is not None
        if not self._context.keep_ratio.on:
            return last
        return replace(last, limit=max(last.weight, self._context.novelty.weight))

    def compare_anew(self) -> None:
        """The gallery has changed under what waits."""
        for place, each in enumerate(self.waiting):
            cells, at_s = each.found.cells, each.measured.at_s
            found = self._context.compare(cells, at_s)
            found = replace(found, news=found.news or each.found.news)
            self.waiting[place] = Candidate(each.measured, found)

    def _opens_moment(self, found: Comparison, at_s: float) -> bool:
        """News in one view, and views of one pan, are a second apart unless they are urgent."""
        if found.news is None or self._context.gallery.size == 1:
            return found.news is not None
        if found.news is News.VIEW:
            last_s, urgent = self._context.scene.kept_s, found.cut
        else:
            urgent = found.weight > self._context.novelty.urgent_weight
            last_s = self._context.scene.local_s
        return urgent or not 0 <= lapse_s(last_s, at_s) < self._context.novelty.gap_s

    def _step_waiting(self, measured: Measured) -> Step:
        first, last = self.waiting[0], self.waiting[-1]
        if not self._glanced_at(measured):
            measured.measure()
        # Nothing is learned while frames wait, so the same view is found to be the same.
        same = measured.embedded is last.measured.embedded
        found = (
            last.found if same else self._context.compare(measured.embedded.cells, measured.at_s)
        )
        new = Candidate(measured, found)
        waited_s = lapse_s(first.measured.at_s, new.measured.at_s)
        in_time = 0 <= waited_s <= self._limits.max_wait_s
        cut = self._cut_between(last.measured, new.measured)
        if cut and in_time and first.found.news is News.VIEW and self._swinging():
            swung, self.waiting = self.waiting, []
            done, _ = self._none_kept(swung, Reason.BLURRY, "the camera was swinging")
            return done, [measured.again()]
        if cut or not in_time or self._full():
            done, again = self.close()
            return done, [*again, measured.again()]
        self.waiting.append(new)
        return [], []

    def _glanced_at(self, measured: Measured) -> bool:
        """Whether a sharp frame of the moment shows the same, and stands for this one as well."""
        for each in reversed(self.waiting):
            if measured.embedded is not each.measured.embedded:
                return False
            if each.measured.sharpness is not None:
                near = measured.at_s - each.measured.at_s < GLANCE_S
                return near and not self._blurred(each.measured)
        return False

    def _full(self) -> bool:
        """Every frame that waits holds its picture in memory."""
        picture = self.waiting[0].measured.frame.picture
        most = min(_MOST_WAITING, max(2, _MOST_PIXELS // (picture.width * picture.height)))
        return len(self.waiting) >= most

    def _cut_between(self, a: Measured, b: Measured) -> bool:
        if not self._context.novelty.cut_between(a.embedded.cells, b.embedded.cells):
            return False
        soft = self._in_transit(a) or self._in_transit(b)
        return not (soft and same_but_blurred(a.thumbnail, b.thumbnail))

    # -- blur --------------------------------------------------------------------------------------

    @property
    def _sharpness_limit(self) -> float | None:
        """None: too little is known of the scene to call anything blurred."""
        level = self._context.scene.level.value()
        return None if level is None else self._limits.min_sharpness * level

    def _blurred(self, measured: Measured) -> bool:
        limit = self._sharpness_limit
        return limit is not None and measured.sharp.value < limit

    def _in_transit(self, measured: Measured) -> bool:
        level = self._context.scene.level.value() or self._context.scene.level.before
        share = min(_IN_TRANSIT, self._limits.min_sharpness)
        return level is not None and measured.sharp.value < share * level

    def _swinging(self) -> bool:
        """Whether all that waits was taken while the camera swung. A shot is no swing: it lasts."""
        lasted_s = lapse_s(self.waiting[0].measured.at_s, self.waiting[-1].measured.at_s)
        return lasted_s <= _SWING_S and all(
            self._in_transit(each.measured) for each in self.waiting
        )

    # -- the end of a moment -----------------------------------------------------------------------

    def close(self) -> Step:
        """Keep the best of the moment; what came after it is to be looked at again."""
        waiting, able = self.waiting, self._able()
        best = self._best(able)
        local = waiting[0].found.local
        self.waiting = []
        blurred = self._blurred(best.measured)
        if not local:
            # A new view has no level yet; beside the last one, gross blur is blur all the same.
            blurred = blurred or self._in_transit(best.measured)
        if blurred and (known := self._sharp_already(best)) is not None:
            return self._none_kept(
                waiting, Reason.BLURRY, "blurred, of a scene that was kept", known
            )
        small = not local or best.found.weight <= self._context.novelty.lone_weight
        if small and _fleeting(waiting):
            why = "seen in a few frames only, as noise is"
            return self._none_kept(waiting, Reason.NEAR_DUPLICATE, why)
        reason = Reason.SHARPEST if blurred else Reason.NOVEL
        best, sibling = self._shown_elsewhere(able, best)
        place = waiting.index(best)
        shows = self._context.as_kept(best.measured) if sibling is None else sibling.frame
        decided = self._decided(best, reason, sibling, view=not local)
        verdicts = self._before(waiting[:place], best, shows, view=not local)
        return [*verdicts, decided], [each.measured.again() for each in waiting[place + 1 :]]

    def _shown_elsewhere(
        self, able: list[Candidate], best: Candidate
    ) -> tuple[Candidate, SiblingMatch | None]:
        """The frame of the moment that another source has kept; else the best one, and None.

        Of one moment two sources may have taken each another frame for the best.
        """
        matches = self._context.sibling_matches(able)
        nearest = min(matches, key=lambda pair: pair[1].apart, default=(best, None))
        return next((pair for pair in matches if pair[0] is best), nearest)

    def _before(
        self, earlier: list[Candidate], best: Candidate, shows: GalleryFrame, *, view: bool
    ) -> list[Verdict]:
        """Drop what came before the best frame of a moment.

        In a new view the best is the one with most detail, and somebody may have left the picture
        before: the frame that shows such a large thing is kept beside it. `shows`: the kept frame
        that shows what the best one does.
        """
        most = max((each.found.weight for each in earlier), default=0.0)
        most = max(most, best.found.weight)
        also = self._missing(earlier) if view and self._context.gallery.size > 1 else None
        return [
            self._kept_beside(also)
            if also is not None and each.measured is also.measured
            else self._lesser(each, shows, most)
            for each in earlier
        ]

    def _missing(self, earlier: list[Candidate]) -> Candidate | None:
        """The sharp frame with the largest thing that the kept ones do not show; None: no such."""
        able: list[Candidate] = []
        found: Comparison | None = None
        for each in earlier:
            if found is None or found.cells is not each.found.cells:
                found = self._context.compare(each.found.cells, each.measured.at_s)
            large = found.local and found.weight > self._context.novelty.large_weight
            if large and not self._blurred(each.measured):
                able.append(Candidate(each.measured, found))
        return max(able, key=lambda each: each.found.weight, default=None)

    def _able(self) -> list[Candidate]:
        """The waiting frames that show what is new, the sharp ones of them if there are any."""
        # What begins as a few changed cells may end as another view (a dissolve): both compete.
        able = [each for each in self.waiting if each.found.news is not None]
        # The first might be kept, else there were no moment; a later one may lie in a full minute.
        able = [each for each in able if self._context.refusal(each.measured) is None]
        if not self.waiting[0].found.local:
            able = [each for each in able if not each.found.local]
        measured = [each for each in able if each.measured.sharpness is not None]
        return [each for each in measured if not self._blurred(each.measured)] or able

    def _best(self, able: list[Candidate]) -> Candidate:
        """The waiting frame that shows the moment best; a blurred one only if all of them are."""
        if self._blurred(able[0].measured):
            return max(able, key=lambda each: each.measured.sharp.value)
        if self.waiting[0].found.local:
            most = max(each.found.shown for each in able)
            return next(each for each in able if each.found.shown >= _NEARLY_ALL * most)
        return max(able, key=lambda each: each.measured.sharp.detail * each.measured.sharp.value)

    def _sharp_already(self, best: Candidate) -> str | None:
        """The kept frame that differs from this one by blur alone; None: there is none."""
        news = best.found.changed if best.found.local else None
        for kept in reversed(self._context.gallery.kept):
            if same_but_blurred(best.measured.thumbnail, kept.thumbnail, news):
                return kept.id
        return None

    def _none_kept(
        self, waiting: list[Candidate], reason: Reason, why: str, known: str | None = None
    ) -> Step:
        limit = self._context.novelty.lone_weight
        verdicts = []
        for each in waiting:
            found = replace(each.found, why=why, limit=max(limit, each.found.weight))
            verdicts.append(self._passed(each.measured, found, reason, known))
        return verdicts, []

    # -- decisions ---------------------------------------------------------------------------------

    def _decided(
        self, best: Candidate, reason: Reason, sibling: SiblingMatch | None, *, view: bool
    ) -> Verdict:
        """Keep a frame, and learn from it.

        With a `sibling` it is dropped. What is learned is the same: this source has it, too.
        """
        verdict = self._verdict(best, reason, sibling)
        measured = best.measured
        sharp, at_s = measured.sharp.value, measured.at_s
        context = self._context
        context.novelty.learn_kept(
            best.found, context.gallery, context.scene, sharp, at_s, view=view
        )
        context.decided = measured.embedded
        return verdict

    def _kept_beside(self, each: Candidate) -> Verdict:
        """Keep an earlier frame of a moment as well. What moves is followed from the best one."""
        if (refusal := self._context.refusal(each.measured)) is not None:
            found = replace(each.found, why=refusal.of(each.found.why))
            record = self._record(each.measured, found, refusal.reason)
            return Verdict(record, each.measured.frame)
        _, sibling = self._shown_elsewhere([each], each)
        verdict = self._verdict(each, Reason.NOVEL, sibling)
        if each.found.changed is not None:
            self._context.scene.tracking.keep(
                each.found.changed, each.found.cells, each.measured.at_s
            )
        return verdict

    def _verdict(self, best: Candidate, reason: Reason, sibling: SiblingMatch | None) -> Verdict:
        if sibling is not None:
            return self._context.repeat(best, sibling, sharpness_limit=self._sharpness_limit)
        return self._context.keep(best, self._record(best.measured, best.found, reason))

    def _refused(self, measured: Measured, found: Comparison, refusal: Refusal) -> Verdict:
        """Drop a frame that shows something new, and know that afterwards as little as before."""
        found = replace(found, why=refusal.of(found.why))
        return self._passed(measured, found, refusal.reason, refused=True)

    def _passed(
        self,
        measured: Measured,
        found: Comparison,
        reason: Reason,
        nearest: str | None = None,
        *,
        refused: bool = False,
    ) -> Verdict:
        """Drop a frame, and learn from it; if a heartbeat is due, only learn from it."""
        beats = self._beats(measured)  # may measure the sharpness that the record tells
        record = self._record(measured, found, reason)
        if beats:
            why = self._context.budgets.heartbeat_why
            record = replace(record, reason=Reason.HEARTBEAT, detail=why)
            self._context.take(measured)
        if nearest is not None:
            record = replace(record, nearest_kept=nearest)
        sharp = None if measured.sharpness is None else measured.sharpness.value
        context = self._context
        context.novelty.learn_passed(
            found, context.gallery, context.scene, sharp, measured.at_s, refused=refused
        )
        context.decided, context.last = measured.embedded, found.at_rest()
        # Only where it might be kept at another time: noise, and what is blurred, is no other view.
        return Verdict(record, measured.frame, refused and found.other_view)

    def _beats(self, measured: Measured) -> bool:
        """Whether a heartbeat is due; a blurred frame leaves `max_wait_s` for a sharp one."""
        overdue_s = self._context.budgets.overdue_s(measured.frame.captured_at_ns)
        if overdue_s is None:
            return False
        soft = self._blurred(measured) or self._in_transit(measured)
        return overdue_s >= self._limits.max_wait_s or not soft

    def _lesser(self, each: Candidate, shows: GalleryFrame, most: float) -> Verdict:
        """A frame of the moment before its best one. It would have had to weigh more than any."""
        found = replace(each.found, limit=most, why="another frame of the moment shows more")
        blurred = each.measured.sharpness is not None and self._blurred(each.measured)
        reason = Reason.BLURRY if blurred else Reason.NEAR_DUPLICATE
        record = self._record(each.measured, found, reason, shows)
        return Verdict(record, each.measured.frame)

    def _record(
        self,
        measured: Measured,
        found: Comparison,
        reason: Reason,
        instead: GalleryFrame | None = None,
    ) -> Decision:
        limit = self._sharpness_limit
        if limit is None and reason is Reason.BLURRY:
            limit = _IN_TRANSIT * (self._context.scene.level.before or 0.0)
        return self._context.record(measured, found, reason, instead=instead, sharpness_limit=limit)


def _fleeting(waiting: list[Candidate]) -> bool:
    """Whether no more than half of the frames show the news that the first of them opened with."""
    seen = sum(each.found.news is not None for each in waiting)
    return len(waiting) >= 4 and 2 * seen <= len(waiting)
