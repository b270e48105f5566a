"""Decides about photographs that have no time line: keeps the best of each burst.

Only what the photographs look like is known. Each is compared with all that were kept. Those that
follow each other and repeat each other are a burst. Of a burst, the best one that all others repeat
is kept: `copy_order` says which.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..arrays import Arrays
from ..decisions import Decision, Reason
from .budgets import Refusal
from .comparison import Comparison, News
from .context import Context, SiblingMatch
from .copy_order import better
from .likeness import LIMIT, Likeness
from .limits import Limits
from .measured import Candidate, Measured, full
from .photographs import Match
from .replacement import Replacement
from .sharpness import Sharpness
from .verdict import Step, Verdict

_MOST_WAITING = 32
"""Most pictures of one burst."""
_SHARPEST_PART = 0.25
"""Sharpness of the sharpest part, as a share of `min_sharpness`, below which a photograph is
blurred: .15 as it comes. Measured on 59 sharp photographs: none was dropped, and of the same
blurred by 3 and 5 pixels 46 and 55 were. At .20 pictures of blood cells fall."""
_MOST_BLURRED = 0.2
"""Share of a source's last photographs above which none is dropped as blurred any more: then that
is how they are meant, or what they show."""
_REMEMBERED = 100
"""Photographs that this share is told from."""


def may_be_blurred(sharp: Sharpness, min_sharpness: float) -> bool:
    """Tells whether the parts of a photograph have to be looked at, to know whether it is blurred.

    As a whole, it is hardly sharper than its sharpest part.
    """
    return sharp.value < 2 * _SHARPEST_PART * min_sharpness


@dataclass(frozen=True, slots=True, eq=False)
class Shot(Candidate):
    """Describes a photograph whose decision is open."""

    match: Match | None = None
    """The kept picture nearest to it; None: nothing was kept, or it was not looked for."""


class Bursts:
    """Decides about the pictures of one source that lie on no time line."""

    def __init__(self, limits: Limits, context: Context) -> None:
        self._limits = limits
        self._context = context
        self.waiting: list[Shot] = []
        """Pictures of the open burst; empty: no burst is open."""
        self._favourite: Shot
        """The picture of the open burst that is to be kept; set only while a burst is open."""
        self._likes: dict[str, Likeness] = {}
        """How each of the others repeats the favourite, by frame id."""
        self._blurred: deque[bool] = deque(maxlen=_REMEMBERED)
        """Of each of the last decided photographs, whether no part of it is sharp."""

    def step(self, measured: Measured) -> Step:
        """Takes one picture; returns the decisions due and the pictures to be looked at again.

        A picture joins the open burst only if it repeats the favourite itself, so that a dropped
        picture is always within the limit of the picture that its record names.
        """
        if self.waiting:
            like = self._repeats(measured, self._favourite.measured)
            if like.same and not self._crowded(measured):
                self._join(measured, like)
                return [], []
            done, again = self.close()
            return done, [*again, measured]
        new = self._compared(measured)
        if new.match is not None and new.match.likeness.same:
            kept = self._kept_instead(new)
            return [self._drop(new, Reason.NEAR_DUPLICATE) if kept is None else kept], []
        if (why := self._blur(measured)) is not None:
            return [self._drop(new, Reason.BLURRY, why)], []
        refusal = self._context.refusal(measured) or self._context.target_check.refusal(new)
        if refusal is not None:
            return [self._refused(new, refusal)], []
        self.waiting, self._favourite, self._likes = [new], new, {}
        return self.close() if self._limits.max_wait_s <= 0 else ([], [])

    def _join(self, measured: Measured, like: Likeness) -> None:
        """Takes a picture that repeats the favourite into the burst, maybe in its place."""
        new = Shot(measured, Comparison(measured.embedded.cells))
        likes = self._favours(new, like)
        if likes is None:
            self._likes[measured.frame.id] = like
        else:
            self._favourite, self._likes = self._compared(measured), likes
            new = self._favourite
        self.waiting.append(new)

    def _crowded(self, new: Measured) -> bool:
        """Tells whether the burst takes no more; a page, unlike a file, holds its pixels in it."""
        return full(self.waiting) if new.frame.page else len(self.waiting) >= _MOST_WAITING

    def _drop(self, shot: Shot, reason: Reason, why: str | None = None) -> Verdict:
        """Drops a picture for what it shows; a later one of the same is judged for itself."""
        found = shot.found if why is None else replace(shot.found, why=why)
        record = self._record(shot, found, reason)
        if reason is Reason.BLURRY:
            part = _part(shot.measured)
            record = replace(record, sharpness=part, sharpness_limit=self._sharpest_part)
        return self._decided(shot, record)

    def _refused(self, shot: Shot, refusal: Refusal) -> Verdict:
        """Drops a picture with news that may not be kept; a later one of the same is still new."""
        found = replace(shot.found, why=refusal.of(shot.found.why))
        if refusal.shown_by is None:
            return self._decided(shot, self._record(shot, found, refusal.reason))
        shown_by, distance = refusal.shown_by, refusal.distance
        record = self._context.record(
            shot.measured, found, refusal.reason, instead=shown_by, distance=distance
        )
        return self._decided(shot, record)

    def _kept_instead(self, new: Shot) -> Verdict | None:
        """Keeps a picture instead of all kept ones that it repeats.

        None: one of them is to stay, or the picture may not be kept itself.
        """
        if self._limits.max_wait_s <= 0:  # the first is to be kept
            return None
        measured, context = new.measured, self._context
        replaced: list[Replacement] = []
        while new.match is not None and new.match.likeness.same:
            one = context.replacements.of(measured, new.match)
            if one is None:
                return None
            replaced.append(one)
            new = self._compared(measured, {each.frame.id for each in replaced})
        freed = [each.record.captured_at_ns for each in replaced]
        if self._blur(measured) is not None or context.refusal(measured, freed) is not None:
            return None
        if context.target_check.refusal(new, [each.frame.id for each in replaced]) is not None:
            return None
        records = context.replacements.records(measured, replaced, context.last_decided)
        if records is None:
            return None
        match = context.nearest_elsewhere(measured)
        if match is not None and match.likeness.same:
            return None
        why = "; ".join(f"replaces {_named(each.record)}, as it {each.why}" for each in replaced)
        record = self._record(new, replace(new.found, why=why), Reason.NOVEL)
        context.keep_photograph(new, replaced)
        return replace(self._decided(new, record, kept=True), changes=records)

    def compare_anew(self) -> None:
        """Compares the waiting favourite again, after what is kept has changed. It stays news."""
        if not self.waiting:
            return
        place = self.waiting.index(self._favourite)
        found = self._compared(self._favourite.measured)
        news = found.found.news or self._favourite.found.news
        self._favourite = replace(found, found=replace(found.found, news=news))
        self.waiting[place] = self._favourite

    def _compared(self, measured: Measured, without: Collection[str] = ()) -> Shot:
        """Compares a picture with all that were kept, but for those with these ids."""
        cells = measured.embedded.cells
        match = self._context.photographs.nearest(measured, without)
        if match is None:
            why = "nothing was kept before"
            return Shot(measured, Comparison(cells, News.VIEW, limit=LIMIT, why=why))
        like = match.likeness
        news = None if like.same else News.VIEW
        found = Comparison(cells, news, like.distance, LIMIT, why=like.why)
        return Shot(measured, found, match)

    # -- which one -------------------------------------------------------------------------------

    def _favours(self, new: Shot, like: Likeness) -> dict[str, Likeness] | None:
        """Tells whether a picture should become the favourite; None: no.

        It has to be better than the favourite, repeat nothing that was kept, be allowed to be kept,
        and be repeated by all others of the burst: the result says how.
        """
        if not self._is_better(new.measured, self._favourite.measured, like):
            return None
        if self._context.refusal(new.measured) is not None:
            return None
        if self._context.target_check.refusal(new) is not None:
            return None
        likes = {}
        for each in self.waiting:
            found = self._repeats(each.measured, new.measured)
            if not found.same:
                return None
            likes[each.measured.frame.id] = found
        match = self._context.photographs.nearest(new.measured)
        return None if match is not None and match.likeness.same else likes

    def _repeats(self, a: Measured, b: Measured) -> Likeness:
        """Compares two pictures of a burst, of which one may be blurred."""
        photographs = self._context.photographs
        sharp = a.sharp.value, b.sharp.value
        shown = photographs.shown(a), photographs.shown(b)
        return photographs.repeats(*shown, sharp, self._limits.min_sharpness)

    @staticmethod
    def _is_better(new: Measured, old: Measured, like: Likeness) -> bool:
        if new.overview is None or old.overview is None:
            return new.sharp.value > old.sharp.value
        return better(new.overview, old.overview, like.difference).first is True

    @property
    def _sharpest_part(self) -> float:
        return _SHARPEST_PART * self._limits.min_sharpness

    def _is_blurred(self, measured: Measured) -> bool:
        if not may_be_blurred(measured.sharp, self._limits.min_sharpness):
            return False
        part = measured.sharpest_part
        if part is None or part >= self._sharpest_part:
            return False
        # A drawing has soft edges because that is how it was drawn.
        return measured.overview is None or not measured.overview.is_drawn

    def _blur(self, measured: Measured) -> str | None:
        """Tells why a picture is dropped as blurred; None: it is not, or most are like that."""
        if not self._is_blurred(measured):
            return None
        seen = [*self._blurred, True]
        if sum(seen) > _MOST_BLURRED * len(seen):
            return None
        return f"no part of it is sharp: {_part(measured):.2f} < {self._sharpest_part:.2f}"

    # -- the end of a burst ----------------------------------------------------------------------

    def close(self) -> Step:
        """Ends the burst: keeps the favourite and drops the pictures that repeat it."""
        waiting, best = self.waiting, self._favourite
        self.waiting = []
        match = self._context.nearest_elsewhere(best.measured)
        if match is not None and match.likeness.same:
            return self._close_as(match, waiting)
        verdicts = []
        for each in waiting:
            if each is best:
                record = self._record(best, self._said(best), Reason.NOVEL)
                self._context.keep_photograph(best)
                verdicts.append(self._decided(each, record, kept=True))
                continue
            like = self._likes[each.measured.frame.id]
            found = replace(each.found, weight=like.distance, limit=LIMIT)
            found = replace(found, why=f"{like.why}; {self._why_not(each, best, like)}")
            record = self._context.record(
                each.measured,
                found,
                Reason.NEAR_DUPLICATE,
                instead=self._context.as_kept(best.measured),
                distance=like.distance,
            )
            verdicts.append(self._decided(each, record))
        return verdicts, []

    def _said(self, best: Shot) -> Comparison:
        """Returns what was found, with a word where a blurred picture is kept all the same."""
        if not self._is_blurred(best.measured):
            return best.found
        why = f"{best.found.why}; no part of it is sharp, but so it is of many here"
        return replace(best.found, why=why)

    def _why_not(self, each: Shot, best: Shot, like: Likeness) -> str:
        """Returns why the best one was preferred."""
        mine, other = each.measured.overview, best.measured.overview
        if mine is None or other is None:
            return "a sharper picture of the same was kept"
        difference = like.difference
        found = better(mine, other, difference)
        if found.first is not False:
            return "the kept one came first" if found.first is None else "another one was kept"
        return f"the kept one {found.why}"

    def _close_as(self, match: Match, waiting: list[Shot]) -> Step:
        """Ends the burst when another source has kept a frame that the favourite repeats.

        Drops the pictures that repeat that frame, up to the first one that repeats the favourite
        only. That one and all after it are looked at again. If it is the first of the burst, it is
        decided alone.
        """
        verdicts = []
        for each in waiting:
            like = match.likeness
            if each is not self._favourite:
                shown = self._context.photographs.shown(each.measured)
                like = self._context.photographs.compare(shown, match.frame)
            if not like.same:
                break
            sibling = SiblingMatch(match.frame, like.distance, LIMIT, like.why)
            verdict = self._context.repeat(each, sibling)
            verdicts.append(self._decided(each, verdict.decision))
        if not verdicts:  # a burst of one picture always ends in a verdict, so `close` returns
            self._favourite, self._likes = self._compared(waiting[0].measured), {}
            self.waiting = [self._favourite]
            verdicts = self.close()[0]
        rest = waiting[len(verdicts) :]
        return verdicts, [each.measured for each in rest]

    def _record(self, shot: Shot, found: Comparison, reason: Reason) -> Decision:
        match = shot.match
        return self._context.record(
            shot.measured,
            found,
            reason,
            instead=None if match is None else match.frame,
            distance=None if match is None else match.likeness.distance,
        )

    def _decided(self, shot: Shot, record: Decision, *, kept: bool = False) -> Verdict:
        """Returns the verdict about a picture, and remembers what the next ones need."""
        self._blurred.append(self._is_blurred(shot.measured))
        self._context.decided, self._context.last = shot.measured.embedded, None
        other_view = shot.found.other_view if kept else False
        embedding = shot.measured.embedded.embedding if kept else None
        return Verdict(record, shot.measured.frame, other_view, embedding=embedding)

    # -- state -----------------------------------------------------------------------------------

    def arrays(self) -> Arrays:
        """Returns what is remembered of decided photographs."""
        return {"photographs_blurred": np.array(self._blurred, np.bool_)}

    def restore(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Takes up what `arrays` gave."""
        if "photographs_blurred" in arrays:  # a state of an earlier version does not have it
            blurred = arrays["photographs_blurred"]
            self._blurred = deque(map(bool, blurred), maxlen=_REMEMBERED)


def _part(measured: Measured) -> float:
    return measured.sharpest_part or 0.0


def _named(record: Decision) -> str:
    """Returns the name of a photograph for people."""
    return record.id if record.file is None else record.file.name
