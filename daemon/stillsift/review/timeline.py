"""Lays out what a source took in a day or an hour: kept and dropped frames, gaps and alarms."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from ..ledger import LedgerReader
from ..ledger.browsing import SLOT_NS
from ..ledger.records import AlarmRecord, GapRecord
from .reasons import Kind, kind_of

SECOND_NS = 10**9
HOUR_NS = 3600 * 10**9
DAY_NS = 24 * HOUR_NS
MINUTE_NS = 60 * 10**9
WIDTH = 1440
KEPT_HEIGHT, DROPPED_HEIGHT, STRIP = 30, 60, 8
"""Pixels of the drawing, before it is scaled: kept frames above, dropped ones below, then gaps and
alarms. Kept frames have a scale of their own, as one of a hundred would else not be seen."""
_STACK = tuple(kind for kind in Kind if kind is not Kind.KEPT)


SPANS_NS = (MINUTE_NS, 10 * MINUTE_NS, HOUR_NS, DAY_NS)
"""What a drawing can be about."""
_STEPS = {
    DAY_NS: (SLOT_NS, HOUR_NS),
    HOUR_NS: (MINUTE_NS, MINUTE_NS),
    10 * MINUTE_NS: (MINUTE_NS // 6, MINUTE_NS // 6),
    MINUTE_NS: (MINUTE_NS // 60, MINUTE_NS // 60),
}
"""For each span the time of a bar, and of a part that can be opened."""


@dataclass(frozen=True, slots=True)
class Bar:
    """Describes a rectangle of the drawing."""

    kind: str
    x: float
    y: float
    width: float
    height: float
    told: str = ""
    """What it says when it is pointed at."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Describes a part of the time that can be opened."""

    from_ns: int
    to_ns: int
    x: float
    width: float
    kinds: dict[Kind, int]
    """Number of frames of each kind."""

    @property
    def told(self) -> str:
        """Gives its numbers in words."""
        return ", ".join(f"{n:,} {kind.words}" for kind, n in self.kinds.items()) or "nothing"


@dataclass(frozen=True, slots=True)
class Timeline:
    """Holds the drawing of one source and one day or hour."""

    source: str
    from_ns: int
    to_ns: int
    bars: Sequence[Bar]
    stretches: Sequence[Stretch]
    """24 hours of a day, 60 minutes of an hour, and so on."""
    totals: dict[Kind, int]
    gaps: Sequence[GapRecord]
    alarms: Sequence[AlarmRecord]

    @property
    def is_day(self) -> bool:
        """Tells whether it is a whole day, whose parts are hours."""
        return self.to_ns - self.from_ns == DAY_NS

    @property
    def height(self) -> int:
        return KEPT_HEIGHT + DROPPED_HEIGHT + 2 * STRIP + 4


def timeline(
    ledger: LedgerReader, source: str, from_ns: int, to_ns: int, alarms: Sequence[AlarmRecord]
) -> Timeline:
    """Lays out a day, an hour, ten minutes or a minute of one source.

    `alarms` are all that it ever had.
    """
    slot_ns, each_ns = _STEPS[to_ns - from_ns]
    slots: dict[int, Counter[Kind]] = defaultdict(Counter)
    for each in ledger.activity(source, from_ns, to_ns, slot_ns):
        slots[each.from_ns][kind_of(each.reason)] += each.frames
    scale = WIDTH / (to_ns - from_ns)
    gaps = ledger.gaps(source=source, since_ns=from_ns, until_ns=to_ns)
    touching = [
        each
        for each in alarms
        if each.from_ns < to_ns and (each.to_ns is None or each.to_ns > from_ns)
    ]
    bars = _bars(slots, from_ns, slot_ns, scale)
    top = KEPT_HEIGHT + DROPPED_HEIGHT + 2
    spans = [("gap", top, gap.from_ns, gap.to_ns, f"away: {gap.cause}") for gap in gaps]
    spans += [
        ("alarm", top + STRIP + 2, one.from_ns, one.to_ns or to_ns, f"{one.kind}: {one.detail}")
        for one in touching
    ]
    for kind, y, begin, end, told in spans:
        x = max(begin - from_ns, 0) * scale
        width = max(min(end, to_ns) - from_ns, 0) * scale - x
        bars.append(Bar(kind, x, y, max(width, 2), STRIP, told))
    totals: Counter[Kind] = Counter()
    for counted in slots.values():
        totals.update(counted)
    return Timeline(
        source,
        from_ns,
        to_ns,
        bars,
        _stretches(slots, from_ns, to_ns, each_ns, scale),
        {kind: totals[kind] for kind in Kind if totals[kind]},
        gaps,
        touching,
    )


def _bars(slots: dict[int, Counter[Kind]], from_ns: int, slot_ns: int, scale: float) -> list[Bar]:
    most_kept = max((each[Kind.KEPT] for each in slots.values()), default=0)
    most = max((sum(each[kind] for kind in _STACK) for each in slots.values()), default=0)
    width = slot_ns * scale
    bars = []
    for at_ns, counted in sorted(slots.items()):
        x = (at_ns - from_ns) * scale
        if counted[Kind.KEPT]:
            high = max(3.0, counted[Kind.KEPT] / most_kept * KEPT_HEIGHT)
            bars.append(Bar(Kind.KEPT, x, KEPT_HEIGHT - high, width - 1, high))
        y = float(KEPT_HEIGHT + DROPPED_HEIGHT)
        for kind in _STACK:
            if counted[kind]:
                high = max(1.0, counted[kind] / most * (DROPPED_HEIGHT - 2))
                y -= high
                bars.append(Bar(kind, x, y, width - 1, high))
    return bars


def _stretches(
    slots: dict[int, Counter[Kind]], from_ns: int, to_ns: int, each_ns: int, scale: float
) -> list[Stretch]:
    summed: dict[int, Counter[Kind]] = defaultdict(Counter)
    for at_ns, counted in slots.items():
        summed[from_ns + (at_ns - from_ns) // each_ns * each_ns].update(counted)
    return [
        Stretch(
            at_ns,
            at_ns + each_ns,
            (at_ns - from_ns) * scale,
            each_ns * scale,
            {kind: summed[at_ns][kind] for kind in Kind if summed[at_ns][kind]},
        )
        for at_ns in range(from_ns, to_ns, each_ns)
    ]
