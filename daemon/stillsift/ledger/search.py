"""Finds decisions by looking at few others, however many there are.

Decisions are told in the order they were made (`seq`), while the indexes order them by source and
reason, or by source and time. So the numbers of the decisions are looked up first, then put in
order: those of a short time are sorted, those of several reasons merged.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from ..decisions import Outcome, Reason, outcome_of
from ..frames import EARLIEST_NS, LATEST_NS, bounded_ns

PAGE = 1000
_MOST_SORTED = 20_000
"""Most decisions of a time that are looked up at once; about 10 ms (measured)."""

Ask = Callable[[str, Sequence[object]], list[tuple[Any, ...]]]
"""Function that runs a query with its values and returns all rows."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Says which decisions are wanted, as far as an index can tell. None: all."""

    sources: Sequence[str]
    """Names of the sources to look at: the one asked for, or all there are."""
    outcome: Outcome | None
    reason: Reason | None
    since_ns: int | None
    until_ns: int | None
    id: str | None
    """The first digits."""
    all_sources: bool
    """Whether no source was asked for."""
    by_file: bool
    """Whether a file was asked for, which no index tells."""
    span: tuple[int, int] = (0, LATEST_NS)
    """Lowest and highest number that is wanted."""
    page: bool = False
    """Whether only a page is wanted, from the end of the span that comes first."""

    @property
    def reasons(self) -> list[Reason]:
        return [
            reason
            for reason in Reason
            if self.reason in (None, reason) and self.outcome in (None, outcome_of(reason))
        ]


def found(ask: Ask, wanted: Wanted, *, newest: int | None) -> Iterator[int] | None:
    """Yields the numbers of all decisions that may be wanted; None: no index tells them apart.

    Some may not be wanted, where several things were asked for. They come in order, or from the
    last to the first if only the `newest` are wanted.
    """
    newest_first = newest is not None
    if wanted.id is not None:
        rows = ask("SELECT seq FROM decisions WHERE id GLOB ?", (f"{wanted.id}*",))
        return iter(sorted((int(row[0]) for row in rows), reverse=newest_first))
    lowest, highest = span = wanted.span
    if wanted.since_ns is not None or wanted.until_ns is not None:
        # With a page of a few reasons, it is shorter to go through those than to sort all.
        few = wanted.page and (wanted.outcome is not None or wanted.reason is not None)
        seqs = None if few else _of_short_time(ask, wanted)
        if seqs is not None:
            inside = (seq for seq in seqs if lowest <= seq <= highest)
            return iter(sorted(inside, reverse=newest_first))
        # The newest are mostly among the last ones. To go back from there costs less.
        if not wanted.by_file and not (newest_first and wanted.until_ns is None):
            if (ends := _span(ask, wanted)) is None:
                return iter(())
            first, last = ends
            span = max(first, lowest), min(last, highest)
    elif wanted.all_sources and wanted.outcome is None and wanted.reason is None:
        return None
    if wanted.by_file:
        return None  # looking at all rows in a row is faster than looking each of many up
    return heapq.merge(
        *(
            _of_reason(ask, source, reason, span, newest)
            for source in wanted.sources
            for reason in wanted.reasons
        ),
        reverse=newest_first,
    )


def pages(seqs: Iterator[int], first: int = PAGE) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yields a condition of SQL, with its values, for as many decisions `d` as are read at once.

    `first`: how many to begin with.
    """
    size = min(first, PAGE)
    while page := tuple(islice(seqs, size)):
        yield f"d.seq IN ({', '.join('?' * len(page))})", page
        size = min(2 * size, PAGE)


_IN_TIME = (
    "FROM decisions INDEXED BY decisions_by_time"
    " WHERE source = ? AND captured_at_ns BETWEEN ? AND ?"
)


def _time(wanted: Wanted) -> tuple[int, int]:
    return (
        EARLIEST_NS if wanted.since_ns is None else wanted.since_ns,
        LATEST_NS if wanted.until_ns is None else bounded_ns(wanted.until_ns - 1),
    )


def _of_short_time(ask: Ask, wanted: Wanted) -> list[int] | None:
    """Returns the numbers of the decisions of a time; None: there are too many to sort."""
    seqs: list[int] = []
    for source in wanted.sources:
        most = _MOST_SORTED - len(seqs) + 1
        rows = ask(f"SELECT seq {_IN_TIME} LIMIT ?", (source, *_time(wanted), most))
        seqs += [int(row[0]) for row in rows]
        if len(seqs) > _MOST_SORTED:
            return None
    return seqs


def _span(ask: Ask, wanted: Wanted) -> tuple[int, int] | None:
    """Returns the lowest and the highest number of the decisions of a time; None: it has none."""
    ends = [
        ask(f"SELECT min(seq), max(seq) {_IN_TIME}", (source, *_time(wanted)))[0]
        for source in wanted.sources
    ]
    there = [end for end in ends if end[0] is not None]
    return (min(low for low, _ in there), max(high for _, high in there)) if there else None


def _of_reason(
    ask: Ask, source: str, reason: Reason, span: tuple[int, int], newest: int | None
) -> Iterator[int]:
    """Yields the numbers of the decisions of one source and reason, page by page."""
    lowest, highest = span
    size = PAGE if newest is None else min(newest, PAGE)
    # The index holds the rows of one source and reason in the order of seq.
    query = (
        "SELECT seq FROM decisions INDEXED BY decisions_by_reason"
        " WHERE source = ? AND reason = ? AND seq BETWEEN ? AND ?"
        f" ORDER BY seq {'ASC' if newest is None else 'DESC'} LIMIT ?"
    )
    while rows := ask(query, (source, reason.value, lowest, highest, size)):
        yield from (int(row[0]) for row in rows)
        if newest is None:
            lowest = int(rows[-1][0]) + 1
        else:
            highest = int(rows[-1][0]) - 1
        size = min(2 * size, PAGE)
