"""Says for which stretches of time the kept frames of a source stand."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ..decisions import Outcome, Reason, outcome_of
from ..ledger.covered import Slot
from ..ledger.records import GapRecord

SHOWN = frozenset(
    {Reason.EXACT_DUPLICATE, Reason.NEAR_DUPLICATE, Reason.BLURRY}
    | {Reason.SAME_BACKGROUND, Reason.SAME_OBJECT}
)
"""Reasons that say of a dropped frame that a kept one shows it."""


@dataclass(slots=True)
class Stretch:
    """Counts the frames of one source in one stretch of time."""

    source: str
    from_ns: int
    frames: int = 0
    kept: int = 0
    shown: int = 0
    """Frames that are kept, or that a kept frame shows, as their reason says."""
    away_s: float = 0.0
    """Seconds in which the camera was away."""

    @property
    def dropped_unseen(self) -> int:
        """Gives the frames that no kept frame shows: too dark, too many, failed, lost."""
        return self.frames - self.shown


@dataclass(slots=True)
class TimeCover:
    """Sums up one source."""

    source: str
    stretches: list[Stretch] = field(default_factory=list)
    """Those that have frames or in which the camera was away, in the order of time."""
    gaps: int = 0

    @property
    def frames(self) -> int:
        return sum(each.frames for each in self.stretches)

    @property
    def kept(self) -> int:
        return sum(each.kept for each in self.stretches)

    @property
    def shown(self) -> int:
        return sum(each.shown for each in self.stretches)

    @property
    def with_frames(self) -> int:
        """Gives the stretches that have frames."""
        return sum(each.frames > 0 for each in self.stretches)

    @property
    def covered(self) -> int:
        """Gives the stretches that have frames, each of which a kept frame shows."""
        return sum(0 < each.frames == each.shown for each in self.stretches)

    @property
    def away_s(self) -> float:
        return sum(each.away_s for each in self.stretches)


def time_cover(slots: Iterable[Slot], gaps: Sequence[GapRecord], slot_ns: int) -> list[TimeCover]:
    """Sums up what became of the frames of each source, by stretches of `slot_ns`."""
    found: defaultdict[str, dict[int, Stretch]] = defaultdict(dict)
    for slot in slots:
        if slot.reason is Reason.GAP:  # told by the gaps themselves
            continue
        stretches = found[slot.source]
        stretch = stretches.setdefault(slot.from_ns, Stretch(slot.source, slot.from_ns))
        stretch.frames += slot.frames
        kept = outcome_of(slot.reason) is Outcome.KEPT and slot.reason is not Reason.AUDIT
        stretch.kept += kept * slot.frames
        stretch.shown += (kept or slot.reason in SHOWN) * slot.frames
    covers = {source: TimeCover(source) for source in found}
    for gap in gaps:
        covers.setdefault(gap.source, TimeCover(gap.source)).gaps += 1
        stretches = found[gap.source]
        at = gap.from_ns // slot_ns * slot_ns
        while at < gap.to_ns:
            stretch = stretches.setdefault(at, Stretch(gap.source, at))
            part = min(gap.to_ns, at + slot_ns) - max(gap.from_ns, at)
            stretch.away_s += part / 1e9
            at += slot_ns
    for source, cover in covers.items():
        cover.stretches = [found[source][at] for at in sorted(found[source])]
    return [covers[source] for source in sorted(covers)]
