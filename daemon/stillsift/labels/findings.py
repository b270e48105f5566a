"""Defines boxes and label files as values, and what can be wrong with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from .class_names import ClassNames

Edges = tuple[float, float, float, float]
"""Left, top, right and bottom of a box: pixels from the top left corner, or shares of the picture's
width and height."""


class Kind(StrEnum):
    """Names what can be wrong with labels."""

    UNPARSABLE = "unparsable"
    OUTSIDE = "outside"
    """A box reaches beyond the picture."""
    SWAPPED = "swapped"
    """The least edge of a box is beyond its greatest."""
    NO_AREA = "no_area"
    NO_NAME = "no_name"
    """The class of a box has no name."""
    NO_IMAGE = "no_image"
    SIZE = "size"
    """The picture has another size than the labels say, so boxes in pixels may mean another one."""
    DUPLICATE = "duplicate"
    """The same box of the same class stands there before."""
    UNREADABLE_IMAGE = "unreadable_image"


@dataclass(frozen=True, slots=True)
class Wrong:
    """Describes one thing that is wrong."""

    file: Path
    line: int | None
    """Line in the file, from 1; None: it has no lines that mean anything, or it is about all."""
    kind: Kind
    what: str
    way_out: str
    box: int | None = None
    """Index in the file of the box that it is about; None: no box that could be mended."""
    mended: Edges | None = None
    """The box as it is to be; None: it is to go, where `fixable` says that it can be mended."""
    fixable: bool = False
    """Whether it can be mended without guessing."""


@dataclass(frozen=True, slots=True)
class Box:
    """Describes one box of a label file."""

    index: int
    """Position among all boxes of the file, from 0."""
    line: int | None
    place: str
    """Words that name it where lines do not: "annotation 12"; else empty."""
    label: str | int
    """Name of its class, or its number."""
    edges: Edges
    corners: tuple[float, ...] = ()
    """All numbers of it where it is an outline and no box; duplicates are told by them."""


@dataclass(frozen=True, slots=True)
class Labels:
    """Describes the labels of one picture in one file."""

    file: Path
    boxes: Sequence[Box]
    image: str | None = None
    """Name or path of the picture, as the file has it; None: it names none."""
    line: int | None = None
    """Line of that name."""
    size: tuple[int, int] | None = None
    """(width, height) of the picture as the file has it, pixels; None: it does not."""
    shares: bool = False
    """Whether edges are shares of the picture, not pixels."""
    unboxed: Sequence[str | int] = ()
    """Classes of what has a mask or points in it, and no box."""
    number: int = 0
    """Position of the picture among all of the file, from 0."""
    known: ClassNames = field(default_factory=ClassNames)
    """What the file of names says that holds for it (YOLO)."""


@dataclass(slots=True)
class Read:
    """Holds what was read of one label file."""

    labels: list[Labels] = field(default_factory=list)
    wrong: list[Wrong] = field(default_factory=list)
    names: Mapping[str | int, str] | None = None
    """Classes that have a name; None: it is not known which."""
    keypoints: bool = False
    """Whether points of a pose stand behind each box (YOLO)."""
    known: ClassNames = field(default_factory=ClassNames)
    """What the file of names says that holds for it (YOLO)."""
    sha256: str | None = None
    """SHA-256 (hex) of what was read; None: it could not be read."""
