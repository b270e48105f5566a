"""Decides about the frames of a time line: keeps the best frame of each moment.

A frame that shows something new opens a moment. The moment collects frames for up to
`Limits.max_wait_s`. Then its best frame is kept, the frames before it are dropped as its repeats,
and the frames after it are looked at again. Nothing is learned while a moment is open.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..decisions import Decision, Outcome, Reason
from ..frames import SPACING_S, lapse_s
from .budgets import Refusal
from .comparison import Comparison, News
from .context import Context, SiblingMatch
from .gallery import GalleryFrame
from .limits import Limits
from .measured import Candidate, EmbeddedPicture, Measured, full
from .numbers import Numbers
from .thumbnail import GLANCE_S, same_but_blurred
from .tracking import Foreground, carried, connected
from .verdict import Step, Verdict

LESSER = "another frame of the moment shows more"
"""Detail of a frame that came before the best one of its moment."""
_IN_TRANSIT = 0.4
"""Share of the scene's sharpness; a frame between two views that is less sharp was taken while the
camera swung."""
_SWING_S = 0.3
_MOST_BESIDE = 3
"""Most frames that are kept of a moment beside its best one."""
_NEARLY_ALL = 0.8
"""Share of the most that any frame of a moment shows of its news. The first frame that shows this
share is the best. Which of many nearly equal frames shows most is chance, and would differ from one
embedder's precision to another's."""


class Moments:
    """Decides about the frames of one source that lie on a time line."""

    def __init__(self, limits: Limits, context: Context) -> None:
        self._limits = limits
        self._context = context
        self.waiting: list[Candidate] = []
        """Frames of the open moment; empty: no moment is open."""

    def step(self, measured: Measured) -> Step:
        """Takes one frame; returns the decisions due and the frames to be looked at again."""
        if self.waiting:
            return self._step_waiting(measured)
        # Up to 5 frames/s every frame is measured. Of a faster source, most frames would teach
        # nothing about the scene.
        if not 0 <= measured.at_s - self._context.scene.level.last_s < SPACING_S:
            measured.measure()
        if self.rests(measured.embedded, measured.at_s):
            found = self._at_rest()
            return [self._passed(measured, found, found.repeat)], []
        found = self._context.compare(measured)
        if self._opens_moment(found, measured.at_s):
            refusal = self._context.refusal(measured)
            refusal = refusal or self._context.target_check.known(measured)
            if refusal is not None:
                return [self._refused(measured, found, refusal)], []
            measured.measure()
            self.waiting = [Candidate(measured, found)]
            return self.close() if self._limits.max_wait_s <= 0 else ([], [])
        if found.news is None:
            return [self._passed(measured, found, found.repeat)], []
        found = replace(
            found, why=f"{found.why}, but within {self._context.numbers.gap_s:g} s of the last"
        )
        return [self._passed(measured, found, Reason.RATE_LIMITED)], []

    def over(self, at_s: float) -> bool:
        """Tells whether a moment is open that takes no frame of this time or later."""
        return bool(self.waiting) and (
            lapse_s(self.waiting[0].measured.at_s, at_s) > self._limits.max_wait_s
        )

    def rests(self, embedded: EmbeddedPicture, at_s: float) -> bool:
        """Tells whether a frame shows what the last frame showed, so that it needs no comparison.

        If something changes in that picture, this holds until a frame is `due` again: with time the
        same picture can become news.
        """
        last = self._context.last
        if embedded is not self._context.decided or last is None or self.waiting:
            return False
        return not (last.stirs and self._context.scene.due(at_s))

    def _at_rest(self) -> Comparison:
        """Returns what was found in the last frame, with the limit that is in force now."""
        last = self._context.last
        assert last is not None
        if not self._context.keep_ratio.on:
            return last
        return replace(last, limit=max(last.weight, self._context.numbers.news))

    def compare_anew(self) -> None:
        """Compares all waiting frames again, after the gallery has changed."""
        for place, each in enumerate(self.waiting):
            found = self._context.compare(each.measured)
            found = replace(found, news=found.news or each.found.news)
            self.waiting[place] = Candidate(each.measured, found)

    def _opens_moment(self, found: Comparison, at_s: float) -> bool:
        """Tells whether a frame shows news that opens a moment.

        News in one view, and views of one pan, have to be `Numbers.gap_s` apart, unless they are
        urgent.
        """
        if found.news is None or self._context.gallery.size == 1:
            return found.news is not None
        if found.news is News.VIEW:
            last_s, urgent = self._context.scene.kept_s, found.cut
        else:
            urgent = found.weight > self._context.numbers.strong
            last_s = self._context.scene.local_s
        return urgent or not 0 <= lapse_s(last_s, at_s) < self._context.numbers.gap_s

    def _step_waiting(self, measured: Measured) -> Step:
        first, last = self.waiting[0], self.waiting[-1]
        if not self._glanced_at(measured):
            measured.measure()
        # Nothing is learned while frames wait, so the same picture would give the same comparison.
        same = measured.embedded is last.measured.embedded
        found = last.found if same else self._context.compare(measured)
        new = Candidate(measured, found)
        waited_s = lapse_s(first.measured.at_s, new.measured.at_s)
        in_time = 0 <= waited_s <= self._limits.max_wait_s
        cut = self._cut_between(last.measured, new.measured)
        if cut and in_time and first.found.news is News.VIEW and self._swinging():
            swung, self.waiting = self.waiting, []
            done, _ = self._none_kept(swung, Reason.BLURRY, "the camera was swinging")
            return done, [measured.again()]
        if cut or not in_time or full(self.waiting):
            done, again = self.close()
            return done, [*again, measured.again()]
        self.waiting.append(new)
        return [], []

    def _glanced_at(self, measured: Measured) -> bool:
        """Tells whether a sharp frame of the moment shows the same and stands for this one too.

        Such a frame is less than `GLANCE_S` older; the sharpness of this one is then not measured.
        """
        for each in reversed(self.waiting):
            if measured.embedded is not each.measured.embedded:
                return False
            if each.measured.sharpness is not None:
                near = measured.at_s - each.measured.at_s < GLANCE_S
                return near and not self._blurred(each.measured)
        return False

    def _cut_between(self, a: Measured, b: Measured) -> bool:
        if not self._context.novelty.cut_between(a.embedded.cells, b.embedded.cells):
            return False
        soft = self._in_transit(a) or self._in_transit(b)
        return not (soft and same_but_blurred(a.thumbnail, b.thumbnail))

    # -- blur --------------------------------------------------------------------------------------

    @property
    def _sharpness_limit(self) -> float | None:
        """Gives the sharpness below which a frame is blurred.

        None: too little is known of the scene to call anything blurred.
        """
        level = self._context.scene.level.value()
        return None if level is None else self._limits.min_sharpness * level

    def _blurred(self, measured: Measured) -> bool:
        """Tells whether a frame is blurred. What has far more than the usual detail is better
        lit: in the dark, noise passes for sharpness."""
        limit = self._sharpness_limit
        if limit is None or measured.sharp.value >= limit:
            return False
        usual = self._context.scene.level.detail()
        return usual is None or measured.sharp.detail <= self._context.numbers.lit * usual

    def _in_transit(self, measured: Measured) -> bool:
        level = self._context.scene.level.value() or self._context.scene.level.before
        share = min(_IN_TRANSIT, self._limits.min_sharpness)
        return level is not None and measured.sharp.value < share * level

    def _swinging(self) -> bool:
        """Tells whether all waiting frames were taken while the camera swung.

        A swing is short; a shot of edited footage lasts longer.
        """
        lasted_s = lapse_s(self.waiting[0].measured.at_s, self.waiting[-1].measured.at_s)
        return lasted_s <= _SWING_S and all(
            self._in_transit(each.measured) for each in self.waiting
        )

    # -- the end of a moment -----------------------------------------------------------------------

    def close(self) -> Step:
        """Ends the moment: keeps its best frame; those after it are to be looked at again.

        None is kept if the best frame is blurred and a kept one shows the same, or if the news is a
        view or has little weight, and shows in few frames only.
        """
        waiting, able = self.waiting, self._able()
        best = self._best(able)
        local = waiting[0].found.local
        self.waiting = []
        blurred = self._blurred(best.measured)
        if not local:
            # A new view has no sharpness level yet; against the level of the last view, strong blur
            # still shows.
            blurred = blurred or self._in_transit(best.measured)
        if blurred and (known := self._sharp_already(best)) is not None:
            return self._none_kept(
                waiting, Reason.BLURRY, "blurred, of a scene that was kept", known
            )
        small = not local or best.found.weight <= self._context.numbers.weak
        lone = local and best.found.weight <= self._context.numbers.large
        if (small and _fleeting(waiting)) or (lone and _seen_once(waiting)):
            why = "seen in a few frames only, as noise is"
            return self._none_kept(waiting, Reason.FLEETING, why)
        least_sharp = None if blurred else self._limits.min_sharpness
        chosen = self._context.target_check.chosen(able, best, least_sharp)
        if isinstance(chosen, Refusal):
            return self._all_refused(waiting, best, chosen)
        best = chosen
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
        """Returns the frame of the moment that another source has kept, else the best one and None.

        Two sources may have chosen different frames of one moment as the best.
        """
        matches = self._context.sibling_matches(able)
        nearest = min(matches, key=lambda pair: pair[1].apart, default=(best, None))
        return next((pair for pair in matches if pair[0] is best), nearest)

    def _before(
        self, earlier: list[Candidate], best: Candidate, shows: GalleryFrame, *, view: bool
    ) -> list[Verdict]:
        """Drops the frames of a moment that came before its best one.

        Somebody may have left the picture before the best one was taken. Frames that show such
        things are kept as well; in a new view, where the best frame is the one with most detail,
        they have to be large. `shows`: the kept frame that shows what the best one shows.
        """
        most = max((each.found.weight for each in earlier), default=0.0)
        most = max(most, best.found.weight)
        kept: dict[str, Verdict] = {}
        left = earlier if self._context.gallery.size > 1 else []
        while left and len(kept) < _MOST_BESIDE:
            also = self._missing(left) if view else self._lost(left, best)
            if also is None:
                break
            kept[also.measured.frame.id] = self._kept_beside(also)
            left = [each for each in left if each.measured is not also.measured]
        return [
            kept.get(each.measured.frame.id) or self._lesser(each, shows, most) for each in earlier
        ]

    def _missing(self, earlier: list[Candidate]) -> Candidate | None:
        """Returns the sharp frame with the largest thing that no kept frame shows, or None."""
        able: list[Candidate] = []
        found: Comparison | None = None
        for each in earlier:
            if found is None or found.cells is not each.found.cells:
                found = self._context.compare(each.measured)
            large = found.local and found.weight > self._context.numbers.large
            if large and not self._blurred(each.measured):
                able.append(Candidate(each.measured, found))
        return max(able, key=lambda each: each.found.weight, default=None)

    def _lost(self, earlier: list[Candidate], best: Candidate) -> Candidate | None:
        """Returns the sharp frame with the most of a thing that did not stay until the best one.

        None: each thing can be followed from frame to frame into the best one, or a kept frame
        shows it.
        """
        able: list[Candidate] = []
        found: Comparison | None = None
        for place, each in enumerate(earlier):
            if found is None or found.cells is not each.found.cells:
                found = self._context.compare(each.measured)
            if found.news is not News.ARRIVAL or self._blurred(each.measured):
                continue
            if found.weight <= max(found.limit, self._context.numbers.weak):
                continue
            after = [later.found for later in (*earlier[place + 1 :], best)]
            if not _stays(found, after, self._context.numbers):
                able.append(Candidate(each.measured, found))
        return max(able, key=lambda each: each.found.weight, default=None)

    def _able(self) -> list[Candidate]:
        """Returns the waiting frames with news that may be kept; if any are sharp, only those."""
        # A moment may begin as a few changed cells and end as another view (a dissolve). Frames of
        # both kinds compete.
        able = [each for each in self.waiting if each.found.news is not None]
        # The first may be kept, or it would not have opened a moment. A later one may lie in a
        # minute whose budget is used up.
        able = [each for each in able if self._context.refusal(each.measured) is None]
        if not self.waiting[0].found.local:
            able = [each for each in able if not each.found.local]
        measured = [each for each in able if each.measured.sharpness is not None]
        return [each for each in measured if not self._blurred(each.measured)] or able

    def _best(self, able: list[Candidate]) -> Candidate:
        """Returns the frame that shows the moment best; a blurred one only if all are blurred."""
        if self._blurred(able[0].measured):
            return max(able, key=lambda each: each.measured.sharp.value)
        if self.waiting[0].found.local:
            most = max(each.found.shown for each in able)
            return next(each for each in able if each.found.shown >= _NEARLY_ALL * most)
        return max(able, key=lambda each: each.measured.sharp.detail * each.measured.sharp.value)

    def _sharp_already(self, best: Candidate) -> GalleryFrame | None:
        """Returns the kept frame that differs from this one by blur alone, or None."""
        news = best.found.changed if best.found.local else None
        for kept in reversed(self._context.gallery.kept):
            if same_but_blurred(best.measured.thumbnail, kept.thumbnail, news):
                return kept
        return None

    def _none_kept(
        self,
        waiting: list[Candidate],
        reason: Reason,
        why: str,
        known: GalleryFrame | None = None,
    ) -> Step:
        """Drops all frames of a moment; `known`: the kept frame that shows the same."""
        limit = self._context.numbers.weak
        verdicts = []
        for each in waiting:
            found = replace(each.found, why=why, limit=max(limit, each.found.weight))
            verdicts.append(self._passed(each.measured, found, reason, known))
        return verdicts, []

    def _all_refused(self, waiting: list[Candidate], best: Candidate, refusal: Refusal) -> Step:
        """Drops all frames of a moment that shows no object for which it is to be kept.

        Where kept frames show its objects, those are followed from here on, as if it was kept, and
        the frames after it are to be looked at again.
        """
        known = refusal.reason is Reason.SAME_OBJECT
        if known:
            best = next(each for each in reversed(waiting) if each.measured.objects)
        end = waiting.index(best) + 1 if known else len(waiting)
        shows = self._context.as_kept(best.measured)
        self._context.target_check.remember(best.measured, shows, refusal)
        verdicts = []
        for each in waiting[:end]:
            if each.found.news is None:
                verdicts.append(self._passed(each.measured, each.found, each.found.repeat))
            else:
                told = self._context.target_check.told(each, refusal)
                verdicts.append(self._refused(each.measured, each.found, told))
        if refusal.shown_by is not None:
            boxes, at_s = [each.box for each in best.measured.objects or ()], best.measured.at_s
            shown_by = refusal.shown_by.id
            self._context.learning.known(best.found, boxes, at_s, shown_by=shown_by)
        return verdicts, [each.measured.again() for each in waiting[end:]]

    # -- decisions ---------------------------------------------------------------------------------

    def _decided(
        self, best: Candidate, reason: Reason, sibling: SiblingMatch | None, *, view: bool
    ) -> Verdict:
        """Keeps a frame and learns from it.

        With a `sibling` the frame is dropped. The same is learned, since this source shows it too.
        """
        verdict = self._verdict(best, reason, sibling)
        measured = best.measured
        sharp, at_s = measured.sharp, measured.at_s
        context = self._context
        shown_by = verdict.decision.shown_by or measured.frame.id
        context.learning.kept(best.found, sharp, at_s, view=view, shown_by=shown_by)
        context.decided = measured.embedded
        return verdict

    def _kept_beside(self, each: Candidate) -> Verdict:
        """Keeps an earlier frame of a moment beside its best one.

        Moving objects are still followed from the best frame. The frame is dropped if it may not be
        kept or another source has kept the same.
        """
        refusal = self._context.refusal(each.measured)
        refusal = refusal or self._context.target_check.refusal(each)
        if refusal is not None:
            found = replace(each.found, why=refusal.of(each.found.why))
            record = self._record(
                each.measured, found, refusal.reason, refusal.shown_by, refusal.distance
            )
            return Verdict(record, each.measured.frame)
        _, sibling = self._shown_elsewhere([each], each)
        verdict = self._verdict(each, Reason.NOVEL, sibling)
        if each.found.changed is not None:
            shown_by = verdict.decision.shown_by or each.measured.frame.id
            self._context.learning.remember(each.found, each.measured.at_s, shown_by=shown_by)
        return verdict

    def _verdict(self, best: Candidate, reason: Reason, sibling: SiblingMatch | None) -> Verdict:
        if sibling is not None:
            return self._context.repeat(best, sibling, sharpness_limit=self._sharpness_limit)
        soft = reason is Reason.SHARPEST or self._sharpness_limit is None
        record = self._record(best.measured, best.found, reason)
        return self._context.keep(best, record, soft=soft)

    def _refused(self, measured: Measured, found: Comparison, refusal: Refusal) -> Verdict:
        """Drops a frame with news that may not be kept; the news is not learned and stays new."""
        found = replace(found, why=refusal.of(found.why))
        shown_by, distance = refusal.shown_by, refusal.distance
        return self._passed(measured, found, refusal.reason, shown_by, distance, refused=True)

    def _passed(
        self,
        measured: Measured,
        found: Comparison,
        reason: Reason,
        instead: GalleryFrame | None = None,
        distance: float | None = None,
        *,
        refused: bool = False,
    ) -> Verdict:
        """Drops a frame, or keeps it if a heartbeat or a trigger asks for it; learns the same."""
        # First, since these may measure the sharpness for the record, and look for objects.
        beats = self._beats(measured)
        triggered = None if beats else self._triggered(measured, found)
        record = self._record(measured, found, reason, instead, distance)
        if beats or triggered is not None:
            anyway = Reason.TRIGGER if triggered is not None else Reason.HEARTBEAT
            why = triggered or self._context.budgets.heartbeat_why
            record = replace(record, reason=anyway, detail=why)
            self._context.take(measured)
            self._context.target_check.kept(measured)
        sharp, context = measured.sharpness, self._context
        context.learning.passed(found, sharp, measured.at_s, refused=refused)
        context.decided = measured.embedded
        if found is not context.last:  # else it was made so before
            context.last = found.at_rest()
        # Only a refused frame might be kept at another time; noise and blur are no other view.
        embedding = None if record.outcome is Outcome.DROPPED else measured.embedded.embedding
        return Verdict(record, measured.frame, refused and found.other_view, embedding=embedding)

    def _triggered(self, measured: Measured, found: Comparison) -> str | None:
        """Returns why a frame without news is kept for an object in it; None: it is not."""
        check, context = self._context.target_check, self._context
        if not check.looks(measured.at_s) or context.refusal(measured) is not None:
            return None
        if self._blurred(measured):
            return None
        return check.triggered(measured, found.changed)

    def _beats(self, measured: Measured) -> bool:
        """Tells whether this frame is kept as a heartbeat.

        A blurred frame is not kept until the heartbeat is `max_wait_s` late: a sharp one may come.
        """
        overdue_s = self._context.overdue_s(measured)
        if overdue_s is None:
            return False
        soft = self._blurred(measured) or self._in_transit(measured)
        due = overdue_s >= self._limits.max_wait_s or not soft
        return due and not self._context.target_check.inhibits(measured)

    def _lesser(self, each: Candidate, shows: GalleryFrame, most: float) -> Verdict:
        """Drops a frame that came before the best one of its moment.

        `most` is recorded as its limit: the largest weight of the frames up to the best one.
        """
        found = replace(each.found, limit=most, why=LESSER)
        if each.measured.sharpness is not None and self._blurred(each.measured):
            reason = Reason.BLURRY
        elif self._context.apart(each.measured, shows) <= 1:
            reason = Reason.NEAR_DUPLICATE
        else:
            reason = Reason.SAME_OBJECT
        return Verdict(self._record(each.measured, found, reason, shows), each.measured.frame)

    def _record(
        self,
        measured: Measured,
        found: Comparison,
        reason: Reason,
        instead: GalleryFrame | None = None,
        distance: float | None = None,
    ) -> Decision:
        limit = self._sharpness_limit
        if limit is None and reason is Reason.BLURRY:
            limit = _IN_TRANSIT * (self._context.scene.level.before or 0.0)
        return self._context.record(
            *(measured, found, reason),
            instead=instead,
            distance=distance,
            sharpness_limit=limit,
        )


def _seen_once(waiting: list[Candidate]) -> bool:
    """Tells whether news is fleeting and was seen in one look, as of a shake or a flash.

    Frames that share an embedded picture were looked at once.
    """
    looks = {id(each.found.cells) for each in waiting if each.found.news is not None}
    return _fleeting(waiting) and len(looks) == 1


def _fleeting(waiting: list[Candidate]) -> bool:
    """Tells whether, of four frames or more, no more than half show news as the first one does."""
    seen = sum(each.found.news is not None for each in waiting)
    return len(waiting) >= 4 and 2 * seen <= len(waiting)


def _stays(found: Comparison, after: Sequence[Comparison], numbers: Numbers) -> bool:
    """Tells whether the largest new thing in a frame can be followed through all those after.

    It needs changed cells in each that carry on those of the one before.
    """
    assert found.unexplained is not None
    assert found.distances is not None
    weights = found.distances * found.unexplained
    mask = max(connected(found.unexplained), key=lambda group: float(weights[group].sum()))
    front = Foreground.of(mask, mask.astype(np.int32), found.cells, 0.0)
    for there in after:
        if there.cells is found.cells:
            continue
        if there.changed is None or there.changed.shape != mask.shape:
            return False
        mask, _ = carried(there.cells, there.changed, connected(there.changed), front, numbers)
        if not mask.any():
            return False
        front = Foreground.of(mask, mask.astype(np.int32), there.cells, 0.0)
    return True
