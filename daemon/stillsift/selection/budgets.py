"""Counts the kept frames of one source, and says whether one more may or must be kept.

A gap between kept frames, and budgets of calendar time, refuse frames with news. A heartbeat keeps
a frame without news. All of it counts in the frames' own time, in nanoseconds UTC.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..arrays import Arrays
from ..decisions import Reason
from ..units import written_duration
from .gallery import GalleryFrame

_MINUTE_NS = 60 * 10**9
_PERIODS_NS = {"minute": _MINUTE_NS, "hour": 60 * _MINUTE_NS, "day": 1440 * _MINUTE_NS}
_MOST_PERIODS = 1024
"""Most minutes, hours or days that a budget remembers; beyond that, the one used longest ago is
forgotten. A time line uses one after the other; pictures in no order jump between them."""
_LAST_KEPT = 4
"""Number of kept frames that the gap is measured from: the best frame of a moment, one kept beside
it, and two before."""


@dataclass(frozen=True, slots=True)
class Amounts:
    """Says how much a source may keep; by default nothing is limited."""

    min_gap_s: float = 0.0
    """Least time between two kept frames of a time line, seconds; 0: none."""
    max_per_minute: int | None = None
    """Most frames kept in a calendar minute, UTC; None: no limit. The next two are alike."""
    max_per_hour: int | None = None
    max_per_day: int | None = None
    keep_ratio: float | None = None
    """Share of the frames to be kept, 0 to 1; None: no share is wanted."""
    heartbeat_s: float = 0.0
    """Time without a kept frame after which one is kept anyway, seconds; 0: never."""


UNLIMITED = Amounts()


@dataclass(frozen=True, slots=True)
class Refusal:
    """Says why a frame may not be kept."""

    reason: Reason
    why: str
    shown_by: GalleryFrame | None = None
    """The kept frame that shows the same object, if it is refused for that."""
    distance: float | None = None
    """Distance of the two objects, 0 the same, 1 at the limit; None: they were not compared."""

    def of(self, news: str) -> str:
        """Returns a text that says what is new in the frame, and why it may not be kept."""
        return f"{news or 'new'}, but {self.why}"


class Budget:
    """Counts the frames kept in each calendar minute, hour or day of the frames' own time."""

    def __init__(self, period: str, most: int) -> None:
        self.period = period
        self._length_ns = _PERIODS_NS[period]
        self._most = most
        self._kept: OrderedDict[int, int] = OrderedDict()
        """Frames kept, by the number of the period since 1970; the one used last comes last."""

    def refusal(self, at_ns: int, freed: Sequence[int] = ()) -> Refusal | None:
        """Returns why the period of that time takes no more frames; None: it does.

        `freed`: times of kept frames whose places it may take.
        """
        number = at_ns // self._length_ns
        kept = self._kept.get(number, 0) - sum(each // self._length_ns == number for each in freed)
        if kept < self._most:
            return None
        this = "this" if self.period != "day" else "on this"
        why = f"{kept} were kept {this} {self.period}, and max_per_{self.period} is {self._most}"
        return Refusal(Reason.BUDGET, why)

    def take(self, at_ns: int, count: int = 1) -> None:
        """Counts a kept frame; with a `count` of -1 its place is free again."""
        number = at_ns // self._length_ns
        self._kept[number] = self._kept.pop(number, 0) + count
        if self._kept[number] <= 0:
            del self._kept[number]
        elif len(self._kept) > _MOST_PERIODS:
            self._kept.popitem(last=False)

    def array(self) -> NDArray[np.int64]:
        """Returns (periods, 2): number of the period, frames kept in it; the last used is last."""
        return np.array(list(self._kept.items()), np.int64).reshape(-1, 2)

    def restore(self, array: NDArray[np.generic]) -> None:
        self._kept = OrderedDict((int(number), int(kept)) for number, kept in array)


@dataclass(frozen=True, slots=True)
class _Taken:
    """Describes a frame kept since the last one was offered; its place can be given back."""

    at_ns: int
    timed: bool


class Budgets:
    """Tells whether a frame of one source may be kept, and counts those that were."""

    def __init__(self, amounts: Amounts) -> None:
        self._gap_ns = round(amounts.min_gap_s * 1e9)
        self._gap_text = written_duration(amounts.min_gap_s)
        self._heartbeat_ns = round(amounts.heartbeat_s * 1e9)
        self._heartbeat_text = written_duration(amounts.heartbeat_s)
        most = {
            "minute": amounts.max_per_minute,
            "hour": amounts.max_per_hour,
            "day": amounts.max_per_day,
        }
        self._budgets = [Budget(period, n) for period, n in most.items() if n is not None]
        self._last: deque[int] = deque(maxlen=_LAST_KEPT)
        """Times of the last kept frames on the time line, newest last."""
        self._since_ns: int | None = None
        """Time from which the heartbeat counts: the last kept frame, else the first frame seen;
        None: there was no frame."""
        self._taken: dict[str, _Taken] = {}

    @property
    def counts(self) -> bool:
        """Tells whether the gap, the heartbeat or any budget is on."""
        return bool(self._gap_ns or self._heartbeat_ns or self._budgets)

    # -- may it be kept? ---------------------------------------------------------------------------

    def refusal(self, at_ns: int, *, timed: bool, freed: Sequence[int] = ()) -> Refusal | None:
        """Returns why a frame of that time may not be kept; None: it may.

        `freed`: as for `exhausted`.
        """
        return (self._too_soon(at_ns) if timed else None) or self.exhausted(at_ns, freed)

    def _too_soon(self, at_ns: int) -> Refusal | None:
        if not self._gap_ns or not self._last:
            return None
        apart_ns = min(abs(at_ns - kept_ns) for kept_ns in self._last)
        if apart_ns >= self._gap_ns:
            return None
        why = f"one was kept {apart_ns / 1e9:.1f} s away, and min_gap is {self._gap_text}"
        return Refusal(Reason.RATE_LIMITED, why)

    def exhausted(self, at_ns: int, freed: Sequence[int] = ()) -> Refusal | None:
        """Returns the refusal of the first budget that is used up at that time; None: none is.

        `freed`: times of kept frames whose places it may take.
        """
        for budget in self._budgets:
            if (refusal := budget.refusal(at_ns, freed)) is not None:
                return refusal
        return None

    def overdue_s(self, at_ns: int) -> float | None:
        """Returns for how long a heartbeat has been due; None: none is, or it may not be kept."""
        if not self._heartbeat_ns or self._since_ns is None:
            return None
        over_ns = at_ns - self._since_ns - self._heartbeat_ns
        if over_ns < 0 or self.refusal(at_ns, timed=True) is not None:
            return None
        return over_ns / 1e9

    @property
    def heartbeat_why(self) -> str:
        return f"nothing was kept for the heartbeat of {self._heartbeat_text}"

    # -- what was kept -----------------------------------------------------------------------------

    def take(self, id_: str, at_ns: int, *, timed: bool) -> None:
        """Counts a kept frame."""
        if not self.counts:
            return
        self._taken[id_] = _Taken(at_ns, timed)
        for budget in self._budgets:
            budget.take(at_ns)
        if timed:
            self._last.append(at_ns)
            self._since_ns = at_ns

    def decided(self, at_ns: int, *, kept: bool) -> None:
        """Notes that a frame of the time line was decided; called in the order of the frames.

        When time runs backwards, another recording has begun: its heartbeat counts from there.
        """
        if kept or self._since_ns is None or at_ns < self._since_ns:
            self._since_ns = at_ns

    def give_back(self, id_: str) -> None:
        """Frees the place of a frame that was taken since `settle` and could not be written."""
        taken = self._taken.pop(id_, None)
        if taken is None:
            return
        for budget in self._budgets:
            budget.take(taken.at_ns, -1)
        if taken.timed and taken.at_ns in self._last:
            self._last.remove(taken.at_ns)
            if self._last:
                self._since_ns = self._last[-1]

    def free(self, at_ns: int) -> None:
        """Frees the place of a photograph that was kept and is kept no longer."""
        for budget in self._budgets:
            budget.take(at_ns, -1)

    def settle(self) -> None:
        """Makes all taken places final: the next frame comes, so those frames are written."""
        self._taken.clear()

    # -- state -------------------------------------------------------------------------------------

    def arrays(self) -> Arrays:
        """Returns all counts, for the state; empty if nothing is limited."""
        if not self.counts:
            return {}
        since = [] if self._since_ns is None else [self._since_ns]
        return {
            "kept_last_ns": np.array(self._last, np.int64),
            "heartbeat_since_ns": np.array(since, np.int64),
            **{f"kept_by_{budget.period}": budget.array() for budget in self._budgets},
        }

    def restore(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Takes over what `arrays` gave; a count that was off then starts now."""
        self._last.extend(int(at_ns) for at_ns in arrays.get("kept_last_ns", ()))
        for since in arrays.get("heartbeat_since_ns", ()):
            self._since_ns = int(since)
        for budget in self._budgets:
            if (array := arrays.get(f"kept_by_{budget.period}")) is not None:
                budget.restore(array)
