"""Finds when the pictures of a file were taken, and names how that is known.

For a still: EXIF, else the pattern for file names, else the time of last change. For the start of a
clip: the pattern for file names, else the `creation_time` that its recorder wrote, else the time of
last change less the duration, because a recorder's last write is at the end. Frames of a clip add
their presentation time to its start.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

from ..frames import EARLIEST_NS, LATEST_NS, TimeOrigin, bounded_ns

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
_EARLIEST = datetime(1980, 1, 1, tzinfo=UTC)
"""Earliest `creation_time` that is used. Clocks that were never set count from 1904 or 1970."""


class NamePattern:
    """Reads the time from a file name by a pattern of strptime directives, anywhere in the name.

    `%s` is seconds since 1970. A pattern with a slash is looked for in the whole path, so
    `%Y/%m/%d/%H%M%S` reads dates that are spread over folders.
    """

    def __init__(self, pattern: str, zone: tzinfo = UTC) -> None:
        """Raises ValueError for a directive that is not known or a pattern without any."""
        if "%" not in pattern:
            raise ValueError(f"{pattern!r} has no directive such as %Y%m%d-%H%M%S")
        self._pattern = pattern
        self._zone = zone
        self._epoch = "%s" in pattern.replace("%%", "")
        self._regex = re.compile(_regex_of(pattern))

    def time_ns(self, path: Path) -> int | None:
        """Returns UTC nanoseconds since 1970; None: the name holds no such time."""
        text = path.as_posix() if "/" in self._pattern else path.name
        for match in self._regex.finditer(text):
            try:
                return self._parsed(match)
            except (ValueError, OverflowError):  # digits in the right places, but no date
                continue
        return None

    def _parsed(self, match: re.Match[str]) -> int:
        if self._epoch:
            return nanoseconds(_EPOCH + timedelta(seconds=int(match["epoch"])))
        moment = datetime.strptime(match[0], self._pattern)
        return nanoseconds(moment if moment.tzinfo else moment.replace(tzinfo=self._zone))


def _regex_of(pattern: str) -> str:
    parts = []
    for literal, directive in re.findall(r"([^%]+)|%(.?)", pattern):
        if literal:
            parts.append(re.escape(literal))
        elif directive == "s":
            parts.append(r"(?P<epoch>\d{9,11})")
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


@dataclass(frozen=True, slots=True)
class Times:
    """Finds the times of one source's files."""

    pattern: NamePattern | None = None
    """Pattern of file names; None: file names hold no time."""
    zone: tzinfo = UTC
    """Time zone of EXIF times without an offset."""

    def of_name(self, path: Path) -> int | None:
        """Returns the time in a file's name, UTC nanoseconds since 1970; None: it holds none."""
        return self.pattern.time_ns(path) if self.pattern else None

    def of_still(self, path: Path, exif: datetime | None, mtime_ns: int) -> tuple[int, TimeOrigin]:
        """Returns when a still was taken, UTC nanoseconds since 1970, and how that is known.

        `exif` may be naive; None: the still holds no EXIF time.
        """
        if exif is not None:
            with suppress(OverflowError):  # the clock was never set
                aware = exif if exif.tzinfo else exif.replace(tzinfo=self.zone)
                return nanoseconds(aware), TimeOrigin.EXIF
        named = self.of_name(path)
        if named is not None:
            return named, TimeOrigin.FILENAME
        return mtime_ns, TimeOrigin.MTIME

    def of_clip_start(
        self, path: Path, created: str | None, mtime_ns: int, duration_s: float
    ) -> tuple[int, TimeOrigin]:
        """Returns when a clip's first frame was taken, and how that is known.

        The time is in UTC nanoseconds since 1970. `created` is the container's creation_time.
        """
        named = self.of_name(path)
        if named is not None:
            return named, TimeOrigin.FILENAME
        tagged = _creation_ns(created)
        if tagged is not None:
            return tagged, TimeOrigin.PTS
        return bounded_ns(mtime_ns - round(duration_s * 1e9)), TimeOrigin.PTS


def _creation_ns(created: str | None) -> int | None:
    try:
        moment = datetime.fromisoformat(created or "")
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return nanoseconds(aware) if aware >= _EARLIEST else None
    except (ValueError, OverflowError):
        return None
