"""Photographs: pictures in no order, of which only what they look like is known.

Pictures that follow each other and repeat each other are a burst; they compete for one place, and
the sharpest that all others repeat is kept.
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
"""Pictures of one burst."""


class Bursts:
    """Decides about pictures that lie on no time line."""

    def __init__(self, limits: Limits, context: Context) -> None:
        self._limits = limits
        self._context = context
        self.waiting: list[Candidate] = []
        """The burst that is open; empty: none is."""
        self._favourite: Candidate
        """The one to be kept; there is one while any waits."""

    def step(self, measured: Measured) -> Step:
        """A burst of pictures that repeat each other competes for one place; the sharpest is kept.

        No chains: what is dropped is within the limit of the very picture that is named.
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
        """Drop a picture that shows something new; the next of it is as new."""
        self._context.decided, self._context.last = measured.embedded, None
        found = replace(found, why=refusal.of(found.why))
        record = self._context.record(measured, found, refusal.reason)
        return Verdict(record, measured.frame)

    def compare_anew(self) -> None:
        """The gallery has changed under what waits."""
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
        return Comparison(cells, news, weight, limit, nearest=nearest)

    def _favours(self, new: Candidate) -> bool:
        """Whether it is sharper than the favourite, new, and repeated by all the others."""
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
        """Keep the favourite, and drop what repeats it."""
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
            )
            verdicts.append(Verdict(record, each.measured.frame))
        self._context.decided, self._context.last = waiting[-1].measured.embedded, None
        return verdicts, []

    def _close_as(self, sibling: SiblingMatch, waiting: list[Candidate]) -> Step:
        """Another source has kept the favourite's like: drop what that frame shows.

        What only the favourite repeats is looked at again, since chains would lose it.
        """
        verdicts = []
        for each in waiting:
            apart = self._context.novelty.between(each.found.cells, sibling.frame.cells)
            limit = self._context.novelty.picture_limit(each.found.cells)
            if each is not self._favourite and apart > limit:
                break
            verdicts.append(self._context.repeat(each, replace(sibling, apart=apart, limit=limit)))
        if not verdicts:  # alone it ends in a verdict, so this comes to an end
            self.waiting, self._favourite = waiting[:1], waiting[0]
            verdicts = self.close()[0]
        rest = waiting[len(verdicts) :]
        self._context.decided, self._context.last = (
            waiting[len(verdicts) - 1].measured.embedded,
            None,
        )
        return verdicts, [each.measured for each in rest]
