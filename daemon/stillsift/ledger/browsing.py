"""Turns pages of decisions, however many there are, and tells when there was how much.

A page is found by the number of the decision before it, never by counting rows. Where few of many
decisions are asked for that no index tells apart, looking for them ends after a time, and the page
says where to go on.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from ..decisions import Outcome, Reason, outcome_of
from ..frames import LATEST_NS
from .connection import Connection
from .filters import where
from .records import DecisionRecord
from .rows import ITS_CONTEXT, SELECT_DECISION, SELECT_SOURCES, decision_record
from .search import PAGE, Ask, Wanted, found

SLOT_NS = 600_000_000_000
"""Length of a slot of `Activity`, as the triggers in `schema` have it."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Says which decisions are asked for. None: all."""

    source: str | None = None
    outcome: Outcome | None = None
    reason: Reason | None = None
    since_ns: int | None = None
    until_ns: int | None = None
    least_distance: float | None = None
    """Least distance to the kept frame that is named, as `Decision.distance`."""
    most_distance: float | None = None
    names: str | None = None
    """Id of a kept frame: only dropped frames that name it."""


@dataclass(frozen=True, slots=True)
class Page:
    """Holds decisions in the order of the page, and where the next page begins."""

    records: Sequence[DecisionRecord]
    after: int | None
    """Number of the decision behind which the next page begins; None: there are no more."""
    cut_off: bool = False
    """Whether the search ended for its time, before the page was full."""


@dataclass(frozen=True, slots=True)
class Activity:
    """Says how many frames of one reason a source has taken in one stretch of time."""

    from_ns: int
    reason: Reason
    frames: int


class BrowsingReader(Connection):
    """Answers which decisions there are, and how many, for whoever looks around in them."""

    def counts(self) -> dict[tuple[str, Reason], int]:
        """Returns the number of frames for each source and reason, as the ledger holds them."""
        rows = self._all("SELECT source, reason, frames FROM counts WHERE frames > 0")
        return {(source, Reason(reason)): int(frames) for source, reason, frames in rows}

    def sources(self) -> list[str]:
        """Returns the names of all sources that have a decision, a file, a gap or an alarm."""
        return [row[0] for row in self._all(SELECT_SOURCES)]

    def page(
        self,
        asked: Asked,
        *,
        most: int,
        behind: int | None = None,
        newest_first: bool = True,
        seconds: float = 0.15,
    ) -> Page:
        """Returns at most `most` decisions behind the one with this number; None: from the start.

        The search ends after `seconds`.
        """
        until = time.monotonic() + seconds
        condition, values = where(
            ("d.source = ?", asked.source),
            ("d.outcome = ?", asked.outcome),
            ("d.reason = ?", asked.reason),
            ("d.captured_at_ns >= ?", asked.since_ns),
            ("d.captured_at_ns < ?", asked.until_ns),
            ("d.distance >= ?", asked.least_distance),
            ("d.distance <= ?", asked.most_distance),
            ("d.nearest_kept = ?", asked.names),
        )
        span = (0, LATEST_NS)
        if behind is not None:
            span = (0, behind - 1) if newest_first else (behind + 1, LATEST_NS)
        seqs = _candidates(
            self._all, self.sources(), asked, span, most + 1, newest_first=newest_first
        )
        order = "DESC" if newest_first else "ASC"
        records: list[DecisionRecord] = []
        size, last = most + 1, None
        while page := tuple(islice(seqs, size)):
            marks = ", ".join("?" * len(page))
            rows = self._all(
                f"{SELECT_DECISION} FROM decisions d{ITS_CONTEXT}"
                f" WHERE d.seq IN ({marks}) AND {condition} ORDER BY d.seq {order}",
                (*page, *values),
            )
            records += map(decision_record, rows)
            if len(records) > most:
                return Page(records[:most], records[most - 1].seq)
            last = page[-1]
            if time.monotonic() > until:
                return Page(records, last, cut_off=True)
            size = min(2 * size, PAGE)
        return Page(records, None)

    def activity(self, source: str, from_ns: int, to_ns: int, slot_ns: int) -> list[Activity]:
        """Returns how many frames a source has taken in [from, to), in stretches of `slot_ns`.

        Of `SLOT_NS` and its multiples they are known; of shorter ones decisions are looked at.
        """
        if slot_ns % SLOT_NS == 0:
            each = slot_ns // SLOT_NS
            rows = self._all(
                "SELECT slot / ?1 * ?1 * ?2, reason, sum(frames) FROM activity"
                " WHERE source = ?3 AND slot >= ?4 AND slot < ?5 AND frames > 0 GROUP BY 1, 2",
                (each, SLOT_NS, source, from_ns // SLOT_NS, -(-to_ns // SLOT_NS)),
            )
        else:
            rows = self._all(
                "SELECT ?2 + (captured_at_ns - ?2) / ?1 * ?1, reason, sum(frames)"
                " FROM decisions INDEXED BY decisions_by_time"
                " WHERE source = ?4 AND captured_at_ns >= ?2 AND captured_at_ns < ?3 GROUP BY 1, 2",
                (slot_ns, from_ns, to_ns, source),
            )
        return [Activity(int(row[0]), Reason(row[1]), int(row[2])) for row in rows]

    def active_within(self, source: str, from_ns: int, to_ns: int) -> tuple[int, int] | None:
        """Returns when a source took its first and its last frame in [from, to); None: none."""
        first, last = (
            self._all(
                f"SELECT {end}(captured_at_ns) FROM decisions INDEXED BY decisions_by_time"
                " WHERE source = ? AND captured_at_ns >= ? AND captured_at_ns < ?",
                (source, from_ns, to_ns),
            )[0][0]
            for end in ("min", "max")
        )
        return None if first is None else (int(first), int(last))

    def active_around(self, source: str, from_ns: int, to_ns: int) -> tuple[int | None, int | None]:
        """Returns the last time before [from, to) and the first one behind it in which a source
        took a frame, to ten minutes; None: there is none."""
        return self._active_before(source, from_ns), self._active_from(source, to_ns)

    def _active_before(self, source: str, at_ns: int) -> int | None:
        """Returns the start of the last slot before a time in which a source took a frame."""
        row = self._all(
            "SELECT max(slot) FROM activity WHERE source = ? AND slot < ?",
            (source, -(-at_ns // SLOT_NS)),
        )[0]
        return None if row[0] is None else int(row[0]) * SLOT_NS

    def _active_from(self, source: str, at_ns: int) -> int | None:
        """Returns the start of the first slot from a time on in which a source took a frame."""
        row = self._all(
            "SELECT min(slot) FROM activity WHERE source = ? AND slot >= ?",
            (source, at_ns // SLOT_NS),
        )[0]
        return None if row[0] is None else int(row[0]) * SLOT_NS

    def number_naming(self, id: str, most: int) -> int:
        """Returns how many dropped frames name this one, counted up to `most`."""
        row = self._one(
            "SELECT count(*) FROM (SELECT 1 FROM decisions"
            " WHERE nearest_kept = ? AND outcome = 'dropped' LIMIT ?)",
            (id, most),
        )
        return 0 if row is None else int(row[0])

    def repeating(self, id: str, shown: Collection[Reason], most: int) -> list[str]:
        """Returns the ids of frames that were dropped for these reasons and name this one, in the
        order of their decisions, at most `most`."""
        rows = self._all(
            "SELECT id FROM decisions INDEXED BY decisions_by_nearest"
            " WHERE nearest_kept = ? AND outcome = 'dropped'"
            f" AND reason IN ({', '.join('?' * len(shown))}) ORDER BY seq LIMIT ?",
            (id, *shown, most),
        )
        return [str(row[0]) for row in rows]

    def kept_repeated(
        self, source: str | None, behind: int | None, most: int, shown: Collection[Reason]
    ) -> list[tuple[int, str]]:
        """Returns (seq, id) of kept frames that others repeat, newest first, at most `most`.

        `shown`: reasons that say of a dropped frame that the kept one that it names shows it.
        `behind`: only those decided before the one with this number. Neither frames that are gone
        from the store nor the audit sample are among them.
        """
        names = self.sources() if source is None else [source]
        reasons = [each for each in Reason if outcome_of(each) is Outcome.KEPT]
        asked = [
            (name, reason) for name in names for reason in reasons if reason is not Reason.AUDIT
        ]
        found: list[tuple[int, str]] = []
        for name, reason in asked:
            found += self._all(
                "SELECT d.seq, d.id FROM decisions d INDEXED BY decisions_by_reason"
                " WHERE d.source = ? AND d.reason = ? AND d.seq < ? AND EXISTS"
                " (SELECT 1 FROM decisions n"
                " WHERE n.nearest_kept = d.id AND n.outcome = 'dropped'"
                f" AND n.reason IN ({', '.join('?' * len(shown))}))"
                " AND NOT EXISTS (SELECT 1 FROM kept k WHERE k.id = d.id AND k.missing)"
                " ORDER BY d.seq DESC LIMIT ?",
                (name, reason, (1 << 63) - 1 if behind is None else behind, *shown, most),
            )
        return sorted(found, reverse=True)[:most]


def _candidates(
    ask: Ask,
    sources: Sequence[str],
    asked: Asked,
    span: tuple[int, int],
    first: int,
    *,
    newest_first: bool,
) -> Iterator[int]:
    """Yields the numbers of all decisions that may be wanted, in order."""
    if asked.names is not None:
        return _in_order(
            ask,
            "nearest_kept = ? AND outcome = 'dropped' AND",
            (asked.names,),
            span,
            first,
            newest_first=newest_first,
        )
    wanted = Wanted(
        sources=sources,
        outcome=asked.outcome,
        reason=asked.reason,
        since_ns=asked.since_ns,
        until_ns=asked.until_ns,
        id=None,
        all_sources=asked.source is None,
        by_file=False,
        span=span,
        page=True,
    )
    seqs = found(ask, wanted, newest=first if newest_first else None)
    if seqs is None:
        return _in_order(ask, "", (), span, first, newest_first=newest_first)
    return seqs


def _in_order(
    ask: Ask,
    condition: str,
    values: tuple[object, ...],
    span: tuple[int, int],
    size: int,
    *,
    newest_first: bool,
) -> Iterator[int]:
    lowest, highest = span
    query = (
        f"SELECT seq FROM decisions WHERE {condition} seq BETWEEN ? AND ?"
        f" ORDER BY seq {'DESC' if newest_first else 'ASC'} LIMIT ?"
    )
    while rows := ask(query, (*values, lowest, highest, size)):
        yield from (int(row[0]) for row in rows)
        if newest_first:
            highest = int(rows[-1][0]) - 1
        else:
            lowest = int(rows[-1][0]) + 1
        size = min(2 * size, PAGE)
