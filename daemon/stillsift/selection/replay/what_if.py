"""Tells what would be kept at other limits, from the measures that were stored.

No picture is looked at. Each decision is gone through in its order: what was measured against the
kept frame that it names is held against the new limits. What follows from that is estimated:

- news that weighs too little now is lost; what followed as its repeat differs from what is kept
  as much as both together, and may be kept in its place;
- what was explained is kept where the rule looks at the time: an object that has moved on since
  the last kept frame, a picture that no kept frame has shown all of;
- what comes within a moment of an added frame shows the same as that one.

bench/README.md tells how far that is from sifting again.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from ...units import counted
from ..budgets import Budgets
from ..keep_ratio import KeepRatio
from ..limits import Limits
from ..novelty import Novelty, picture_share
from ..sensitivity import FACTORS
from ..targets import NO_TARGETS
from .measures import Kind, Measures

_EACH_CHANGE, _EACH_REFUSAL = 0.6, 0.1
"""Frames by which the number of kept ones is off, at most in two of three cases, for each frame
that is added or lost: where something else is news, and where only as much may be kept. Found by
bench/quality/replay.py on one half of its clips, where one is the least."""


@dataclass(frozen=True, slots=True, eq=False)
class WhatIf:
    """Tells what would be kept of some decisions at other limits."""

    kept: NDArray[np.bool_]
    """(decisions,) whether the frame would be kept."""
    added: Sequence[str]
    """Ids of the frames that were dropped and would be kept, in their order."""
    lost: Sequence[str]
    """Ids of the frames that were kept and would be dropped."""
    error: float
    """Frames by which the number of kept ones may be off: in two of three cases it is less."""
    doubts: Sequence[str]
    """Sentences for people: what the stored measures cannot tell."""

    @property
    def count(self) -> int:
        """Gives the number of frames that would be kept."""
        return int(self.kept.sum())


def what_if(measures: Measures, before: Limits, after: Limits) -> WhatIf:
    """Returns what would have been kept with the limits `after`.

    `before`: those with which the decisions were made. With the same ones nothing changes.
    """
    if after == before:
        kept = measures.kept
    else:
        wrong = () if _is_lower(before, after) else _wrong(measures, before)
        kept = np.array(_Replay(measures, before, after, wrong).run(), np.bool_)
    added, lost = kept & ~measures.kept, measures.kept & ~kept
    return WhatIf(
        kept,
        measures.those(added),
        measures.those(lost),
        _error(before, after, int(added.sum() + lost.sum())),
        tuple(_doubts(measures, before, after)),
    )


class _Replay:
    """Goes through decisions with some limits."""

    def __init__(
        self, measures: Measures, before: Limits, limits: Limits, wrong: Collection[int] = ()
    ) -> None:
        """Takes the places at which this would keep what was dropped at the same limits."""
        self._limits = limits
        self._as_before = FACTORS[limits.sensitivity].gap_s <= FACTORS[before.sensitivity].gap_s
        self._wrong = set(wrong)
        self._forced = False
        novelty = Novelty(limits.novelty, limits.sensitivity, limits.regions, limits.asked)
        self._numbers = novelty.numbers
        self._asked = novelty.in_force(timed=False), novelty.in_force(timed=True)
        """The limits of novelty, of photographs and of a time line."""
        self._budgets = Budgets(limits.amounts)
        self._keep_ratio = KeepRatio(limits.amounts.keep_ratio)
        self._ids = measures.ids
        self._kinds: list[int] = measures.kinds.tolist()
        self._at_ns: list[int] = measures.at_ns.tolist()
        self._timed: list[bool] = measures.timed.tolist()
        self._nearest: list[int] = measures.nearest.tolist()
        self._novelties: list[float] = measures.novelty.tolist()
        self._weights: list[float] = (measures.distance * measures.novelty_limit).tolist()
        """Weight of the largest change beside the nearest kept frame, on the scale of novelty."""
        self._refresh_then_ns = FACTORS[before.sensitivity].refresh_s * 1e9
        self._limits_then: list[float] = measures.novelty_limit.tolist()
        self._passes: list[bool] = _passes(measures, limits).tolist()
        self._sharp: list[bool] = _sharp(measures, before, limits).tolist()
        self._kept = [False] * len(measures)
        self._missing: dict[int, float] = {}
        """What frames weigh that were kept and are not now, by their place."""
        self._shown: dict[int, float] = {}
        """What the last added frame weighs beside a kept one, by the place of that one."""
        self._last_ns: int | None = None
        """Time of the last frame that was kept for news; None: there was none."""
        self._added: int | None = None
        """Place of the last kept frame, if it was dropped before; None: it was kept before."""
        self._news: int | None = None
        """Place of the last frame that was kept for news before."""
        self._unshown_ns = 0
        """Time for which no kept frame has shown all of the picture."""

    def wrong(self) -> set[int]:
        """Returns the places of dropped frames that would be kept, while all else is as it was."""
        self._forced = True
        self.run()
        return self._wrong

    def run(self) -> list[bool]:
        """Returns for each decision whether its frame is kept."""
        numbers = self._numbers
        self._wait_ns = round(self._limits.max_wait_s * 1e9)
        self._gap_ns = round(numbers.gap_s * 1e9)
        self._refresh_ns = round(numbers.refresh_s * 1e9)
        self._crept_ns = round(numbers.crept_s * 1e9)
        self._urgent, self._weak = numbers.strong / numbers.news, numbers.weak / numbers.news
        limits = self._in_force()
        idle = not (self._budgets.counts or self._keep_ratio.on) and all(self._timed)
        """Whether a frame that a kept one shows changes nothing."""
        before_ns: int | None = None
        for place, kind in enumerate(self._kinds):
            at_ns, timed = self._at_ns[place], self._timed[place]
            passed_ns = 0 if before_ns is None else at_ns - before_ns
            before_ns = at_ns
            if idle and kind in (Kind.LESSER, Kind.FLEETING, Kind.MOVED):
                continue
            if idle and kind == Kind.REPEAT and self._nearest[place] not in self._missing:
                self._unshown_ns = max(0, self._unshown_ns - passed_ns // 4)
                continue
            if kind >= Kind.GATED or not self._passes[place]:
                if kind == Kind.NEWS:
                    self._news = place
                    self._missing[place] = self._novelties[place]
                continue
            limit = limits[timed]
            weight = self._weight(place, kind, limit)
            if weight is None and timed:
                weight = self._in_time(place, kind, limit, passed_ns)
            kept = weight is not None and self._keep(place, kind, weight, limit)
            if not kept and kind == Kind.ASKED:
                self._take(place)
            elif not kept and timed and kind != Kind.LESSER:
                kept = self._beats(place)
            if timed and self._budgets.counts:
                self._budgets.decided(at_ns, kept=self._kept[place])
            if self._keep_ratio.on:
                self._keep_ratio.decided(kept=int(self._kept[place]))
                limits = self._in_force()
        return self._kept

    def _in_force(self) -> tuple[float, float]:
        """Returns the limits of novelty now, of photographs and of a time line."""
        pictures, timed = self._asked
        if not self._keep_ratio.on:
            return self._asked
        factor = self._keep_ratio.factor
        return pictures * picture_share(factor), timed * factor

    def _weight(self, place: int, kind: int, limit: float) -> float | None:
        """Returns what the news of a frame weigh at these limits; None: it shows none."""
        missing = self._missing.get(self._nearest[place])
        novelty = self._novelties[place]
        if kind == Kind.NEWS:
            self._news = place
            if novelty != novelty or self._last_ns is None:  # nothing was kept before
                return math.inf
            weight = novelty + (missing or 0)
            if weight <= limit:
                self._missing[place] = weight
            return weight if weight > limit else None
        if kind == Kind.REFUSED:
            weight = novelty + (missing or 0)
        elif kind == Kind.LITTLE:
            # An added frame shows some of it.
            shown = self._shown.get(self._nearest[place], 0.0)
            weight = abs(novelty + (missing or 0) - shown)
        elif kind == Kind.REPEAT and missing is not None:
            weight = self._weights[place] + missing
        elif kind == Kind.REPEAT and not self._timed[place]:
            weight = novelty
        elif kind == Kind.KNOWN and self._news in self._missing:
            weight = max(novelty, min(self._weights[place], self._missing[self._news]))
        elif kind == Kind.BLURRY and self._sharp[place]:
            return float(np.nextafter(limit, np.inf))
        else:
            return None
        return weight if weight > limit else None

    def _in_time(self, place: int, kind: int, limit: float, passed_ns: int) -> float | None:
        """Returns what a change weighs that is news as nothing was kept for long; None: it is
        none."""
        weight = self._weights[place]
        if kind not in (Kind.KNOWN, Kind.BACKGROUND, Kind.LITTLE, Kind.REPEAT) or weight != weight:
            return None
        if weight <= limit or kind == Kind.REPEAT:
            self._unshown_ns = max(0, self._unshown_ns - passed_ns // 4)
            return None
        self._unshown_ns += max(passed_ns, 0)
        clear = weight > self._weak * limit
        since_ns = self._since_ns(place)
        # With a share of the limit, what moves on is taken for something new after that share of
        # the time (measured, as `_EACH_CHANGE`).
        share = limit / self._limits_then[place]
        refresh_ns = min(self._refresh_ns, share * self._refresh_then_ns)
        waited = since_ns is None or since_ns >= refresh_ns
        if kind == Kind.KNOWN and clear and waited:
            return weight
        wait_ns = self._crept_ns if clear and kind == Kind.BACKGROUND else self._refresh_ns
        return weight if self._unshown_ns >= wait_ns else None

    def _since_ns(self, place: int) -> int | None:
        """Returns the time since the last kept frame; None: there is none on this time line."""
        if self._last_ns is None or self._at_ns[place] < self._last_ns:
            return None
        return self._at_ns[place] - self._last_ns

    def _keep(self, place: int, kind: int, weight: float, limit: float) -> bool:
        """Keeps a frame with news, if it may be kept; returns whether it was."""
        if kind != Kind.NEWS and (self._forced or place in self._wrong):
            self._wrong.add(place)
            return False
        at_ns, timed = self._at_ns[place], self._timed[place]
        since_ns = self._since_ns(place) if timed else None
        one_moment = since_ns is not None and since_ns <= self._wait_ns
        if kind == Kind.NEWS and self._added is not None and one_moment:
            self._kept[self._added] = False  # this one shows it best
            self._budgets.give_back(self._ids[self._added])
            since_ns = None
        soon = since_ns is not None and since_ns < self._gap_ns and weight <= self._urgent * limit
        if kind == Kind.NEWS and self._added is None and self._as_before:
            soon = False
        refused = not self._forced and self._budgets.refusal(at_ns, timed=timed) is not None
        if soon or refused:
            if kind == Kind.NEWS:
                self._missing[place] = weight
            return False
        self._take(place)
        self._unshown_ns = 0
        self._last_ns, self._added = at_ns, None if kind == Kind.NEWS else place
        if kind == Kind.LITTLE:
            self._shown[self._nearest[place]] = self._novelties[place]
        if kind != Kind.NEWS:
            for shown in (self._news, self._nearest[place]):
                self._missing.pop(-1 if shown is None else shown, None)
        return True

    def _take(self, place: int) -> None:
        self._kept[place] = True
        self._budgets.settle()
        self._budgets.take(self._ids[place], self._at_ns[place], timed=self._timed[place])

    def _beats(self, place: int) -> bool:
        """Keeps a frame without news if a heartbeat is due; returns whether it was."""
        if self._budgets.overdue_s(self._at_ns[place]) is None:
            return False
        self._take(place)
        return True


def _error(before: Limits, after: Limits, changes: int) -> float:
    """Returns by how many frames the number may be off, with so many added and lost."""
    amounts = replace(before.amounts, keep_ratio=after.amounts.keep_ratio)
    if after == before:
        return 0.0
    if replace(after, amounts=before.amounts, gates=before.gates) == before and (
        amounts == before.amounts
    ):
        return _EACH_REFUSAL * changes
    return max(1.0, _EACH_CHANGE * changes)


def _wrong(measures: Measures, before: Limits) -> frozenset[int]:
    """Returns the places that a replay with the same limits would keep, and were dropped."""
    limits, wrong = _WRONG.get(measures, (None, frozenset()))
    if limits != before:
        wrong = frozenset(_Replay(measures, before, before).wrong())
        _WRONG[measures] = before, wrong
    return wrong


_WRONG: WeakKeyDictionary[Measures, tuple[Limits, frozenset[int]]] = WeakKeyDictionary()
"""What was found last, for as long as somebody holds the measures."""


def _is_lower(before: Limits, after: Limits) -> bool:
    """Tells whether less must be new, so that what was explained may be news."""
    old, new = FACTORS[before.sensitivity], FACTORS[after.sensitivity]
    return new.weight * after.asked < old.weight * before.asked or new.gap_s < old.gap_s


def _passes(measures: Measures, limits: Limits) -> NDArray[np.bool_]:
    """Tells which frames no gate drops. Those whose light was not recorded pass."""
    gates = limits.gates
    dark = measures.highlights < gates.min_brightness
    bright = measures.shadows > gates.max_brightness
    return np.asarray(~(dark | bright | (measures.contrast < gates.min_contrast)))


def _sharp(measures: Measures, before: Limits, after: Limits) -> NDArray[np.bool_]:
    """Tells which frames are blurred no more; of which none is known, they are as before."""
    if not before.min_sharpness:
        return np.zeros(len(measures), np.bool_)
    limit = measures.sharpness_limit * (after.min_sharpness / before.min_sharpness)
    return np.asarray(
        (measures.sharpness >= limit) & (measures.sharpness < measures.sharpness_limit)
    )


def _doubts(measures: Measures, before: Limits, after: Limits) -> Iterator[str]:
    """Yields what the stored measures cannot tell, for people."""
    gated = int((measures.kinds == Kind.GATED).sum())
    if gated and after.gates != before.gates:
        yield (
            f"{counted(gated, 'frame')} that a gate dropped were compared with nothing: whether "
            "one of them would be kept is not known"
        )
    if after.gates != before.gates:
        dim = int((np.isnan(measures.contrast) & (measures.kinds < Kind.GATED)).sum())
        if dim:
            yield f"of {counted(dim, 'frame')} the light was not recorded; no gate is tried on them"
    if after.min_sharpness > before.min_sharpness:
        yield (
            "a kept frame that would be called blurred may give way to a sharper one of its "
            "moment; the number stays about the same"
        )
    asks = before.targets != NO_TARGETS or before.examples is not None
    if asks:
        yield "added frames were not asked for objects or examples; fewer of them would be kept"
    if before.every_change != after.every_change:
        yield "news: things and news: changes have other measures; only sifting again tells"
