"""Decides about the frames of a time line that keeps every visible change (`news: changes`).

A frame is dropped only where one kept frame, compared with it directly, shows the same: at most
0.54 % of their pixels differ, made small and grey. Nothing is explained, nothing is called
noise, no time has to pass, and the limit is the same everywhere in the picture.

Measured by bench/quality/strict.py, on 2,187 frames of people in a place and in a room: 423 are
kept. A choice that knows all frames beforehand keeps 430 if it may miss none, and 387 if 2 %.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..arrays import Image
from ..decisions import Reason
from ..frames import SPACING_S, lapse_s
from .budgets import Refusal
from .comparison import Comparison, News
from .context import Context, SiblingMatch
from .gallery import GalleryFrame
from .limits import Limits
from .measured import Candidate, Measured, full
from .small_picture import changed
from .verdict import Step, Verdict

_CHANGED = 0.0054
"""Share of a small picture that has to change: 20 of its 3,600 pixels, somebody a third as high as
the picture who moves on by his own width. Measured: 1.3 % of the frames lie just beyond 0.5 % of
each kept one, and 6 % fewer are kept than at 0.5 %."""


class Changes:
    """Decides about the frames of one source on a time line, by what differs to be seen.

    A frame that no kept one shows opens a moment, which collects the frames that look like it, for
    up to `Limits.max_wait_s`. The last that shows all those before it is kept: of something that
    moves slowly, it shows what came before and what comes after.
    """

    def __init__(self, limits: Limits, context: Context) -> None:
        self._limits = limits
        self._context = context
        self.waiting: list[Candidate] = []
        """Frames of the open moment; empty: no moment is open."""

    @property
    def limit(self) -> float:
        """Gives the share of the pixels up to which two frames show the same."""
        return min(_CHANGED * self._context.novelty.in_force(timed=True), 1.0)

    def step(self, measured: Measured) -> Step:
        """Takes one frame; returns the decisions due and the frames to be looked at again."""
        self._measure(measured)
        new = Candidate(measured, self._compare(measured))
        if self.waiting:
            first = self.waiting[0].measured
            in_time = 0 <= lapse_s(first.at_s, measured.at_s) <= self._limits.max_wait_s
            alike = new.found.news is None or self._apart(first, measured) <= self.limit
            if not in_time or not alike or full(self.waiting):
                done, again = self.close()
                return done, [*again, measured.again()]
            self.waiting.append(new)
            return [], []
        if new.found.news is None:
            return [self._passed(new)], []
        refusal = self._context.refusal(measured) or self._context.target_check.known(measured)
        if refusal is not None:
            return [self._refused(new, refusal)], []
        self.waiting = [new]
        return self.close() if self._limits.max_wait_s <= 0 else ([], [])

    def over(self, at_s: float) -> bool:
        """Tells whether a moment is open that takes no frame of this time or later."""
        return bool(self.waiting) and (
            lapse_s(self.waiting[0].measured.at_s, at_s) > self._limits.max_wait_s
        )

    def compare_anew(self) -> None:
        """Compares all waiting frames again, after a kept frame was removed."""
        self.waiting = [
            Candidate(each.measured, self._compare(each.measured)) for each in self.waiting
        ]

    def close(self) -> Step:
        """Ends the moment: keeps one of its frames; those after it are to be looked at again."""
        waiting, self.waiting = self.waiting, []
        best = self._best(waiting)
        refused: dict[int, Refusal] = {}
        if (why := self._context.target_check.refusal(best)) is not None:
            able = [each for each in waiting if each.found.news is not None]
            able = [each for each in able if self._context.refusal(each.measured) is None]
            chosen, refused = self._context.target_check.first(able)
            if chosen is None:
                return self._all_refused(waiting, best, why), []
            best = chosen
        sibling = self._sibling(best.measured)
        if sibling is not None and best is not waiting[0]:
            # What another source has kept need not show the frames before this one.
            best, sibling = waiting[0], self._sibling(waiting[0].measured)
        place = waiting.index(best)
        shows = self._context.as_kept(best.measured)
        verdicts = []
        for each in waiting[:place]:
            why = None if each.found.news is None else refused.get(id(each.measured.embedded))
            refusal = why if why is not None else self._context.refusal(each.measured)
            shown = self._apart(each.measured, best.measured) <= self.limit
            if each.found.news is not None and not shown and refusal is not None:
                verdicts.append(self._refused(each, refusal))
            else:
                verdicts.append(self._before(each, best, shows))
        # What was named meanwhile has another place in the gallery now.
        best = replace(best, found=self._compare(best.measured))
        self._learn(best.measured)
        if sibling is not None:
            verdicts.append(self._context.repeat(best, sibling))
        else:
            record = self._context.record(best.measured, best.found, Reason.NOVEL)
            verdicts.append(self._context.keep(best, record))
        return verdicts, [each.measured.again() for each in waiting[place + 1 :]]

    def _all_refused(
        self, waiting: Sequence[Candidate], best: Candidate, refusal: Refusal
    ) -> list[Verdict]:
        """Drops the frames of a moment that shows no object for which it is to be kept."""
        shows = self._context.as_kept(best.measured)
        self._context.target_check.remember(best.measured, shows, refusal)
        verdicts = []
        for each in waiting:
            if each.found.news is None:
                each = replace(each, found=self._compare(each.measured))
                verdicts.append(self._passed(each))
            else:
                told = self._context.target_check.told(each, refusal)
                verdicts.append(self._refused(each, told))
        return verdicts

    def _best(self, waiting: Sequence[Candidate]) -> Candidate:
        """Returns the last waiting frame that shows all those before it that no kept one shows."""
        new = [each for each in waiting if each.found.news is not None]
        best = waiting[0]
        for place, each in enumerate(new):
            if self._context.refusal(each.measured) is None and all(
                self._apart(each.measured, before.measured) <= self.limit for before in new[:place]
            ):
                best = each
        return best

    # -- comparing ---------------------------------------------------------------------------------

    def _compare(self, measured: Measured) -> Comparison:
        """Compares a frame with each kept one; of those as near as each other, the last counts."""
        gallery, limit = self._context.gallery, self.limit
        found = Comparison(measured.embedded.cells, limit=limit, cut=False)
        shares = gallery.changed(_small(measured))
        if not np.isfinite(shares).any():
            return replace(found, news=News.VIEW, weight=1.0, why="nothing was kept before")
        nearest = len(shares) - 1 - int(np.argmin(shares[::-1]))
        share = float(shares[nearest])
        found = replace(found, weight=share, nearest=nearest, distance=share / limit)
        if share <= limit:
            return found
        kept = gallery.kept[nearest]
        view = self._context.novelty.view_apart(found.cells, kept.cells) > 1
        why = f"{share:.1%} of the picture changed"
        return replace(found, news=News.VIEW if view else News.ARRIVAL, why=why)

    @staticmethod
    def _apart(a: Measured, b: Measured) -> float:
        """Returns the share of the pixels in which two frames differ."""
        return float(changed(_small(a)[None], _small(b))[0])

    def _sibling(self, measured: Measured) -> SiblingMatch | None:
        """Returns what another source of the group has kept that shows the same, or None.

        Ask only for a frame that is about to be kept: it takes the group's turn.
        """
        kept = [each for each in self._context.elsewhere() if each.small is not None]
        if not kept:
            return None
        small = _small(measured)
        shares = changed(np.stack([each.small for each in kept if each.small is not None]), small)
        nearest = int(np.argmin(shares))
        match = SiblingMatch(kept[nearest], float(shares[nearest]), self.limit)
        return match if match.apart <= match.limit else None

    # -- decisions ---------------------------------------------------------------------------------

    def _before(self, each: Candidate, best: Candidate, shows: GalleryFrame) -> Verdict:
        """Drops a frame of the moment that came before the one to be kept."""
        if each.found.news is None:
            return self._passed(replace(each, found=self._compare(each.measured)))
        share = self._apart(each.measured, best.measured)
        found = replace(each.found, weight=share, why="a later frame of the moment shows the same")
        self._learn(each.measured)
        record = self._context.record(
            each.measured,
            found,
            Reason.NEAR_DUPLICATE,
            instead=shows,
            distance=share / self.limit,
        )
        return Verdict(record, each.measured.frame)

    def _passed(self, each: Candidate) -> Verdict:
        """Drops a frame that a kept one shows, or keeps it for a heartbeat or a trigger.

        The kept frame counts as the newest of the gallery, so that what is seen again and again
        stays in it.
        """
        verdict = self._dropped(each, Reason.NEAR_DUPLICATE)
        assert each.found.nearest is not None
        self._context.gallery.renew(each.found.nearest)
        self._learn(each.measured)
        return verdict

    def _dropped(
        self,
        each: Candidate,
        reason: Reason,
        refusal: Refusal | None = None,
        *,
        other_view: bool = False,
    ) -> Verdict:
        """Drops a frame for a reason, or keeps it for a heartbeat or a trigger."""
        context, measured, check = self._context, each.measured, self._context.target_check
        beats = context.overdue_s(measured) is not None and not check.inhibits(measured)
        triggered = None
        if not beats and check.looks(measured.at_s) and context.refusal(measured) is None:
            triggered = check.triggered(measured, None)
        shown_by = None if refusal is None else refusal.shown_by
        distance = None if refusal is None else refusal.distance
        record = context.record(measured, each.found, reason, instead=shown_by, distance=distance)
        if not beats and triggered is None:
            return Verdict(record, measured.frame, other_view)
        anyway = Reason.TRIGGER if triggered is not None else Reason.HEARTBEAT
        why = triggered or context.budgets.heartbeat_why
        record = replace(record, reason=anyway, detail=why)
        context.take(measured)
        check.kept(measured)
        return Verdict(record, measured.frame, embedding=measured.embedded.embedding)

    def _refused(self, each: Candidate, refusal: Refusal) -> Verdict:
        """Drops a frame that no kept one shows, and that may not be kept now."""
        found = replace(each.found, why=refusal.of(each.found.why))
        self._learn(each.measured)
        new = replace(each, found=found)
        return self._dropped(new, refusal.reason, refusal, other_view=found.other_view)

    # -- learning ----------------------------------------------------------------------------------

    def _measure(self, measured: Measured) -> None:
        """Measures the sharpness of some frames: no decision needs it here, an alarm does."""
        before = (w.measured for w in reversed(self.waiting) if w.measured.sharpness is not None)
        last = next(before, None)
        last_s = self._context.scene.level.last_s if last is None else last.at_s
        if not 0 <= measured.at_s - last_s < SPACING_S:
            measured.measure()

    def _learn(self, measured: Measured) -> None:
        """Teaches the scene from a decided frame what is usual."""
        if measured.sharpness is not None:
            self._context.scene.level.add(measured.sharpness, measured.at_s)
        self._context.decided, self._context.last = measured.embedded, None


def _small(measured: Measured) -> Image:
    assert measured.small is not None
    return measured.small
