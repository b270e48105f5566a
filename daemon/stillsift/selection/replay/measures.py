"""Holds what the ledger has stored of many decisions of one source, as columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...decisions import Reason
from ...frames import TimeOrigin
from ..moments import LESSER
from ..rule import TOO_LITTLE

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
    LESSER = 8
    """A frame before the best one of its moment."""
    BLURRY = 9
    FLEETING = 10
    GATED = 11
    """Dropped by a gate: nothing was compared."""
    SHUT = 12
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


def kind_of(reason: Reason, detail: str | None, dropped_as: Reason | None) -> Kind:
    """Returns the kind of a decision. `dropped_as`: of a frame of the audit sample."""
    kind = _KINDS.get(dropped_as or reason, Kind.SHUT)
    if detail == LESSER and kind in (Kind.REPEAT, Kind.KNOWN, Kind.BLURRY):
        return Kind.LESSER
    return Kind.LITTLE if detail == TOO_LITTLE else kind


@dataclass(frozen=True, slots=True, eq=False)
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
    def days(self) -> float:
        """Gives the days from the first frame to the last, one hour at least."""
        if not len(self):
            return 0.0
        return max(float(self.at_ns.max() - self.at_ns.min()) / 86400e9, 1 / 24)


MEASURED = (
    *("id", "captured_at_ns", "reason", "dropped_as", "detail", "content_hash IS NOT NULL"),
    *("captured_at_origin", "nearest_kept", "novelty", "novelty_limit", "distance"),
    *("sharpness", "sharpness_limit", "shadows", "highlights", "contrast"),
)
"""What `measures_of` needs of each decision, as columns of the ledger."""


def measures_of(rows: Sequence[tuple[Any, ...]]) -> Measures:
    """Makes measures of decisions, given as rows of `MEASURED`. None: it was not taken."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * 16
    ids, at_ns, reasons, dropped_as, details, stills, origins, nearest = columns[:8]
    place = {id_: number for number, id_ in enumerate(ids)}
    told = [
        kind_of(Reason(reason), detail, None if instead is None else Reason(instead))
        for reason, instead, detail in zip(reasons, dropped_as, details, strict=True)
    ]
    kinds = np.array(told, np.int8)
    audit = np.array([reason == Reason.AUDIT for reason in reasons], np.bool_)
    return Measures(
        ids,
        np.array(at_ns, np.int64),
        kinds,
        (kinds <= Kind.ASKED) & ~audit,
        np.array([not s or o in _TIMED for s, o in zip(stills, origins, strict=True)], np.bool_),
        np.array([place.get(name, -1) for name in nearest], np.int64),
        *(np.array(column, np.float64) for column in columns[8:]),
    )


_TIMED = (TimeOrigin.FILENAME, TimeOrigin.SEQUENCE)
"""Origins of the times of stills that lie on a time line. (EXIF only where `exif_timeline` says so,
which is not recorded with the decision: such stills are taken for photographs.)"""
