"""Says how much of one source may be kept, and how little.

A gap between kept frames and budgets of calendar time refuse what is new; a heartbeat keeps what is
not. All of it counts in the frames' own time, in nanoseconds UTC.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..arrays import Arrays
from ..decisions import Reason
from ..units import written_duration

_MINUTE_NS = 60 * 10**9
_PERIODS_NS = {"minute": _MINUTE_NS, "hour": 60 * _MINUTE_NS, "day": 1440 * _MINUTE_NS}
_MOST_PERIODS = 1024
"""Minutes, hours or days that a budget counts in; of more, the one used longest ago is forgotten.
A time line uses one after the other; pictures in no order jump between them."""
_LAST_KEPT = 4
"""Times of kept frames that the gap is held to: the best frame of a moment, one kept beside it, and
those before."""


@dataclass(frozen=True, slots=True)
class Amounts:
    """What a source may keep. As it stands here, nothing is limited."""

    min_gap_s: float = 0.0
    """Least time between two kept frames of a time line; 0: none."""
    max_per_minute: int | None = None
    """Most frames kept in a calendar minute, UTC; None: no limit. So for the next two."""
    max_per_hour: int | None = None
    max_per_day: int | None = None
    keep_ratio: float | None = None
    """Share of the frames to be kept, 0 to 1; None: as many as there are."""
    heartbeat_s: float = 0.0
    """Time without a kept frame after which one is kept anyway; 0: never."""


UNLIMITED = Amounts()


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a frame may not be kept."""

    reason: Reason
    why: str

    def of(self, news: str) -> str:
        """Why, after what is new in the frame."""
        return f"{news or 'new'}, but {self.why}"


class Budget:
    """The frames kept in each calendar minute, hour or day of the frames' own time."""

    def __init__(self, period: str, most: int) -> None:
        self.period = period
        self._length_ns = _PERIODS_NS[period]
        self._most = most
        self._kept: OrderedDict[int, int] = OrderedDict()
        """Frames kept, by the number of the period since 1970; used last comes last."""

    def refusal(self, at_ns: int) -> Refusal | None:
        kept = self._kept.get(at_ns // self._length_ns, 0)
        if kept < self._most:
            return None
        this = "this" if self.period != "day" else "on this"
        why = f"{kept} were kept {this} {self.period}, and max_per_{self.period} is {self._most}"
        return Refusal(Reason.BUDGET, why)

    def take(self, at_ns: int, count: int = 1) -> None:
        """Count a kept frame; -1 gives its place back."""
        number = at_ns // self._length_ns
        self._kept[number] = self._kept.pop(number, 0) + count
        if self._kept[number] <= 0:
            del self._kept[number]
        elif len(self._kept) > _MOST_PERIODS:
            self._kept.popitem(last=False)

    def array(self) -> NDArray[np.int64]:
        """(periods, 2) number of the period and frames kept in it, used last comes last."""
        return np.array(list(self._kept.items()), np.int64).reshape(-1, 2)

    def restore(self, array: NDArray[np.generic]) -> None:
        self._kept = OrderedDict((int(number), int(kept)) for number, kept in array)


@dataclass(frozen=True, slots=True)
class _Taken:
    """A frame kept since the last was offered, whose place can be given back."""

    at_ns: int
    timed: bool


class Budgets:
    """Answers whether a frame may be kept, and counts those that were."""

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
        """When the last frames on the time line were kept, newest last."""
        self._since_ns: int | None = None
        """From when the heartbeat counts: the last kept frame, else the first seen; None: none."""
        self._taken: dict[str, _Taken] = {}

    @property
    def counts(self) -> bool:
        """Whether anything depends on what was kept before."""
        return bool(self._gap_ns or self._heartbeat_ns or self._budgets)

    # -- may it be kept? ---------------------------------------------------------------------------

    def refusal(self, at_ns: int, *, timed: bool) -> Refusal | None:
        """Why a frame of that time may not be kept; None: it may."""
        return (self._too_soon(at_ns) if timed else None) or self.exhausted(at_ns)

    def _too_soon(self, at_ns: int) -> Refusal | None:
        if not self._gap_ns or not self._last:
            return None
        apart_ns = min(abs(at_ns - kept_ns) for kept_ns in self._last)
        if apart_ns >= self._gap_ns:
            return None
        why = f"one was kept {apart_ns / 1e9:.1f} s away, and min_gap is {self._gap_text}"
        return Refusal(Reason.RATE_LIMITED, why)

    def exhausted(self, at_ns: int) -> Refusal | None:
        """The first budget with nothing left for that time; None: there is some left in each."""
        for budget in self._budgets:
            if (refusal := budget.refusal(at_ns)) is not None:
                return refusal
        return None

    def overdue_s(self, at_ns: int) -> float | None:
        """For how long a heartbeat has been due; None: none is, or it may not be kept."""
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
        """A frame is kept."""
        if not self.counts:
            return
        self._taken[id_] = _Taken(at_ns, timed)
        for budget in self._budgets:
            budget.take(at_ns)
        if timed:
            self._last.append(at_ns)
            self._since_ns = at_ns

    def decided(self, at_ns: int, *, kept: bool) -> None:
        """A frame of the time line was decided, in the order of the frames.

        Time that runs backwards is another recording: its heartbeat counts from there.
        """
        if kept or self._since_ns is None or at_ns < self._since_ns:
            self._since_ns = at_ns

    def give_back(self, id_: str) -> None:
        """A frame taken since `settle` could not be written; its place is free again."""
        taken = self._taken.pop(id_, None)
        if taken is None:
            return
        for budget in self._budgets:
            budget.take(taken.at_ns, -1)
        if taken.timed and taken.at_ns in self._last:
            self._last.remove(taken.at_ns)
            if self._last:
                self._since_ns = self._last[-1]

    def settle(self) -> None:
        """The next frame comes: what was kept before is written."""
        self._taken.clear()

    # -- state -------------------------------------------------------------------------------------

    def arrays(self) -> Arrays:
        """Empty where nothing is limited."""
        if not self.counts:
            return {}
        since = [] if self._since_ns is None else [self._since_ns]
        return {
            "kept_last_ns": np.array(self._last, np.int64),
            "heartbeat_since_ns": np.array(since, np.int64),
            **{f"kept_by_{budget.period}": budget.array() for budget in self._budgets},
        }

    def restore(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """What `arrays` wrote down; what it did not, because it was off, counts from now on."""
        self._last.extend(int(at_ns) for at_ns in arrays.get("kept_last_ns", ()))
        for since in arrays.get("heartbeat_since_ns", ()):
            self._since_ns = int(since)
        for budget in self._budgets:
            if (array := arrays.get(f"kept_by_{budget.period}")) is not None:
                budget.restore(array)
