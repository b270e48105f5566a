"""Shows how far a command is: a bar on a terminal, elsewhere a plain line now and then."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from ..decisions import Outcome
from ..escapes import escaped
from ..sources import Position
from ..units import counted, shown_clock, shown_duration
from .tally import Tally

if TYPE_CHECKING:  # else only where there is a terminal: it takes as long as 20 frames
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

_LINE_EVERY_S = 10.0
"""Seconds between plain lines, where there is no terminal."""
_LOOKS_BACK_S = 60.0
"""Seconds of the past by which the time left is estimated: what an earlier run has read is passed
over at once and says nothing of the rest."""
_LEAST_S = 3.0
"""Seconds without which nothing is estimated."""
_BAR, _NAME = 16, 20
"""Characters of the bar, and most of a source's name beside it; half of both if it is narrow."""
_WIDE = 80
"""Characters of a terminal that is not narrow."""


Progress = Callable[[], None]
"""Function that shows how far things are; called a few times a second."""


@dataclass(slots=True)
class _TimeLeft:
    """Estimates from the shares of the last minute when all will be done."""

    _seen: deque[tuple[float, float]] = field(default_factory=deque)
    """Times and the shares that were done then, oldest first."""

    def estimate_s(self, now: float, share: float) -> float | None:
        """Notes the share that is done now; returns the seconds left. None: nobody knows yet."""
        seen = self._seen
        while len(seen) > 1 and now - seen[1][0] >= _LOOKS_BACK_S:
            seen.popleft()
        if not seen or now - seen[-1][0] >= 0.1:
            seen.append((now, share))
        begun, before = seen[0]
        if now - begun < _LEAST_S or share <= before:
            return None
        return (1 - share) * (now - begun) / (share - before)


class _Work(Protocol):
    """Says how far something is."""

    @property
    def name(self) -> str: ...
    @property
    def begun(self) -> bool: ...
    @property
    def busy(self) -> bool: ...
    @property
    def share(self) -> float | None: ...
    def words(self, now: float) -> list[str]: ...


@dataclass(slots=True)
class Reading:
    """Says how many of a known number of pictures are done."""

    name: str
    total: int
    done: int = 0
    _left: _TimeLeft = field(default_factory=_TimeLeft)

    @property
    def begun(self) -> bool:
        return self.done > 0

    @property
    def busy(self) -> bool:
        return 0 < self.done < self.total

    @property
    def share(self) -> float | None:
        """Gives the share that is done, 0 to 1."""
        return self.done / self.total if self.total else 1.0

    def words(self, now: float) -> list[str]:
        """Notes how much is done now; returns how far it is, the most important words first."""
        share = self.done / max(1, self.total)
        left_s = self._left.estimate_s(now, share)
        left = "time left unknown" if left_s is None else f"{shown_duration(left_s)} left"
        told = [f"{share:.0%}", f"{self.done:,} of {self.total:,} pictures"]
        return [*told, left] if share < 1 else told


@dataclass(slots=True)
class _Shown:
    """Says how far one source is, or several files that were given one by one are together."""

    name: str
    tallies: list[Tally]
    _left: _TimeLeft = field(default_factory=_TimeLeft)

    @property
    def begun(self) -> bool:
        return any(tally.begun for tally in self.tallies)

    @property
    def busy(self) -> bool:
        return self.begun and not all(tally.seconds for tally in self.tallies)

    @property
    def share(self) -> float | None:
        """Gives the share that is done, 0 to 1; None: it is not known yet."""
        shares = [_share(tally) for tally in self.tallies]
        known = [share for share in shares if share is not None]
        return sum(known) / len(shares) if len(known) == len(shares) else None

    def words(self, now: float) -> list[str]:
        """Notes how much is done now; returns how far it is, the most important words first."""
        share = self.share
        told = [] if share is None else [f"{share:.0%}"]
        told += self._where()
        if share is not None and share < 1:
            left_s = self._left.estimate_s(now, share)
            told.append("time left unknown" if left_s is None else f"{shown_duration(left_s)} left")
        frames = sum(tally.frames for tally in self.tallies)
        kept = sum(tally.kept for tally in self.tallies)
        told += [counted(frames, "frame"), f"would keep {kept}" if self._dry else f"{kept} kept"]
        if failed := sum(tally.count(Outcome.FAILED) for tally in self.tallies):
            told.append(f"{failed} failed")
        return told

    @property
    def _dry(self) -> bool:
        return any(tally.dry for tally in self.tallies)

    def _where(self) -> list[str]:
        several = len(self.tallies) > 1
        done = sum(tally.seconds > 0 for tally in self.tallies)
        told = [f"{done:,} of {len(self.tallies):,} files"] if several else []
        for tally in self.tallies:
            busy = tally.begun and not (several and tally.seconds)
            if busy and (at := tally.position()) is not None:
                told += _place(at, named=several)
        return told


def _share(tally: Tally) -> float | None:
    """Returns the share of a source that is done, 0 to 1; None: it is not known."""
    if tally.seconds:
        return 1.0
    if not tally.begun:
        return 0.0
    at = tally.position()
    if at is None or not at.listed:
        return None
    done = at.done + (0.0 if at.clip is None else at.clip.share)
    return min(1.0, done / at.found) if at.found else None


def _place(at: Position, *, named: bool) -> list[str]:
    """Returns where a source is in its files and in a clip; `named`: with the name of the clip."""
    if not at.listed:
        return [f"listing files, {at.found:,} so far"]
    told = []
    if at.found > 1:
        told.append(f"{at.done:,} of {at.found:,} {at.things}")
    if (clip := at.clip) is not None and clip.at_s is not None:
        name = f"{clip.file.name} " if named or at.found > 1 else ""
        of = "" if clip.lasts_s is None else f" of {shown_clock(clip.lasts_s)}"
        told.append(f"{name}{shown_clock(clip.at_s)}{of}")
    return told


def _shown(tallies: Mapping[str, Tally]) -> list[_Shown]:
    """Joins the files that were given one by one: only together have they a length."""
    single = [tally for tally in tallies.values() if tally.is_file]
    together = len(single) > 1
    shown = [_Shown("files", single)] if together else []
    alone = [tally for tally in tallies.values() if not (together and tally.is_file)]
    return shown + [_Shown(tally.source, [tally]) for tally in alone]


@contextmanager
def show_progress(
    tallies: Mapping[str, Tally], clock: Callable[[], float] = time.monotonic
) -> Iterator[Progress]:
    """Shows how far sources are, as `show` does."""
    with show(_shown(tallies), clock) as progress:
        yield progress


@contextmanager
def show(shown: Sequence[_Work], clock: Callable[[], float] = time.monotonic) -> Iterator[Progress]:
    """Shows a bar on a terminal, elsewhere a plain line every 10 s, on standard error."""
    if not sys.stderr.isatty():
        yield _plain_lines(shown, clock)
        return
    with _bars() as bars:
        tasks: dict[str, TaskID] = {}

        def draw(each: _Work) -> None:
            if each.name not in tasks:
                tasks[each.name] = bars.add_task(escaped(each.name), total=None, told="")
            share = each.share
            total = None if share is None else 1.0
            told = escaped(", ".join(each.words(clock())))
            bars.update(tasks[each.name], total=total, completed=share or 0.0, told=told)

        def draw_all() -> None:
            for each in shown:
                if each.busy:
                    draw(each)
                elif each.name in tasks:
                    bars.remove_task(tasks.pop(each.name))

        try:
            yield draw_all
        finally:
            # However short it was, and however busy the machine: what came last was seen.
            for each in [each for each in shown if each.begun][-1:]:
                draw(each)
            bars.refresh()


def _bars() -> Bars:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bars
    from rich.table import Column

    console = Console(stderr=True)
    wide = console.width >= _WIDE
    name = Column(max_width=_NAME if wide else _NAME // 2, no_wrap=True, overflow="ellipsis")
    told = Column(ratio=1, no_wrap=True, overflow="ellipsis")
    return Bars(
        TextColumn("{task.description}", markup=False, table_column=name),
        BarColumn(_BAR if wide else _BAR // 2),
        TextColumn("{task.fields[told]}", markup=False, table_column=told),
        console=console,
        transient=True,
        expand=True,
        refresh_per_second=5,
    )


def _plain_lines(shown: Sequence[_Work], clock: Callable[[], float]) -> Progress:
    last = clock()

    def line() -> None:
        nonlocal last
        now = clock()
        told = [f"{each.name}: {', '.join(each.words(now))}" for each in shown if each.busy]
        if told and now - last >= _LINE_EVERY_S:
            last = now
            print(escaped(" | ".join(told)), file=sys.stderr, flush=True)

    return line
