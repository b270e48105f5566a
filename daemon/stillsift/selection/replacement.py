"""Lets a better copy take the place of photographs that were kept before it.

A folder is read in the order of its names, where the thumbnail may come before its original. Until
the folder has been read to its end, what was kept of it may give way. The records of what is
dropped so, and of all that named it, name the better copy then, compared with it directly. Where
that cannot be done, nothing is replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from ..decisions import Decision, Outcome, Reason
from ..embedding import EmbedError, similarity
from ..frames import ArrayPicture
from .copy_order import better
from .gallery import GalleryFrame
from .likeness import Likeness, Shown
from .measured import Measured
from .photographs import Match, Photographs

_MOST_READ_AGAIN = 32
"""Most dropped pictures that are read again for one better copy, as many as a burst has at most.
Each takes as long as a picture that is offered."""
_COMPARABLE = frozenset(
    {
        *(Reason.NEAR_DUPLICATE, Reason.NOVEL, Reason.BLURRY),
        *(Reason.RATE_LIMITED, Reason.BUDGET, Reason.UNLIKE_EXAMPLES),
        *(Reason.NO_TARGET, Reason.INHIBITED),
    }
)
"""Reasons for which photographs name a kept one. With others, frames of a clip do, which cannot be
had again."""


class Earlier(Protocol):
    """Knows what is recorded of the photographs in a folder that is still being read."""

    def replaceable(self, id_: str) -> Decision | None:
        """Returns the record of a kept photograph that may give way; None: it is to stay."""

    def naming(self, id_: str) -> Sequence[Decision]:
        """Returns the records that name a photograph, but for those of files with its bytes or
        with the bytes of another of these."""

    def picture(self, record: Decision) -> ArrayPicture | None:
        """Returns a dropped photograph again, as it was offered; None: it cannot be had."""


@dataclass(frozen=True, slots=True, eq=False)
class Replacement:
    """Describes a kept photograph whose place a better copy takes."""

    frame: GalleryFrame
    record: Decision
    """Its record as it was."""
    why: str
    """What is said of the better copy: "is larger"."""


@dataclass(frozen=True, slots=True)
class Records:
    """Holds the records that change with a replacement, as they are from then on."""

    replaced: tuple[Decision, ...]
    """Those of what was kept and is dropped."""
    renamed: tuple[Decision, ...]
    """Those of what named it; they name the better copy."""

    def ended(self, decisions: Mapping[str, Decision]) -> Records:
        """Returns the same where some of the `renamed` have got tags, or could not be written.

        `decisions`: how those ended that were decided together with the better copy, by id.
        """
        ends = [(each, decisions.get(each.id, each)) for each in self.renamed]
        renamed = [
            replace(each, reason=end.reason, detail=end.detail, tags=end.tags) for each, end in ends
        ]
        return replace(self, renamed=tuple(renamed))


class Replacements:
    """Finds what a better copy may replace, and what becomes of the records."""

    def __init__(
        self,
        photographs: Photographs,
        earlier: Earlier | None,
        look: Callable[[str, ArrayPicture], Shown],
        min_sharpness: float,
    ) -> None:
        """Takes the function that looks at a picture again, as if it were offered.

        `earlier` None: what is kept stays. `min_sharpness`: share of another one's sharpness below
        which a copy is blurred.
        """
        self._photographs = photographs
        self._earlier = earlier
        self._look = look
        self._min_sharpness = min_sharpness

    def of(self, new: Measured, match: Match) -> Replacement | None:
        """Returns the replacement of a kept photograph by a new one that repeats it.

        None: it may not be replaced, or the new one is not plainly better.
        """
        id_ = match.frame.id
        record = None if self._earlier is None else self._earlier.replaceable(id_)
        frame = None if record is None else self._photographs.album.frame(id_)
        overview = None if frame is None else self._photographs.overviews.of(id_)
        if record is None or frame is None or overview is None or new.overview is None:
            return None
        found = better(new.overview, overview, match.likeness.difference)
        if found.first is not True or not found.plain:
            return None
        return Replacement(frame, record, found.why)

    def records(
        self, new: Measured, replaced: Sequence[Replacement], last: Iterable[Decision]
    ) -> Records | None:
        """Returns the records of all that a new photograph replaces, and of what names that.

        `last`: decisions that `Earlier` does not know of yet. None: one of them cannot be compared
        with the new one, a dropped one is not shown by it, or a kept one is.
        """
        assert self._earlier is not None
        by = self._photographs.shown(new)
        dropped = []
        for each in replaced:
            shown = self._kept(each.frame)
            like = self._likeness(each.record, shown, new, by)
            if not like.same:
                return None
            why = f"{like.why}; kept until one came that {each.why}"
            record = replace(each.record, reason=Reason.NEAR_DUPLICATE, detail=why)
            dropped.append(self._naming(record, shown, by, like))
        gone = [each.frame.id for each in replaced]
        naming = [
            *(record for id_ in gone for record in self._earlier.naming(id_)),
            *(record for record in last if record.nearest_kept in gone),
        ]
        naming = [record for record in naming if record.id not in gone]
        if sum(not _is_kept(record) for record in naming) > _MOST_READ_AGAIN:
            return None
        renamed = []
        for record in naming:
            changed = self._renamed(record, new, by)
            if changed is None:
                return None
            renamed.append(changed)
        return Records(tuple(dropped), tuple(renamed))

    def _renamed(self, record: Decision, new: Measured, by: Shown) -> Decision | None:
        """Returns a record that names the new photograph; None: it would not be true."""
        reason = record.dropped_as or record.reason
        shown = self._shown(record) if reason in _COMPARABLE else None
        if shown is None:
            return None
        like = self._likeness(record, shown, new, by)
        if _is_kept(record):
            return None if like.same else self._naming(record, shown, by, like)
        if reason is not Reason.NEAR_DUPLICATE:
            return self._naming(record, shown, by, like)
        why = f"{like.why}; the kept one took the place of another"
        return self._naming(replace(record, detail=why), shown, by, like) if like.same else None

    def _likeness(self, record: Decision, shown: Shown, new: Measured, by: Shown) -> Likeness:
        """Compares an earlier photograph with the new one, as in a burst."""
        sharp = new.sharp.value
        own = sharp if record.sharpness is None else record.sharpness
        return self._photographs.repeats(shown, by, (own, sharp), self._min_sharpness)

    def _shown(self, record: Decision) -> Shown | None:
        """Returns what is compared of an earlier photograph; None: it cannot be had."""
        if _is_kept(record):
            frame = self._photographs.album.frame(record.id)
            return None if frame is None else self._kept(frame)
        assert self._earlier is not None
        picture = self._earlier.picture(record)
        try:
            return None if picture is None else self._look(record.id, picture)
        except EmbedError:
            return None

    def _naming(self, record: Decision, shown: Shown, by: Shown, like: Likeness) -> Decision:
        """Returns a record with another kept photograph that it names, and its distance to that."""
        limit = self._photographs.limit
        return replace(
            record,
            nearest_kept=by.id,
            similarity=similarity(shown.embedding, by.embedding),
            distance=like.distance,
            novelty=like.distance * limit,
            novelty_limit=limit,
        )

    def _kept(self, frame: GalleryFrame) -> Shown:
        overview = self._photographs.overviews.of(frame.id)
        return Shown(frame.id, frame.embedding, frame.cells, overview)


def _is_kept(record: Decision) -> bool:
    """Tells whether a photograph is kept; one of the audit sample is dropped."""
    return record.outcome is Outcome.KEPT and record.reason is not Reason.AUDIT
