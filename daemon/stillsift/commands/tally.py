"""Counts what became of the frames of one source, and reports it in words and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .. import units
from ..decisions import Decision, Outcome, Reason, outcome_of
from ..escapes import escaped
from ..frames import TimeOrigin
from ..ledger.records import KeptFile, LargerCopies
from ..sources import LeftAlone, Position
from ..sources.sequences import NumberedStills
from ..store.in_place import Finished
from ..units import counted, shown_size
from .pasted import pasted

_MOST_NAMED = 10
"""Most failures of one source that are shown, where the others can be asked for."""

_MOST_REMEMBERED = 1000
"""Most failures of one source that are stored; broken clips can have one for each frame."""

_IF_DRY = {Outcome.KEPT: "keep", Outcome.DROPPED: "drop"}


@dataclass(slots=True)
class Tally:
    """Counts what became of the frames of one source."""

    source: str
    place: str
    store: Path | None = None
    """Store whose decisions can be asked for afterwards; None: a dry run."""
    reasons: Counter[Reason] = field(default_factory=Counter)
    kept_bytes: int = 0
    replaced: int = 0
    """Frames that were kept, by this run or by the one that it goes on with, and gave way."""
    failures: list[str] = field(default_factory=list)
    """The first `_MOST_REMEMBERED` failures."""
    finished: Finished | None = None
    """What was moved or copied at the end; None: nothing was to be."""
    is_file: bool = False
    """Whether the source is a single file."""
    begun: bool = False
    seconds: float = 0.0
    """Time that it took; 0 until it is over."""
    position: Callable[[], Position | None] = lambda: None
    """Tells how far the source has come; None: there is nothing to tell it by."""
    error: str | None = None
    left_alone: LeftAlone = field(default_factory=lambda: LeftAlone({}))
    """What lies among the footage and is not read."""
    numbered: list[NumberedStills] = field(default_factory=list)
    """Folders whose stills are numbered."""
    larger: LargerCopies | None = None
    """Copies that were dropped for much smaller ones of another source; None: there are none."""
    uncovered: str | None = None
    """That earlier runs have kept frames in which nothing is covered; None: they have not."""
    by_time_of_file: int = 0
    """Photographs of this run that have no time but that of their file."""
    of_clips: int = 0
    """Frames of clips, and pages, that are kept."""
    by_exif: int = 0
    """Those that EXIF gives a time."""
    _pages: Counter[Path] = field(default_factory=Counter)
    """Number of pages by file, of stills that hold several pictures."""
    _kept: dict[str, tuple[Reason, int]] = field(default_factory=dict)
    """Reason and bytes of what this run keeps, by id."""

    @classmethod
    def of_files(cls, tallies: Sequence[Tally]) -> Tally:
        """Returns the sum of the tallies of stills that were given one by one."""
        first, errors = tallies[0], []
        total = cls(counted(len(tallies), "file"), str(Path(first.place).parent), first.store)
        for each in tallies:
            total.reasons += each.reasons
            total.kept_bytes += each.kept_bytes
            total.replaced += each.replaced
            total.failures += each.failures
            total.seconds += each.seconds
            total._pages += each._pages
            if each.error is not None:
                errors.append(each.error)
            if each.finished is not None:
                total.finished = each.finished.plus(total.finished)
        if errors:
            more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
            total.error = f"{errors[0]}{more}"
        return total

    def note(self, decision: Decision, kept: KeptFile | None) -> None:
        """Counts the frames of one decision."""
        self.reasons[decision.reason] += decision.frames
        self.of_clips += decision.outcome is Outcome.KEPT and decision.content_hash is None
        if decision.content_hash is not None:
            self.by_time_of_file += decision.captured_at_origin is TimeOrigin.MTIME
            self.by_exif += decision.captured_at_origin is TimeOrigin.EXIF
        is_frame = decision.outcome is not Outcome.FAILED and decision.content_hash is None
        if decision.file is not None and is_frame and decision.pts_s is None:
            self._pages[decision.file] += 1
        if kept is not None:
            self.kept_bytes += kept.bytes
            self._kept[decision.id] = decision.reason, kept.bytes
        elif self.dry and decision.outcome is Outcome.KEPT:
            self._kept[decision.id] = decision.reason, 0
        if decision.outcome is Outcome.FAILED:
            reason = decision.detail or decision.reason.value
            where = "" if decision.file is None else f"{decision.file}: "
            if len(self.failures) < _MOST_REMEMBERED:
                self.failures.append(reason if reason.startswith(where) else f"{where}{reason}")

    def replace(self, decision: Decision) -> None:
        """Counts that a kept frame was dropped for a better copy."""
        self.replaced += 1
        if (kept := self._kept.pop(decision.id, None)) is not None:  # by this run
            reason, bytes_ = kept
            self.reasons[reason] -= 1
            self.reasons[decision.reason] += 1
            self.kept_bytes -= bytes_

    def keeps(self, id_: str) -> bool:
        """Tells whether this run keeps a frame."""
        return id_ in self._kept

    def change(self, before: Decision, now: Decision) -> None:
        """Counts that a decision of this run has changed."""
        self.reasons[now.reason] += now.frames
        self.reasons[before.reason] -= before.frames
        if now.outcome is not Outcome.KEPT and self.keeps(now.id):
            self.kept_bytes -= self._kept.pop(now.id)[1]

    @property
    def stayed(self) -> bool:
        """Tells whether a file that was to be moved or copied could not be."""
        return self.finished is not None and bool(self.finished.told)

    @property
    def frames(self) -> int:
        return self.reasons.total()

    def count(self, outcome: Outcome) -> int:
        return sum(n for reason, n in self.reasons.items() if outcome_of(reason) is outcome)

    @property
    def kept(self) -> int:
        """Gives the number of frames kept for use; those of the audit sample only lie aside."""
        return self.count(Outcome.KEPT) - self.reasons[Reason.AUDIT]

    @property
    def dry(self) -> bool:
        """Tells whether nothing was kept, and the counts are what would become of the frames."""
        return self.store is None

    @property
    def kept_text(self) -> str:
        return f"would keep {self.kept}" if self.dry else f"{self.kept} kept"

    @property
    def fruitless(self) -> bool:
        """Tells whether it ended with an error, or offered something that could not be seen."""
        seen = self.count(Outcome.KEPT) + self.count(Outcome.DROPPED)
        return self.error is not None or (self.frames > 0 and not seen)

    def as_json(self) -> dict[str, object]:
        return {
            "source": self.source,
            "place": self.place,
            "frames": self.frames,
            **{outcome.value: self.count(outcome) for outcome in Outcome},
            "kept": self.kept,
            "aside": self.reasons[Reason.AUDIT],
            "reasons": {r.value: self.reasons[r] for r in sorted(self.reasons) if self.reasons[r]},
            "kept_bytes": self.kept_bytes,
            "replaced": self.replaced,
            "larger_dropped": 0 if self.larger is None else self.larger.number,
            "uncovered": self.uncovered,
            "moved": 0 if self.finished is None else self.finished.moved,
            "sidecars": 0 if self.finished is None else self.finished.sidecars,
            "stayed": [] if self.finished is None else self.finished.told,
            "seconds": round(self.seconds, 3),
            "failures": self.failures,
            "more_failures": self.count(Outcome.FAILED) - len(self.failures),
            "left_alone": dict(self.left_alone.kinds),
            "numbered": [
                {
                    "folder": str(each.folder),
                    "names": each.names,
                    "frames": each.frames,
                    "rate": each.rate,
                    "why": each.why,
                }
                for each in self.numbered
            ],
            "error": self.error,
        }

    def as_text(self) -> str:
        """Returns a few lines for a person."""
        if self.frames == 0 and self.error is None:
            lines = [
                f"{self.source}: nothing new in {self.place} (what is decided stays; "
                "to decide anew, use another folder)",
                *self._uncovered_lines(),
                *self._finished_lines(),
                *left_alone_line(self.left_alone),
            ]
            return "\n".join(map(escaped, lines))
        if self.frames == 0 and self.error is not None:
            return escaped(f"{self.source}: {self.error}")
        share = f" ({self.kept / self.frames:.1%})" if self.frames else ""
        samples = self.reasons[Reason.AUDIT]
        laid = "to be laid aside" if self.dry else "laid aside"
        aside = f", {samples} {laid} for the audit" if samples else ""
        rate = f", {self.frames / self.seconds:.0f} frames/s" if self.seconds else ""
        size = "" if self.dry else f"{shown_size(self.kept_bytes)}, "
        lines = [
            f"{self.source}: {counted(self.frames, 'frame')}, {self.kept_text}{share}{aside}, "
            f"{size}{self.seconds:.1f} s{rate}"
        ]
        lines += by_outcome(self.reasons, _IF_DRY if self.dry else None)
        if self.replaced:
            lines.append(f"  replaced {counted(self.replaced, 'kept frame')}, by better copies")
        if self.larger is not None:
            lines.append(f"  larger   {self._larger_text(self.larger)}")
        lines += self._uncovered_lines()
        lines += self._finished_lines()
        named = self.failures if self.dry else self.failures[:_MOST_NAMED]
        lines += [f"  failed   {failure}" for failure in named]
        if more := self.count(Outcome.FAILED) - len(named):
            ask = ("decisions", "--store", self.store, "--outcome", "failed")
            lines.append(f"           and {more} more{'' if self.dry else f': {pasted(*ask)}'}")
        lines += self._numbered_lines()
        if several := [pages for pages in self._pages.values() if pages > 1]:
            files = counted(len(several), "file")
            lines.append(f"  pages    {sum(several)} pages of {files} were looked at one by one")
        lines += left_alone_line(self.left_alone)
        if self.error is not None:
            lines.append(f"  stopped  {self.error}")
        return "\n".join(map(escaped, lines))

    def _larger_text(self, larger: LargerCopies) -> str:
        """Returns that larger copies went, and how they stay."""
        way = "name it first" if self.dry else "name it first, with another folder for what is kept"
        if self.finished is not None:
            way = "undo this, and name it first, with another folder for what is moved or copied"
        number = "1 of these has" if larger.number == 1 else f"{larger.number} of these have"
        return f"{number} over twice the pixels of the copy that {larger.kept_by} has kept; {way}"

    def _uncovered_lines(self) -> list[str]:
        return [] if self.uncovered is None else [f"  earlier  {self.uncovered}"]

    def _finished_lines(self) -> list[str]:
        """Returns lines about the files that were to go and stay."""
        done = Finished() if self.finished is None else self.finished
        lines = [f"  stays    {why}" for why in done.told[:_MOST_NAMED]]
        if more := len(done.told) - len(lines):
            lines.append(f"           and {more} more")
        if done.restored:
            again = counted(done.restored, "file")
            lines.append(f"  stays    {again} that somebody has brought back before")
        return lines

    def _numbered_lines(self) -> list[str]:
        """Returns a line for each folder of numbered stills: a time line, or the way to one."""
        named = self.numbered[:_MOST_NAMED]
        lines = [f"  numbers  {_numbered_text(each)}" for each in named]
        more = len(self.numbered) - len(named)
        return [*lines, f"           and {counted(more, 'more folder')}"] if more else lines


def _numbered_text(stills: NumberedStills) -> str:
    number = f"{stills.frames:,} frame{'' if stills.frames == 1 else 's'}"
    where = f"{stills.folder.name}/{stills.names}"
    if stills.rate is not None:
        taken = units.written_rate(stills.rate)
        return f"{where}: {number} in the order of their numbers, taken as {taken}"
    why = "" if stills.why is None else f", because {stills.why}"
    return (
        f"{where}: {number} are taken for photographs{why}; "
        "if they are one camera's frames: --set sequence=2/s"
    )


def left_alone_line(left_alone: LeftAlone) -> list[str]:
    """Returns a line about what is not read, for a person; none if nothing was left alone."""
    return [f"  unread   {left_alone}"] if left_alone.kinds else []


def by_outcome(
    reasons: Mapping[Reason, int], words: Mapping[Outcome, str] | None = None
) -> list[str]:
    """Returns a line for each outcome that there is, with its reasons, for a person.

    The audit sample is told elsewhere: it was kept only to be judged. `words`: the word for an
    outcome; its own value is used otherwise.
    """
    words = words or {}
    lines = []
    for outcome in Outcome:
        told = [
            f"{reason.value} {reasons[reason]}"
            for reason in Reason
            if reasons.get(reason) and outcome_of(reason) is outcome and reason is not Reason.AUDIT
        ]
        if told:
            lines.append(f"  {words.get(outcome, outcome.value):<9}{' · '.join(told)}")
    return lines
