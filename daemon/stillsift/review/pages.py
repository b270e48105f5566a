"""Gathers what each page shows, out of the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..dataset.time_cover import SHOWN
from ..decisions import Decision, Outcome, Reason
from ..ledger import LedgerReader
from ..ledger.browsing import SLOT_NS, Page
from ..ledger.records import Correction, CorrectionKind, DecisionRecord
from .filters import BadAddress, Filter
from .pictures import Lies, NoPicture, Pictures
from .reasons import Kind, in_words, kind_of
from .timeline import DAY_NS, HOUR_NS, SPANS_NS, Timeline, timeline

ON_A_PAGE = 48
SOURCES_ON_A_PAGE = 12
GROUPS_ON_A_PAGE = 10
IN_A_GROUP = 12
TILES = 24
"""Added and lost frames on a page, each."""
MOST_COUNTED = 1000
"""How far the frames are counted that name a kept one, or repeat it."""

_MOST_LOOKED_AT = 5000
"""Most frames of a day that are looked at one by one to draw a part of it; about 10 ms."""


@dataclass(frozen=True, slots=True)
class SourceDay:
    """Describes a day of one source, on the first page."""

    name: str
    frames: int
    kept: int
    timeline: Timeline | None
    """None: it has taken nothing."""
    before_ns: int | None
    """A time on the last day before with frames; None: there is none."""
    behind_ns: int | None


@dataclass(frozen=True, slots=True)
class Overview:
    """Holds the first page."""

    days: Sequence[SourceDay]
    after: str | None
    """Name of the source behind which the next page begins; None: there are no more."""
    kinds: Sequence[Kind]


@dataclass(frozen=True, slots=True)
class Listed:
    """Holds a page of decisions and the addresses of its neighbours."""

    page: Page
    older: str | None
    newer: str | None


@dataclass(frozen=True, slots=True)
class Measure:
    """Describes a line of the table beside a picture."""

    name: str
    value: str
    limit: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Pair:
    """Holds a decision, the kept frame it was compared with, and what may be done."""

    record: DecisionRecord
    other: DecisionRecord | None
    shown_by: Sequence[DecisionRecord]
    """Kept frames that show its objects best, as `Decision.objects_shown_by`."""
    lies: Lies | None
    """Where its picture is; None: nowhere, and `gone` says why."""
    gone: str
    other_gone: str
    words: str
    measures: Sequence[Measure]
    corrections: Sequence[Correction]
    may_keep: bool
    may_drop: bool
    label: Correction | None
    """What was said of the pair, and holds."""
    undoable: Correction | None
    """The correction that `u` undoes; None: there is none."""
    naming: int
    """How many decisions name it, counted up to `MOST_COUNTED`."""
    older: str | None
    newer: str | None
    ahead: Sequence[str]
    """Ids of those of the two whose picture no clip has to be decoded for."""


@dataclass(frozen=True, slots=True)
class Tiles:
    """Holds some of the frames that other settings add, or lose, and where the next ones begin."""

    records: Sequence[DecisionRecord]
    number: int
    """How many there are."""
    first: int
    newer: int | None
    older: int | None


@dataclass(frozen=True, slots=True)
class Group:
    """Holds a kept frame and the first of those that repeat it."""

    record: DecisionRecord
    members: Sequence[DecisionRecord]
    number: int
    """How many repeat it, counted up to `MOST_COUNTED`."""


def overview(
    ledger: LedgerReader, after: str | None, only: str | None, at_ns: int | None
) -> Overview:
    """Gathers the sources behind `after`, or `only` one, each with its day that holds `at_ns`.

    None: with its last day.
    """
    names = sorted(ledger.sources())
    if only is not None:
        if only not in names:
            raise BadAddress(f"there is no source {only!r}")
        chosen, more = [only], False
    else:
        behind = [name for name in names if after is None or name > after]
        chosen, more = behind[:SOURCES_ON_A_PAGE], len(behind) > SOURCES_ON_A_PAGE
    counts = ledger.counts()
    days = []
    for name in chosen:
        mine = {reason: n for (whose, reason), n in counts.items() if whose == name}
        kept = sum(
            n
            for reason, n in mine.items()
            if kind_of(reason) is Kind.KEPT and reason is not Reason.AUDIT
        )
        drawn, before, behind_ns = day(ledger, name, at_ns)
        days.append(SourceDay(name, sum(mine.values()), kept, drawn, before, behind_ns))
    shown = {kind for day in days if day.timeline is not None for kind in day.timeline.totals}
    return Overview(days, chosen[-1] if more else None, [kind for kind in Kind if kind in shown])


def day(
    ledger: LedgerReader, source: str, at_ns: int | None
) -> tuple[Timeline | None, int | None, int | None]:
    """Lays out the day that holds a time, or the last one; with a time on the day before and on the
    day behind in which frames were taken. None: there is none."""
    if at_ns is None:
        at_ns, _ = ledger.active_around(source, 1 << 62, 1 << 62)
        if at_ns is None:
            return None, None, None
    from_ns = at_ns // DAY_NS * DAY_NS
    before, behind = ledger.active_around(source, from_ns, from_ns + DAY_NS)
    drawn = timeline(ledger, source, *_span(ledger, source, from_ns), ledger.alarms(source=source))
    return drawn, before, behind


def _span(ledger: LedgerReader, source: str, day_ns: int) -> tuple[int, int]:
    """Returns the day, or the short part of it in which a clip or a folder has all its frames."""
    whole = day_ns, day_ns + DAY_NS
    found = ledger.active_within(source, *whole)
    frames = sum(each.frames for each in ledger.activity(source, *whole, SLOT_NS))
    if found is None or frames > _MOST_LOOKED_AT:
        return whole
    first, last = found
    for span_ns in SPANS_NS:
        from_ns = first // span_ns * span_ns
        if last < from_ns + span_ns:
            return from_ns, from_ns + span_ns
    return whole


def hour(ledger: LedgerReader, source: str, at_ns: int) -> Timeline:
    """Gathers the hour of a source that holds a time."""
    from_ns = at_ns // HOUR_NS * HOUR_NS
    return timeline(ledger, source, from_ns, from_ns + HOUR_NS, ledger.alarms(source=source))


def listed(
    ledger: LedgerReader,
    asked: Filter,
    behind: int | None,
    ahead_of: int | None,
    most: int = ON_A_PAGE,
) -> Listed:
    """Gathers decisions, newest first: those behind one, or those ahead of one."""
    if ahead_of is None:
        page = ledger.page(asked.asked, most=most, behind=behind)
    else:
        found = ledger.page(asked.asked, most=most, behind=ahead_of, newest_first=False)
        page = Page(found.records[::-1], found.after, found.cut_off)
    older = newer = None
    last = page.records[-1].seq if page.records else behind
    first = page.records[0].seq if page.records else ahead_of
    if ahead_of is None:
        older = None if page.after is None else asked.query(behind=page.after)
        newer = None if behind is None else asked.query(ahead=first or behind)
    else:
        newer = None if page.after is None else asked.query(ahead=page.after)
        older = asked.query(behind=last if last is not None else ahead_of + 1)
    return Listed(page, older, newer)


def pair(ledger: LedgerReader, pictures: Pictures, id: str, asked: Filter) -> Pair | None:
    """Gathers what is known of a decision; None: there is none with this id."""
    record = ledger.decision(id)
    if record is None:
        return None
    one = record.decision
    other = None if one.nearest_kept is None else ledger.decision(one.nearest_kept)
    lies, gone = _lies(pictures, one)
    other_gone = "" if other is None else _lies(pictures, other.decision)[1]
    corrections = ledger.corrections(id)
    mine = [each for each in corrections if each.undone_at is None]
    changed = next((each for each in mine if each.decision_id == id and each.was), None)
    label = next((each for each in mine if each.kind in _LABELS and _is_of(each, one)), None)
    older = ledger.page(asked.asked, most=1, behind=record.seq).records
    newer = ledger.page(asked.asked, most=1, behind=record.seq, newest_first=False).records
    return Pair(
        record,
        other,
        [shown for each in one.objects_shown_by if (shown := ledger.decision(each)) is not None],
        lies,
        gone,
        other_gone,
        in_words(one.reason),
        _measures(one),
        corrections,
        may_keep=one.outcome is Outcome.DROPPED and lies not in (None, Lies.THUMBNAIL),
        may_drop=one.outcome is Outcome.KEPT and one.reason is not Reason.AUDIT,
        label=label,
        undoable=max((each for each in (changed, label) if each), key=lambda c: c.id, default=None),
        naming=ledger.number_naming(id, MOST_COUNTED),
        older=older[0].decision.id if older else None,
        newer=newer[0].decision.id if newer else None,
        ahead=[
            each.decision.id
            for each in (*older, *newer)
            if _lies(pictures, each.decision)[0] is not Lies.CLIP
        ],
    )


_LABELS = (CorrectionKind.SAME, CorrectionKind.DIFFERENT)


def _is_of(label: Correction, one: Decision) -> bool:
    return {label.decision_id, label.other_decision_id} == {one.id, one.nearest_kept}


def _lies(pictures: Pictures, one: Decision) -> tuple[Lies | None, str]:
    try:
        return pictures.place(one).lies, ""
    except NoPicture as error:
        return None, str(error)


def groups(
    ledger: LedgerReader, source: str | None, behind: int | None
) -> tuple[list[Group], int | None]:
    """Gathers kept frames with what repeats them, and where the next page begins; None: no more.

    What a kept frame is only compared with, as one that came too soon, repeats nothing.
    """
    found = ledger.kept_repeated(source, behind, GROUPS_ON_A_PAGE + 1, SHOWN)
    made = []
    for _, id_ in found[:GROUPS_ON_A_PAGE]:
        record = ledger.decision(id_)
        if record is not None:
            ids = ledger.repeating(id_, SHOWN, MOST_COUNTED)
            members = (ledger.decision(each) for each in ids[:IN_A_GROUP])
            made.append(Group(record, [each for each in members if each is not None], len(ids)))
    more = len(found) > GROUPS_ON_A_PAGE
    return made, found[GROUPS_ON_A_PAGE - 1][0] if more else None


def tiles(ledger: LedgerReader, ids: Sequence[str], first: int) -> Tiles:
    """Gathers frames, given in the order of their decisions: the newest first, behind `first`."""
    behind = first + TILES
    chosen = ids[::-1][first:behind]
    return Tiles(
        [record for id_ in chosen if (record := ledger.decision(id_)) is not None],
        len(ids),
        first,
        max(first - TILES, 0) if first else None,
        behind if behind < len(ids) else None,
    )


def _measures(one: Decision) -> list[Measure]:
    told = [
        ("novelty", one.novelty, one.novelty_limit, "what is new in it; kept above the limit"),
        ("distance", one.distance, 1.0, "to the frame beside it: 0 the same, 1 the limit"),
        ("similarity", one.similarity, None, "cosine of the two as a whole"),
        ("sharpness", one.sharpness, one.sharpness_limit, "blurred below the limit"),
    ]
    return [
        Measure(name, _short(value), "" if limit is None else _short(limit), note)
        for name, value, limit, note in told
        if value is not None
    ]


def _short(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".") if abs(value) < 1000 else f"{value:.4g}"


def file_name(one: Decision) -> str:
    """Returns the name of the file of a decision, or the place of a frame in it."""
    if one.file is None:
        return "camera"
    name = Path(one.file).name
    return name if one.content_hash is not None else f"{name} #{one.frame_index}"


def captions(one: Decision) -> list[tuple[float, float, float, str]]:
    """Returns (left, baseline, size, text) of the objects of a decision, none over another one.

    In pixels of its picture.
    """
    height = one.height or 1
    size = max(height / 28, 8.0)
    placed: list[tuple[float, float, float, str]] = []
    for each in one.detections or ():
        x, y = each.box[0], max(each.box[1] - size / 3, size)
        wide = 0.6 * size * len(str(each))
        while any(abs(y - b) < size and abs(x - a) < wide for a, b, _, _ in placed):
            y += size * 1.1
        placed.append((x, y, size, str(each)))
    return placed
