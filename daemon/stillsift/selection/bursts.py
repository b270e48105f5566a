"""Decides about photographs that have no time line: keeps the sharpest of each burst.

Only what the photographs look like is known. Those that follow each other and repeat each other are
a burst. Of a burst, the sharpest one that all others repeat is kept.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..decisions import Reason
from .budgets import Refusal
from .comparison import Comparison, News
from .context import Context, SiblingMatch
from .limits import Limits
from .measured import Candidate, Measured
from .verdict import Step, Verdict

_MOST_WAITING = 32
"""Most pictures of one burst."""


class Bursts:
    """Decides about the pictures of one source that lie on no time line."""

    def __init__(self, limits: Limits, context: Context) -> None:
        self._limits = limits
        self._context = context
        self.waiting: list[Candidate] = []
        """Pictures of the open burst; empty: no burst is open."""
        self._favourite: Candidate
        """The picture of the open burst that is to be kept; set only while a burst is open."""

    def step(self, measured: Measured) -> Step:
        """Takes one picture; returns the decisions due and the pictures to be looked at again.

        A picture joins the open burst only if it repeats the favourite itself, so that a dropped
        picture is always within the limit of the picture that its record names.
        """
        found = self._compare(measured)
        new = Candidate(measured, found)
        if self.waiting:
            if self._repeats(new, self._favourite) and len(self.waiting) < _MOST_WAITING:
                if self._favours(new):
                    self._favourite = new
                self.waiting.append(new)
                return [], []
            done, again = self.close()
            return done, [*again, measured]
        if found.news is None:
            self._context.decided, self._context.last = measured.embedded, None
            record = self._context.record(measured, found, Reason.NEAR_DUPLICATE)
            return [Verdict(record, measured.frame)], []
        if (refusal := self._context.refusal(measured)) is not None:
            return [self._refused(measured, found, refusal)], []
        self.waiting, self._favourite = [new], new
        return self.close() if self._limits.max_wait_s <= 0 else ([], [])

    def _refused(self, measured: Measured, found: Comparison, refusal: Refusal) -> Verdict:
        """Drops a picture with news that may not be kept; a later one of the same is still new."""
        self._context.decided, self._context.last = measured.embedded, None
        found = replace(found, why=refusal.of(found.why))
        record = self._context.record(measured, found, refusal.reason)
        return Verdict(record, measured.frame)

    def compare_anew(self) -> None:
        """Compares all waiting pictures again, after the gallery has changed."""
        for place, each in enumerate(self.waiting):
            found = self._compare(each.measured)
            found = replace(found, news=found.news or each.found.news)
            self.waiting[place] = Candidate(each.measured, found)
            if each is self._favourite:
                self._favourite = self.waiting[place]

    def _compare(self, measured: Measured) -> Comparison:
        cells = measured.embedded.cells
        limit = self._context.novelty.picture_limit(cells)
        if not len(self._context.gallery):
            return Comparison(cells, News.VIEW, limit=limit, why="nothing was kept before")
        apart = self._context.novelty.apart(cells, self._context.gallery)
        nearest = int(np.argmin(apart))
        weight = float(apart[nearest])
        news = News.VIEW if weight > limit else None
        distance = weight / limit
        return Comparison(cells, news, weight, limit, nearest=nearest, distance=distance)

    def _favours(self, new: Candidate) -> bool:
        """Tells whether a picture should become the favourite.

        It has to be sharper than the favourite, new, allowed to be kept, and repeated by all others
        of the burst.
        """
        sharper = new.measured.sharp.value > self._favourite.measured.sharp.value
        return (
            sharper
            and new.found.news is not None
            and self._context.refusal(new.measured) is None
            and all(self._repeats(each, new) for each in self.waiting)
        )

    def _repeats(self, a: Candidate, b: Candidate) -> bool:
        apart = self._context.novelty.between(a.found.cells, b.found.cells)
        return apart <= self._context.novelty.picture_limit(a.found.cells)

    def close(self) -> Step:
        """Ends the burst: keeps the favourite and drops the pictures that repeat it."""
        waiting, best = self.waiting, self._favourite
        self.waiting = []
        for _, sibling in self._context.sibling_matches([best]):
            return self._close_as(sibling, waiting)
        verdicts = []
        for each in waiting:
            if each is best:
                verdicts.append(
                    self._context.keep(
                        best, self._context.record(best.measured, best.found, Reason.NOVEL)
                    )
                )
                continue
            apart = self._context.novelty.between(each.found.cells, best.found.cells)
            found = replace(each.found, weight=apart, why="a sharper picture of the same was kept")
            record = self._context.record(
                each.measured,
                found,
                Reason.NEAR_DUPLICATE,
                instead=self._context.as_kept(best.measured),
                distance=apart / found.limit,
            )
            verdicts.append(Verdict(record, each.measured.frame))
        self._context.decided, self._context.last = waiting[-1].measured.embedded, None
        return verdicts, []

    def _close_as(self, sibling: SiblingMatch, waiting: list[Candidate]) -> Step:
        """Ends the burst when another source has kept a frame that the favourite repeats.

        Drops the pictures that repeat that frame, up to the first one that repeats the favourite
        only. That one and all after it are looked at again. If it is the first of the burst, it is
        decided alone.
        """
        verdicts = []
        for each in waiting:
            apart = self._context.novelty.between(each.found.cells, sibling.frame.cells)
            limit = self._context.novelty.picture_limit(each.found.cells)
            if each is not self._favourite and apart > limit:
                break
            verdicts.append(self._context.repeat(each, replace(sibling, apart=apart, limit=limit)))
        if not verdicts:  # a burst of one picture always ends in a verdict, so `close` returns
            self.waiting, self._favourite = waiting[:1], waiting[0]
            verdicts = self.close()[0]
        rest = waiting[len(verdicts) :]
        self._context.decided, self._context.last = (
            waiting[len(verdicts) - 1].measured.embedded,
            None,
        )
        return verdicts, [each.measured for each in rest]
