"""Makes one file of a store to hand on: what came in, what was kept and why, in pictures."""

from __future__ import annotations

import base64
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..dataset.contact_sheet import Row, Tile, write_sheet
from ..dataset.contact_sheet import check_place as check_sheet
from ..decisions import Decision, Outcome, Reason, outcome_of, time_text
from ..frames import EARLIEST_NS, LATEST_NS
from ..ledger import LedgerReader
from ..ledger.browsing import SLOT_NS
from ..ledger.records import AlarmRecord, DecisionRecord, GapRecord
from ..problems import Problem
from ..selection.replay import Column, Measures
from ..selection.replay import Kind as Replayed
from ..store.durable_files import sync_folder
from ..store.names import folder_name
from .pages import day, file_name
from .pictures import Lies, NoPicture, Pictures
from .reasons import Kind, kind_of
from .rendering import environment
from .timeline import Timeline
from .what_if import MOST_HELD, recorded, was_covered

MARK = '<meta name="generator" content="stillsift report">'
"""By which a report is known that may be replaced by the next."""
SOURCES_SHOWN = 12
"""Sources with a part of their own, those with the most frames; all are in the table."""
_DAYS = 2
"""Days that are drawn of a source, the last ones: some 100 kB each."""
_PAIRS, _KEPT = 4, 12
"""Pairs of each kind, and further kept frames, that are shown of a source."""
_PICTURE_BYTES = 2_000_000
"""Bytes of all pictures: with what is drawn of 12 sources the file stays below 5 MB."""
_PICTURES_S = 60.0
"""Seconds after which no further picture is looked for: a frame of a clip may take 20."""
_DOUBTFUL = 2.0
"""Share of its limit, or its inverse, up to which a decision is doubtful: twice the limit and half
of it are two of the steps away that `tune` tries."""
_ON_A_SHEET = 96
"""Kept frames on a contact sheet: 12 rows, which a screen shows in two or three."""
_LISTED = 20
"""Gaps and alarms that are listed of a source, each, the last ones."""
_STATIC = Path(__file__).parent / "static"


class ReportError(Problem):
    """Says that a report cannot be written."""


@dataclass(frozen=True, slots=True)
class Shot:
    """Holds a picture of a decision as a data: URI; empty: there is none, and `gone` says why."""

    decision: Decision
    uri: str
    gone: str = ""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Holds decisions of one kind, each with the kept frame it was compared with, or None."""

    title: str
    note: str
    pairs: Sequence[tuple[Shot, Shot | None]]


@dataclass(frozen=True, slots=True)
class Sums:
    """Describes what a source took in the time of the report."""

    name: str
    from_ns: int
    to_ns: int
    reasons: Sequence[tuple[Reason, int]]
    """Most frequent first."""
    pictures: int
    """Pictures in the store, with those of the audit."""
    bytes: int

    @property
    def frames(self) -> int:
        return sum(n for _, n in self.reasons)

    @property
    def kept(self) -> int:
        """Gives the number of kept frames, without those of the audit."""
        kept = (n for reason, n in self.reasons if outcome_of(reason) is Outcome.KEPT)
        return sum(kept) - dict(self.reasons).get(Reason.AUDIT, 0)

    @property
    def dropped(self) -> int:
        return sum(n for reason, n in self.reasons if outcome_of(reason) is Outcome.DROPPED)

    @property
    def spared(self) -> float | None:
        """Gives the bytes that the dropped frames would take, at the mean size of the kept ones;
        None: nothing is kept."""
        return self.dropped * self.bytes / self.pictures if self.pictures else None


@dataclass(frozen=True, slots=True)
class Part:
    """Holds what is shown of one source."""

    sums: Sums
    days: Sequence[Timeline]
    kinds: Sequence[Kind]
    groups: Sequence[Pairs]
    kept: Sequence[Shot]
    gaps: Sequence[GapRecord]
    alarms: Sequence[AlarmRecord]


@dataclass(slots=True)
class _Budget:
    """Says how many bytes of pictures may follow, and until when they may be looked for."""

    bytes: int
    until: float

    @property
    def used_up(self) -> bool:
        return self.bytes <= 0 or time.monotonic() > self.until


@dataclass(frozen=True, slots=True)
class Asked:
    """Says what a report is about: one source or all (None), captured in [since, until)."""

    source: str | None = None
    since_ns: int | None = None
    until_ns: int | None = None
    max_pixels: int = 100_000_000
    """Of the largest still that is decoded."""

    def sources(self, ledger: LedgerReader) -> list[str]:
        return sorted(ledger.sources()) if self.source is None else [self.source]


def report(
    ledger: LedgerReader,
    store: Path,
    asked: Asked,
) -> str:
    """Returns a report as HTML.

    It needs nothing beside itself, and holds neither scripts nor addresses.
    """
    found = (_sums(ledger, name, asked) for name in asked.sources(ledger))
    sums = [each for each in found if each is not None]
    shown = sorted(sums, key=lambda each: -each.frames)[:SOURCES_SHOWN]
    pictures = Pictures(ledger, store, asked.max_pixels)
    until = time.monotonic() + _PICTURES_S
    parts = [
        _part(ledger, pictures, each, _Budget(_PICTURE_BYTES // len(shown), until))
        for each in sums
        if each in shown
    ]
    templates = environment(css=(_STATIC / "review.css").read_text("utf-8"))
    return templates.get_template("report.html").render(
        mark=MARK,
        sums=sums,
        chosen=parts,
        made_ns=time.time_ns(),
        listed=_LISTED,
    )


def check_place(file: Path) -> None:
    """Raises ReportError where a report cannot be written, or another file would be replaced."""
    if not file.absolute().parent.is_dir():
        raise ReportError(f"{file}: there is no such directory")
    try:
        with file.open("rb") as there:
            own = MARK.encode() in there.read(1000)
    except FileNotFoundError:
        return
    except OSError as error:
        raise ReportError(f"{file}: {error.strerror}; name another file") from error
    if not own:
        raise ReportError(f"{file}: is there, and is no report; name another file")


def write_report(file: Path, text: str) -> None:
    """Writes a report in one step. Raises ReportError, also where `check_place` does."""
    check_place(file)
    part = file.with_name(f".{file.name}.part")
    try:
        part.write_text(text, "utf-8", errors="backslashreplace")
        part.replace(file)
        sync_folder(file.absolute().parent)
    except OSError as error:
        raise ReportError(f"{file}: cannot be written: {error.strerror}") from error


def write_sheets(
    ledger: LedgerReader,
    store: Path,
    folder: Path,
    asked: Asked,
) -> list[Path]:
    """Writes a contact sheet (PNG) of what each source has kept; returns their paths.

    Of very many frames some are drawn, at even distances. Raises SetError where another file would
    be replaced, ReportError where the disk refuses.
    """
    pictures = Pictures(ledger, store, asked.max_pixels)
    written = []
    for name in asked.sources(ledger):
        measures = ledger.measures(name, asked.since_ns, asked.until_ns, MOST_HELD)
        ids = measures.those(measures.kept)
        tiles = [
            tile
            for id_ in _spread(ids, _ON_A_SHEET)
            if (record := ledger.decision(id_)) is not None
            and (tile := _tile(pictures, record.decision)) is not None
        ]
        if not tiles:
            continue
        file = folder / f"{folder_name(name)}.png"
        try:
            folder.mkdir(exist_ok=True)
            check_sheet(file)
            told = f"{name}: {len(tiles)} of {len(ids)} kept frames"
            write_sheet(file, told, [Row("", tiles)], asked.max_pixels, 2)
        except OSError as error:
            raise ReportError(f"{file}: cannot be written: {error.strerror}") from error
        written.append(file)
    return written


def _tile(pictures: Pictures, one: Decision) -> Tile | None:
    """Returns a kept frame for a sheet; None: its picture is gone."""
    try:
        place = pictures.place(one)
    except NoPicture:
        return None
    if place.lies not in (Lies.STORE, Lies.ORIGINAL):
        return None
    return Tile(place.path, file_name(one), f"{time_text(one.captured_at_ns)[:19]} {one.reason}")


def _sums(ledger: LedgerReader, source: str, asked: Asked) -> Sums | None:
    """Returns what a source took; None: nothing in this time."""
    ends = ledger.active_within(
        source,
        EARLIEST_NS if asked.since_ns is None else asked.since_ns,
        LATEST_NS if asked.until_ns is None else asked.until_ns,
    )
    if ends is None:
        return None
    from_ns, to_ns = ends[0], ends[1] + 1
    if asked.since_ns is None and asked.until_ns is None:
        reasons = {reason: n for (name, reason), n in ledger.counts().items() if name == source}
    else:
        each_ns = to_ns - from_ns
        each_ns += each_ns % SLOT_NS == 0  # decisions are looked at, not tens of minutes
        reasons = {
            each.reason: each.frames for each in ledger.activity(source, from_ns, to_ns, each_ns)
        }
    return Sums(
        source,
        from_ns,
        to_ns,
        sorted(reasons.items(), key=lambda each: -each[1]),
        *ledger.kept_size(source, from_ns, to_ns),
    )


def _part(ledger: LedgerReader, pictures: Pictures, sums: Sums, budget: _Budget) -> Part:
    days: list[Timeline] = []
    at_ns: int | None = sums.to_ns - 1
    while at_ns is not None and len(days) < _DAYS:
        drawn, at_ns, _ = day(ledger, sums.name, at_ns)
        if drawn is None or drawn.to_ns <= sums.from_ns:
            break
        days.append(drawn)
    past = recorded(ledger, sums.name, sums.from_ns, sums.to_ns, newest=MOST_HELD)
    album = _Album(ledger, pictures, budget)
    groups = [] if past is None else [album.pairs(*each) for each in _chosen(past.measures)]
    shown = {shot.decision.id for group in groups for pair in group.pairs for shot in pair if shot}
    ids = [] if past is None else past.measures.those(past.measures.kept)
    return Part(
        sums,
        days,
        list(dict.fromkeys(kind_of(reason) for reason, _ in sums.reasons)),
        [group for group in groups if group.pairs],
        album.shots([each for each in _spread(ids, _KEPT) if each not in shown]),
        ledger.gaps(source=sums.name, since_ns=sums.from_ns, until_ns=sums.to_ns),
        [
            each
            for each in ledger.alarms(source=sums.name)
            if each.from_ns < sums.to_ns and (each.to_ns is None or each.to_ns >= sums.from_ns)
        ],
    )


def _chosen(measures: Measures) -> list[tuple[str, str, list[str]]]:
    """Returns (title, note, ids) of the most doubtful decisions and of the clearest."""
    share = measures.novelty / measures.novelty_limit
    kinds = measures.kinds
    kept = measures.kept & (kinds == Replayed.NEWS)
    nearness = np.full(len(measures), np.nan)
    for which, value in (
        (kinds == Replayed.REPEAT, measures.distance),
        (kinds == Replayed.LITTLE, share),
        (kinds == Replayed.BLURRY, measures.sharpness / measures.sharpness_limit),
    ):
        nearness[which] = value[which]
    nearness[measures.kept | (nearness > 1) | (nearness < 1 / _DOUBTFUL)] = np.nan
    return [
        (
            "Kept, and nearest to the limit",
            "a little less that is new, and they would not be kept",
            _first(measures, np.where(kept & (share <= _DOUBTFUL), share, np.nan)),
        ),
        (
            "Dropped, and nearest to the limit",
            "a little more that is new, or a little sharper, and they might be kept",
            _first(measures, -nearness),
        ),
        (
            "Kept, and most new",
            "what differs most from it",
            _first(measures, np.where(kept & (share > _DOUBTFUL), -share, np.nan)),
        ),
    ]


def _first(measures: Measures, order: Column) -> list[str]:
    """Returns the ids of the lowest few, of which no two were compared with the same kept frame.

    NaN: not meant.
    """
    chosen: dict[int, str] = {}
    for place in np.argsort(order, kind="stable").tolist():
        if len(chosen) == _PAIRS or np.isnan(order[place]):
            break
        chosen.setdefault(int(measures.nearest[place]), measures.ids[place])
    return list(chosen.values())


def _spread(ids: Sequence[str], most: int) -> list[str]:
    """Returns some of many, at even distances."""
    if len(ids) <= most:
        return list(ids)
    return [ids[round(n * (len(ids) - 1) / (most - 1))] for n in range(most)]


class _Album:
    """Takes pictures of decisions, as far as the budget goes."""

    def __init__(self, ledger: LedgerReader, pictures: Pictures, budget: _Budget) -> None:
        self._ledger = ledger
        self._pictures = pictures
        self._budget = budget

    def pairs(self, title: str, note: str, ids: Sequence[str]) -> Pairs:
        """Returns decisions with the frames that they were compared with."""
        made: list[tuple[Shot, Shot | None]] = []
        for record in self._records(ids):
            other = record.decision.nearest_kept
            named = None if other is None else self._ledger.decision(other)
            shot = self._shot(record)
            made.append((shot, None if named is None else self._shot(named)))
        return Pairs(title, note, made)

    def shots(self, ids: Sequence[str]) -> list[Shot]:
        """Returns those of some decisions that have a picture."""
        return [shot for record in self._records(ids) if (shot := self._shot(record)).uri]

    def _records(self, ids: Sequence[str]) -> list[DecisionRecord]:
        return [record for id_ in ids if (record := self._ledger.decision(id_)) is not None]

    def _shot(self, record: DecisionRecord) -> Shot:
        one = record.decision
        if one.outcome is not Outcome.KEPT and was_covered(self._ledger, record):
            return Shot(one, "", "What its source kept then is covered, and this frame is not.")
        if self._budget.used_up:
            return Shot(one, "", "It was left out, as the file would be too large, or take long.")
        try:
            data, _ = self._pictures.encoded(one, "small")
        except NoPicture as error:
            return Shot(one, "", str(error))
        uri = f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"
        self._budget.bytes -= len(uri)
        return Shot(one, uri)
