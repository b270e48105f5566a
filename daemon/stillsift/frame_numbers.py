"""Reads the numbers of frames in file names, as `ffmpeg -i clip in%06d.jpg` writes them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import PurePath

_LAST = re.compile(r"[0-9]+(?=[^0-9]*$)")
_MOST_DIGITS = 18
"""Most digits of a number of frames: so many fit into 64 bits."""
_PATTERN = re.compile(r"(.*)@([0-9]+(?:\.[0-9]+)?)(?:/([0-9]+))?", re.DOTALL)
_NUMBER = re.compile(r"%(?:0?([1-9]))?d")


@dataclass(frozen=True, slots=True)
class Numbered:
    """Describes a name that holds a number."""

    names: str
    """The name with # in place of the number; alike for the frames of one clip."""
    number: int
    """0 and up."""


def last_number(path: PurePath) -> Numbered | None:
    """Returns the last number in a file's name before its suffix; None: there is none."""
    match = _LAST.search(path.stem)
    if match is None or len(match[0]) > _MOST_DIGITS:
        return None
    names = f"{path.stem[: match.start()]}#{path.stem[match.end() :]}{path.suffix}"
    return Numbered(names, int(match[0]))


class NumberPattern:
    """Reads a frame's number by a pattern such as `in%06d@25`: frames 25 a second.

    The number is written as C's printf writes it, `%d` or `%06d`, anywhere in a file's name. The
    rate is a number (25, 29.97) or a fraction (30000/1001).
    """

    def __init__(self, pattern: str) -> None:
        """Raises ValueError where the pattern is none; its message says what is wrong."""
        match = _PATTERN.fullmatch(pattern)
        if match is None or len(_NUMBER.findall(match[1])) != 1:
            raise ValueError("needs one %d and a rate behind it")
        if "/" in match[1]:
            raise ValueError("looks for a frame's number in a folder's name")
        before, width, after = _NUMBER.split(match[1])
        if "%" in before + after:
            raise ValueError("holds more than a frame's number")
        if not Fraction(match[2]) or (match[3] is not None and not int(match[3])):
            raise ValueError("has a rate of 0")
        self._pattern = pattern
        self.rate = float(Fraction(match[2]) / int(match[3] or 1))
        """Frames per second."""
        digits = rf"([0-9]{{{width or 1},{_MOST_DIGITS}}})"
        self._regex = re.compile(rf"{re.escape(before)}{digits}{re.escape(after)}")

    def __str__(self) -> str:
        return self._pattern

    def number(self, path: PurePath) -> int | None:
        """Returns the number in a file's name; None: it does not match."""
        match = self._regex.search(path.name)
        return None if match is None else int(match[1])


def is_number_pattern(pattern: str) -> bool:
    """Tells whether a pattern is meant to hold a frame's number: it has a %d and a rate behind @.

    A pattern of a time has directives beside %d, since no day of a month alone is a time.
    """
    match = _PATTERN.fullmatch(pattern)
    return match is not None and re.fullmatch(r"(?:[^%]|%%|%[0-9]*d)*", match[1]) is not None
