"""When a file's pictures were taken, and how that is known.

A still: EXIF, then the pattern for file names, then the time of last change. A clip: the pattern
names its start; else the `creation_time` its recorder wrote; else the time of last change less the
duration, because a recorder's last write is at the end. Frames of a clip add their presentation
time to that start.
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
"""Clocks that were never set count from 1904 or 1970; that is no time at all."""


class NamePattern:
    """Reads the time out of a file name: strptime directives, found anywhere in the name.

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
        """UTC nanoseconds since 1970; None: the name holds no such time."""
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
    """UTC nanoseconds since 1970, exact (a float timestamp is not).

    Raises OverflowError for a time that cannot be recorded, which no camera's clock means.
    """
    at_ns = (moment - _EPOCH) // timedelta(microseconds=1) * 1000
    if not EARLIEST_NS <= at_ns <= LATEST_NS:
        raise OverflowError(f"{moment} is no time of a picture")
    return at_ns


@dataclass(frozen=True, slots=True)
class Times:
    """How the times of one source's files are found."""

    pattern: NamePattern | None = None
    """None: file names say nothing about time."""
    zone: tzinfo = UTC
    """Of EXIF times without an offset."""

    def of_name(self, path: Path) -> int | None:
        """What a file's name tells; None: no time."""
        return self.pattern.time_ns(path) if self.pattern else None

    def of_still(self, path: Path, exif: datetime | None, mtime_ns: int) -> tuple[int, TimeOrigin]:
        """When a still was taken. `exif` may be naive; None: it holds none."""
        if exif is not None:
            with suppress(OverflowError):  # a clock that was never set
                aware = exif if exif.tzinfo else exif.replace(tzinfo=self.zone)
                return nanoseconds(aware), TimeOrigin.EXIF
        named = self.of_name(path)
        if named is not None:
            return named, TimeOrigin.FILENAME
        return mtime_ns, TimeOrigin.MTIME

    def of_clip_start(
        self, path: Path, created: str | None, mtime_ns: int, duration_s: float
    ) -> tuple[int, TimeOrigin]:
        """When a clip's first frame was taken. `created` is the container's creation_time."""
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
