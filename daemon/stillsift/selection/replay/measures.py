"""Holds what the ledger has stored of many decisions of one source, as columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...decisions import Reason
from ..moments import LESSER
from ..rule import MOVED_ON, TOO_LITTLE

Times = NDArray[np.int64]
"""(decisions,) nanoseconds UTC."""
Column = NDArray[np.float64]
"""(decisions,) a measure; NaN: it was not taken."""


class Kind(IntEnum):
    """Groups the reasons by what may become of a frame at other limits."""

    NEWS = 0
    """Kept, as it shows something new."""
    BEAT = 1
    """Kept as a heartbeat, without news."""
    ASKED = 2
    """Kept for an object, without news."""
    REFUSED = 3
    """News that had to wait, or for which there was no budget."""
    LITTLE = 4
    """Something new that weighs too little."""
    REPEAT = 5
    """Shown by one kept frame."""
    KNOWN = 6
    """What has changed belongs to an object that was kept."""
    BACKGROUND = 7
    """Kept frames show it together."""
    MOVED = 8
    """The view has moved on a little since a kept frame."""
    LESSER = 9
    """A frame before the best one of its moment."""
    BLURRY = 10
    FLEETING = 11
    GATED = 12
    """Dropped by a gate: nothing was compared."""
    SHUT = 13
    """Dropped for what it shows, at any limit."""


_KINDS = {
    Reason.NOVEL: Kind.NEWS,
    Reason.SHARPEST: Kind.NEWS,
    Reason.HEARTBEAT: Kind.BEAT,
    Reason.TRIGGER: Kind.ASKED,
    Reason.RATE_LIMITED: Kind.REFUSED,
    Reason.BUDGET: Kind.REFUSED,
    Reason.NEAR_DUPLICATE: Kind.REPEAT,
    Reason.SAME_OBJECT: Kind.KNOWN,
    Reason.SAME_BACKGROUND: Kind.BACKGROUND,
    Reason.FLEETING: Kind.FLEETING,
    Reason.BLURRY: Kind.BLURRY,
    Reason.DARK: Kind.GATED,
    Reason.BRIGHT: Kind.GATED,
    Reason.LOW_INFORMATION: Kind.GATED,
    Reason.NO_TARGET: Kind.SHUT,
    Reason.INHIBITED: Kind.SHUT,
    Reason.UNLIKE_EXAMPLES: Kind.SHUT,
}


@cache
def _kind(reason: str, dropped_as: str | None, detail: int) -> Kind:
    """Returns the kind of a decision. `dropped_as`: of a frame of the audit sample; `detail`: 1 for
    `LESSER`, 2 for `TOO_LITTLE`, 4 for `MOVED_ON`."""
    kind = _KINDS.get(Reason(dropped_as or reason), Kind.SHUT)
    if detail == 1 and kind in (Kind.REPEAT, Kind.KNOWN, Kind.BLURRY):
        return Kind.LESSER
    return {2: Kind.LITTLE, 4: Kind.MOVED}.get(detail, kind)


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Measures:
    """Holds the measures of decisions of one source, in the order in which they were made."""

    ids: Sequence[str]
    at_ns: Times
    kinds: NDArray[np.int8]
    """(decisions,) numbers of `Kind`."""
    kept: NDArray[np.bool_]
    """(decisions,) whether the frame was kept, other than for the audit."""
    timed: NDArray[np.bool_]
    """(decisions,) whether the frame lies on a time line."""
    nearest: NDArray[np.int64]
    """(decisions,) place of the kept frame that it was compared with; -1: none, or not here."""
    novelty: Column
    novelty_limit: Column
    distance: Column
    sharpness: Column
    sharpness_limit: Column
    shadows: Column
    highlights: Column
    contrast: Column

    def those(self, which: NDArray[np.bool_]) -> list[str]:
        """Returns the ids of some decisions; `which`: (decisions,)."""
        return [self.ids[place] for place in np.flatnonzero(which).tolist()]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def seconds(self) -> float:
        """Gives the time from the first frame to the last."""
        return float(self.at_ns.max() - self.at_ns.min()) / 1e9 if len(self) else 0.0

    @property
    def days(self) -> float:
        """Gives the same in days, an hour at least."""
        return max(self.seconds, 3600.0) / 86400


_BY_HAND = "reason IN ('picked', 'rejected')"
MEASURED = (
    *("id", "captured_at_ns"),
    f"CASE WHEN {_BY_HAND} THEN coalesce((SELECT was FROM corrections WHERE undone_at IS NULL"
    " AND decision_id = decisions.id ORDER BY corrections.id LIMIT 1), reason) ELSE reason END",
    f"CASE WHEN {_BY_HAND} THEN NULL ELSE dropped_as END",
    f"(detail = '{LESSER}') + 2 * (detail = '{TOO_LITTLE}') + 4 * (detail LIKE '{MOVED_ON}%')",
    "content_hash IS NULL OR captured_at_origin IN ('filename', 'sequence')",
    *("nearest_kept", "novelty", "novelty_limit", "distance", "sharpness", "sharpness_limit"),
    *("shadows", "highlights", "contrast"),
)
"""What `measures_of` needs of each decision, as columns of the ledger in SQL. What a person has
picked or rejected counts as what was decided before. Stills with an EXIF
time are on a time line only where `exif_timeline` says so, which is not recorded with the decision:
they are taken for photographs."""


def measures_of(rows: Sequence[tuple[Any, ...]]) -> Measures:
    """Makes measures of decisions, given as rows of `MEASURED`; what stands behind is left out.

    None: it was not taken.
    """
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(MEASURED)
    ids, at_ns, reasons, dropped_as, details, timed, nearest = columns[:7]
    place = dict(zip(ids, range(len(ids)), strict=True))
    told = [_kind(*each) for each in zip(reasons, dropped_as, details, strict=True)]
    kinds = np.array(told, np.int8)
    audit = np.array([each is not None for each in dropped_as], np.bool_)
    return Measures(
        ids,
        np.array(at_ns, np.int64),
        kinds,
        (kinds <= Kind.ASKED) & ~audit,
        np.array(timed, np.bool_),
        np.array([place.get(name, -1) for name in nearest], np.int64),
        *(np.array(column, np.float64) for column in columns[7 : len(MEASURED)]),
    )
