"""Finds when the pictures of a file were taken, and names how that is known.

For a still: the pattern for file names, else EXIF, else the time of last change; or its number, if
it is the frame of a clip. For the start of a
clip: the pattern for file names, else the `creation_time` that its recorder wrote, else the time of
last change less the duration, because a recorder's last write is at the end. Frames of a clip add
their presentation time to its start. What a clock says that was never set is no time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

from ..frames import EARLIEST_NS, LATEST_NS, TimeOrigin, bounded_ns
from .sequences import Sequences

_DIRECTIVES = {
    "Y": r"\d{4}",
    "y": r"\d{2}",
    "m": r"\d{2}",
    "d": r"\d{2}",
    "H": r"\d{2}",
    "I": r"\d{2}",
    "M": r"\d{2}",
    "S": r"\d{2}",
    "f": r"\d{1,6}",
    "j": r"\d{3}",
    "b": r"[A-Za-z]{3}",
    "B": r"[A-Za-z]{3,9}",
    "p": r"[AaPp][Mm]",
    "z": r"(?:Z|[+-]\d{2}:?\d{2})",
    "%": "%",
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
"""Earliest time that EXIF or a container can tell. Both are younger, and the clocks that write them
count from 1904, 1970 or 1980 until they are set. Names are also given by people, to old pictures.
"""
_UNSET_DAYS = tuple(
    datetime(*day, tzinfo=UTC)
    for day in ((1904, 1, 1), (1970, 1, 1), (1980, 1, 1), (1980, 1, 6), (2000, 1, 1))
)
"""Days at which clocks begin that were never set: those of QuickTime, Unix, DOS, GPS, and of many
cameras."""
_EAST, _WEST = timedelta(hours=14), timedelta(hours=12)
"""How far zones go: a day begins 14 hours before that of UTC and ends 12 hours after it."""


class NamePattern:
    """Reads the time from a file name by a pattern of strptime directives, anywhere in the name.

    `%s` is seconds or milliseconds since 1970. A pattern with a slash is looked for in the whole
    path, so `%Y/%m/%d/%H%M%S` reads dates that are spread over folders.
    """

    def __init__(self, pattern: str, zone: tzinfo = UTC) -> None:
        """Raises ValueError for a directive that is not known or a pattern without any."""
        if "%" not in pattern:
            raise ValueError(f"{pattern!r} has no directive such as %Y%m%d-%H%M%S")
        self._pattern = pattern
        self._zone = zone
        self._epoch = "%s" in pattern.replace("%%", "")
        self._regex = re.compile(_regex_of(pattern))

    def __str__(self) -> str:
        return self._pattern

    def time_ns(self, path: Path, near_ns: int | None = None) -> int | None:
        """Returns UTC nanoseconds since 1970; None: the name holds no such time.

        `near_ns` chooses between the two times of a repeated hour, as in `instant_ns`.
        """
        text = path.as_posix() if "/" in self._pattern else path.name
        for match in self._regex.finditer(text):
            try:
                return self._parsed(match, near_ns)
            except (ValueError, OverflowError):  # digits in the right places, but no date
                continue
        return None

    def _parsed(self, match: re.Match[str], near_ns: int | None) -> int:
        if self._epoch:
            milliseconds = int(match["milliseconds"] or 0)
            since = timedelta(seconds=int(match["epoch"]), milliseconds=milliseconds)
            return nanoseconds(_EPOCH + since)
        return instant_ns(datetime.strptime(match[0], self._pattern), self._zone, near_ns)


def _regex_of(pattern: str) -> str:
    parts = []
    for literal, directive in re.findall(r"([^%]+)|%(.?)", pattern):
        if literal:
            parts.append(re.escape(literal))
        elif directive == "s":
            parts.append(r"(?P<epoch>\d{9,11}?)(?P<milliseconds>\d{3})?(?!\d)")
        elif directive in _DIRECTIVES:
            parts.append(_DIRECTIVES[directive])
        else:
            known = " ".join(f"%{name}" for name in (*_DIRECTIVES, "s"))
            raise ValueError(f"{pattern!r}: %{directive} is not one of {known}")
    return "".join(parts)


def nanoseconds(moment: datetime) -> int:
    """Returns UTC nanoseconds since 1970, exact to the microsecond (a float timestamp is not).

    Raises OverflowError for a time that cannot be recorded; no picture has such a time.
    """
    at_ns = (moment - _EPOCH) // timedelta(microseconds=1) * 1000
    if not EARLIEST_NS <= at_ns <= LATEST_NS:
        raise OverflowError(f"{moment} is no time of a picture")
    return at_ns


def instant_ns(moment: datetime, zone: tzinfo, near_ns: int | None) -> int:
    """Returns UTC nanoseconds since 1970 of a moment that is in `zone` if it names none itself.

    A local time in the hour that the end of summer time repeats can mean two times: returns the one
    nearer to `near_ns`, the first if that is None. Raises OverflowError as `nanoseconds` does.
    """
    if moment.tzinfo is not None:
        return nanoseconds(moment)
    first, second = (nanoseconds(moment.replace(tzinfo=zone, fold=fold)) for fold in (0, 1))
    if near_ns is None:
        return first
    return min((first, second), key=lambda at_ns: abs(at_ns - near_ns))


def _never_set(at_ns: int) -> bool:
    """Tells whether it is a day, in any zone, at which clocks begin that were never set."""
    at = _EPOCH + timedelta(microseconds=at_ns // 1000)
    return any(-_EAST <= at - day < timedelta(days=1) + _WEST for day in _UNSET_DAYS)


@dataclass(frozen=True, slots=True)
class Taken:
    """Says when a still was taken."""

    at_ns: int
    """UTC, nanoseconds since 1970."""
    known_by: TimeOrigin
    timed: bool
    """Whether this puts the still on a time line."""


@dataclass(frozen=True, slots=True)
class Times:
    """Finds the times of one source's files."""

    pattern: NamePattern | None = None
    """Pattern of file names; None: file names hold no time."""
    zone: tzinfo = UTC
    """Time zone of EXIF times without an offset."""
    exif_timeline: bool = False
    """Whether EXIF times put stills on a time line, as times in names do."""

    sequences: Sequences | None = None
    """Gives the times of stills that are numbered as the frames of a clip; None: none are."""

    @property
    def on_time_line(self) -> bool:
        """Tells whether any still can lie on a time line."""
        return self.pattern is not None or self.exif_timeline or self.sequences is not None

    def matches(self, path: Path) -> bool:
        """Tells whether a file's name holds a time, be it that of a clock that was never set."""
        return self.pattern is not None and self.pattern.time_ns(path) is not None

    def of_still(self, path: Path, exif: datetime | None, mtime_ns: int) -> Taken:
        """Returns when a still was taken.

        `exif` may be naive; None: the still holds no EXIF time. A still whose name matches lies on
        the time line even if its clock was never set.
        """
        named = self._named(path, mtime_ns)
        if named is not None:
            return Taken(named, TimeOrigin.FILENAME, timed=True)
        matches = self.matches(path)
        written = None if exif is None else _written_ns(exif, self.zone, mtime_ns)
        taken = Taken(mtime_ns, TimeOrigin.MTIME, timed=matches)
        if written is not None:
            taken = Taken(written, TimeOrigin.EXIF, timed=matches or self.exif_timeline)
        if taken.timed or self.sequences is None:
            return taken
        counted = self.sequences.at_ns(path, taken.at_ns)
        return taken if counted is None else Taken(counted, TimeOrigin.SEQUENCE, timed=True)

    def of_clip_start(
        self, path: Path, created: str | None, mtime_ns: int, duration_s: float
    ) -> tuple[int, TimeOrigin]:
        """Returns when a clip's first frame was taken, and how that is known.

        The time is in UTC nanoseconds since 1970. `created` is the container's creation_time.
        """
        began_ns = bounded_ns(mtime_ns - round(duration_s * 1e9))
        named = self._named(path, began_ns)
        if named is not None:
            return named, TimeOrigin.FILENAME
        tagged = _creation_ns(created)
        return (began_ns if tagged is None else tagged), TimeOrigin.PTS

    def needs_duration(self, path: Path, created: str | None) -> bool:
        """Tells whether only its duration tells when a clip began."""
        return self._named(path, None) is None and _creation_ns(created) is None

    def _named(self, path: Path, near_ns: int | None) -> int | None:
        """Returns the time in a file's name; None: it holds none, or its clock was never set."""
        at_ns = self.pattern.time_ns(path, near_ns) if self.pattern else None
        return None if at_ns is None or _never_set(at_ns) else at_ns


def _written_ns(moment: datetime, zone: tzinfo, near_ns: int | None) -> int | None:
    """Returns a time that a recorder wrote; None: its clock was never set."""
    try:
        at_ns = instant_ns(moment, zone, near_ns)
    except OverflowError:
        return None
    return None if at_ns < nanoseconds(_EARLIEST) or _never_set(at_ns) else at_ns


def _creation_ns(created: str | None) -> int | None:
    try:
        moment = datetime.fromisoformat(created or "")
    except ValueError:
        return None
    return _written_ns(moment, UTC, None)
