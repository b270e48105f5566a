"""Puts stills on a time line by the numbers in their names, such as the frames of a clip.

A folder has one time line. It begins with the still that is read first, at the time of that still;
the others follow by their numbers. Where it began is remembered, so that a folder of which some
stills are gone by now goes on as it began.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from ..frame_numbers import NumberPattern, last_number
from ..frames import bounded_ns
from .items import Known, Numbering


@dataclass(frozen=True, slots=True)
class NumberedStills:
    """Says how the numbered stills of one folder were taken."""

    folder: Path
    names: str
    """The name of the first, with # in place of its number."""
    frames: int
    """How many there are, of a time line how many were read."""
    rate: float | None
    """Numbers per second of their time line; None: they are taken for photographs."""
    why: str | None = None
    """Why they are taken for photographs; None: they are not, or that was decided earlier."""


class Sequences:
    """Gives the times of the numbered stills of one source."""

    def __init__(
        self, known: Known, rate: float | None = None, pattern: NumberPattern | None = None
    ) -> None:
        """Takes `rate` in numbers per second; None: it depends on the folder.

        With a `pattern`, only names that match it are numbered, and it has the rate.
        """
        self._known = known
        self._pattern = pattern
        self._rate = rate if pattern is None else pattern.rate
        self._folders: dict[Path, Numbering] = {}
        self._found: dict[Path, float | None] = {}
        self._read: Counter[Path] = Counter()
        """Stills that were put on a time line, by folder."""
        self._names: dict[Path, str] = {}

    @property
    def time_lines(self) -> list[NumberedStills]:
        """Gives the folders of which stills were put on a time line."""
        return [
            NumberedStills(folder, self._names[folder], frames, self.rate(folder))
            for folder, frames in self._read.items()
        ]

    def number(self, path: Path) -> int | None:
        """Returns the number of a still; None: its name holds none."""
        if self._pattern is not None:
            return self._pattern.number(path)
        found = last_number(path)
        return None if found is None else found.number

    def decided(self, folder: Path) -> Numbering | None:
        """Returns what was decided about a folder, in this run or before; None: nothing yet."""
        if folder not in self._folders and (known := self._known.numbering(folder)) is not None:
            self._folders[folder] = known
        return self._folders.get(folder)

    def decide(self, folder: Path, rate: float | None) -> None:
        """Sets the numbers per second of a folder; None: its stills are photographs."""
        self._found[folder] = rate

    def rate(self, folder: Path) -> float | None:
        """Returns the numbers per second of a folder; None: it has no time line, or not yet."""
        if self._rate is not None:
            return self._rate
        known = self.decided(folder)
        return self._found.get(folder) if known is None else known.rate

    def at_ns(self, path: Path, taken_ns: int) -> int | None:
        """Returns when a still was taken by its number; None: it lies on no such time line.

        `taken_ns`: its time by what else is known of it, at which the time line of its folder
        begins if it is the first. Both are UTC nanoseconds.
        """
        folder, number = path.parent, self.number(path)
        if number is None:
            return None
        known, rate = self.decided(folder), self.rate(folder)
        if known is None and (rate is not None or folder in self._found):
            known = self._folders[folder] = Numbering(rate, number, taken_ns)
            self._known.begin_numbering(folder, known)
        if known is None or rate is None:
            return None
        self._read[folder] += 1
        named = last_number(path)
        self._names.setdefault(folder, path.name if named is None else named.names)
        return bounded_ns(known.first_ns + round((number - known.first) * 1e9 / rate))
