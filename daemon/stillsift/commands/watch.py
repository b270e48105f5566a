"""Shows what sources offer and keep while they do: the live view of `stillsift stats --watch`."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.live import Live
from rich.text import Text

from ..decisions import Outcome, Reason, outcome_of
from ..ledger.records import SourceStats
from ..units import shown_duration
from .tables import table

_LOOKS_BACK_S = 60.0
"""Seconds of the past that rates are of."""
_MOST_REASONS = 3
"""Most reasons that are named of a source."""


@dataclass(slots=True)
class Rates:
    """Remembers the sums of the last minute, and tells from them what goes on now."""

    _seen: deque[tuple[float, Mapping[str, Mapping[Reason, int]]]] = field(default_factory=deque)
    """Times and the sums of then by source and reason, oldest first."""

    def rows(self, sources: Sequence[SourceStats], now_s: float, now_ns: int) -> list[list[str]]:
        """Notes the sums of now; returns a table of what has come since, a line for each source.

        `now_s`: on a clock that nobody sets, for the rates; `now_ns`: the time of day, for the lag.
        """
        seen = self._seen
        seen.append((now_s, {source.source: dict(source.reasons) for source in sources}))
        while len(seen) > 2 and now_s - seen[1][0] >= _LOOKS_BACK_S:
            seen.popleft()
        since_s, before = seen[0]
        lasted_s = now_s - since_s
        heading = ["source", "frames/s", "kept/min", "kept", "share", "lost", "lag"]
        return [
            [*heading, "in the last minute"],
            *(_row(source, before.get(source.source, {}), lasted_s, now_ns) for source in sources),
        ]


def _row(
    source: SourceStats, before: Mapping[Reason, int], lasted_s: float, now_ns: int
) -> list[str]:
    new = {reason: n - before.get(reason, 0) for reason, n in source.reasons.items()}
    new = {reason: n for reason, n in new.items() if n > 0}
    kept = _kept(source.reasons)
    some = sorted(new.items(), key=lambda each: -each[1])[:_MOST_REASONS]
    lag_s = None if source.last_ns is None else max(now_ns - source.last_ns, 0) / 1e9
    return [
        source.source,
        f"{sum(new.values()) / lasted_s:.1f}" if lasted_s else "-",
        f"{60 * _kept(new) / lasted_s:.1f}" if lasted_s else "-",
        str(kept),
        f"{kept / source.offered:.2%}" if source.offered else "-",
        str(sum(n for r, n in source.reasons.items() if outcome_of(r) is Outcome.LOST)),
        "-" if lag_s is None else shown_duration(lag_s),
        " · ".join(f"{reason} {n}" for reason, n in some) or "nothing",
    ]


def _kept(reasons: Mapping[Reason, int]) -> int:
    return sum(
        n for r, n in reasons.items() if outcome_of(r) is Outcome.KEPT and r is not Reason.AUDIT
    )


def watch(
    read: Callable[[], Sequence[SourceStats]],
    every_s: float,
    console: Console,
    wait: Callable[[float], None] = time.sleep,
) -> None:
    """Shows the sums that `read` gives, every so many seconds, until it is interrupted.

    On a terminal it takes the screen; elsewhere each look is a table of its own.
    """
    rates = Rates()

    def shown() -> Text:
        rows = rates.rows(read(), time.monotonic(), time.time_ns())
        told = table(rows) if len(rows) > 1 else "nothing recorded yet"
        return Text(told, no_wrap=True, overflow="ellipsis")

    try:
        if not console.is_terminal:
            while True:
                console.print(shown(), soft_wrap=True)
                wait(every_s)
        with Live(shown(), console=console, screen=True, auto_refresh=False) as live:
            while True:
                wait(every_s)
                live.update(shown(), refresh=True)
    except KeyboardInterrupt:
        return
